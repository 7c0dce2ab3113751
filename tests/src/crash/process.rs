use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::subject::{Life, Subject};

/// How long a start may take.
const START_TIME: Duration = Duration::from_mins(1);
/// Lines of the log that a failure shows.
const LINES_SHOWN: usize = 30;

/// The program under test, and what it serves.
#[derive(Debug, Clone)]
pub struct Program {
    /// `dfs`.
    pub dfs: PathBuf,
    /// Its data directory.
    pub data: PathBuf,
    /// Where its log goes.
    pub log: PathBuf,
}

/// A running `dfs start`, killed with the value.
pub(super) struct Server {
    child: Child,
    lines: mpsc::UnboundedReceiver<String>,
    said: Arc<Mutex<VecDeque<String>>>,
    api: Option<SocketAddr>,
}

impl Program {
    /// Starts it, on ports that the system chooses.
    pub(super) fn spawn(&self) -> io::Result<Server> {
        let mut child = Command::new(&self.dfs)
            .args(["start", "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0", "--data-dir"])
            .arg(&self.data)
            .env_remove("DFS_API")
            .env("DFS_LOG", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take().ok_or_else(|| io::Error::other("no standard error"))?;
        let mut log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        writeln!(log, "--- start")?;
        let (send, lines) = mpsc::unbounded_channel();
        let said = Arc::new(Mutex::new(VecDeque::new()));
        let keep = said.clone();
        std::thread::spawn(move || read_lines(stderr, log, &keep, &send));
        Ok(Server { child, lines, said, api: None })
    }

    /// Runs `dfs fsck`; what it says if it finds anything.
    pub(super) fn fsck(&self) -> Result<(), String> {
        let output = Command::new(&self.dfs).args(["fsck", "--data-dir"]).arg(&self.data).output();
        let output = output.map_err(|error| format!("dfs fsck: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        Err(format!("dfs fsck ends with {}: {}", output.status, String::from_utf8_lossy(&said)))
    }
}

impl Subject for Program {
    type Life = Server;

    async fn start(&mut self) -> Result<Option<Server>, String> {
        self.spawn().map(Some).map_err(|error| format!("dfs does not start: {error}"))
    }

    async fn check(&mut self) -> Result<(), String> {
        self.fsck()
    }
}

fn read_lines(
    stderr: ChildStderr,
    mut log: impl Write,
    keep: &Mutex<VecDeque<String>>,
    send: &mpsc::UnboundedSender<String>,
) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        // A log that cannot be written must not stop the server, which waits for its reader.
        drop(writeln!(log, "{line}"));
        if let Ok(mut keep) = keep.lock() {
            keep.push_back(line.clone());
            if keep.len() > LINES_SHOWN {
                keep.pop_front();
            }
        }
        drop(send.send(line));
    }
}

impl Server {
    async fn listening(&mut self) -> Option<SocketAddr> {
        let mut nfs = None;
        while let Some(line) = self.lines.recv().await {
            if let Some(addr) = line.strip_prefix("listening on ") {
                nfs = Some(addr.parse().ok()?);
            } else if let Some(addr) = line.strip_prefix("API on ") {
                self.api = Some(addr.parse().ok()?);
            }
            if let (Some(nfs), Some(_)) = (nfs, self.api) {
                return Some(nfs);
            }
        }
        None
    }

    async fn ask(&self, method: &str, path: &str) -> io::Result<String> {
        let api = self.api.ok_or_else(|| io::Error::other("no API yet"))?;
        let mut stream = TcpStream::connect(api).await?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {api}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        if answer.starts_with("HTTP/1.1 200") {
            return Ok(answer);
        }
        Err(io::Error::other(format!("{method} {path}: {answer}")))
    }
}

impl Life for Server {
    async fn ready(&mut self) -> Result<SocketAddr, String> {
        let listening = tokio::time::timeout(START_TIME, self.listening()).await.unwrap_or(None);
        listening.ok_or_else(|| format!("the server does not start: {}", self.last_lines()))
    }

    async fn kill(&mut self) -> Result<(), String> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Err(format!("the server had ended with {status}: {}", self.last_lines()));
        }
        self.child.kill().and_then(|()| self.child.wait()).map(drop).map_err(|error| error.to_string())
    }

    async fn is_in_grace(&self) -> Result<bool, String> {
        let answer = self.ask("GET", "/api/v1/grace").await.map_err(|error| error.to_string())?;
        Ok(answer.contains("\"in_force\":true"))
    }

    async fn end_grace(&self) -> Result<(), String> {
        self.ask("POST", "/api/v1/grace/end").await.map(drop).map_err(|error| error.to_string())
    }

    fn may_refuse(&self) -> bool {
        false
    }

    fn silence(&self) -> Option<Duration> {
        None
    }

    fn last_lines(&self) -> String {
        let lines = self.said.lock().map(|said| said.iter().cloned().collect::<Vec<_>>());
        lines.map(|lines| format!("\n{}", lines.join("\n"))).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Makes an empty directory for a run.
pub fn scratch(parent: &Path, name: &str) -> io::Result<PathBuf> {
    let dir = parent.join(format!("{name}-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    Ok(dir)
}
