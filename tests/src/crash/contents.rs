use std::ops::Range;

/// What may be in a file after a crash: bytes that must be there, and newer ones of which each write may be there or not.
#[derive(Debug, Clone, Default)]
pub(super) struct Contents {
    /// As clients see it while the server lives.
    current: Vec<u8>,
    /// What a crash leaves where nothing newer is left.
    stable: Vec<u8>,
    /// Writes that were not committed, in their order.
    newer: Vec<Newer>,
    /// Whether some of them were lost, as the server told by its write verifier, and a COMMIT says nothing of them.
    is_in_doubt: bool,
    /// Tells `current` from all that the file ever was.
    version: u64,
    /// The same of `stable`, if clients have seen that.
    stable_version: Option<u64>,
}

#[derive(Debug, Clone)]
struct Newer {
    offset: usize,
    data: Vec<u8>,
    /// Whether a part of it, from its start on, may be all that there is.
    is_partial: bool,
}

impl Newer {
    /// Whether it makes contents so long.
    fn ends_at(&self, len: usize) -> bool {
        self.end() == len || self.is_partial && (self.offset..self.end()).contains(&len)
    }

    fn end(&self) -> usize {
        self.offset + self.data.len()
    }

    fn at(&self, at: usize) -> Option<u8> {
        self.data.get(at.checked_sub(self.offset)?).copied()
    }

    /// What is left of it outside of a range.
    fn without(&self, range: &Range<usize>) -> Vec<Self> {
        if self.data.is_empty() {
            return vec![self.clone()];
        }
        let before = range.start.clamp(self.offset, self.end()) - self.offset;
        let after = range.end.clamp(self.offset, self.end()) - self.offset;
        let Self { offset, is_partial, .. } = *self;
        let head = Self { offset, data: self.data[..before].to_vec(), is_partial };
        let tail = Self { offset: offset + after, data: self.data[after..].to_vec(), is_partial };
        [head, tail].into_iter().filter(|part| !part.data.is_empty()).collect()
    }
}

/// Whether an operation's answer says that a crash cannot undo it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeps {
    Always,
    OnceCommitted,
}

impl Contents {
    /// Contents that a reading client found, which no crash undoes.
    pub(super) fn of(found: Vec<u8>, version: u64) -> Self {
        Self {
            stable: found.clone(),
            current: found,
            newer: Vec::new(),
            is_in_doubt: false,
            version,
            stable_version: Some(version),
        }
    }

    /// As clients see it.
    pub(super) fn current(&self) -> &[u8] {
        &self.current
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn write(&mut self, offset: usize, data: &[u8], keeps: Keeps, version: u64) {
        put(&mut self.current, offset, data);
        self.version = version;
        match keeps {
            Keeps::OnceCommitted => self.newer.push(Newer { offset, data: data.to_vec(), is_partial: false }),
            Keeps::Always => {
                put(&mut self.stable, offset, data);
                self.forget_newer(&(offset..offset + data.len()));
                self.note_stable();
            }
        }
    }

    /// A copy that was under way: any part of it from its start on may be there.
    pub(super) fn write_in_part(&mut self, offset: usize, data: &[u8], version: u64) {
        self.write(offset, data, Keeps::OnceCommitted, version);
        if let Some(last) = self.newer.last_mut() {
            last.is_partial = true;
        }
    }

    /// ALLOCATE: the file may have grown to `size`.
    pub(super) fn grow(&mut self, size: usize, version: u64) {
        if size > self.current.len() {
            self.current.resize(size, 0);
            self.newer.push(Newer { offset: size, data: Vec::new(), is_partial: false });
            self.version = version;
        }
    }

    /// SETATTR of the size, which is durable. What was not committed stays so within the new size, and is gone beyond it.
    pub(super) fn resize(&mut self, size: usize, version: u64) {
        self.current.resize(size, 0);
        self.stable.resize(size, 0);
        self.newer.retain(|newer| !newer.data.is_empty());
        self.forget_newer(&(size..usize::MAX));
        self.version = version;
        self.note_stable();
    }

    /// COMMIT of all.
    pub(super) fn commit(&mut self) {
        if self.is_in_doubt {
            return;
        }
        self.stable.clone_from(&self.current);
        self.newer.clear();
        self.note_stable();
    }

    /// The write verifier has changed.
    pub(super) fn doubt(&mut self) {
        self.is_in_doubt |= !self.newer.is_empty();
    }

    /// Whether there is nothing in it that a failure may take.
    pub(super) fn is_settled(&self) -> bool {
        self.newer.is_empty()
    }

    /// What is wrong with what was found after a crash.
    pub(super) fn check(&self, found: &[u8]) -> Result<(), String> {
        if found == self.current || found == self.stable {
            return Ok(());
        }
        let (len, stable) = (found.len(), self.stable.len());
        if len != stable && !self.newer.iter().any(|newer| newer.ends_at(len) && len > stable) {
            return Err(format!("{len} bytes long, stable are {stable}, seen were {}", self.current.len()));
        }
        let is_wrong = |at: usize, byte: u8| {
            let kept = self.stable.get(at).copied().unwrap_or(0);
            byte != kept && !self.newer.iter().any(|newer| newer.at(at) == Some(byte))
        };
        match found.iter().enumerate().find(|(at, byte)| is_wrong(*at, **byte)) {
            None => Ok(()),
            Some((at, byte)) => Err(self.describe(found, at, *byte)),
        }
    }

    fn describe(&self, found: &[u8], at: usize, byte: u8) -> String {
        let kept = self.stable.get(at).copied().unwrap_or(0);
        let seen = self.current.get(at).copied().unwrap_or(0);
        let differing = found.iter().zip(&self.current).filter(|(found, seen)| found != seen).count();
        let zeros = found.iter().skip(at).take_while(|byte| **byte == 0).count();
        format!(
            "byte {at} is {byte:#04x} ({zeros} zeros from there on), stable is {kept:#04x}, seen was {seen:#04x}; \
             {differing} of {} bytes are not as seen",
            found.len()
        )
    }

    /// Takes over what was found after a crash, which [`check`](Self::check) finds right. `fresh` is its version if it is nothing
    /// that there was before.
    pub(super) fn adopt(&mut self, found: &[u8], fresh: u64) {
        let version = match found {
            _ if found == self.current => self.version,
            _ if found == self.stable => self.stable_version.unwrap_or(fresh),
            _ => fresh,
        };
        *self = Self::of(found.to_vec(), version);
    }

    fn note_stable(&mut self) {
        self.stable_version = (self.stable == self.current).then_some(self.version);
    }

    fn forget_newer(&mut self, range: &Range<usize>) {
        self.newer = self.newer.iter().flat_map(|newer| newer.without(range)).collect();
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    if data.is_empty() {
        return;
    }
    let end = offset + data.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(data);
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// "stable" was committed; "NEW" was written over its second to fourth byte, and "more" behind its end.
    fn contents() -> Contents {
        let mut contents = Contents::of(b"stable".to_vec(), 1);
        contents.write(1, b"NEW", Keeps::OnceCommitted, 2);
        contents.write(8, b"more", Keeps::OnceCommitted, 3);
        contents
    }

    // Origin: what a crash may leave of a file with writes that were not committed.
    // RFC: 8881 sections 18.3 and 18.32.
    #[rstest]
    #[case::old(b"stable", true)]
    #[case::new(b"sNEWle\0\0more", true)]
    #[case::one_of_the_writes(b"sNEWle", true)]
    #[case::the_other(b"stable\0\0more", true)]
    #[case::half_a_write(b"sNEble", true)]
    #[case::no_such_length(b"stable\0\0mo", false)]
    #[case::shorter(b"stabl", false)]
    #[case::other_bytes(b"sOLDle", false)]
    #[case::bytes_in_the_gap(b"stable\0xmore", false)]
    fn after_a_crash(#[case] found: &[u8], #[case] is_right: bool) {
        assert_eq!(contents().check(found).is_ok(), is_right);
    }

    // Origin: a truncation takes what was not committed with it.
    // RFC: 8881 section 18.30.
    #[rstest]
    #[case::cut(3, b"sta", true)]
    #[case::cut_new(3, b"sNE", true)]
    #[case::not_cut(3, b"stable", false)]
    #[case::grown(14, b"stable\0\0\0\0\0\0\0\0", true)]
    #[case::grown_with_the_writes(14, b"sNEWle\0\0more\0\0", true)]
    #[case::not_grown(14, b"stable", false)]
    fn after_a_change_of_size(#[case] size: usize, #[case] found: &[u8], #[case] is_right: bool) {
        let mut contents = contents();
        contents.resize(size, 4);
        assert_eq!(contents.check(found).is_ok(), is_right);
    }

    // Origin: what the answer called stable.
    // RFC: 8881 sections 18.3 and 18.32.
    #[rstest]
    fn what_is_stable_is_there() {
        let mut committed = contents();
        committed.commit();
        assert!(committed.check(b"stable").is_err());
        assert!(committed.check(b"sNEWle\0\0more").is_ok());

        let mut over = contents();
        over.write(0, b"sync", Keeps::Always, 4);
        assert!(over.check(b"syncle").is_ok());
        assert!(over.check(b"sNEWle").is_err());
    }

    // Origin: a change attribute is compared with what it stood for.
    // RFC: 8881 section 5.8.1.4.
    #[rstest]
    fn a_version_stands_for_one_content() {
        let mut kept = contents();
        kept.adopt(b"sNEWle\0\0more", 9);
        assert_eq!(kept.version(), 3);
        let mut old = contents();
        old.adopt(b"stable", 9);
        assert_eq!(old.version(), 1);
        let mut mixed = contents();
        mixed.adopt(b"sNEWle", 9);
        assert_eq!(mixed.version(), 9);
        let mut unseen = contents();
        unseen.write(0, b"x", Keeps::Always, 4);
        unseen.adopt(b"xtable", 9);
        assert_eq!(unseen.version(), 9);
    }
}
