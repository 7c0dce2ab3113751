//! Delegations: who is given one, whose are in the way, and what becomes of those (RFC 8881 section 10.4, RFC 7530 section 10.4).

use dittofs_framework::proto::{
    ClientId, NFS4ERR_BAD_STATEID, NFS4ERR_DELAY, OPEN4_RESULT_NO_OPEN_STATEID, OpenDelegation4,
    OpenNoneDelegation4, Stateid, Status, Want, WantFlags, Wants,
};
use dittofs_framework::state::{DelegationType, DelegationView, FileKey, Recall};
use dittofs_framework::testing::OpReply;
use dittofs_ops::open::Open4ResOk;

use super::revocation::InTheWay;
use super::{Cx, Expect, Model, Protocol, Revoked, Why, check};
use crate::simulation::policy::Offer;
use crate::simulation::request::{Claim, FileNo, Kind, OwnerNo, Share};

/// A delegation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delegation {
    pub(crate) other: [u8; 12],
    pub(crate) client: ClientId,
    pub(crate) file: FileNo,
    pub(crate) kind: Kind,
    /// Since when its return is waited for.
    pub(crate) recalled: Option<u64>,
}

impl Delegation {
    /// Whether somebody else must not open the file in this way (RFC 8881 section 10.4).
    pub(super) fn excludes_open(&self, share: Share) -> bool {
        self.kind == Kind::Write || share.access & crate::WRITE != 0 || share.deny & crate::READ != 0
    }
}

/// What a request did to a file without an open of its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Touch {
    pub(crate) file: FileNo,
    /// Whether it changed the file or only read it.
    pub(crate) kind: Kind,
}

/// What is to be called back, and what is known of recalls.
#[derive(Debug, Default)]
pub(crate) struct Recalls {
    /// Delegations of which the server has just begun to wait for the return.
    due: Vec<[u8; 12]>,
    /// Clients that are to return some, and how many they may keep.
    pub(super) due_any: Vec<(ClientId, u32)>,
    /// When delegations of a file were in the way last.
    last: Vec<(FileNo, u64)>,
    /// How the server calls the files.
    keys: Vec<(FileKey, FileNo)>,
}

impl Recalls {
    /// The server crashed: it knows of nothing any more.
    pub(super) fn forget_all(&mut self) {
        self.due.clear();
        self.due_any.clear();
        self.last.clear();
    }
}

/// Who opens what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opener {
    pub(super) client: ClientId,
    pub(super) owner: OwnerNo,
    pub(super) file: FileNo,
    pub(super) share: Share,
    pub(super) wants: Wants,
    /// The delegation that the client had before the server restarted.
    pub(super) reclaims: Option<Kind>,
}

/// Why there is no delegation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Nothing was offered.
    NotOffered,
    Contention,
    Resource,
    Holds(Kind),
}

fn kind_of(kind: DelegationType) -> Kind {
    match kind {
        DelegationType::Read => Kind::Read,
        DelegationType::Write => Kind::Write,
        DelegationType::Directory => panic!("no directory is delegated"),
    }
}

impl Model {
    /// What the policy was asked for the request that follows.
    pub(crate) fn offered(&mut self, offers: &[Offer]) {
        assert!(offers.len() <= 1, "the policy is asked once: {offers:?}");
        self.offer = offers.first().copied();
    }

    /// Whether an open is to be given a delegation, by what the policy has said.
    pub(super) fn may_delegate(&self, now: u64, opener: &Opener) -> Result<Kind, Refused> {
        let Opener { client, file, reclaims, .. } = *opener;
        let offered = self.offer.and_then(|offer| offer.kind).map(kind_of);
        let kind = reclaims.or(offered).ok_or(Refused::NotOffered)?;
        if let Some(held) = self.delegations_on(file).find(|held| held.client == client) {
            return Err(Refused::Holds(held.kind));
        }
        let others = || self.delegations_on(file).filter(|held| held.client != client);
        let wanted = Delegation { other: [0; 12], client, file, kind, recalled: None };
        let is_excluded = |open: &super::Open| {
            let share = Share { access: open.access(), deny: open.deny() };
            open.file == file && open.client != client && wanted.excludes_open(share)
        };
        let conflicts = self.opens.iter().any(is_excluded) || others().any(|held| held.kind.conflicts(kind));
        if conflicts || (reclaims.is_none() && self.was_recalled(now, |of| of == file)) {
            return Err(Refused::Contention);
        }
        let limits = &self.limits.state;
        let own = self.delegations.iter().filter(|held| held.client == client).count();
        let is_full =
            own >= limits.delegations_per_client || self.delegations.len() >= limits.delegations_total;
        if is_full { Err(Refused::Resource) } else { Ok(kind) }
    }

    /// RFC 9754 section 4: whether the delegation stands for the open, so that there is none.
    pub(super) fn stands_for_open(&self, now: u64, opener: &Opener) -> bool {
        let Opener { client, owner, file, share, wants, .. } = *opener;
        let is_open = |open: &super::Open| (open.client, open.owner, open.file) == (client, owner, file);
        let covers = |kind| kind == Kind::Write || share.access == crate::READ;
        wants.flags.contains(WantFlags::XOR)
            && share.deny == 0
            && !self.opens.iter().any(is_open)
            && self.may_delegate(now, opener).is_ok_and(covers)
    }

    /// The policy is asked for each open that wants a delegation and can have one.
    pub(super) fn check_offer(&self, opener: &Opener, can_have: bool) {
        let is_wanted = can_have && !matches!(opener.wants.kind, Want::None | Want::Cancel);
        let is_asked = is_wanted && self.delegates;
        assert_eq!(self.offer.is_some(), is_asked, "whether the policy was asked");
        let Some(Offer { question, .. }) = self.offer else { return };
        assert_eq!(question.want, opener.wants.kind, "what the policy was told");
        let (access, deny) = (question.access.bits(), question.deny.bits());
        assert_eq!((access, deny), (opener.share.access, opener.share.deny), "what the policy was told");
    }

    /// An OPEN that succeeded gave the right delegation, or the right reason. Whether there is an open besides.
    pub(super) fn opened_and_delegated(&mut self, cx: &Cx, opener: &Opener, answer: &Open4ResOk) -> bool {
        let (verdict, stands) = (self.may_delegate(cx.now, opener), self.stands_for_open(cx.now, opener));
        let given = answer.delegation.stateid();
        // Files are in groups, and one of the group may have been recalled a moment before.
        let is_new = opener.reclaims.is_none();
        let is_chance =
            verdict.is_ok() && is_new && given.is_none() && self.was_recalled(cx.now, |of| of != opener.file);
        let verdict = if is_chance { Err(Refused::Contention) } else { verdict };
        match verdict {
            Ok(kind) => {
                let recall = check_given(&answer.delegation, kind, opener.wants);
                let stateid = given.expect("a delegation");
                self.note_new(stateid);
                let Opener { client, file, .. } = *opener;
                self.delegations.push(Delegation {
                    other: stateid.other,
                    client,
                    file,
                    kind,
                    recalled: None,
                });
                // Nobody has answered a callback since the server restarted.
                assert_eq!(recall, !is_new, "whether it is to be returned at once");
                if recall {
                    self.recall(cx.now, stateid.other);
                }
            }
            Err(why) => assert_eq!(answer.delegation, not_given(self.is_v4_0(opener.client), opener, why)),
        }
        let is_alone = verdict.is_ok() && stands;
        assert_eq!(answer.rflags & OPEN4_RESULT_NO_OPEN_STATEID != 0, is_alone, "whether there is an open");
        if is_alone {
            assert_eq!(answer.stateid, Stateid::ANONYMOUS, "the stateid of no open");
        }
        !is_alone
    }

    fn delegations_on(&self, file: FileNo) -> impl Iterator<Item = &Delegation> {
        self.delegations.iter().filter(move |held| held.file == file)
    }

    fn was_recalled(&self, now: u64, is_meant: impl Fn(FileNo) -> bool) -> bool {
        let regrant_after = u64::try_from(self.limits.state.regrant_after.as_millis()).expect("a short time");
        self.recalls.last.iter().any(|(file, at)| is_meant(*file) && now - at < regrant_after)
    }

    /// Who does `what` to a file meets the delegations of others that are in its way: all of them if it is not known who asks.
    pub(super) fn meet_delegations(
        &mut self,
        (now, me): (u64, Option<ClientId>),
        file: FileNo,
        is_in_the_way: impl Fn(&Delegation) -> bool,
    ) -> InTheWay {
        let others = self.delegations_on(file).filter(|held| Some(held.client) != me);
        let met: Vec<_> = others.filter(|held| is_in_the_way(held)).map(|held| held.other).collect();
        if met.is_empty() {
            return InTheWay::Nothing;
        }
        let waits = met.into_iter().map(|other| self.recall(now, other)).collect::<Vec<_>>();
        if waits.contains(&InTheWay::Refused) { InTheWay::Refused } else { InTheWay::Nothing }
    }

    /// A delegation is wanted back: it is recalled, if it was not before, or revoked: when its holder has no lease, or had a lease's
    /// time to return it.
    fn recall(&mut self, now: u64, other: [u8; 12]) -> InTheWay {
        // A client of minor version 0 that lost one has lost the others with it.
        let Some(held) = self.delegations.iter().find(|held| held.other == other) else {
            return InTheWay::Nothing;
        };
        let is_new = held.recalled.is_none();
        let (file, client, recalled) = (held.file, held.client, held.recalled.unwrap_or(now));
        self.recalls.last.retain(|(of, _)| *of != file);
        self.recalls.last.push((file, now));
        if let Some(why) = self.why_revoked(now, client, recalled) {
            self.revoke_delegation(other, why);
            return InTheWay::Nothing;
        }
        if is_new {
            self.recalls.due.push(other);
            let held = self.delegations.iter_mut().find(|held| held.other == other).expect("a delegation");
            held.recalled = Some(now);
        }
        InTheWay::Refused
    }

    /// One that answers no recall may be silent altogether: what it is told is that it did not return this one. In minor version 0 it
    /// can be told nothing but that all is lost (RFC 7530 section 9.6.3).
    fn why_revoked(&self, now: u64, client: ClientId, recalled: u64) -> Option<Why> {
        let is_expired = !self.has_lease(client, now);
        let is_overdue = now - recalled >= self.lease;
        match (is_overdue, is_expired) {
            (true, true) if self.is_v4_0(client) => Some(Why::LeaseExpired),
            (true, _) => Some(Why::NotReturned),
            (false, true) => Some(Why::LeaseExpired),
            (false, false) => None,
        }
    }

    pub(super) fn revoke_delegation(&mut self, other: [u8; 12], why: Why) {
        let Some(held) = self.delegations.iter().find(|held| held.other == other).copied() else { return };
        self.delegations.retain(|held| held.other != other);
        self.forget(held.client);
        self.revoked.push(Revoked { other, client: held.client, open: None, why });
        if why == Why::LeaseExpired {
            self.cancel(held.client);
        }
    }

    /// An administrator wants one back.
    pub(crate) fn recall_one(&mut self, now: u64, other: [u8; 12]) {
        self.recall(now, other);
    }

    /// The reaper takes what was not returned.
    pub(super) fn reap_delegations(&mut self, now: u64) {
        let is_overdue = |held: &&Delegation| held.recalled.is_some_and(|at| now - at >= self.lease);
        for held in self.delegations.iter().filter(is_overdue).copied().collect::<Vec<_>>() {
            let recalled = held.recalled.expect("it was recalled");
            let why = self.why_revoked(now, held.client, recalled).expect("it is overdue");
            self.revoke_delegation(held.other, why);
        }
        self.recalls.due_any = self.under_pressure();
    }

    /// When there are nearly as many delegations as there may be, clients are asked for a quarter of theirs.
    fn under_pressure(&self) -> Vec<(ClientId, u32)> {
        let limits = &self.limits.state;
        let is_near = |count: usize, limit: usize| count >= limit - limit / 8;
        let in_all = self.delegations.len();
        let holders: Vec<_> = self.records.iter().filter(|record| record.is_confirmed).collect();
        let average = in_all / holders.len().max(1);
        let asked = holders.into_iter().filter(|record| record.protocol == Protocol::Sessions);
        let counted = asked.map(|record| {
            (record.id, self.delegations.iter().filter(|held| held.client == record.id).count())
        });
        let is_asked = |(_, own): &(ClientId, usize)| {
            is_near(*own, limits.delegations_per_client)
                || (is_near(in_all, limits.delegations_total) && *own > 0 && *own >= average)
        };
        let keep = |own: usize| u32::try_from(own - own.div_ceil(4)).expect("few delegations");
        counted.filter(is_asked).map(|(id, own)| (id, keep(own))).collect()
    }

    /// What the server called back since the last time is what it had to: one recall for each delegation that somebody met.
    pub(crate) fn check_callbacks(&mut self, recalls: &[Recall], mut any: Vec<(ClientId, u32)>) {
        let mut sent: Vec<_> = recalls.iter().map(|recall| recall.stateid.other).collect();
        sent.sort_unstable();
        self.recalls.due.sort_unstable();
        assert_eq!(sent, std::mem::take(&mut self.recalls.due), "the recalls");
        any.sort_unstable();
        self.recalls.due_any.sort_unstable();
        assert_eq!(any, std::mem::take(&mut self.recalls.due_any), "who is to return some delegations");
        for recall in recalls {
            self.check_recall(recall);
        }
    }

    fn check_recall(&mut self, recall: &Recall) {
        let held = self.delegations.iter().find(|held| held.other == recall.stateid.other);
        // One that was revoked at once would not have been recalled.
        let held = *held.expect("a delegation");
        assert_eq!((recall.stateid.seqid, recall.client.id()), (1, held.client), "{recall:?}");
        assert_eq!(kind_of(recall.kind), held.kind, "{recall:?}");
        assert_eq!(recall.referring.is_some(), !self.is_v4_0(held.client), "{recall:?}");
        self.check_key(recall.file, held.file);
    }

    fn check_key(&mut self, key: FileKey, file: FileNo) {
        match self.recalls.keys.iter().find(|(known, of)| *known == key || *of == file) {
            Some(known) => assert_eq!(*known, (key, file), "the file of a delegation"),
            None => self.recalls.keys.push((key, file)),
        }
    }

    /// The server knows of the same delegations.
    pub(crate) fn check_delegations(
        &mut self,
        views: &[DelegationView],
        since_start: impl Fn(&DelegationView) -> Option<u64>,
    ) {
        let theirs = |view: &DelegationView| {
            let held = self.delegations.iter().find(|held| held.other == view.stateid.other);
            let file = held.unwrap_or_else(|| panic!("{view:?} is not there")).file;
            let (other, client, kind) = (view.stateid.other, view.client.id(), kind_of(view.kind));
            Delegation { other, client, file, kind, recalled: since_start(view) }
        };
        let mut seen: Vec<_> = views.iter().map(theirs).collect();
        seen.sort_unstable_by_key(|held| held.other);
        self.delegations.sort_unstable_by_key(|held| held.other);
        assert_eq!(seen, self.delegations, "the delegations");
    }

    /// RFC 8881 section 18.6.3.
    pub(super) fn return_delegation(&mut self, cx: &Cx, stateid: Stateid, result: &OpReply) {
        let found = self.find_delegation(cx, cx.resolve(stateid)).map(|held| held.other);
        check(&Expect::unless(found.err().into_iter().collect()), result);
        if let (true, Ok(other)) = (result.status.is_ok(), found) {
            self.delegations.retain(|held| held.other != other);
        }
    }

    /// The delegation with a stateid, on the current file.
    fn find_delegation(&self, cx: &Cx, stateid: Stateid) -> Result<&Delegation, Status> {
        self.check_revoked(cx.clientid(), stateid.other)?;
        let is_it = |held: &&Delegation| {
            (held.other, held.client, Some(held.file)) == (stateid.other, cx.clientid(), cx.file())
        };
        let held = self.delegations.iter().find(is_it).ok_or(NFS4ERR_BAD_STATEID)?;
        super::stateids::check_seqid(1, stateid.seqid)?;
        Ok(held)
    }

    /// Whether a client has the delegation that it claims an open of this access by (RFC 8881 section 18.16.3).
    pub(super) fn check_claimed(
        &mut self,
        client: ClientId,
        claim: Claim,
        (file, access): (FileNo, u32),
    ) -> Result<(), Status> {
        let (Claim::Delegated(stateid, _) | Claim::DelegatedHandle(stateid)) = claim else { return Ok(()) };
        let other = stateid.other;
        let lost = self.check_revoked(client, other);
        if lost.is_err() && self.is_v4_0(client) {
            // With this answer it has been told.
            self.revoked.retain(|revoked| revoked.other != other);
            return Err(NFS4ERR_BAD_STATEID);
        }
        lost?;
        let is_it = |held: &&Delegation| (held.other, held.client, held.file) == (other, client, file);
        let held = self.delegations.iter().find(is_it).ok_or(NFS4ERR_BAD_STATEID)?;
        super::stateids::check_seqid(1, stateid.seqid)?;
        let covers = held.kind == Kind::Write || access == crate::READ;
        if covers { Ok(()) } else { Err(NFS4ERR_BAD_STATEID) }
    }

    /// NFS4ERR_DELAY if delegations of others are in the way of a change, until they are returned.
    pub(super) fn delayed_change(&mut self, cx: &Cx, file: FileNo) -> Option<Status> {
        let met = self.meet_delegations((cx.now, self.known_client(cx)), file, |_| true);
        (met == InTheWay::Refused).then_some(NFS4ERR_DELAY)
    }

    /// What the request did that others' delegations should have kept it from, if it had been in their way.
    pub(crate) fn take_touches(&mut self) -> Vec<Touch> {
        std::mem::take(&mut self.touches)
    }
}

/// Whether it is to be returned at once.
fn check_given(answer: &OpenDelegation4, kind: Kind, wants: Wants) -> bool {
    let has_times = wants.flags.contains(WantFlags::TIMESTAMPS);
    match (answer, kind, has_times) {
        // There is nothing that a reader could keep the times of.
        (OpenDelegation4::Read(read), Kind::Read, _) => read.recall,
        (OpenDelegation4::Write(write), Kind::Write, false)
        | (OpenDelegation4::WriteAttrs(write), Kind::Write, true) => write.recall,
        _ => panic!("{answer:?}, the model expects a delegation of {kind:?}"),
    }
}

/// RFC 8881 section 18.16.3.
fn not_given(is_v4_0: bool, opener: &Opener, why: Refused) -> OpenDelegation4 {
    if is_v4_0 || !opener.wants.is_said() {
        return OpenDelegation4::None(());
    }
    OpenDelegation4::NoneExt(match (opener.wants.kind, why) {
        (Want::None, _) => OpenNoneDelegation4::NotWanted(()),
        (Want::Cancel, _) => OpenNoneDelegation4::Cancelled(()),
        (_, Refused::Contention) => OpenNoneDelegation4::Contention(false),
        (_, Refused::Holds(Kind::Read)) => OpenNoneDelegation4::NotSuppUpgrade(()),
        (_, Refused::Holds(Kind::Write)) => OpenNoneDelegation4::NotSuppDowngrade(()),
        (_, Refused::Resource | Refused::NotOffered) => OpenNoneDelegation4::Resource(false),
    })
}
