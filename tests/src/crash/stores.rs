use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dittofs_backends::content::MemoryContentStore;
use dittofs_backends::fsck::{self, FsckOptions, Mode, Problem};
use dittofs_backends::metadata::MemoryMetadataStore;
use dittofs_backends::state_store::MemoryStateStore;
use dittofs_backends::store::{StoreFileSystem, StoreOptions};
use dittofs_framework::proto::NfsTime;
use dittofs_framework::testing::faults::{Calls, Fault, FaultyStores, Loss};

use super::subject::{Life, Subject};
use crate::{Random, TestServer, TestServerOptions};

/// A server in this process on stores that fail and lose power: what was not made durable is lost, which it is not when a process is killed.
pub struct Stores {
    faulty: Arc<FaultyStores>,
    state: Arc<MemoryStateStore>,
    random: Random,
}

const CAPACITY: u64 = 1 << 30;

impl Stores {
    /// Empty stores, which fail as the seed says.
    pub fn new(seed: u64) -> Self {
        let metadata = Arc::new(MemoryMetadataStore::new(CAPACITY));
        let content = Arc::new(MemoryContentStore::new(CAPACITY));
        Self {
            faulty: Arc::new(FaultyStores::new(metadata, content)),
            state: Arc::new(MemoryStateStore::new()),
            random: Random::new(seed),
        }
    }

    fn loss(&mut self) -> Loss {
        match self.random.below(4) {
            0 => Loss::Nothing,
            1 => Loss::All,
            _ => Loss::Some(self.random.u64()),
        }
    }

    /// What fails in the life that begins, in two of three.
    fn plan(&mut self) -> bool {
        if self.random.below(3) == 0 {
            return false;
        }
        let calls = [Calls::CHANGES, Calls::APPLY, Calls::WRITE, Calls::RESHAPE, Calls::SYNC];
        let faults = [
            Fault::PowerOff,
            Fault::PowerOff,
            Fault::PowerOffAfter,
            Fault::Failed,
            Fault::FailedAfter,
            Fault::Torn,
            Fault::NoSpace,
        ];
        let longest = self.random.one_of(&[10, 100, 1000]);
        let nth = 1 + self.random.u64() % longest;
        self.faulty.fail(self.random.one_of(&calls), nth, self.random.one_of(&faults));
        true
    }
}

impl Subject for Stores {
    type Life = OnStores;

    async fn start(&mut self) -> Result<Option<OnStores>, String> {
        let loss = self.loss();
        let may_fail = self.plan();
        let options = StoreOptions {
            cached_inodes: self.random.one_of(&[8, 1 << 16]),
            flush_after: Duration::from_millis(self.random.one_of(&[10, 10_000])),
            ..StoreOptions::default()
        };
        let (metadata, content) = (self.faulty.metadata(), self.faulty.content());
        let fs = match StoreFileSystem::open(metadata, content, options).await {
            Ok(fs) => Arc::new(fs),
            Err(_) if may_fail => {
                self.faulty.crash(loss).await;
                return Ok(None);
            }
            Err(error) => return Err(format!("the volume is not opened: {error}")),
        };
        let options =
            TestServerOptions { fs, store: Some(self.state.clone()), ..TestServerOptions::default() };
        let server = TestServer::start_with(options).await;
        Ok(Some(OnStores { server: Some(server), faulty: self.faulty.clone(), loss, may_fail }))
    }

    async fn check(&mut self) -> Result<(), String> {
        let (metadata, content) = (self.faulty.metadata(), self.faulty.content());
        let options = FsckOptions { mode: Mode::Check, listed: 1000, now: NfsTime::default() };
        let report = fsck::check(&*metadata, &*content, options).await.map_err(|error| error.to_string())?;
        // Removal of contents need not be durable: a power failure may bring them back, without a file.
        let is_left_by_design = |problem: &Problem| matches!(problem, Problem::Contents { .. });
        let problems: Vec<_> = report.problems.iter().filter(|problem| !is_left_by_design(problem)).collect();
        if problems.is_empty() { Ok(()) } else { Err(format!("{report}: {problems:?}")) }
    }
}

/// A server on stores that lose power when it is killed.
pub(super) struct OnStores {
    server: Option<TestServer>,
    faulty: Arc<FaultyStores>,
    loss: Loss,
    may_fail: bool,
}

impl OnStores {
    fn server(&self) -> Result<&TestServer, String> {
        self.server.as_ref().ok_or_else(|| "the server has ended".to_owned())
    }
}

impl Life for OnStores {
    async fn ready(&mut self) -> Result<SocketAddr, String> {
        self.server().map(|server| server.addr)
    }

    async fn kill(&mut self) -> Result<(), String> {
        let server = self.server.take().ok_or("the server had ended")?;
        // The opens that the server holds must not be closed before the power goes: that removes files.
        let service = server.service.clone();
        server.crash().await;
        self.faulty.crash(self.loss).await;
        drop(service);
        Ok(())
    }

    async fn is_in_grace(&self) -> Result<bool, String> {
        self.server().map(|server| server.service.grace().is_in_force())
    }

    async fn end_grace(&self) -> Result<(), String> {
        self.server()?.service.end_grace().await.map_err(|error| error.to_string())
    }

    /// Connections can outlive the power for a moment.
    fn may_refuse(&self) -> bool {
        self.may_fail || self.server.is_none()
    }

    /// Stores without power answer nothing that could be told.
    fn silence(&self) -> Option<Duration> {
        self.may_fail.then_some(Duration::from_secs(2))
    }

    fn last_lines(&self) -> String {
        String::new()
    }
}
