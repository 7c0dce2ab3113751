//! The slots of a session and how many of them the client may use.
//!
//! Two numbers steer the client (RFC 8881 section 2.10.6.1): the slots *accepted* (sr_highest_slotid + 1) and the
//! *target* (sr_target_highest_slotid + 1). A client that uses its highest slot gets more at once. One that has
//! not used what it has for a while gets a lower target, and what is above the target is retired when the client
//! shows that it was told and has let go.

use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use super::SessionLimits;
use super::slot::{Slot, SlotState};
use crate::clock::Timestamp;
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard};

/// Slots that are allocated together.
const CHUNK: u32 = 8;
/// The target of an idle session while slots are short.
const IDLE_UNDER_PRESSURE: u32 = 4;

/// The slots that all sessions share.
#[derive(Debug)]
pub(super) struct SlotBudget {
    total: u32,
    in_use: AtomicU32,
}

impl SlotBudget {
    pub(super) fn new(total: u32) -> Self {
        Self { total, in_use: AtomicU32::new(0) }
    }

    /// What sessions may have besides their first slots: what is above it is kept for new sessions.
    fn shared(&self) -> u32 {
        self.total - self.total / 8
    }

    /// Up to `wanted` slots; none if there are none for this purpose.
    fn take(&self, wanted: u32, purpose: Purpose) -> u32 {
        let mut granted = 0;
        let _ = self.in_use.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |in_use| {
            let at_least = match purpose {
                Purpose::Growth => 0,
                Purpose::Session => u32::from(in_use < self.total),
                Purpose::Successor => 1,
            };
            granted = self.shared().saturating_sub(in_use).min(wanted).max(at_least);
            Some(in_use.saturating_add(granted))
        });
        granted
    }

    fn give_back(&self, slots: u32) {
        self.in_use.fetch_sub(slots, Ordering::Relaxed);
    }

    /// Whether no session can grow.
    pub(super) fn is_short(&self) -> bool {
        self.in_use.load(Ordering::Relaxed) >= self.shared()
    }

    pub(super) fn in_use(&self) -> u32 {
        self.in_use.load(Ordering::Relaxed)
    }
}

/// What slots are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A session that has some.
    Growth,
    /// A new session, which needs one.
    Session,
    /// A new session in the place of one that gives back its own before long.
    Successor,
}

/// The slots of one session.
#[derive(Debug)]
pub(super) struct Slots {
    /// Made when they are first granted, and never moved: a slot is found without a lock.
    chunks: Box<[OnceLock<Box<[Slot]>>]>,
    budget: Arc<SlotBudget>,
    window: Duration,
    initial: u32,
    most: u32,

    /// Set under every slot's lock, so that who holds one knows.
    has_ended: AtomicBool,

    // Written under `steering`, read by every request.
    /// Slots that the client may use. Lowered under the lock of each slot that goes.
    accepted: AtomicU32,
    /// Slots that it should use; at most `accepted`.
    target: AtomicU32,
    /// Counts how often the target was lowered.
    generation: AtomicU32,
    /// The generation whose target the client was to be told by CB_RECALL_SLOT.
    asked_generation: AtomicU32,
    /// The generation whose target the client was told by CB_RECALL_SLOT.
    recalled_generation: AtomicU32,
    /// The most that was ever accepted.
    most_accepted: AtomicU32,
    window_ends_ns: AtomicU64,
    steering: Mutex<()>,

    /// The most slots used in this window.
    used_in_window: AtomicU32,
}

/// What a request says of its use of slots.
#[derive(Debug, Clone, Copy)]
pub(super) struct SlotUse {
    pub(super) slotid: u32,
    pub(super) highest_slotid: u32,
}

/// sr_highest_slotid and sr_target_highest_slotid.
#[derive(Debug, Clone, Copy)]
pub(super) struct SlotGrant {
    pub(super) highest_slotid: u32,
    pub(super) target_highest_slotid: u32,
}

impl Slots {
    /// As many of the slots `asked` for as there may be; `None` if there is none.
    pub(super) fn new(
        asked: u32,
        limits: &SessionLimits,
        budget: Arc<SlotBudget>,
        purpose: Purpose,
        now: Timestamp,
    ) -> Option<Self> {
        let most = limits.slots_per_session.max(1);
        let wanted = asked.min(limits.slots_initial).clamp(1, most);
        let initial = budget.take(wanted, purpose);
        if initial == 0 {
            return None;
        }
        let slots = Self {
            chunks: (0..most.div_ceil(CHUNK)).map(|_| OnceLock::new()).collect(),
            budget,
            window: limits.slot_window,
            initial,
            most,
            has_ended: AtomicBool::new(false),
            accepted: AtomicU32::new(0),
            target: AtomicU32::new(0),
            generation: AtomicU32::new(0),
            asked_generation: AtomicU32::new(0),
            recalled_generation: AtomicU32::new(0),
            most_accepted: AtomicU32::new(0),
            window_ends_ns: AtomicU64::new((now + limits.slot_window).as_nanos()),
            steering: Mutex::new(()),
            used_in_window: AtomicU32::new(0),
        };
        slots.accept(initial);
        Some(slots)
    }

    /// Slots that are accepted now.
    #[inline]
    pub(super) fn accepted(&self) -> u32 {
        self.accepted.load(Ordering::Acquire)
    }

    /// The most slots that were ever accepted: what a client could name without being at fault.
    #[inline]
    pub(super) fn most_accepted(&self) -> u32 {
        self.most_accepted.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// The slot, if there ever was one of this number. Whether it is accepted is known only under its lock.
    #[inline]
    pub(super) fn slot(&self, slotid: u32) -> Option<&Slot> {
        let chunk = self.chunks.get(usize::try_from(slotid / CHUNK).ok()?)?.get()?;
        chunk.get(usize::try_from(slotid % CHUNK).ok()?)
    }

    fn all(&self) -> impl Iterator<Item = &Slot> {
        self.chunks.iter().filter_map(OnceLock::get).flat_map(|chunk| chunk.iter())
    }

    /// Makes slots until `slots` are accepted, all of them wanted used.
    fn accept(&self, slots: u32) {
        for chunk in self.chunks.iter().take(usize::try_from(slots.div_ceil(CHUNK)).unwrap_or(usize::MAX)) {
            chunk.get_or_init(|| (0..CHUNK).map(|_| Slot::default()).collect());
        }
        self.accepted.store(slots, Ordering::Release);
        self.target.store(slots, Ordering::Relaxed);
        self.most_accepted.fetch_max(slots, Ordering::Relaxed);
    }

    /// Takes note of what a new request, which has `slot` in use, says, moves the numbers, and returns what to tell it.
    ///
    /// Waits for nobody: if another request is moving the numbers, this one leaves them alone.
    pub(super) fn steer(&self, now: Timestamp, slot: &Slot, request: SlotUse) -> SlotGrant {
        let used = request.highest_slotid.max(request.slotid).saturating_add(1);
        if self.used_in_window.load(Ordering::Relaxed) < used {
            self.used_in_window.fetch_max(used, Ordering::Relaxed);
        }
        let accepted = self.accepted();
        let target = self.target.load(Ordering::Relaxed);
        let is_window_over = now.as_nanos() >= self.window_ends_ns.load(Ordering::Relaxed);
        let wants_more = used >= accepted && target == accepted && accepted < self.most;
        let has_let_go = used <= target && target < accepted && self.was_told(slot);
        if (wants_more || has_let_go || is_window_over)
            && let Some(_steering) = self.steering.try_lock()
            && !self.has_ended()
        {
            if is_window_over {
                self.end_window(now);
            } else if has_let_go {
                self.retire_above_target();
            }
            if wants_more {
                self.grow();
            }
        }
        slot.tell_generation(self.generation.load(Ordering::Relaxed));
        self.grant()
    }

    /// Whether the client knows the target: by the last reply of the slot, or by CB_RECALL_SLOT.
    fn was_told(&self, slot: &Slot) -> bool {
        let generation = self.generation.load(Ordering::Relaxed);
        slot.told_generation() == generation || self.recalled_generation.load(Ordering::Relaxed) == generation
    }

    /// Slots are short: the target that the client is to be told with CB_RECALL_SLOT (RFC 8881 section 20.8), once for each. A client that
    /// says nothing is not told otherwise, and it is those that use the fewest slots that say the least.
    pub(super) fn recall(&self, now: Timestamp) -> Option<u32> {
        let _steering = self.steering.lock();
        if self.has_ended() {
            return None;
        }
        if now.as_nanos() >= self.window_ends_ns.load(Ordering::Relaxed) {
            self.end_window(now);
        }
        let SlotGrant { highest_slotid, target_highest_slotid } = self.grant();
        let generation = self.generation.load(Ordering::Relaxed);
        let is_asked = self.asked_generation.swap(generation, Ordering::Relaxed) == generation;
        (target_highest_slotid < highest_slotid && !is_asked).then_some(target_highest_slotid)
    }

    /// The client was told by CB_RECALL_SLOT of this target, which may have changed since.
    pub(super) fn told_target(&self, target_highest_slotid: u32) {
        let _steering = self.steering.lock();
        if self.grant().target_highest_slotid == target_highest_slotid {
            self.recalled_generation.store(self.generation.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// The numbers as they are.
    pub(super) fn grant(&self) -> SlotGrant {
        let accepted = self.accepted();
        let target = self.target.load(Ordering::Relaxed).min(accepted);
        SlotGrant {
            highest_slotid: accepted.saturating_sub(1),
            target_highest_slotid: target.saturating_sub(1),
        }
    }

    /// Every slot is in use: half as many more, if there are.
    fn grow(&self) {
        let accepted = self.accepted();
        let more = accepted.div_ceil(2).min(self.most.saturating_sub(accepted));
        let granted = self.budget.take(more, Purpose::Growth);
        if granted > 0 {
            self.accept(accepted + granted);
        }
    }

    /// The target follows the use of the window that is over: a quarter above it, and not below what the session began with,
    /// unless slots are short.
    fn end_window(&self, now: Timestamp) {
        self.window_ends_ns.store((now + self.window).as_nanos(), Ordering::Relaxed);
        let used = self.used_in_window.swap(0, Ordering::Relaxed);
        let floor = if self.budget.is_short() { IDLE_UNDER_PRESSURE } else { self.initial };
        let wanted = used.saturating_add(used.div_ceil(4)).max(floor).min(self.accepted());
        if wanted < self.target.load(Ordering::Relaxed) {
            self.generation.fetch_add(1, Ordering::Relaxed);
        }
        self.target.store(wanted, Ordering::Relaxed);
    }

    /// RFC 8881 section 2.10.6.1: the client has seen the target and uses nothing above it. The slots go from the top down to
    /// the first that still has a request running.
    fn retire_above_target(&self) {
        let accepted = self.accepted();
        let target = self.target.load(Ordering::Relaxed).max(1);
        for slotid in (target..accepted).rev() {
            let Some(slot) = self.slot(slotid) else { break };
            let mut state = slot.lock();
            if state.is_in_use() {
                break;
            }
            state.retire();
            self.accepted.store(slotid, Ordering::Release);
        }
        self.budget.give_back(accepted.saturating_sub(self.accepted()));
    }

    /// Keeps every slot from being taken into use, or the numbers from moving, as long as what is returned lives.
    pub(super) fn freeze(&self) -> FrozenSlots<'_> {
        let steering = self.steering.lock();
        let states = self.all().map(Slot::lock).collect();
        FrozenSlots { slots: self, states, _steering: steering }
    }

    /// Invariants S5 to S7.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn check(&self) {
        let frozen = self.freeze();
        let (accepted, target) = (self.accepted(), self.target.load(Ordering::Relaxed));
        assert!(1 <= target && target <= accepted, "S5: target {target} of {accepted}");
        assert!(accepted <= self.most_accepted() && self.most_accepted() <= self.most, "S5: {accepted}");
        for (slotid, state) in (0..).zip(&frozen.states) {
            state.check(slotid < accepted);
        }
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        self.budget.give_back(self.accepted());
    }
}

/// All slots of a session, locked.
pub(super) struct FrozenSlots<'a> {
    slots: &'a Slots,
    states: Vec<MutexGuard<'a, SlotState>>,
    _steering: MutexGuard<'a, ()>,
}

impl FrozenSlots<'_> {
    /// Slots with a request that is running.
    pub(super) fn in_use(&self) -> usize {
        self.states.iter().filter(|state| state.is_in_use()).count()
    }

    /// No request is admitted any more.
    pub(super) fn end(self) {
        self.slots.has_ended.store(true, Ordering::Release);
    }
}
