//! What a client does with delegations: it uses them, returns them when it is asked, early, late or never, and by itself.

use dittofs_framework::proto::{
    Minor, NFS4_OK, NFS4ERR_BAD_STATEID, NFS4ERR_DELAY, OPEN4_SHARE_ACCESS_WANT_ANY_DELEG,
    OPEN4_SHARE_ACCESS_WANT_CANCEL, OPEN4_SHARE_ACCESS_WANT_DELEG_TIMESTAMPS,
    OPEN4_SHARE_ACCESS_WANT_NO_DELEG, OPEN4_SHARE_ACCESS_WANT_OPEN_XOR_DELEGATION,
    OPEN4_SHARE_ACCESS_WANT_PUSH_DELEG_WHEN_UNCONTENDED, OPEN4_SHARE_ACCESS_WANT_READ_DELEG,
    OPEN4_SHARE_ACCESS_WANT_WRITE_DELEG, OpenDelegation4, Stateid, Status,
};

use super::Client;
use super::actions::{View, low, one_of, owner, share};
use super::knowledge::KnownDelegation;
use crate::simulation::belief::Mark;
use crate::simulation::request::{CONTENT, Claim, FileNo, How, Kind, NameNo, Op, OwnerNo, Share, Wish};
use crate::{READ, Random};

impl Client {
    /// The server asks for a delegation.
    pub(crate) fn recalled(&mut self, rng: &mut Random, stateid: Stateid, now: u64) -> Status {
        let is_it = |held: &&mut KnownDelegation| held.stateid.other == stateid.other;
        // The reply to its OPEN may be under way.
        let Some(held) = self.knowledge.delegations.iter_mut().find(is_it) else {
            return NFS4ERR_BAD_STATEID;
        };
        if held.returns_at.is_none() && rng.below(8) == 0 {
            return NFS4ERR_DELAY;
        }
        held.returns_at.get_or_insert_with(|| returns_at(rng, now));
        NFS4_OK
    }

    /// The server asks for all delegations but so many, whichever.
    pub(crate) fn asked_for_some(&mut self, rng: &mut Random, keep: u32, now: u64) {
        let keep = usize::try_from(keep).expect("few delegations");
        for held in self.knowledge.delegations.iter_mut().skip(keep) {
            held.returns_at.get_or_insert_with(|| returns_at(rng, now));
        }
    }

    /// An OPEN brought a delegation.
    pub(super) fn delegated(&mut self, mark: &Mark, answer: &OpenDelegation4, file: FileNo) {
        let (stateid, kind) = match answer {
            OpenDelegation4::None(()) | OpenDelegation4::NoneExt(_) => return,
            OpenDelegation4::Read(read) | OpenDelegation4::ReadAttrs(read) => (read.stateid, Kind::Read),
            OpenDelegation4::Write(write) | OpenDelegation4::WriteAttrs(write) => {
                (write.stateid, Kind::Write)
            }
        };
        // One that was reclaimed may be asked for in the same breath.
        let returns_at = is_recalled(answer).then_some(0);
        self.knowledge.delegations.push(KnownDelegation {
            stateid,
            file,
            kind,
            returns_at,
            opens: Vec::new(),
        });
        self.belief.gain_delegation(mark, stateid.other, file, kind);
    }

    /// An OPEN brought a delegation in place of an open.
    pub(super) fn opened_by_delegation(&mut self, file: FileNo, owner: OwnerNo, share: Share) {
        for held in self.knowledge.delegations.iter_mut().filter(|held| held.file == file) {
            held.opens.push((owner, share));
        }
    }

    /// Opens a file without telling the server, where a delegation allows it.
    pub(super) fn open_by_delegation(&mut self, rng: &mut Random) {
        let is_free = |held: &&mut KnownDelegation| held.returns_at.is_none() && held.opens.len() < 2;
        if let Some(held) = self.knowledge.delegations.iter_mut().find(is_free) {
            let asked = share(rng);
            let access = if held.kind == Kind::Write { asked.access } else { READ };
            held.opens.push((owner(rng), Share { access, deny: 0 }));
        }
    }

    pub(super) fn any_delegation(&self, rng: &mut Random) -> Option<&KnownDelegation> {
        let held = &self.knowledge.delegations;
        (!held.is_empty()).then(|| &held[rng.below(held.len())])
    }

    /// What is to be done for a delegation that it is time to return, and is not being returned yet: the server has to know of the opens
    /// first.
    pub(super) fn due_return(&mut self, rng: &mut Random, view: &View) -> Option<Vec<Op>> {
        let is_due = |held: &&mut KnownDelegation| held.returns_at.is_some_and(|at| at <= view.now);
        let held = self.knowledge.delegations.iter_mut().find(is_due)?;
        let by = (held.file, held.stateid);
        if let Some(open) = held.opens.pop() {
            return Some(self.claim(rng, view, by, open));
        }
        let ops = Self::on(by.0, Op::ReturnDelegation(by.1));
        let is_under_way = self.pending.iter().any(|pending| pending.request.ops == ops);
        (!is_under_way).then_some(ops)
    }

    /// Opens a file by a delegation. Minor version 0 knows the file by its name only.
    fn claim(
        &self,
        rng: &mut Random,
        view: &View,
        (file, stateid): (FileNo, Stateid),
        (owner, share): (OwnerNo, Share),
    ) -> Vec<Op> {
        let (how, wish) = (How::NoCreate, wish(rng, self.minor));
        let open = |claim| Op::Open { owner, share, how, claim, wish };
        if self.minor == Minor::V0 || rng.below(4) == 0 {
            let name = NameNo(rng.below(view.names));
            return vec![Op::PutDir, open(Claim::Delegated(stateid, name)), Op::GetFh];
        }
        vec![Op::PutFile(file), open(Claim::DelegatedHandle(stateid)), Op::GetFh]
    }

    /// By the stateid of a delegation.
    pub(super) fn work_on_delegation(
        &self,
        rng: &mut Random,
        view: &View,
        held: &KnownDelegation,
        stateid: Stateid,
    ) -> Vec<Op> {
        if rng.below(4) == 0 {
            let by = (owner(rng), share(rng));
            return self.claim(rng, view, (held.file, stateid), by);
        }
        let op = match rng.below(10) {
            0..=2 => Op::Read { stateid },
            3..=4 => Op::Write { stateid, at: place(rng), value: value(rng) },
            5 => Op::SetAttributes { stateid, size: (rng.below(2) == 0).then(|| place(rng)) },
            6 if self.minor != Minor::V0 => return vec![Op::TestStateid(vec![stateid])],
            7 if self.minor != Minor::V0 => return vec![Op::FreeStateid(stateid)],
            8 if self.minor != Minor::V0 => Op::Close(stateid),
            _ => Op::ReturnDelegation(stateid),
        };
        Self::on(held.file, op)
    }

    /// What others' delegations are in the way of.
    pub(super) fn change(&self, rng: &mut Random, view: &View) -> Vec<Op> {
        let name = |rng: &mut Random| NameNo(rng.below(view.names));
        match rng.below(5) {
            0 => vec![Op::PutDir, Op::Remove(name(rng))],
            1 => vec![Op::PutDir, Op::SaveFh, Op::Rename { from: name(rng), to: name(rng) }],
            _ => {
                let known = one_of(rng, &self.knowledge.opens).filter(|_| rng.below(2) > 0);
                let file = known.map_or(FileNo(rng.below(view.files)), |open| open.file);
                let stateid = known.map_or(Stateid::ANONYMOUS, |open| open.stateid);
                let size = (rng.below(2) == 0).then(|| place(rng));
                Self::on(file, Op::SetAttributes { stateid, size })
            }
        }
    }
}

fn is_recalled(answer: &OpenDelegation4) -> bool {
    match answer {
        OpenDelegation4::Read(read) | OpenDelegation4::ReadAttrs(read) => read.recall,
        OpenDelegation4::Write(write) | OpenDelegation4::WriteAttrs(write) => write.recall,
        OpenDelegation4::None(()) | OpenDelegation4::NoneExt(_) => false,
    }
}

/// When a delegation is returned that was asked for.
fn returns_at(rng: &mut Random, now: u64) -> u64 {
    match rng.below(10) {
        0..=6 => now + rng.u64() % 300,
        7 => now + rng.u64() % 10_000,
        8 => now + rng.u64() % 20_000,
        _ => u64::MAX,
    }
}

pub(super) fn place(rng: &mut Random) -> u64 {
    u64::from(low(rng, u32::try_from(CONTENT).expect("few bytes")))
}

pub(super) fn value(rng: &mut Random) -> u8 {
    u8::try_from(1 + rng.below(255)).expect("a byte")
}

/// What an OPEN says of delegations.
pub(super) fn wish(rng: &mut Random, minor: Minor) -> Wish {
    if minor == Minor::V0 {
        return Wish::default();
    }
    let kind = rng.one_of(&[
        0,
        0,
        OPEN4_SHARE_ACCESS_WANT_READ_DELEG,
        OPEN4_SHARE_ACCESS_WANT_WRITE_DELEG,
        OPEN4_SHARE_ACCESS_WANT_ANY_DELEG,
        OPEN4_SHARE_ACCESS_WANT_ANY_DELEG,
        OPEN4_SHARE_ACCESS_WANT_NO_DELEG,
        OPEN4_SHARE_ACCESS_WANT_CANCEL,
    ]);
    let push = rng.one_of(&[0, 0, 0, OPEN4_SHARE_ACCESS_WANT_PUSH_DELEG_WHEN_UNCONTENDED]);
    let mut wish = kind | push;
    if minor == Minor::V2 {
        wish |= rng.one_of(&[0, 0, OPEN4_SHARE_ACCESS_WANT_DELEG_TIMESTAMPS]);
        wish |= rng.one_of(&[0, OPEN4_SHARE_ACCESS_WANT_OPEN_XOR_DELEGATION]);
    }
    Wish(wish)
}
