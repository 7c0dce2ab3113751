//! A READDIR4resok that is written entry by entry, until it is full.

use dittofs_framework::fs::{ReaddirEnd, SinkFull};
use dittofs_framework::proto::{NFS4ERR_TOOSMALL, Status, Verifier4};
use dittofs_framework::xdr::{Mark, XdrWriter};

/// The list's end: no further entry, and eof.
const END_LEN: usize = 4 + 4;
/// READDIR4resok without entries.
pub(super) const EMPTY_LEN: usize = size_of::<Verifier4>() + END_LEN;
/// Cookie and length of the name.
const DIRECTORY_INFORMATION: usize = 8 + 4;

/// How much a page may hold, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageLimits {
    /// Of READDIR4resok, by the client's wish.
    pub(super) maxcount: usize,
    /// Of READDIR4resok, by what is left of the reply. A first entry that alone is larger is written nevertheless: the
    /// dispatcher then refuses the reply with the status for that, which NFS4ERR_TOOSMALL is not.
    pub(super) room: usize,
    /// Of names and cookies; a first entry is written in any case.
    pub(super) dircount: usize,
}

/// The page in the reply.
pub(super) struct Page<'w> {
    w: &'w mut XdrWriter,
    limits: PageLimits,
    start: Mark,
    verifier: [Mark; 2],
    directory_information: usize,
    entries: usize,
    is_full: bool,
}

impl<'w> Page<'w> {
    pub(super) fn begin(w: &'w mut XdrWriter, limits: PageLimits) -> Self {
        let start = w.mark();
        let verifier = [w.reserve_u32(), w.reserve_u32()];
        Self { w, limits, start, verifier, directory_information: 0, entries: 0, is_full: false }
    }

    /// Adds one entry, whose fattr4 `attrs` writes, or leaves the page as it is.
    #[inline]
    pub(super) fn entry(
        &mut self,
        cookie: u64,
        name: &[u8],
        attrs: impl FnOnce(&mut XdrWriter),
    ) -> Result<(), SinkFull> {
        let before = self.w.mark();
        self.w.bool(true);
        self.w.u64(cookie);
        self.w.opaque(name);
        attrs(self.w);
        let information = self.directory_information + DIRECTORY_INFORMATION + name.len().next_multiple_of(4);
        let len = self.w.len_since(self.start) + END_LEN;
        if len > self.limits.maxcount || (self.entries > 0 && self.is_beyond(len, information)) {
            self.w.cut_back(before);
            self.is_full = true;
            return Err(SinkFull);
        }
        self.directory_information = information;
        self.entries += 1;
        Ok(())
    }

    fn is_beyond(&self, len: usize, information: usize) -> bool {
        len > self.limits.room || information > self.limits.dircount
    }

    /// Completes the page. NFS4ERR_TOOSMALL when there is an entry and not even that one found room.
    pub(super) fn end(self, end: ReaddirEnd) -> Result<(), Status> {
        if self.is_full && self.entries == 0 {
            return Err(NFS4ERR_TOOSMALL);
        }
        let (halves, _) = end.cookieverf.as_chunks::<4>();
        for (place, half) in self.verifier.into_iter().zip(halves) {
            self.w.patch_u32(place, u32::from_be_bytes(*half));
        }
        self.w.bool(false);
        self.w.bool(end.eof && !self.is_full);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use dittofs_framework::attr::Bitmap;
    use dittofs_framework::proto::{Fattr4, component};
    use dittofs_framework::xdr::{XdrEncode, decode_all};
    use rstest::rstest;

    use super::super::{Entry4, Readdir4ResOk};
    use super::*;

    const END: ReaddirEnd = ReaddirEnd { eof: true, cookieverf: [1, 2, 3, 4, 5, 6, 7, 8] };
    const UNLIMITED: usize = usize::MAX;
    /// An entry with a name of three bytes and no attributes: next, cookie, name, bitmap, values.
    const ENTRY_LEN: usize = 4 + 8 + 8 + 4 + 4;

    fn no_attributes(w: &mut XdrWriter) {
        Bitmap::EMPTY.encode(w);
        w.u32(0);
    }

    fn page_of(names: &[&str], limits: PageLimits) -> Result<(usize, Readdir4ResOk), Status> {
        let mut w = XdrWriter::new();
        let mut page = Page::begin(&mut w, limits);
        for (cookie, name) in (3..).zip(names) {
            if page.entry(cookie, name.as_bytes(), no_attributes).is_err() {
                break;
            }
        }
        page.end(END)?;
        let written = w.finish().to_bytes();
        Ok((written.len(), decode_all(&written).unwrap()))
    }

    #[rstest]
    #[case::all(UNLIMITED, UNLIMITED, UNLIMITED, 3)]
    #[case::exactly_all(EMPTY_LEN + 3 * ENTRY_LEN, UNLIMITED, UNLIMITED, 3)]
    #[case::one_byte_short(EMPTY_LEN + 3 * ENTRY_LEN - 1, UNLIMITED, UNLIMITED, 2)]
    #[case::one_by_maxcount(EMPTY_LEN + ENTRY_LEN, UNLIMITED, UNLIMITED, 1)]
    #[case::two_by_room(UNLIMITED, EMPTY_LEN + 2 * ENTRY_LEN, UNLIMITED, 2)]
    #[case::first_beyond_room(UNLIMITED, EMPTY_LEN, UNLIMITED, 1)]
    #[case::two_by_dircount(UNLIMITED, UNLIMITED, 32, 2)]
    #[case::first_beyond_dircount(UNLIMITED, UNLIMITED, 1, 1)]
    fn a_page_holds(
        #[case] maxcount: usize,
        #[case] room: usize,
        #[case] dircount: usize,
        #[case] expected: usize,
    ) {
        let names = ["abc", "def", "ghi"];
        let (len, page) = page_of(&names, PageLimits { maxcount, room, dircount }).unwrap();
        let entries: Vec<_> = (3..)
            .zip(&names[..expected])
            .map(|(cookie, name)| Entry4 { cookie, name: component(name), attrs: Fattr4::default() })
            .collect();
        assert_eq!(page, Readdir4ResOk { cookieverf: END.cookieverf, entries, eof: expected == 3 });
        assert_eq!(len, EMPTY_LEN + expected * ENTRY_LEN);
    }

    #[test]
    fn a_page_without_room_for_the_first_entry_is_too_small() {
        let limits = PageLimits { maxcount: EMPTY_LEN + ENTRY_LEN - 1, room: UNLIMITED, dircount: UNLIMITED };
        assert_eq!(page_of(&["abc"], limits).unwrap_err(), NFS4ERR_TOOSMALL);
    }

    #[test]
    fn an_empty_directory_fits_in_sixteen_bytes() {
        let limits = PageLimits { maxcount: 16, room: UNLIMITED, dircount: UNLIMITED };
        let (len, page) = page_of(&[], limits).unwrap();
        assert_eq!((len, page.entries.len(), page.eof), (16, 0, true));
    }
}
