//! Notifications of directories (RFC 8881 section 20.4).

use super::{AtMostOne, Component4, Fattr4, Verifier4};
use crate::attr::Bitmap;
use crate::xdr::{Opaque, XdrDecode, XdrEncode, XdrError, XdrReader, XdrWriter, encode_to_bytes};
use crate::{xdr_enum, xdr_struct};

xdr_enum! {
    /// notify_type4: bits of notification masks.
    pub enum NotifyType {
        /// Attributes of an entry changed.
        ChangeChildAttrs = 0,
        /// Attributes of the directory changed.
        ChangeDirAttrs = 1,
        /// An entry is gone.
        RemoveEntry = 2,
        /// There is a new entry.
        AddEntry = 3,
        /// An entry has another name in the same directory.
        RenameEntry = 4,
        /// The cookie verifier changed.
        ChangeCookieVerifier = 5,
    }
}

impl NotifyType {
    /// All of them, in the order of their bits.
    pub const ALL: [Self; 6] = [
        Self::ChangeChildAttrs,
        Self::ChangeDirAttrs,
        Self::RemoveEntry,
        Self::AddEntry,
        Self::RenameEntry,
        Self::ChangeCookieVerifier,
    ];

    /// Its bit in a notification mask.
    pub const fn bit(self) -> u32 {
        self as u32
    }
}

xdr_struct! {
    /// notify_entry4: an entry and attributes of what it names.
    #[derive(Clone, PartialEq, Eq)]
    pub struct NotifyEntry4 {
        /// Its name.
        pub file: Component4,
        /// The attributes.
        pub attrs: Fattr4,
    }
}

xdr_struct! {
    /// prev_entry4: the entry that READDIR returns before another one.
    #[derive(Clone, PartialEq, Eq)]
    pub struct PrevEntry4 {
        /// The entry.
        pub prev_entry: NotifyEntry4,
        /// Its cookie.
        pub prev_entry_cookie: u64,
    }
}

xdr_struct! {
    /// notify_remove4.
    #[derive(Clone, PartialEq, Eq)]
    pub struct NotifyRemove4 {
        /// What the entry was.
        pub old_entry: NotifyEntry4,
        /// Its cookie.
        pub old_entry_cookie: u64,
    }
}

xdr_struct! {
    /// notify_add4.
    #[derive(Clone, PartialEq, Eq)]
    pub struct NotifyAdd4 {
        /// What was renamed over.
        pub old_entry: AtMostOne<NotifyRemove4>,
        /// The new entry.
        pub new_entry: NotifyEntry4,
        /// Its cookie.
        pub new_entry_cookie: AtMostOne<u64>,
        /// The entry before it.
        pub prev_entry: AtMostOne<PrevEntry4>,
        /// Whether it is the last of the directory.
        pub last_entry: bool,
    }
}

xdr_struct! {
    /// notify_attr4. That of the directory itself has an empty name.
    #[derive(Clone, PartialEq, Eq)]
    pub struct NotifyAttr4 {
        /// What changed.
        pub changed_entry: NotifyEntry4,
    }
}

xdr_struct! {
    /// notify_rename4.
    #[derive(Clone, PartialEq, Eq)]
    pub struct NotifyRename4 {
        /// The entry with its old name.
        pub old_entry: NotifyRemove4,
        /// The entry with its new name.
        pub new_entry: NotifyAdd4,
    }
}

xdr_struct! {
    /// notify_verifier4.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub struct NotifyVerifier4 {
        /// The verifier before.
        pub old_cookieverf: Verifier4,
        /// The verifier now.
        pub new_cookieverf: Verifier4,
    }
}

xdr_struct! {
    /// notify4: notifications as they are on the wire, at most one of each type.
    #[derive(Clone, PartialEq, Eq)]
    pub struct Notify4 {
        /// Their types, as [bits](NotifyType::bit).
        pub mask: Bitmap,
        /// The notifications, in the order of their types.
        pub vals: Opaque<{ u32::MAX }>,
    }
}

/// One change of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notification {
    /// NOTIFY4_CHANGE_CHILD_ATTRS.
    ChangeChildAttrs(NotifyAttr4),
    /// NOTIFY4_CHANGE_DIR_ATTRS.
    ChangeDirAttrs(NotifyAttr4),
    /// NOTIFY4_REMOVE_ENTRY.
    RemoveEntry(NotifyRemove4),
    /// NOTIFY4_ADD_ENTRY.
    AddEntry(NotifyAdd4),
    /// NOTIFY4_RENAME_ENTRY.
    RenameEntry(NotifyRename4),
    /// NOTIFY4_CHANGE_COOKIE_VERIFIER.
    ChangeCookieVerifier(NotifyVerifier4),
}

impl Notification {
    /// Its type.
    pub const fn kind(&self) -> NotifyType {
        match self {
            Self::ChangeChildAttrs(_) => NotifyType::ChangeChildAttrs,
            Self::ChangeDirAttrs(_) => NotifyType::ChangeDirAttrs,
            Self::RemoveEntry(_) => NotifyType::RemoveEntry,
            Self::AddEntry(_) => NotifyType::AddEntry,
            Self::RenameEntry(_) => NotifyType::RenameEntry,
            Self::ChangeCookieVerifier(_) => NotifyType::ChangeCookieVerifier,
        }
    }

    /// Alone on the wire: so that several keep their order, each goes by itself.
    pub fn to_notify4(&self) -> Notify4 {
        Notify4 { mask: Bitmap::of(&[self.kind().bit()]), vals: Opaque(encode_to_bytes(self)) }
    }

    fn decode(kind: NotifyType, r: &mut XdrReader<'_>) -> Result<Self, XdrError> {
        Ok(match kind {
            NotifyType::ChangeChildAttrs => Self::ChangeChildAttrs(XdrDecode::decode(r)?),
            NotifyType::ChangeDirAttrs => Self::ChangeDirAttrs(XdrDecode::decode(r)?),
            NotifyType::RemoveEntry => Self::RemoveEntry(XdrDecode::decode(r)?),
            NotifyType::AddEntry => Self::AddEntry(XdrDecode::decode(r)?),
            NotifyType::RenameEntry => Self::RenameEntry(XdrDecode::decode(r)?),
            NotifyType::ChangeCookieVerifier => Self::ChangeCookieVerifier(XdrDecode::decode(r)?),
        })
    }
}

/// The notification without its type.
impl XdrEncode for Notification {
    fn encode(&self, w: &mut XdrWriter) {
        match self {
            Self::ChangeChildAttrs(change) | Self::ChangeDirAttrs(change) => change.encode(w),
            Self::RemoveEntry(change) => change.encode(w),
            Self::AddEntry(change) => change.encode(w),
            Self::RenameEntry(change) => change.encode(w),
            Self::ChangeCookieVerifier(change) => change.encode(w),
        }
    }
}

impl Notify4 {
    /// What it holds. An error for a type that is not of directories, or if anything is left over.
    pub fn notifications(&self) -> Result<Vec<Notification>, XdrError> {
        let mut r = XdrReader::new(&self.vals.0);
        let mut notifications = Vec::new();
        for bit in self.mask.iter() {
            let kind = NotifyType::ALL.into_iter().find(|kind| kind.bit() == bit);
            let kind = kind.ok_or(XdrError::BadValue { type_name: "notify_type4", value: bit })?;
            notifications.push(Notification::decode(kind, &mut r)?);
        }
        r.finish()?;
        Ok(notifications)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::proto::component;

    fn entry(name: &str) -> NotifyEntry4 {
        NotifyEntry4 { file: component(name), attrs: Fattr4::default() }
    }

    fn removed(name: &str) -> NotifyRemove4 {
        NotifyRemove4 { old_entry: entry(name), old_entry_cookie: 7 }
    }

    fn added(name: &str) -> NotifyAdd4 {
        NotifyAdd4 {
            old_entry: AtMostOne(None),
            new_entry: entry(name),
            new_entry_cookie: AtMostOne(Some(9)),
            prev_entry: AtMostOne(Some(PrevEntry4 { prev_entry: entry("before"), prev_entry_cookie: 8 })),
            last_entry: true,
        }
    }

    // Origin: every type, there and back. RFC: 8881 section 20.4.1.
    #[rstest]
    #[case::child(Notification::ChangeChildAttrs(NotifyAttr4 { changed_entry: entry("child") }), 0)]
    #[case::dir(Notification::ChangeDirAttrs(NotifyAttr4 { changed_entry: entry("") }), 1)]
    #[case::remove(Notification::RemoveEntry(removed("gone")), 2)]
    #[case::add(Notification::AddEntry(added("new")), 3)]
    #[case::rename(Notification::RenameEntry(NotifyRename4 { old_entry: removed("old"), new_entry: added("new") }), 4)]
    #[case::verifier(
        Notification::ChangeCookieVerifier(NotifyVerifier4 { old_cookieverf: [1; 8], new_cookieverf: [2; 8] }),
        5
    )]
    fn a_notification_is_read_as_it_was_written(#[case] notification: Notification, #[case] bit: u32) {
        let on_the_wire = notification.to_notify4();
        assert_eq!(on_the_wire.mask, Bitmap::of(&[bit]));
        assert_eq!(on_the_wire.notifications().unwrap(), [notification]);
    }

    // Origin: what a peer may send that is no notification. RFC: 8881 section 20.4.1.
    #[rstest]
    #[case::unknown_type(Bitmap::of(&[6]), &[])]
    #[case::nothing_there(Bitmap::of(&[5]), &[])]
    #[case::left_over(Bitmap::EMPTY, &[0, 0, 0, 0])]
    fn what_is_no_notification_is_an_error(#[case] mask: Bitmap, #[case] vals: &[u8]) {
        assert!(Notify4 { mask, vals: vals.into() }.notifications().is_err());
    }
}
