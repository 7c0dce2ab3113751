use std::io::IoSlice;

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use super::reader::padding;

/// Payloads of at least this many bytes are spliced into the reply by reference; smaller ones are copied,
/// which is cheaper than a segment of its own in a vectored write.
const SPLICE_MIN: usize = 1024;

/// A payload and where in the inline bytes it belongs.
#[derive(Debug, Clone)]
struct Splice {
    at: usize,
    payload: Bytes,
}

/// A place in an [`XdrWriter`] that it can be cut back to.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    inline: usize,
    splices: usize,
    spliced: usize,
}

/// Writes XDR: small items into one inline buffer, payloads as references into a rope.
#[derive(Debug, Default)]
pub struct XdrWriter {
    inline: BytesMut,
    splices: SmallVec<[Splice; 1]>,
    spliced: usize,
}

impl XdrWriter {
    /// An empty writer.
    pub fn new() -> Self {
        Self::default()
    }

    /// A writer whose inline part begins as `buffer`, whose spare capacity it uses up before it allocates.
    pub fn with_buffer(buffer: BytesMut) -> Self {
        Self { inline: buffer, splices: SmallVec::new(), spliced: 0 }
    }

    /// Bytes written so far, payloads included.
    #[inline]
    pub fn len(&self) -> usize {
        self.inline.len() + self.spliced
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// An unsigned integer (RFC 4506 section 4.2).
    #[inline]
    pub fn u32(&mut self, value: u32) {
        self.inline.extend_from_slice(&value.to_be_bytes());
    }

    /// An integer (RFC 4506 section 4.1).
    #[inline]
    pub fn i32(&mut self, value: i32) {
        self.inline.extend_from_slice(&value.to_be_bytes());
    }

    /// An unsigned hyper integer (RFC 4506 section 4.5).
    #[inline]
    pub fn u64(&mut self, value: u64) {
        self.inline.extend_from_slice(&value.to_be_bytes());
    }

    /// A hyper integer (RFC 4506 section 4.5).
    #[inline]
    pub fn i64(&mut self, value: i64) {
        self.inline.extend_from_slice(&value.to_be_bytes());
    }

    /// A boolean (RFC 4506 section 4.4).
    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.u32(u32::from(value));
    }

    /// A count or length. Lengths in this crate are bounded far below 2^32; one that is not would be written
    /// as `u32::MAX`, which no reader accepts.
    #[inline]
    pub fn len_prefix(&mut self, len: usize) {
        self.u32(u32::try_from(len).unwrap_or(u32::MAX));
    }

    /// Fixed-length opaque data (RFC 4506 section 4.9), padded.
    #[inline]
    pub fn fixed(&mut self, bytes: &[u8]) {
        self.inline.extend_from_slice(bytes);
        self.pad(bytes.len());
    }

    /// Variable-length opaque data (RFC 4506 section 4.10), copied.
    #[inline]
    pub fn opaque(&mut self, bytes: &[u8]) {
        self.len_prefix(bytes.len());
        self.fixed(bytes);
    }

    /// Variable-length opaque data, by reference when it is large enough to be worth a segment.
    #[inline]
    pub fn opaque_bytes(&mut self, bytes: &Bytes) {
        if bytes.len() < SPLICE_MIN {
            return self.opaque(bytes);
        }
        self.len_prefix(bytes.len());
        self.splice(bytes.clone());
        self.pad(bytes.len());
    }

    /// Bytes that already are XDR, copied as they are.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.inline.extend_from_slice(bytes);
    }

    /// Appends all of `rope`, its payloads by reference.
    pub fn rope(&mut self, rope: &Rope) {
        let mut from = 0;
        for splice in &rope.splices {
            self.inline.extend_from_slice(rope.inline.get(from..splice.at).unwrap_or_default());
            self.splice(splice.payload.clone());
            from = splice.at;
        }
        self.inline.extend_from_slice(rope.inline.get(from..).unwrap_or_default());
    }

    fn splice(&mut self, payload: Bytes) {
        self.spliced += payload.len();
        self.splices.push(Splice { at: self.inline.len(), payload });
    }

    #[inline]
    fn pad(&mut self, len: usize) {
        const ZEROS: [u8; 3] = [0; 3];
        self.inline.extend_from_slice(ZEROS.get(..padding(len)).unwrap_or_default());
    }

    /// Writes a zero to be filled in later by [`patch_u32`](Self::patch_u32), and returns its place.
    #[inline]
    pub fn reserve_u32(&mut self) -> Mark {
        let mark = self.mark();
        self.u32(0);
        mark
    }

    /// Overwrites the four inline bytes at `place`.
    #[inline]
    pub fn patch_u32(&mut self, place: Mark, value: u32) {
        if let Some(bytes) = self.inline.get_mut(place.inline..place.inline + 4) {
            bytes.copy_from_slice(&value.to_be_bytes());
        }
    }

    /// Where the writer stands now.
    #[inline]
    pub fn mark(&self) -> Mark {
        Mark { inline: self.inline.len(), splices: self.splices.len(), spliced: self.spliced }
    }

    /// Bytes written since `mark`.
    #[inline]
    pub fn len_since(&self, mark: Mark) -> usize {
        self.len() - (mark.inline + mark.spliced)
    }

    /// Forgets everything written since `mark`.
    #[inline]
    pub fn cut_back(&mut self, mark: Mark) {
        self.inline.truncate(mark.inline);
        self.splices.truncate(mark.splices);
        self.spliced = mark.spliced;
    }

    /// A copy of what was written since `mark`: the inline bytes copied, the payloads shared.
    pub fn rope_since(&self, mark: Mark) -> Rope {
        let inline = Bytes::copy_from_slice(self.inline.get(mark.inline..).unwrap_or_default());
        let splices = self
            .splices
            .iter()
            .skip(mark.splices)
            .map(|s| Splice { at: s.at - mark.inline, payload: s.payload.clone() })
            .collect();
        Rope { inline, splices }
    }

    /// What was written since `mark`, in order, as contiguous pieces; the first holds at least all that was written
    /// before the first payload taken by reference.
    pub fn pieces_since(&self, mark: Mark) -> impl Iterator<Item = &[u8]> {
        let splices = self.splices.get(mark.splices..).unwrap_or_default();
        let mut from = mark.inline;
        let body = splices.iter().flat_map(move |splice| {
            let head = self.inline.get(from..splice.at).unwrap_or_default();
            from = splice.at;
            [head, &splice.payload[..]]
        });
        let tail =
            self.inline.get(splices.last().map_or(mark.inline, |splice| splice.at)..).unwrap_or_default();
        body.chain(std::iter::once(tail))
    }

    /// Ends the writing.
    pub fn finish(self) -> Rope {
        Rope { inline: self.inline.freeze(), splices: self.splices }
    }

    /// Ends the writing and gives back the unused capacity of the inline buffer for the next reply.
    pub fn finish_split(mut self) -> (Rope, BytesMut) {
        let inline = self.inline.split().freeze();
        (Rope { inline, splices: self.splices }, self.inline)
    }
}

/// Finished XDR: inline bytes with payloads spliced in.
#[derive(Debug, Clone, Default)]
pub struct Rope {
    inline: Bytes,
    splices: SmallVec<[Splice; 1]>,
}

impl From<Bytes> for Rope {
    fn from(inline: Bytes) -> Self {
        Self { inline, splices: SmallVec::new() }
    }
}

impl Rope {
    /// Bytes in all.
    pub fn len(&self) -> usize {
        self.inline.len() + self.splices.iter().map(|s| s.payload.len()).sum::<usize>()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes in order, as contiguous pieces.
    pub fn segments(&self) -> impl Iterator<Item = Bytes> + '_ {
        let mut from = 0;
        let body = self.splices.iter().flat_map(move |splice| {
            let head = self.inline.slice(from..splice.at);
            from = splice.at;
            [head, splice.payload.clone()]
        });
        let tail = self.inline.slice(self.splices.last().map_or(0, |s| s.at)..);
        body.chain(std::iter::once(tail)).filter(|segment| !segment.is_empty())
    }

    /// The bytes in order as slices for a vectored write.
    pub fn io_slices<'a>(&'a self, into: &mut impl Extend<IoSlice<'a>>) {
        let mut from = 0;
        for splice in &self.splices {
            let head = self.inline.get(from..splice.at).unwrap_or_default();
            into.extend([IoSlice::new(head), IoSlice::new(&splice.payload)]);
            from = splice.at;
        }
        into.extend([IoSlice::new(self.inline.get(from..).unwrap_or_default())]);
    }

    /// All bytes in one buffer; copies when there are payloads.
    pub fn to_bytes(&self) -> Bytes {
        if self.splices.is_empty() {
            return self.inline.clone();
        }
        let mut all = BytesMut::with_capacity(self.len());
        for segment in self.segments() {
            all.extend_from_slice(&segment);
        }
        all.freeze()
    }
}
