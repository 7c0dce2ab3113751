use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use dittofs_tests::{Client, Session};
use rustix::process::{Pid, Signal, kill_process};

/// An example that runs, on a free port of the loopback interface.
pub(crate) struct Example {
    child: Child,
    addr: SocketAddr,
    /// Reads what it says on stderr after the line with its address.
    rest: JoinHandle<Vec<String>>,
}

impl Example {
    /// Starts one with these arguments behind the address.
    pub(crate) fn start<A: AsRef<OsStr>>(name: &str, args: &[A]) -> Self {
        let test = std::env::current_exe().unwrap();
        let program = test.ancestors().nth(2).unwrap().join("examples").join(name);
        let mut command = Command::new(&program);
        command.arg("127.0.0.1:0").args(args).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!("{}: {error}; `cargo build --examples` makes it", program.display())
        });
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut before = Vec::new();
        let addr = loop {
            let Some(line) = lines.next() else { panic!("{name} ended: {before:?}") };
            let line = line.unwrap();
            match line.strip_prefix("listening on ") {
                Some(addr) => break addr.parse().unwrap(),
                None => before.push(line),
            }
        };
        let rest = std::thread::spawn(move || lines.map_while(Result::ok).collect());
        Self { child, addr, rest }
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// A client with a session.
    pub(crate) async fn session(&self, owner: &str) -> Session {
        Client::connect_to(self.addr).await.session(owner).await
    }

    /// Ends it as Ctrl-C does. It must have answered something: from then on it handles the signal. Returns what it said.
    pub(crate) fn stop(mut self) -> Vec<String> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::INT).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
        self.rest.join().unwrap()
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.rest.join().unwrap();
    }
}
