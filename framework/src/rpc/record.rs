//! Record marking (RFC 5531 section 11): cuts a byte stream into records.

use bytes::{Buf, Bytes, BytesMut};

/// Room for one read: many small records, or the beginning of a large one.
const READ_CHUNK: usize = 64 << 10;
/// The least room that is worth a read, when what was read before still occupies the rest of a chunk.
const READ_ROOM_MIN: usize = 4 << 10;
const HEADER_LEN: usize = 4;

/// Why a byte stream cannot be followed any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("a record of {0} bytes or more")]
    TooLong(usize),
    #[error("a record of more than {0} fragments")]
    TooManyFragments(usize),
}

/// Reassembles records from what was read.
///
/// A record in one fragment is a slice of the read buffer, and a large one is read into a buffer of its size. The
/// fragments of others are joined by one copy. Nothing is allocated for a length over the limit.
#[derive(Debug)]
pub(crate) struct RecordReader {
    max_record: usize,
    max_fragments: usize,
    /// Read and not yet taken.
    buf: BytesMut,
    /// The fragments so far of a record of several.
    joined: BytesMut,
    /// Their number.
    fragments: usize,
    /// What is still to come of the fragment that is being joined.
    joining: Option<Fragment>,
}

#[derive(Debug, Clone, Copy)]
struct Fragment {
    len: usize,
    last: bool,
}

impl RecordReader {
    pub(crate) fn new(max_record: usize, max_fragments: usize) -> Self {
        Self {
            max_record,
            max_fragments,
            buf: BytesMut::new(),
            joined: BytesMut::new(),
            fragments: 0,
            joining: None,
        }
    }

    /// The buffer to read into, with room at its end.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        self.make_room();
        &mut self.buf
    }

    /// The next record, if all of it was read.
    pub(crate) fn next_record(&mut self) -> Result<Option<Bytes>, RecordError> {
        loop {
            if let Some(record) = self.join() {
                return Ok(Some(record));
            }
            if self.joining.is_some() {
                return Ok(None);
            }
            let Some(fragment) = self.header()? else { return Ok(None) };
            if self.fragments == 0 && fragment.last {
                if self.buf.len() - HEADER_LEN < fragment.len {
                    return Ok(None);
                }
                self.buf.advance(HEADER_LEN);
                return Ok(Some(self.buf.split_to(fragment.len).freeze()));
            }
            self.buf.advance(HEADER_LEN);
            self.fragments += 1;
            self.joined.reserve(fragment.len);
            self.joining = Some(fragment);
        }
    }

    /// Bytes that were read and are not taken.
    pub(crate) fn len(&self) -> usize {
        self.buf.len() + self.joined.len()
    }

    /// Whether a part of a record was read. To be asked when [`next_record`](Self::next_record) found no whole one.
    pub(crate) fn is_within_record(&self) -> bool {
        !self.buf.is_empty() || self.fragments > 0
    }

    /// Whether buffers are held.
    pub(crate) fn holds_memory(&self) -> bool {
        self.buf.capacity() + self.joined.capacity() > 0
    }

    /// Gives back the buffers that hold nothing.
    pub(crate) fn release(&mut self) {
        if self.buf.is_empty() {
            self.buf = BytesMut::new();
        }
        if self.joined.is_empty() {
            self.joined = BytesMut::new();
        }
    }

    /// The header at the front of the buffer, checked.
    fn header(&self) -> Result<Option<Fragment>, RecordError> {
        let Some(header) = self.buf.first_chunk::<HEADER_LEN>() else { return Ok(None) };
        let word = u32::from_be_bytes(*header);
        let len = usize::try_from(word & 0x7fff_ffff).unwrap_or(usize::MAX);
        let record_len = self.joined.len().saturating_add(len);
        if record_len > self.max_record {
            return Err(RecordError::TooLong(record_len));
        }
        if self.fragments >= self.max_fragments {
            return Err(RecordError::TooManyFragments(self.max_fragments));
        }
        Ok(Some(Fragment { len, last: word & 0x8000_0000 != 0 }))
    }

    /// Moves what was read of the fragment that is being joined; gives the record if that completes it.
    fn join(&mut self) -> Option<Bytes> {
        let fragment = self.joining.as_mut()?;
        let part = self.buf.split_to(fragment.len.min(self.buf.len()));
        self.joined.extend_from_slice(&part);
        fragment.len -= part.len();
        if fragment.len > 0 {
            return None;
        }
        let last = fragment.last;
        self.joining = None;
        if !last {
            return None;
        }
        self.fragments = 0;
        Some(std::mem::take(&mut self.joined).freeze())
    }

    /// Makes room for the rest of the record at the front, or for a chunk of new ones.
    fn make_room(&mut self) {
        let missing = match self.header() {
            Ok(Some(fragment)) if self.joining.is_none() && self.fragments == 0 && fragment.last => {
                (fragment.len + HEADER_LEN).saturating_sub(self.buf.len())
            }
            _ => 0,
        };
        let enough = if missing > 0 { missing } else { READ_ROOM_MIN };
        // Back to the front of the chunk, if nobody holds a record of it any more. What a large record was read into is not
        // used again: a smaller one in it, if it is kept, would keep all of it.
        let mut at_front = self.buf.is_empty() && self.buf.try_reclaim(READ_CHUNK);
        if at_front && self.buf.capacity() > 2 * READ_CHUNK {
            self.buf = BytesMut::new();
            at_front = false;
        }
        let room = self.buf.capacity() - self.buf.len();
        if at_front || room >= enough || self.buf.try_reclaim(enough) {
            return;
        }
        let mut fresh = BytesMut::with_capacity((self.buf.len() + enough).max(READ_CHUNK));
        fresh.extend_from_slice(&self.buf);
        self.buf = fresh;
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
