//! A client of minor version 0: a client ID instead of a session, and a sequence for each of its owners.

use std::collections::HashMap;

use dittofs_framework::op::Operation;
use dittofs_framework::proto::{
    CbClient4, ClientAddr4, ClientId, Minor, NfsClientId4, NfsFh4, StateOwner, Stateid, Status,
};
use dittofs_framework::testing::{Compound, CompoundReply};
use dittofs_framework::xdr::{Opaque, XdrDecode, XdrEncode};
use dittofs_ops::close::{Close, Close4Args};
use dittofs_ops::getfh::GetFh;
use dittofs_ops::lock::{ExistLockOwner4, Lock, Lock4Args, Locker4, NfsLockType4, OpenToLockOwner4};
use dittofs_ops::locku::{Locku, Locku4Args};
use dittofs_ops::open::{OPEN4_RESULT_CONFIRM, Open, Open4Args, Open4ResOk, OpenClaim4, OpenFlag4};
use dittofs_ops::open_confirm::{OpenConfirm, OpenConfirm4Args};
use dittofs_ops::putfh::PutFh;
use dittofs_ops::setclientid::{SetClientid, SetClientid4Args, SetClientid4ResOk};
use dittofs_ops::setclientid_confirm::{SetClientidConfirm, SetClientidConfirm4Args};

use crate::{Client, LockRange, OpenFile, TestServer, open_args, put, walk};

/// SETCLIENTID's arguments for a client of that name.
pub fn setclientid_args(name: &str, verifier: [u8; 8]) -> SetClientid4Args {
    let location = ClientAddr4 { netid: "tcp".into(), addr: "127.0.0.1.156.64".into() };
    SetClientid4Args {
        client: NfsClientId4 { verifier, id: Opaque::from(name) },
        callback: CbClient4 { program: 0x4000_0000, location },
        callback_ident: 1,
    }
}

/// A client with a confirmed client ID.
pub struct ClientV4_0 {
    /// The connection.
    pub client: Client,
    /// Who the client is to the server.
    pub clientid: ClientId,
    /// The last seqid of each owner, open-owners and lock-owners together: tests give them names of their own.
    seqids: HashMap<String, u32>,
}

impl ClientV4_0 {
    /// The seqid of a first request.
    pub const FIRST_SEQID: u32 = 100;

    /// SETCLIENTID and SETCLIENTID_CONFIRM as a client of that name, which must succeed.
    pub async fn connect(server: &TestServer, name: &str) -> Self {
        Self::establish(Client::connect(server).await, name, [1; 8]).await
    }

    /// The same over this connection, as one incarnation of the client.
    pub async fn establish(client: Client, name: &str, verifier: [u8; 8]) -> Self {
        Self::establish_with(client, &setclientid_args(name, verifier)).await
    }

    /// The same with any arguments of SETCLIENTID.
    pub async fn establish_with(mut client: Client, args: &SetClientid4Args) -> Self {
        let set = client.run(&Compound::new(Minor::V0).op::<SetClientid>(args)).await.ok();
        let SetClientid4ResOk { clientid, setclientid_confirm } = set.get::<SetClientid>();
        let args = SetClientidConfirm4Args { clientid, setclientid_confirm };
        client.run(&Compound::new(Minor::V0).op::<SetClientidConfirm>(&args)).await.ok();
        Self { client, clientid, seqids: HashMap::new() }
    }

    /// An empty compound.
    pub fn compound(&self) -> Compound {
        Compound::new(Minor::V0)
    }

    /// Runs a compound.
    pub async fn run(&mut self, compound: Compound) -> CompoundReply {
        self.client.run(&compound).await
    }

    /// A compound with an operation on an object.
    pub fn on<O>(&self, fh: &NfsFh4, args: &O::Args) -> Compound
    where
        O: Operation<Args: XdrEncode, Res: XdrDecode>,
    {
        self.compound().op::<PutFh>(&put(fh)).op::<O>(args)
    }

    /// Runs an operation on an object.
    pub async fn run_on<O>(&mut self, fh: &NfsFh4, args: &O::Args) -> Result<O::Res, Status>
    where
        O: Operation<Args: XdrEncode, Res: XdrDecode>,
    {
        let reply = self.run(self.on::<O>(fh, args)).await;
        if reply.status.is_ok() { Ok(reply.get::<O>()) } else { Err(reply.status) }
    }

    /// Uses up the next seqid of an owner.
    pub fn seqid(&mut self, owner: &str) -> u32 {
        let next = self.next_seqid(owner);
        self.seqids.insert(owner.to_owned(), next);
        next
    }

    /// Takes back what an owner used up: `last` was its last seqid.
    pub fn set_seqid(&mut self, owner: &str, last: u32) {
        self.seqids.insert(owner.to_owned(), last);
    }

    /// The next seqid of an owner.
    pub fn next_seqid(&self, owner: &str) -> u32 {
        self.seqids.get(owner).map_or(Self::FIRST_SEQID, |last| last + 1)
    }

    /// An owner of this client.
    pub fn owner(&self, name: &str) -> StateOwner {
        StateOwner { clientid: self.clientid, owner: Opaque::from(name) }
    }

    /// OPEN's arguments, with the next seqid of the owner.
    pub fn open_args(
        &mut self,
        name: &str,
        access: u32,
        deny: u32,
        opener: &str,
        how: OpenFlag4,
    ) -> Open4Args {
        let args = open_args(name, access, deny, opener, how);
        Open4Args { seqid: self.seqid(opener), owner: self.owner(opener), ..args }
    }

    /// OPEN's arguments with another claim.
    pub fn claim_args(&mut self, access: u32, opener: &str, claim: OpenClaim4) -> Open4Args {
        Open4Args { claim, ..self.open_args("", access, 0, opener, OpenFlag4::NoCreate(())) }
    }

    /// A compound that opens a file of the first share and gets its filehandle.
    pub fn opening(&self, args: &Open4Args) -> Compound {
        walk(self.compound(), &["export"]).op::<Open>(args).op::<GetFh>(&())
    }

    /// What OPEN answers in the first share, and the filehandle that it leaves.
    pub async fn try_open(&mut self, args: &Open4Args) -> Result<(NfsFh4, Open4ResOk), Status> {
        let reply = self.run(self.opening(args)).await;
        if !reply.status.is_ok() {
            return Err(reply.status);
        }
        Ok((reply.get::<GetFh>().object, reply.get::<Open>()))
    }

    /// Opens a file of the first share, made with mode 0644 if it is not there, and confirms the owner if that is asked for.
    ///
    /// # Panics
    /// If it cannot be opened.
    pub async fn open_as(&mut self, name: &str, access: u32, deny: u32, opener: &str) -> OpenFile {
        let args = self.open_args(name, access, deny, opener, crate::unchecked());
        let (fh, answer) = self.try_open(&args).await.expect("opened");
        let stateid = self.confirm_if_asked(&fh, &answer, opener).await;
        OpenFile { fh, stateid }
    }

    /// Opens a file for reading and writing, as the owner "opener".
    pub async fn open(&mut self, name: &str) -> OpenFile {
        self.open_as(name, crate::BOTH, 0, "opener").await
    }

    /// The stateid of an open after its owner was confirmed, if that was asked for.
    pub async fn confirm_if_asked(&mut self, fh: &NfsFh4, answer: &Open4ResOk, opener: &str) -> Stateid {
        let mut file = OpenFile { fh: fh.clone(), stateid: answer.stateid };
        if answer.rflags & OPEN4_RESULT_CONFIRM != 0 {
            self.confirm(&mut file, opener).await;
        }
        file.stateid
    }

    /// Confirms the owner of an open.
    ///
    /// # Panics
    /// If that fails.
    pub async fn confirm(&mut self, file: &mut OpenFile, opener: &str) {
        let args = OpenConfirm4Args { open_stateid: file.stateid, seqid: self.seqid(opener) };
        file.stateid = self.run_on::<OpenConfirm>(&file.fh, &args).await.expect("confirmed");
    }

    /// Closes a file.
    pub async fn close(&mut self, file: &OpenFile, opener: &str) -> Result<Stateid, Status> {
        let args = Close4Args { seqid: self.seqid(opener), open_stateid: file.stateid };
        self.run_on::<Close>(&file.fh, &args).await
    }

    /// LOCK's arguments for a first lock, with the next seqids of both owners.
    pub fn lock_args(
        &mut self,
        open: Stateid,
        opener: &str,
        locker: &str,
        locktype: NfsLockType4,
        (offset, length): LockRange,
    ) -> Lock4Args {
        let new = OpenToLockOwner4 {
            open_seqid: self.seqid(opener),
            open_stateid: open,
            lock_seqid: self.seqid(locker),
            lock_owner: self.owner(locker),
        };
        Lock4Args { locktype, reclaim: false, offset, length, locker: Locker4::OpenOwner(new) }
    }

    /// LOCK's arguments for another lock, with the next seqid of the lock-owner.
    pub fn relock_args(
        &mut self,
        lock_stateid: Stateid,
        locker: &str,
        locktype: NfsLockType4,
        (offset, length): LockRange,
    ) -> Lock4Args {
        let locker = Locker4::LockOwner(ExistLockOwner4 { lock_stateid, lock_seqid: self.seqid(locker) });
        Lock4Args { locktype, reclaim: false, offset, length, locker }
    }

    /// LOCKU's arguments, with the next seqid of the lock-owner.
    pub fn unlock_args(
        &mut self,
        lock_stateid: Stateid,
        locker: &str,
        (offset, length): LockRange,
    ) -> Locku4Args {
        Locku4Args {
            locktype: NfsLockType4::WriteLt,
            seqid: self.seqid(locker),
            lock_stateid,
            offset,
            length,
        }
    }

    /// Locks a range of a file for writing, as the lock-owner "locker" under the open-owner "opener".
    ///
    /// # Panics
    /// If that fails.
    pub async fn lock(&mut self, file: &OpenFile, range: LockRange) -> Stateid {
        let args = self.lock_args(file.stateid, "opener", "locker", NfsLockType4::WriteLt, range);
        self.run_on::<Lock>(&file.fh, &args).await.expect("a lock")
    }

    /// Unlocks a range that the lock-owner "locker" has.
    ///
    /// # Panics
    /// If that fails.
    pub async fn unlock(&mut self, fh: &NfsFh4, lock: Stateid, range: LockRange) -> Stateid {
        let args = self.unlock_args(lock, "locker", range);
        self.run_on::<Locku>(fh, &args).await.expect("unlocked")
    }
}
