//! What the tables share: a server, a client, and a file that it has open and confirmed.

use std::time::Duration;

use dittofs_framework::proto::{Minor, Stateid, Status};
use dittofs_tests::{Client, ClientV4_0, OpenFile, Session, SessionOptions, TestServer};

pub(crate) const LEASE: Duration = Duration::from_secs(90);

pub(crate) struct World {
    pub(crate) server: TestServer,
    pub(crate) client: ClientV4_0,
    /// Open for reading and writing by the open-owner "opener".
    pub(crate) file: OpenFile,
}

impl World {
    pub(crate) async fn new() -> Self {
        let server = TestServer::start().await;
        let mut client = ClientV4_0::connect(&server, "client").await;
        let file = client.open("file").await;
        Self { server, client, file }
    }

    /// Another client of minor version 0.
    pub(crate) async fn other(&self) -> ClientV4_0 {
        ClientV4_0::connect(&self.server, "other").await
    }

    /// A client of a later minor version.
    pub(crate) async fn session(&self, minor: Minor) -> Session {
        let options = SessionOptions { minor, ..SessionOptions::default() };
        Client::connect(&self.server).await.session_with("session", options).await
    }

    /// Lets time pass, in tenths of a lease, and what is due happen.
    pub(crate) async fn pass(&mut self, tenths: u32) {
        self.server.clock.advance(LEASE / 10 * tenths);
        self.server.service.reap().await;
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }

    /// A stateid that is wrong in this way.
    pub(crate) fn wrong(&self, wrong: Wrong) -> Stateid {
        let good = self.file.stateid;
        let mut stale = good;
        stale.other[0] ^= 0x80;
        let mut garbage = good;
        garbage.other[4..].fill(0xee);
        match wrong {
            Wrong::Anonymous => Stateid::ANONYMOUS,
            Wrong::ReadBypass => Stateid::READ_BYPASS,
            Wrong::Stale => stale,
            Wrong::Garbage => garbage,
            Wrong::Old => Stateid { seqid: good.seqid - 1, ..good },
            Wrong::Future => Stateid { seqid: good.seqid + 1, ..good },
        }
    }
}

/// How a stateid may be wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wrong {
    Anonymous,
    ReadBypass,
    /// Of another start of the server: the first word of "other" is another.
    Stale,
    /// Of this start, and never given.
    Garbage,
    Old,
    Future,
}

/// The status of what may be good.
pub(crate) fn status<T>(result: &Result<T, Status>) -> Status {
    result.as_ref().err().copied().unwrap_or(dittofs_framework::proto::NFS4_OK)
}
