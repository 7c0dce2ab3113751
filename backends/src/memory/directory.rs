use super::cookie_map::CookieMap;
use super::inode::{Child, InodeId};
use super::space::ENTRY_CHARGE;

/// Cookies 0, 1 and 2 are not for entries (RFC 8881 section 18.23.3).
pub(super) const FIRST_COOKIE: u64 = 3;

/// What is in a directory.
pub(super) struct Directory {
    /// The directory that holds this one; the root holds itself.
    pub(super) parent: InodeId,
    pub(super) entries: CookieMap<Child>,
}

impl Directory {
    pub(super) fn new(parent: InodeId) -> Self {
        Self { parent, entries: CookieMap::new(FIRST_COOKIE) }
    }
}

/// What an entry of this name costs.
pub(super) fn entry_charge(name: &[u8]) -> u64 {
    ENTRY_CHARGE + name.len() as u64
}
