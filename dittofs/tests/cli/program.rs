use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub(crate) fn dfs(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dfs"));
    // Nothing of a test may get into the home of who runs it.
    command.args(args).env("XDG_DATA_HOME", "/dev/null").stdin(Stdio::null());
    command.env_remove("DFS_LOG").env_remove("DFS_API").env_remove("COLUMNS");
    command
}

pub(crate) fn run(args: &[&str]) -> Output {
    dfs(args).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The one line that a program complained with that failed.
pub(crate) fn complaint(output: &Output, status: i32) -> &str {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{said}");
    assert!(output.stdout.is_empty());
    let line = said.strip_suffix('\n').unwrap_or(said);
    assert!(!line.contains('\n'), "{said}");
    line
}

/// `dfs start` on a free port; ends with the test.
pub(crate) struct Server {
    child: Child,
    stderr: BufReader<ChildStderr>,
    /// What it said before it was ready.
    pub(crate) before: String,
    pub(crate) addr: SocketAddr,
}

impl Server {
    pub(crate) fn of(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let addr = loop {
            let mut line = String::new();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "it did not start: {said}");
            if let Some(addr) = line.strip_prefix("listening on ") {
                break addr.trim_end().parse().unwrap();
            }
            said.push_str(&line);
        };
        Self { child, stderr, before: said, addr }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it says.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stderr.read_line(&mut line).unwrap();
        line
    }

    pub(crate) fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end; the status, and what it said after its first line.
    pub(crate) fn end(&mut self) -> (ExitStatus, String) {
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap(), said)
    }

    /// Ends it in order, which must succeed.
    pub(crate) fn stop(mut self) {
        self.send(Signal::TERM);
        let (status, said) = self.end();
        assert_eq!(status.code(), Some(0), "{said}");
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.send(Signal::KILL);
        self.end();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A data directory that goes with the test.
pub(crate) struct Data {
    _temp: TempDir,
    path: PathBuf,
}

impl Data {
    pub(crate) fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("data");
        Self { _temp: temp, path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A command that works on it.
    pub(crate) fn command(&self, name: &str, args: &[&str]) -> Command {
        let mut command = dfs(&[name, "--data-dir"]);
        command.arg(&self.path).args(args);
        command
    }

    /// `dfs start` with it on a free port.
    pub(crate) fn start_command(&self, args: &[&str]) -> Command {
        let mut command = self.command("start", &["--listen", "127.0.0.1:0"]);
        command.args(args);
        command
    }

    pub(crate) fn start(&self, args: &[&str]) -> Server {
        Server::of(&mut self.start_command(args))
    }

    /// A start that must fail; what it says, with the path of the directory as `DATA`.
    pub(crate) fn refused(&self, args: &[&str]) -> String {
        let output = self.start_command(args).output().unwrap();
        complaint(&output, 1).replace(&self.path.display().to_string(), "DATA")
    }
}
