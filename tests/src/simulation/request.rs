//! Requests as the simulation knows them, and as they cross the wire.

use dittofs_framework::attr::FATTR4_TIME_MODIFY_SET;
use dittofs_framework::proto::{
    ClientId, ClientOwner4, ExchangeIdFlags, Minor, NfsFh4, Sequence4Args, SessionId, StateOwner, Stateid,
    component,
};
use dittofs_framework::testing::Compound;
use dittofs_framework::xdr::Opaque;
use dittofs_ops::close::{Close, Close4Args};
use dittofs_ops::create_session::CreateSession;
use dittofs_ops::delegreturn::{DelegReturn, Delegreturn4Args};
use dittofs_ops::destroy_clientid::{DestroyClientid, DestroyClientid4Args};
use dittofs_ops::destroy_session::{DestroySession, DestroySession4Args};
use dittofs_ops::exchange_id::ExchangeId;
use dittofs_ops::free_stateid::{FreeStateid, FreeStateid4Args};
use dittofs_ops::getfh::GetFh;
use dittofs_ops::io::StableHow4;
use dittofs_ops::lock::{Lock, Lock4Args, Locker4, NfsLockType4};
use dittofs_ops::lockt::Lockt;
use dittofs_ops::locku::{Locku, Locku4Args};
use dittofs_ops::open::{
    CreateHow4, Open, Open4Args, OpenClaim4, OpenClaimDelegateCur4, OpenDelegationType4, OpenFlag4,
};
use dittofs_ops::open_confirm::{OpenConfirm, OpenConfirm4Args};
use dittofs_ops::open_downgrade::{OpenDowngrade, OpenDowngrade4Args};
use dittofs_ops::putfh::PutFh;
use dittofs_ops::read::{Read, Read4Args};
use dittofs_ops::reclaim_complete::{ReclaimComplete, ReclaimComplete4Args};
use dittofs_ops::release_lockowner::{ReleaseLockowner, ReleaseLockowner4Args};
use dittofs_ops::remove::{Remove, Remove4Args};
use dittofs_ops::rename::{Rename, Rename4Args};
use dittofs_ops::renew::{Renew, Renew4Args};
use dittofs_ops::savefh::SaveFh;
use dittofs_ops::sequence::Sequence;
use dittofs_ops::setattr::{SetAttr, Setattr4Args};
use dittofs_ops::setclientid::SetClientid;
use dittofs_ops::setclientid_confirm::{SetClientidConfirm, SetClientidConfirm4Args};
use dittofs_ops::test_stateid::{TestStateid, TestStateid4Args};
use dittofs_ops::write::{Write, Write4Args};

use super::range::CellRange;
use crate::{
    SessionOptions, create_session_args, exchange_id_args, fattr, lock_more, lock_test, lock_under,
    mode_attr, put, setclientid_args, size_attr, unlock,
};

/// A file, by the order in which they came into being.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileNo(pub(crate) usize);

/// A name in the one directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NameNo(pub(crate) usize);

/// A client machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClientNo(pub(crate) usize);

/// An open-owner or lock-owner of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OwnerNo(pub(crate) u8);

/// share_access and share_deny.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) access: u32,
    pub(crate) deny: u32,
}

/// What an OPEN says of delegations: the bits of share_access beside the access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Wish(pub(crate) u32);

/// What OPEN does when there is no such file, or one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    NoCreate,
    Unchecked,
    Guarded,
}

/// What OPEN opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    Name(NameNo),
    Handle,
    /// What the client held before the server restarted, with a delegation or without.
    Previous(Option<Kind>),
    /// What a delegation allows: by name, and by the current filehandle.
    Delegated(Stateid, NameNo),
    DelegatedHandle(Stateid),
}

impl Claim {
    pub(crate) fn right(self) -> Right {
        match self {
            Self::Previous(_) => Right::Reclaim,
            Self::Name(_) | Self::Handle => Right::New,
            Self::Delegated(..) | Self::DelegatedHandle(_) => Right::Delegated,
        }
    }
}

/// By what right an open or a lock is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right {
    New,
    Reclaim,
    Delegated,
}

/// In whose name LOCK locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Locker {
    Open(Stateid, OwnerNo),
    Existing(Stateid),
}

/// Shared or exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
}

impl Kind {
    pub(crate) fn conflicts(self, other: Self) -> bool {
        self == Self::Write || other == Self::Write
    }
}

/// An operation behind SEQUENCE, or one that stands alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Op {
    ExchangeId {
        owner: ClientNo,
        verifier: u64,
        update: bool,
    },
    CreateSession {
        clientid: ClientId,
        sequence: u32,
    },
    DestroySession(SessionId),
    DestroyClientid(ClientId),
    ReclaimComplete,
    PutDir,
    PutFile(FileNo),
    Open {
        owner: OwnerNo,
        share: Share,
        how: How,
        claim: Claim,
        wish: Wish,
    },
    GetFh,
    Downgrade {
        stateid: Stateid,
        share: Share,
    },
    Close(Stateid),
    Lock {
        locker: Locker,
        kind: Kind,
        range: CellRange,
        right: Right,
    },
    LockTest {
        owner: OwnerNo,
        kind: Kind,
        range: CellRange,
    },
    Unlock {
        stateid: Stateid,
        range: CellRange,
    },
    FreeStateid(Stateid),
    TestStateid(Vec<Stateid>),
    Read {
        stateid: Stateid,
    },
    Write {
        stateid: Stateid,
        at: u64,
        value: u8,
    },
    Remove(NameNo),
    SaveFh,
    /// From the saved directory to the current one.
    Rename {
        from: NameNo,
        to: NameNo,
    },
    /// The size, or else the time of the last change.
    SetAttributes {
        stateid: Stateid,
        size: Option<u64>,
    },
    ReturnDelegation(Stateid),
    SetClientid {
        owner: ClientNo,
        verifier: u64,
    },
    SetClientidConfirm {
        clientid: ClientId,
        confirm: [u8; 8],
    },
    Renew(ClientId),
    OpenConfirm(Stateid),
    ReleaseLockowner(OwnerNo),
}

/// What a request of minor version 0 says in place of a SEQUENCE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct V40 {
    pub(crate) clientid: ClientId,
    /// Of the open-owner.
    pub(crate) seqid: u32,
    pub(crate) lock_seqid: u32,
}

/// One COMPOUND.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) minor: Minor,
    pub(crate) uid: u32,
    pub(crate) sequence: Option<Sequence4Args>,
    pub(crate) v4_0: Option<V40>,
    pub(crate) ops: Vec<Op>,
}

/// SET_TO_SERVER_TIME4.
const NOW: u32 = 0;

/// The mode of all files.
const MODE: u32 = 0o666;

/// Bytes of a file that the simulation writes and reads.
pub(crate) const CONTENT: usize = 8;

/// The filehandles of everything.
#[derive(Debug)]
pub(crate) struct Handles {
    pub(crate) dir: NfsFh4,
    pub(crate) files: Vec<NfsFh4>,
}

impl Handles {
    pub(crate) fn file(&self, file: FileNo) -> &NfsFh4 {
        &self.files[file.0]
    }
}

pub(crate) fn name_of(name: NameNo) -> String {
    format!("f{}", name.0)
}

pub(crate) fn owner_of(client: ClientNo) -> String {
    format!("machine-{}", client.0)
}

pub(crate) fn state_owner(owner: OwnerNo) -> StateOwner {
    crate::owner(&format!("owner-{}", owner.0))
}

impl Request {
    pub(crate) fn compound(&self, handles: &Handles) -> Compound {
        let start = Compound::new(self.minor);
        let start = match &self.sequence {
            Some(sequence) => start.op::<Sequence>(sequence),
            None => start,
        };
        let v40 = self.v4_0.unwrap_or(V40 { clientid: ClientId(0), seqid: 0, lock_seqid: 0 });
        self.ops.iter().fold(start, |compound, op| append(compound, op, handles, v40))
    }
}

fn append(compound: Compound, op: &Op, handles: &Handles, v40: V40) -> Compound {
    match op {
        Op::ExchangeId { .. } | Op::CreateSession { .. } | Op::DestroySession(_) | Op::DestroyClientid(_) => {
            append_of_client(compound, op)
        }
        Op::ReclaimComplete => compound.op::<ReclaimComplete>(&ReclaimComplete4Args { one_fs: false }),
        Op::PutDir => compound.op::<PutFh>(&put(&handles.dir)),
        Op::PutFile(file) => compound.op::<PutFh>(&put(handles.file(*file))),
        Op::GetFh => compound.op::<GetFh>(&()),
        Op::FreeStateid(stateid) => compound.op::<FreeStateid>(&FreeStateid4Args { fsa_stateid: *stateid }),
        Op::TestStateid(stateids) => {
            compound.op::<TestStateid>(&TestStateid4Args { ts_stateids: stateids.clone() })
        }
        Op::Remove(name) => compound.op::<Remove>(&Remove4Args { target: component(&name_of(*name)) }),
        Op::SaveFh => compound.op::<SaveFh>(&()),
        Op::Rename { from, to } => compound.op::<Rename>(&Rename4Args {
            oldname: component(&name_of(*from)),
            newname: component(&name_of(*to)),
        }),
        Op::SetAttributes { stateid, size } => compound.op::<SetAttr>(&Setattr4Args {
            stateid: *stateid,
            obj_attributes: size.map_or_else(|| fattr(&[(FATTR4_TIME_MODIFY_SET, &NOW)]), size_attr),
        }),
        Op::ReturnDelegation(stateid) => {
            compound.op::<DelegReturn>(&Delegreturn4Args { deleg_stateid: *stateid })
        }
        Op::SetClientid { .. }
        | Op::SetClientidConfirm { .. }
        | Op::Renew(_)
        | Op::OpenConfirm(_)
        | Op::ReleaseLockowner(_) => append_of_v4_0(compound, op, v40),
        _ => append_on_file(compound, op, v40),
    }
}

fn append_of_client(compound: Compound, op: &Op) -> Compound {
    match op {
        Op::ExchangeId { owner, verifier, update } => {
            let mut args = exchange_id_args(&owner_of(*owner), verifier.to_be_bytes());
            args.client_owner =
                ClientOwner4 { ownerid: Opaque::from(owner_of(*owner).as_str()), ..args.client_owner };
            if *update {
                args.flags = ExchangeIdFlags::UPD_CONFIRMED_REC_A;
            }
            compound.op::<ExchangeId>(&args)
        }
        Op::CreateSession { clientid, sequence } => {
            let mut options = SessionOptions::default();
            options.fore_channel.max_requests = SLOTS;
            compound.op::<CreateSession>(&create_session_args(*clientid, *sequence, &options))
        }
        Op::DestroySession(sessionid) => {
            compound.op::<DestroySession>(&DestroySession4Args { sessionid: *sessionid })
        }
        Op::DestroyClientid(clientid) => {
            compound.op::<DestroyClientid>(&DestroyClientid4Args { clientid: *clientid })
        }
        _ => compound,
    }
}

/// Slots that a client asks for.
pub(crate) const SLOTS: u32 = 4;

fn append_of_v4_0(compound: Compound, op: &Op, v40: V40) -> Compound {
    match op {
        Op::SetClientid { owner, verifier } => {
            compound.op::<SetClientid>(&setclientid_args(&owner_of(*owner), verifier.to_be_bytes()))
        }
        Op::SetClientidConfirm { clientid, confirm } => {
            compound.op::<SetClientidConfirm>(&SetClientidConfirm4Args {
                clientid: *clientid,
                setclientid_confirm: *confirm,
            })
        }
        Op::Renew(clientid) => compound.op::<Renew>(&Renew4Args { clientid: *clientid }),
        Op::OpenConfirm(stateid) => {
            compound.op::<OpenConfirm>(&OpenConfirm4Args { open_stateid: *stateid, seqid: v40.seqid })
        }
        Op::ReleaseLockowner(owner) => {
            let lock_owner = StateOwner { clientid: v40.clientid, ..state_owner(*owner) };
            compound.op::<ReleaseLockowner>(&ReleaseLockowner4Args { lock_owner })
        }
        _ => compound,
    }
}

fn append_on_file(compound: Compound, op: &Op, v40: V40) -> Compound {
    match op {
        Op::Open { owner, share, how, claim, wish } => {
            let mut args = open_args(*owner, *share, *how, *claim);
            args.share_access |= wish.0;
            args.seqid = v40.seqid;
            args.owner.clientid = v40.clientid;
            compound.op::<Open>(&args)
        }
        Op::Downgrade { stateid, share } => compound.op::<OpenDowngrade>(&OpenDowngrade4Args {
            open_stateid: *stateid,
            seqid: v40.seqid,
            share_access: share.access,
            share_deny: share.deny,
        }),
        Op::Close(stateid) => compound.op::<Close>(&Close4Args { seqid: v40.seqid, open_stateid: *stateid }),
        Op::Lock { locker, kind, range, right } => {
            let mut args = lock_args(*locker, *kind, *range);
            args.reclaim = *right == Right::Reclaim;
            match &mut args.locker {
                Locker4::LockOwner(existing) => existing.lock_seqid = v40.lock_seqid,
                Locker4::OpenOwner(new) => {
                    new.open_seqid = v40.seqid;
                    new.lock_seqid = v40.lock_seqid;
                    new.lock_owner.clientid = v40.clientid;
                }
            }
            compound.op::<Lock>(&args)
        }
        Op::LockTest { owner, kind, range } => {
            let mut args = lock_test("", locktype(*kind), range.on_the_wire());
            args.owner = StateOwner { clientid: v40.clientid, ..state_owner(*owner) };
            compound.op::<Lockt>(&args)
        }
        Op::Unlock { stateid, range } => {
            let args = Locku4Args { seqid: v40.lock_seqid, ..unlock(*stateid, range.on_the_wire()) };
            compound.op::<Locku>(&args)
        }
        Op::Read { stateid } => {
            let count = u32::try_from(CONTENT).expect("few bytes");
            compound.op::<Read>(&Read4Args { stateid: *stateid, offset: 0, count })
        }
        Op::Write { stateid, at, value } => compound.op::<Write>(&Write4Args {
            stateid: *stateid,
            offset: *at,
            stable: StableHow4::FileSync,
            data: Opaque(bytes::Bytes::copy_from_slice(&[*value])),
        }),
        _ => compound,
    }
}

fn open_args(owner: OwnerNo, share: Share, how: How, claim: Claim) -> Open4Args {
    let attributes = mode_attr(MODE);
    Open4Args {
        seqid: 0,
        share_access: share.access,
        share_deny: share.deny,
        owner: state_owner(owner),
        openhow: match how {
            How::NoCreate => OpenFlag4::NoCreate(()),
            How::Unchecked => OpenFlag4::Create(CreateHow4::Unchecked(attributes)),
            How::Guarded => OpenFlag4::Create(CreateHow4::Guarded(attributes)),
        },
        claim: match claim {
            Claim::Name(name) => OpenClaim4::Null(component(&name_of(name))),
            Claim::Handle => OpenClaim4::Fh(()),
            Claim::Previous(None) => OpenClaim4::Previous(OpenDelegationType4::None),
            Claim::Previous(Some(Kind::Read)) => OpenClaim4::Previous(OpenDelegationType4::Read),
            Claim::Previous(Some(Kind::Write)) => OpenClaim4::Previous(OpenDelegationType4::Write),
            Claim::Delegated(delegate_stateid, name) => {
                let file = component(&name_of(name));
                OpenClaim4::DelegateCur(OpenClaimDelegateCur4 { delegate_stateid, file })
            }
            Claim::DelegatedHandle(stateid) => OpenClaim4::DelegCurFh(stateid),
        },
    }
}

fn lock_args(locker: Locker, kind: Kind, range: CellRange) -> Lock4Args {
    match locker {
        Locker::Open(open, owner) => {
            let mut args = lock_under(open, "", locktype(kind), range.on_the_wire());
            if let Locker4::OpenOwner(new) = &mut args.locker {
                new.lock_owner = state_owner(owner);
            }
            args
        }
        Locker::Existing(stateid) => lock_more(stateid, locktype(kind), range.on_the_wire()),
    }
}

fn locktype(kind: Kind) -> NfsLockType4 {
    match kind {
        Kind::Read => NfsLockType4::ReadLt,
        Kind::Write => NfsLockType4::WriteLt,
    }
}
