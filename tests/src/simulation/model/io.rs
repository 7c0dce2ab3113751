//! READ and WRITE: what a stateid allows (RFC 8881 section 9.1.2), and what is in the file.

use dittofs_framework::proto::{
    NFS4ERR_BAD_STATEID, NFS4ERR_DELAY, NFS4ERR_GRACE, NFS4ERR_LOCKED, NFS4ERR_OPENMODE, Stateid, Status,
};
use dittofs_framework::testing::OpReply;
use dittofs_ops::read::Read;

use super::revocation::InTheWay;
use super::stateids::{Found, check_seqid};
use super::{Cx, Delegation, Expect, Model, Open, Touch, check, decoded};
use crate::simulation::request::Kind;
use crate::{READ, WRITE};

impl Model {
    pub(super) fn read(&mut self, cx: &Cx, stateid: Stateid, result: &OpReply) {
        check(&Expect::unless(self.wrong_with_io(cx, stateid, READ)), result);
        if result.status.is_ok() {
            self.touched(cx, stateid, Kind::Read);
            let file = &self.files[cx.file().expect("a file").0];
            let read = decoded::<Read>(result);
            assert_eq!((&read.data.0[..], read.eof), (&file.content[..file.len], true), "the content");
        }
    }

    pub(super) fn write(&mut self, cx: &Cx, stateid: Stateid, at: u64, value: u8, result: &OpReply) {
        check(&Expect::unless(self.wrong_with_io(cx, stateid, WRITE)), result);
        if result.status.is_ok() {
            self.touched(cx, stateid, Kind::Write);
            let file = &mut self.files[cx.file().expect("a file").0];
            let at = usize::try_from(at).expect("a small offset");
            file.content[at] = value;
            file.len = file.len.max(at + 1);
        }
    }

    fn touched(&mut self, cx: &Cx, stateid: Stateid, kind: Kind) {
        if cx.resolve(stateid).is_special() {
            self.touches.push(Touch { file: cx.file().expect("a file"), kind });
        }
    }

    pub(super) fn wrong_with_io(&mut self, cx: &Cx, stateid: Stateid, access: u32) -> Vec<Status> {
        let file = cx.file().expect("a file");
        let stateid = cx.resolve(stateid);
        if stateid.is_special() && stateid != Stateid::CURRENT && self.is_in_grace() {
            return vec![NFS4ERR_GRACE];
        }
        if stateid == Stateid::ANONYMOUS || stateid == Stateid::READ_BYPASS {
            let is_in_the_way = |held: &Delegation| access == WRITE || held.kind == Kind::Write;
            let met = self.meet_delegations((cx.now, cx.client), file, is_in_the_way);
            if met == InTheWay::Refused {
                return std::iter::once(NFS4ERR_DELAY).chain(self.stale(file)).collect();
            }
            let bypasses = stateid == Stateid::READ_BYPASS && access == READ;
            let denies = |open: &Open| !bypasses && open.file == file && open.deny() & access != 0;
            let met = self.meet_opens(cx, denies);
            let locked = (met == InTheWay::Refused).then_some(NFS4ERR_LOCKED);
            return locked.into_iter().chain(self.stale(file)).collect();
        }
        let open = match self.open_for_io(cx, stateid, access) {
            Ok(Some(open)) => open.clone(),
            Ok(None) => return Vec::new(),
            Err(status) => return std::iter::once(status).chain(self.stale(file)).collect(),
        };
        if open.access() & access != 0 {
            return Vec::new();
        }
        if access == WRITE {
            return vec![NFS4ERR_OPENMODE];
        }
        let denies =
            |other: &Open| other.file == file && other.other != open.other && other.deny() & READ != 0;
        if self.meet_opens(cx, denies) == InTheWay::Refused { vec![NFS4ERR_LOCKED] } else { Vec::new() }
    }

    /// The open behind a stateid; `None` if it is a delegation's that allows the access.
    fn open_for_io(&self, cx: &Cx, stateid: Stateid, access: u32) -> Result<Option<&Open>, Status> {
        let found = self.state(cx.clientid(), stateid.other)?;
        let other = match found {
            Found::Open(open) => open.other,
            Found::Lock(lock) => lock.open,
            Found::Delegation(held) => return check_delegated(cx, held, stateid, access).map(|()| None),
        };
        let open = self.opens.iter().find(|open| open.other == other).expect("an open");
        if Some(open.file) != cx.file() {
            return Err(NFS4ERR_BAD_STATEID);
        }
        check_seqid(found.seqid(), stateid.seqid)?;
        Ok(Some(open))
    }
}

fn check_delegated(cx: &Cx, held: &Delegation, stateid: Stateid, access: u32) -> Result<(), Status> {
    if Some(held.file) != cx.file() {
        return Err(NFS4ERR_BAD_STATEID);
    }
    check_seqid(1, stateid.seqid)?;
    if access == WRITE && held.kind == Kind::Read { Err(NFS4ERR_OPENMODE) } else { Ok(()) }
}
