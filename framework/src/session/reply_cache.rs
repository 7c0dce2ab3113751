//! What a slot keeps of a reply: COMPOUND4res as bytes.

use bytes::BytesMut;

use crate::proto::{NFS4_OK, NFS4ERR_RETRY_UNCACHED_REP, OP_SEQUENCE, Sequence4ResOk};
use crate::xdr::{Mark, Rope, XdrEncode, XdrWriter};

/// Capacity that an idle slot may keep for the next reply. A larger one is given back as soon as its reply is not needed
/// any more.
const KEPT_CAPACITY: usize = 1024;
/// An XDR unsigned integer.
const WORD: usize = 4;
/// nfs_resop4 of a SEQUENCE that went well: opnum, status, SEQUENCE4resok.
const SEQUENCE_RESOP: usize = 44;

/// A cached COMPOUND4res; empty when there is none.
#[derive(Debug, Default)]
pub(super) struct ReplyCache(Vec<u8>);

impl ReplyCache {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets the reply and keeps a small buffer.
    pub(super) fn clear(&mut self) {
        if self.0.capacity() > KEPT_CAPACITY {
            self.0 = Vec::new();
        }
        self.0.clear();
    }

    /// Forgets the reply and its buffer.
    pub(super) fn free(&mut self) {
        self.0 = Vec::new();
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// The reply, to be sent again.
    pub(super) fn to_rope(&self) -> Rope {
        let mut w = XdrWriter::with_buffer(BytesMut::with_capacity(self.0.len()));
        w.raw(&self.0);
        w.finish()
    }

    /// Keeps the COMPOUND4res that `w` has from `body` on, whole if `is_wanted` or if it is no longer than what stands
    /// for it otherwise. Payloads are copied: a reference would keep a large buffer alive for a small reply.
    pub(super) fn store(&mut self, w: &XdrWriter, body: Mark, is_wanted: bool) {
        self.clear();
        let head = w.pieces_since(body).next().unwrap_or_default();
        let layout = if is_wanted { None } else { Layout::of(head) };
        match layout.filter(|layout| !layout.is_short()) {
            Some(layout) => self.store_uncached(head, &layout),
            None => w.pieces_since(body).for_each(|piece| self.0.extend_from_slice(piece)),
        }
    }

    /// RFC 8881 section 2.10.6.1.3: the result of SEQUENCE as it was, and NFS4ERR_RETRY_UNCACHED_REP for the operation
    /// behind it.
    fn store_uncached(&mut self, head: &[u8], layout: &Layout) {
        let status = NFS4ERR_RETRY_UNCACHED_REP.code().to_be_bytes();
        let tag = head.get(WORD..layout.count_at).unwrap_or_default();
        let results = head.get(layout.count_at + WORD..layout.second_status_at).unwrap_or_default();
        self.0.extend_from_slice(&status);
        self.0.extend_from_slice(tag);
        self.0.extend_from_slice(&2u32.to_be_bytes());
        self.0.extend_from_slice(results);
        self.0.extend_from_slice(&status);
    }

    /// What stands for the reply of a request that was lost half-way: it may have been carried out, and there is no reply
    /// of it. The tag is lost too.
    pub(super) fn store_lost(&mut self, sequence: &Sequence4ResOk, second_opnum: Option<u32>) {
        self.clear();
        let status = if second_opnum.is_some() { NFS4ERR_RETRY_UNCACHED_REP } else { NFS4_OK };
        let mut w = XdrWriter::new();
        w.u32(status.code());
        w.opaque(&[]);
        w.u32(if second_opnum.is_some() { 2 } else { 1 });
        w.u32(OP_SEQUENCE.code());
        w.u32(NFS4_OK.code());
        sequence.encode(&mut w);
        if let Some(opnum) = second_opnum {
            w.u32(opnum);
            w.u32(status.code());
        }
        self.0.extend_from_slice(&w.finish().to_bytes());
    }
}

/// Where the parts of a COMPOUND4res that begins with SEQUENCE are.
struct Layout {
    is_ok: bool,
    count: u32,
    count_at: usize,
    second_status_at: usize,
}

impl Layout {
    /// `None` if `reply` does not hold as much as the number of a second operation.
    fn of(reply: &[u8]) -> Option<Self> {
        let status = word(reply, 0)?;
        let tag_len = usize::try_from(word(reply, WORD)?).ok()?;
        let count_at = (2 * WORD).checked_add(tag_len.checked_next_multiple_of(WORD)?)?;
        let second_status_at = count_at.checked_add(WORD + SEQUENCE_RESOP + WORD)?;
        let count = word(reply, count_at)?;
        word(reply, second_status_at)?;
        Some(Self { is_ok: status == NFS4_OK.code(), count, count_at, second_status_at })
    }

    /// Whether the reply ends with an error of the second operation. It is kept whole: it is as short as what would
    /// stand for it, and a second operation that does not exist must answer so again (RFC 8881 section 2.10.6.1.3).
    fn is_short(&self) -> bool {
        self.count <= 2 && !self.is_ok
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}
