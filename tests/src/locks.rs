//! Steps that lock byte ranges.

use dittofs_framework::op::Operation;
use dittofs_framework::proto::{NFS4ERR_DENIED, NfsFh4, Stateid};
use dittofs_framework::xdr::{XdrDecode, XdrEncode};
use dittofs_ops::lock::{
    ExistLockOwner4, Lock, Lock4Args, Lock4Denied, Locker4, NfsLockType4, OpenToLockOwner4,
};
use dittofs_ops::lockt::Lockt4Args;
use dittofs_ops::locku::{Locku, Locku4Args};
use dittofs_ops::putfh::PutFh;

use crate::{OpenFile, Session, owner, put};

/// The length that means "to the end of the file" (RFC 8881 section 18.10.3).
pub const TO_EOF: u64 = u64::MAX;

/// Offset and length.
pub type LockRange = (u64, u64);

/// LOCK's arguments with an open stateid and a lock-owner.
pub fn lock_under(open: Stateid, locker: &str, locktype: NfsLockType4, range: LockRange) -> Lock4Args {
    let new =
        OpenToLockOwner4 { open_seqid: 0, open_stateid: open, lock_seqid: 0, lock_owner: owner(locker) };
    lock_args(Locker4::OpenOwner(new), locktype, range)
}

/// LOCK's arguments with a lock stateid.
pub fn lock_more(lock_stateid: Stateid, locktype: NfsLockType4, range: LockRange) -> Lock4Args {
    lock_args(Locker4::LockOwner(ExistLockOwner4 { lock_stateid, lock_seqid: 0 }), locktype, range)
}

fn lock_args(locker: Locker4, locktype: NfsLockType4, (offset, length): LockRange) -> Lock4Args {
    Lock4Args { locktype, reclaim: false, offset, length, locker }
}

/// LOCKT's arguments.
pub fn lock_test(locker: &str, locktype: NfsLockType4, (offset, length): LockRange) -> Lockt4Args {
    Lockt4Args { locktype, offset, length, owner: owner(locker) }
}

/// LOCKU's arguments.
pub fn unlock(lock_stateid: Stateid, (offset, length): LockRange) -> Locku4Args {
    Locku4Args { locktype: NfsLockType4::WriteLt, seqid: 0, lock_stateid, offset, length }
}

impl Session {
    /// Locks a range of a file that is open, which must succeed. The lock stateid.
    ///
    /// # Panics
    /// If it does not.
    pub async fn lock(
        &mut self,
        file: &OpenFile,
        locker: &str,
        locktype: NfsLockType4,
        range: LockRange,
    ) -> Stateid {
        let args = lock_under(file.stateid, locker, locktype, range);
        self.run_on::<Lock>(&file.fh, &args).await.expect("a lock")
    }

    /// Unlocks a range, which must succeed. The lock stateid.
    ///
    /// # Panics
    /// If it does not.
    pub async fn unlock(&mut self, fh: &NfsFh4, lock: Stateid, range: LockRange) -> Stateid {
        self.run_on::<Locku>(fh, &unlock(lock, range)).await.expect("unlocked")
    }

    /// The lock that is in the way of LOCK or LOCKT, which must be denied.
    ///
    /// # Panics
    /// If it is not.
    pub async fn denied<O>(&mut self, fh: &NfsFh4, args: &O::Args) -> Lock4Denied
    where
        O: Operation<Args: XdrEncode, Res: XdrDecode>,
    {
        let reply = self.run(self.compound().op::<PutFh>(&put(fh)).op::<O>(args)).await;
        assert_eq!(reply.status, NFS4ERR_DENIED);
        reply.error_body()
    }
}
