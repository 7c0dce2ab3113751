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
}

/// Where a server listens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addresses {
    pub(super) nfs: SocketAddr,
    api: SocketAddr,
}

impl Program {
    /// Starts it, on ports that the system chooses.
    pub(super) fn start(&self) -> io::Result<Server> {
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
        Ok(Server { child, lines, said })
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
    /// Waits until it listens. An error is that it ended, or took too long.
    pub(super) async fn ready(&mut self) -> Result<Addresses, String> {
        tokio::time::timeout(START_TIME, self.listening())
            .await
            .unwrap_or(None)
            .ok_or_else(|| format!("the server does not start: {}", self.last_lines()))
    }

    async fn listening(&mut self) -> Option<Addresses> {
        let (mut nfs, mut api) = (None, None);
        while let Some(line) = self.lines.recv().await {
            if let Some(addr) = line.strip_prefix("listening on ") {
                nfs = Some(addr.parse().ok()?);
            } else if let Some(addr) = line.strip_prefix("API on ") {
                api = Some(addr.parse().ok()?);
            }
            if let (Some(nfs), Some(api)) = (nfs, api) {
                return Some(Addresses { nfs, api });
            }
        }
        None
    }

    /// SIGKILL, and the end of the process. An error is that it had ended before.
    pub(super) fn kill(&mut self) -> Result<(), String> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Err(format!("the server had ended with {status}: {}", self.last_lines()));
        }
        self.child.kill().and_then(|()| self.child.wait()).map(drop).map_err(|error| error.to_string())
    }

    /// What it said last, with a panic if there was one.
    pub(super) fn last_lines(&self) -> String {
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

impl Addresses {
    /// Whether the grace period goes on.
    pub(super) async fn is_in_grace(&self) -> io::Result<bool> {
        Ok(self.ask("GET", "/api/v1/grace").await?.contains("\"in_force\":true"))
    }

    /// Ends the grace period.
    pub(super) async fn end_grace(&self) -> io::Result<()> {
        self.ask("POST", "/api/v1/grace/end").await.map(drop)
    }

    async fn ask(&self, method: &str, path: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.api).await?;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            self.api
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        if answer.starts_with("HTTP/1.1 200") {
            return Ok(answer);
        }
        Err(io::Error::other(format!("{method} {path}: {answer}")))
    }
}

/// Makes an empty directory for a run.
pub fn scratch(parent: &Path, name: &str) -> io::Result<PathBuf> {
    let dir = parent.join(format!("{name}-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    Ok(dir)
}
