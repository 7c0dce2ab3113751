//! Requests that a test wants to send more than once, on a slot of its choice, or broken.

use bytes::Bytes;
use dittofs_framework::proto::Sequence4Args;
use dittofs_framework::testing::{Compound, encode_call};
use dittofs_ops::sequence::Sequence;

use crate::{Client, Session};

/// sa_cachethis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheThis {
    /// The whole reply is to be kept.
    Yes,
    /// It need not be.
    No,
}

impl Session {
    /// `compound` as the next request on a slot, numbered: sent once it is a request, sent again it is a retry.
    ///
    /// # Panics
    /// If the session began without that slot.
    pub fn request(&mut self, slot: u32, cache: CacheThis, compound: Compound) -> Compound {
        let args = self.sequence_args(slot);
        let index = usize::try_from(slot).expect("a slot");
        self.slots[index] = self.slots[index].wrapping_add(1);
        let args = Sequence4Args { highest_slotid: slot, cache_this: cache == CacheThis::Yes, ..args };
        self.behind(&args, compound)
    }

    /// `compound` behind a SEQUENCE with any arguments.
    pub fn behind(&self, args: &Sequence4Args, compound: Compound) -> Compound {
        compound.after(self.compound().op::<Sequence>(args))
    }
}

impl Client {
    /// How long the RPC call of `compound` is, in bytes.
    pub fn call_len(&self, compound: &Compound) -> usize {
        encode_call(0, Self::COMPOUND, self.credential(), &compound.encode()).len()
    }
}

/// `args` cut off after every number of bytes that is less than all.
pub fn cut_off(args: &Bytes) -> impl Iterator<Item = Bytes> {
    (0..args.len()).map(|len| args.slice(..len))
}

/// `args` with the word at this place replaced, and enough behind it for whatever follows.
pub fn with_word(args: &Bytes, at: usize, value: u32) -> Vec<u8> {
    let mut bytes = args.to_vec();
    bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
    bytes.resize(bytes.len() + 2048, 0);
    bytes
}
