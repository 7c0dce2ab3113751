//! Opens and share reservations (RFC 8881 section 9.7).

use dittofs_framework::proto::{
    ClientId, NFS4ERR_DELAY, NFS4ERR_EXIST, NFS4ERR_INVAL, NFS4ERR_NOENT, NFS4ERR_RECLAIM_CONFLICT,
    NFS4ERR_SHARE_DENIED, Stateid, Status, Wants,
};
use dittofs_framework::testing::OpReply;
use dittofs_ops::open::Open as OpenOp;
use dittofs_ops::open_downgrade::OpenDowngrade;

use super::delegations::{Opener, Refused};
use super::revocation::InTheWay;
use super::{Cx, Expect, Fh, Model, check, decoded};
use crate::simulation::request::{Claim, FileNo, How, Kind, OwnerNo, Right, Share, Wish};

/// An open.
#[derive(Debug, Clone)]
pub(crate) struct Open {
    pub(crate) other: [u8; 12],
    pub(crate) seqid: u32,
    pub(crate) client: ClientId,
    pub(crate) file: FileNo,
    pub(crate) owner: OwnerNo,
    /// share_access and share_deny of each OPEN that it is made of.
    pub(crate) accesses: Vec<u32>,
    pub(crate) denies: Vec<u32>,
}

impl Open {
    pub(crate) fn access(&self) -> u32 {
        union(&self.accesses)
    }

    pub(crate) fn deny(&self) -> u32 {
        union(&self.denies)
    }

    pub(crate) fn conflicts(&self, share: Share) -> bool {
        self.access() & share.deny != 0 || self.deny() & share.access != 0
    }
}

fn reclaimed(claim: Claim) -> Option<Kind> {
    match claim {
        Claim::Previous(kind) => kind,
        _ => None,
    }
}

fn union(modes: &[u32]) -> u32 {
    modes.iter().fold(0, |all, mode| all | mode)
}

/// Those of `modes` that are within `bits`; `None` if they do not add up to it.
fn covered(modes: &[u32], bits: u32) -> Option<Vec<u32>> {
    let within: Vec<_> = modes.iter().copied().filter(|mode| mode & !bits == 0).collect();
    (!within.is_empty() && union(&within) == bits).then_some(within)
}

impl Model {
    pub(super) fn open(
        &mut self,
        cx: &mut Cx,
        (owner, share, wish): (OwnerNo, Share, Wish),
        how: How,
        claim: Claim,
        result: &OpReply,
    ) {
        let (wants, _) = Wants::of_open(cx.minor, wish.0).expect("sensible wants");
        let wrong = self.wrong_with_open(cx, (owner, share, wants), how, claim);
        check(&Expect::unless(wrong), result);
        if !result.status.is_ok() {
            return;
        }
        let file = self.claimed(cx, claim).unwrap_or_else(|| {
            let Claim::Name(name) = claim else { panic!("a handle of no file") };
            self.new_file(name)
        });
        let answer = decoded::<OpenOp>(result);
        let (stateid, client) = (answer.stateid, cx.clientid());
        let reclaims = reclaimed(claim);
        let opener = Opener { client, owner, file, share, wants, reclaims };
        let can_have = claim.right() == Right::New && !self.is_unconfirmed(client, owner);
        self.check_offer(&opener, can_have);
        let delegations = self.delegations.len();
        let is_open = self.opened_and_delegated(cx, &opener, &answer);
        cx.fh = Some(Fh::File(file));
        if !is_open {
            let given = self.delegations[delegations];
            cx.stateid = Some(Stateid { seqid: 1, other: given.other });
            return;
        }
        let mine = |open: &&mut Open| open.client == client && open.owner == owner && open.file == file;
        if let Some(open) = self.opens.iter_mut().find(mine) {
            open.seqid += 1;
            open.accesses.push(share.access);
            open.denies.push(share.deny);
            assert_eq!(stateid, Stateid { seqid: open.seqid, other: open.other }, "an upgrade");
        } else {
            self.note_new(stateid);
            let (accesses, denies) = (vec![share.access], vec![share.deny]);
            self.opens.push(Open { other: stateid.other, seqid: 1, client, file, owner, accesses, denies });
        }
        cx.stateid = Some(stateid);
    }

    fn wrong_with_open(
        &mut self,
        cx: &Cx,
        (owner, share, wants): (OwnerNo, Share, Wants),
        how: How,
        claim: Claim,
    ) -> Vec<Status> {
        let client = cx.clientid();
        let file = self.claimed(cx, claim);
        if let Some(status) = self.check_claim(cx, claim.right()) {
            return vec![status];
        }
        let is_full = self.opens_of(client) >= self.limits.state.opens_per_client;
        // No file is made for an open that is then refused.
        if how != How::NoCreate && (is_full || !self.makes_room_for_open(cx.now)) {
            return vec![NFS4ERR_DELAY];
        }
        match (file, how) {
            (None, How::NoCreate) => return vec![NFS4ERR_NOENT],
            (Some(_), How::Guarded) => return vec![NFS4ERR_EXIST],
            _ => {}
        }
        if let Some(stale) = file.and_then(|file| self.stale(file)) {
            return vec![stale];
        }
        self.asked_for_state(client);
        if let Some(Err(status)) = file.map(|file| self.check_claimed(client, claim, (file, share.access))) {
            return vec![status];
        }
        let is_met = |open: &Open| Some(open.file) == file && open.conflicts(share);
        if self.meet_opens(cx, is_met) == InTheWay::Refused {
            let denied =
                if claim.right() == Right::Reclaim { NFS4ERR_RECLAIM_CONFLICT } else { NFS4ERR_SHARE_DENIED };
            return vec![denied];
        }
        let by = (cx.now, Some(client));
        let met = file.map(|file| self.meet_delegations(by, file, |held| held.excludes_open(share)));
        if met == Some(InTheWay::Refused) {
            return vec![NFS4ERR_DELAY];
        }
        let reclaims = reclaimed(claim);
        let opener = file.map(|file| Opener { client, owner, file, share, wants, reclaims });
        if !self.has_room_for_open(cx.now, opener, client) {
            return vec![NFS4ERR_DELAY];
        }
        // A delegation that cannot be had again takes the open with it.
        let reclaimed = opener.filter(|opener| opener.reclaims.is_some());
        match reclaimed.map(|opener| self.may_delegate(cx.now, &opener)) {
            Some(Err(Refused::Contention)) => vec![NFS4ERR_RECLAIM_CONFLICT],
            Some(Err(Refused::Resource)) => vec![NFS4ERR_DELAY],
            _ => Vec::new(),
        }
    }

    /// Whether an open that nothing is in the way of exceeds no limit, if need be after clients without a lease went.
    fn has_room_for_open(&mut self, now: u64, opener: Option<Opener>, client: ClientId) -> bool {
        let is_mine = |opener: &Opener, open: &Open| {
            (open.client, open.owner, open.file) == (opener.client, opener.owner, opener.file)
        };
        loop {
            let needs_none = opener.is_some_and(|opener| {
                self.opens.iter().any(|open| is_mine(&opener, open)) || self.stands_for_open(now, &opener)
            });
            if needs_none {
                return true;
            }
            if self.opens.len() < self.limits.state.opens_total {
                return self.opens_of(client) < self.limits.state.opens_per_client;
            }
            if !self.evict(now, Self::has_opens) {
                return false;
            }
        }
    }

    /// Whether one more open has room in the limit of all, if need be after clients without a lease went.
    fn makes_room_for_open(&mut self, now: u64) -> bool {
        while self.opens.len() >= self.limits.state.opens_total {
            if !self.evict(now, Self::has_opens) {
                return false;
            }
        }
        true
    }

    /// What counts against the limit of opens: revoked stateids do until they are freed.
    fn opens_of(&self, client: ClientId) -> usize {
        let revoked = self.revoked.iter().filter(|revoked| revoked.client == client);
        self.opens.iter().filter(|open| open.client == client).count() + revoked.count()
    }

    pub(super) fn downgrade(&mut self, cx: &mut Cx, stateid: Stateid, share: Share, result: &OpReply) {
        let stateid = cx.resolve_exact(stateid);
        let found = self.find_open(cx, stateid).map(|open| {
            covered(&open.accesses, share.access).zip(covered(&open.denies, share.deny)).ok_or(NFS4ERR_INVAL)
        });
        let left = found.and_then(|left| left);
        check(&Expect::unless(left.as_ref().err().copied().into_iter().collect()), result);
        let Ok((accesses, denies)) = left else { return };
        let open = self.opens.iter_mut().find(|open| open.other == stateid.other).expect("an open");
        (open.accesses, open.denies) = (accesses, denies);
        open.seqid += 1;
        let answer = decoded::<OpenDowngrade>(result);
        assert_eq!(answer, Stateid { seqid: open.seqid, other: open.other }, "the stateid of OPEN_DOWNGRADE");
        cx.stateid = Some(answer);
    }

    pub(super) fn close(&mut self, cx: &mut Cx, stateid: Stateid, result: &OpReply) {
        let stateid = cx.resolve_exact(stateid);
        let wrong = self.find_open(cx, stateid).err();
        check(&Expect::unless(wrong.into_iter().collect()), result);
        if result.status.is_ok() {
            self.remove_open(stateid.other);
            self.revoked.retain(|revoked| revoked.open != Some(stateid.other));
            cx.stateid = Some(Stateid::INVALID);
        }
    }

    /// An open goes, with the locks that were made under it.
    pub(crate) fn remove_open(&mut self, other: [u8; 12]) {
        self.opens.retain(|open| open.other != other);
        let under: Vec<_> =
            self.lock_states.iter().filter(|lock| lock.open == other).map(|lock| lock.other).collect();
        self.lock_states.retain(|lock| lock.open != other);
        self.held.retain(|held| !under.contains(&held.state));
    }
}
