use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use dittofs::api::{ApiServer, Phase};
use dittofs_backends::state_store::MemoryStateStore;
use dittofs_backends::store::{MemoryOptions, StoreFileSystem};
use dittofs_framework::export::ExportId;
use dittofs_framework::fs::{NodeHandle, OpenHold, ShareAccess};
use dittofs_framework::proto::{ClientId, Stateid};
use dittofs_framework::state::{
    BesideOpen, DelegationClaim, DelegationRequest, DelegationType, FileKey, Timestamps,
};
use dittofs_tests::{Client, Session, TestServer, TestServerOptions};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A server on the test clock, and its API.
pub(crate) struct World {
    pub(crate) server: TestServer,
    pub(crate) api: SocketAddr,
    pub(crate) phase: watch::Sender<Phase>,
    pub(crate) serving: JoinHandle<()>,
}

/// An HTTP answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        assert!(self.head.contains("content-type: application/json"), "{}", self.head);
        serde_json::from_str(&self.body).expect("JSON")
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::of(TestServer::start().await).await
    }

    /// After a restart, with clients of these names that have a file to reclaim.
    pub(crate) async fn restarted(clients: &[&str]) -> Self {
        let store = Arc::new(MemoryStateStore::new());
        let fs = Arc::new(StoreFileSystem::in_memory(MemoryOptions::default()).expect("a share in memory"));
        let boot = || {
            let options =
                TestServerOptions { store: Some(store.clone()), fs: fs.clone(), ..Default::default() };
            TestServer::start_with(options)
        };
        let server = boot().await;
        for name in clients {
            Client::connect(&server).await.session(name).await.open(name).await;
        }
        server.crash().await;
        Self::of(boot().await).await
    }

    pub(crate) async fn of(server: TestServer) -> Self {
        let (phase, phases) = watch::channel(Phase::Serving);
        let free = "127.0.0.1:0".parse().unwrap();
        let api = ApiServer::bind(server.service.clone(), free, phases).await.unwrap();
        let addr = api.local_addr();
        Self { server, api: addr, phase, serving: tokio::spawn(api.serve()) }
    }

    pub(crate) async fn session(&self, name: &str) -> Session {
        Client::connect(&self.server).await.session(name).await
    }

    /// Gives a client a delegation of a file of the share, as an operation would.
    pub(crate) fn delegate(&self, client: ClientId, kind: DelegationType, file: u64) -> Stateid {
        let request = DelegationRequest {
            kind,
            origin: None,
            timestamps: Timestamps::Server,
            open: BesideOpen::Always,
            claim: DelegationClaim::New,
        };
        let (state, now) = (self.server.service.state(), self.server.service.now());
        let checked = (0, ShareAccess::BOTH);
        let given =
            state.want_delegation(now, client, &file_key(file), &OpenHold::new(()), checked, &request);
        given.unwrap().unwrap().stateid
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "").await
    }

    pub(crate) async fn post(&self, path: &str) -> Answer {
        self.ask("POST", path, "content-length: 0\r\n").await
    }

    /// One request on a connection of its own.
    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &str) -> Answer {
        let mut stream = TcpStream::connect(self.api).await.unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// Runs `dfsctl` against it.
    pub(crate) async fn dfsctl(&self, args: &[&str]) -> Output {
        self.run(env!("CARGO_BIN_EXE_dfsctl"), args).await
    }

    /// Runs `dfs` against it.
    pub(crate) async fn dfs(&self, args: &[&str]) -> Output {
        self.run(env!("CARGO_BIN_EXE_dfs"), args).await
    }

    async fn run(&self, program: &str, args: &[&str]) -> Output {
        let mut command = program_with(program, args);
        command.env("DFS_API", self.api.to_string());
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }
}

pub(crate) fn file_key(file: u64) -> FileKey {
    FileKey { export: ExportId(1), node: NodeHandle::from_u64(file) }
}

/// The field `other` of a stateid, as the API names a state.
pub(crate) fn name_of(stateid: Stateid) -> String {
    stateid.other.map(|byte| format!("{byte:02x}")).concat()
}

pub(crate) fn program_with(program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).env_remove("DFS_API").env_remove("COLUMNS").stdin(Stdio::null());
    command
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// What a program printed that succeeded.
pub(crate) fn printed(output: &Output) -> &str {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// What a program complained of that failed.
pub(crate) fn complaint(output: &Output) -> &str {
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    text(&output.stderr)
}
