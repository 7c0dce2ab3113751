//! What the tables share: a server, a client that holds a delegation, and another that comes into its way.

use std::time::Duration;

use bytes::Bytes;
use dittofs_framework::compound::Limits;
use dittofs_framework::proto::{
    Fattr4, Minor, NFS4_OK, NFS4ERR_DELAY, NfsFh4, OPEN4_SHARE_ACCESS_WANT_NO_DELEG, Stateid, Status,
    component,
};
use dittofs_framework::testing::RpcCredential;
use dittofs_ops::io::StableHow4;
use dittofs_ops::link::{Link, Link4Args};
use dittofs_ops::putfh::PutFh;
use dittofs_ops::read::{Read, Read4Args};
use dittofs_ops::remove::{Remove, Remove4Args};
use dittofs_ops::rename::{Rename, Rename4Args};
use dittofs_ops::savefh::SaveFh;
use dittofs_ops::setattr::{SetAttr, Setattr4Args};
use dittofs_ops::write::{Write, Write4Args};
use dittofs_tests::callbacks::{BackOptions, Callbacks, DelegClient, Delegation};
use dittofs_tests::{BOTH, READ, TestServer, TestServerOptions, WRITE, mode_attr, put, size_attr, walk};

pub(crate) const LEASE: Duration = Duration::from_secs(90);
/// The file that is delegated.
pub(crate) const FILE: &str = "file";
/// Long enough for every test, in real time.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// Which delegation the holder has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
}

pub(crate) struct World {
    pub(crate) server: TestServer,
    /// Holds the delegation.
    pub(crate) holder: DelegClient,
    pub(crate) delegation: Delegation,
    /// Comes into its way.
    pub(crate) other: DelegClient,
}

/// A server on which requests wait so long for a delegation that is in their way.
pub(crate) async fn server(recall_wait: Duration) -> TestServer {
    let mut limits = Limits::default();
    limits.state.recall_wait = recall_wait;
    TestServer::start_with(TestServerOptions { limits, lease: LEASE, ..TestServerOptions::default() }).await
}

impl World {
    /// The holder has this delegation of [`FILE`] and has the file open.
    pub(crate) async fn new(minor: Minor, kind: Kind, recall_wait: Duration) -> Self {
        let server = server(recall_wait).await;
        let mut holder = DelegClient::of(&server, "holder", minor).await;
        let delegation = holder.delegation(FILE, kind).await;
        let other = DelegClient::of(&server, "other", minor).await;
        Self { server, holder, delegation, other }
    }

    /// The same with other options of the holder, which takes calls with this credential alone.
    pub(crate) async fn with(
        options: &BackOptions,
        kind: Kind,
        recall_wait: Duration,
        credential: RpcCredential,
    ) -> Self {
        let server = server(recall_wait).await;
        let callbacks = Callbacks::new(options.minor.number());
        callbacks.expect_credential(credential);
        let mut holder = DelegClient::answering(&server, "holder", options, callbacks).await;
        holder.called().await;
        let delegation = holder.delegation(FILE, kind).await;
        let other = DelegClient::of(&server, "other", options.minor).await;
        Self { server, holder, delegation, other }
    }

    /// Lets time pass, in tenths of a lease, and what is due happen.
    pub(crate) async fn pass(&self, tenths: u32) {
        self.server.clock.advance(LEASE / 10 * tenths);
        self.server.service.reap().await;
    }

    pub(crate) async fn stop(self) {
        self.holder.callbacks().assert_sound();
        self.other.callbacks().assert_sound();
        self.server.stop().await;
    }
}

/// Getting a delegation of one kind.
pub(crate) trait Delegated {
    /// Makes a file, opens it and is given this delegation.
    async fn delegation(&mut self, name: &str, kind: Kind) -> Delegation;

    /// Makes a file, which nobody has open then.
    async fn make(&mut self, name: &str) -> NfsFh4;
}

impl Delegated for DelegClient {
    async fn delegation(&mut self, name: &str, kind: Kind) -> Delegation {
        self.make(name).await;
        match kind {
            Kind::Read => self.open_read(name).wanting_read().await.read_delegation(),
            Kind::Write => self.open_write(name).wanting_write().await.write_delegation(),
        }
    }

    async fn make(&mut self, name: &str) -> NfsFh4 {
        // In minor version 0 an open-owner is to be confirmed before it is given a delegation.
        self.open_read("before").wanting(OPEN4_SHARE_ACCESS_WANT_NO_DELEG).await;
        let made = self.open_write(name).by("maker").wanting(OPEN4_SHARE_ACCESS_WANT_NO_DELEG).await;
        if let Some(stateid) = made.delegation.stateid() {
            self.give_back(&Delegation { fh: made.fh.clone(), stateid }).await;
        }
        self.close_as(&made.file(), "maker").await;
        made.fh
    }
}

/// What the other client does with the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    OpenRead,
    OpenWrite,
    /// OPEN for reading that denies reading.
    OpenDenyRead,
    /// OPEN for reading that denies writing.
    OpenDenyWrite,
    OpenTruncating,
    /// With the anonymous stateid.
    Read,
    /// With the stateid that bypasses locks.
    ReadBypass,
    Write,
    Truncate,
    Chmod,
    Remove,
    /// To another name.
    Rename,
    /// Another file to the name of this one.
    RenameOver,
    Link,
}

impl Act {
    /// Does it, and says what came of it.
    pub(crate) async fn run(self, client: &mut DelegClient, fh: &NfsFh4) -> Status {
        let open = |access, deny| (access, deny);
        let (access, deny) = match self {
            Self::OpenRead => open(READ, 0),
            Self::OpenWrite => open(BOTH, 0),
            Self::OpenDenyRead => open(READ, READ),
            Self::OpenDenyWrite => open(READ, WRITE),
            Self::OpenTruncating => {
                return status(client.opening(FILE).write().truncating().wanting_none().result().await);
            }
            other => return other.run_op(client, fh).await,
        };
        let opening = client.opening(FILE).existing().access(access).denying(deny).wanting_none();
        status(opening.result().await)
    }

    async fn run_op(self, client: &mut DelegClient, fh: &NfsFh4) -> Status {
        let on_file = client.compound().op::<PutFh>(&put(fh));
        let in_share = walk(client.compound(), &["export"]);
        let saved = |compound: dittofs_framework::testing::Compound| compound.op::<SaveFh>(&());
        let compound = match self {
            Self::Read => on_file.op::<Read>(&read(Stateid::ANONYMOUS)),
            Self::ReadBypass => on_file.op::<Read>(&read(Stateid::READ_BYPASS)),
            Self::Write => on_file.op::<Write>(&write(Stateid::ANONYMOUS, b"other")),
            Self::Truncate => on_file.op::<SetAttr>(&set(size_attr(0))),
            Self::Chmod => on_file.op::<SetAttr>(&set(mode_attr(0o600))),
            Self::Remove => in_share.op::<Remove>(&Remove4Args { target: component(FILE) }),
            Self::Rename => saved(in_share).op::<Rename>(&rename(FILE, "renamed")),
            Self::RenameOver => saved(in_share).op::<Rename>(&rename("before", FILE)),
            Self::Link => {
                let link = Link4Args { newname: component("linked") };
                walk(saved(on_file), &["export"]).op::<Link>(&link)
            }
            other => panic!("{other:?} is an OPEN"),
        };
        client.run(compound).await.status
    }

    /// Does it until it is not put off any more. How often it was.
    pub(crate) async fn insist(self, client: &mut DelegClient, fh: &NfsFh4) -> usize {
        let mut delays = 0;
        loop {
            match self.run(client, fh).await {
                NFS4_OK => return delays,
                NFS4ERR_DELAY => delays += 1,
                status => panic!("{self:?}: {status}"),
            }
        }
    }
}

pub(crate) fn status<T>(result: Result<T, Status>) -> Status {
    result.err().unwrap_or(NFS4_OK)
}

pub(crate) fn read(stateid: Stateid) -> Read4Args {
    Read4Args { stateid, offset: 0, count: 100 }
}

pub(crate) fn write(stateid: Stateid, data: &'static [u8]) -> Write4Args {
    let data = Bytes::from_static(data);
    Write4Args {
        stateid,
        offset: 0,
        stable: StableHow4::FileSync,
        data: dittofs_framework::xdr::Opaque(data),
    }
}

pub(crate) fn set(obj_attributes: Fattr4) -> Setattr4Args {
    Setattr4Args { stateid: Stateid::ANONYMOUS, obj_attributes }
}

fn rename(oldname: &str, newname: &str) -> Rename4Args {
    Rename4Args { oldname: component(oldname), newname: component(newname) }
}
