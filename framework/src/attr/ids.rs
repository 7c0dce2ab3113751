use smallvec::SmallVec;

/// The name of a user or group on the wire.
pub type IdName = SmallVec<[u8; 32]>;

/// Turns user and group ids into the names of the owner attributes and back (RFC 8881 section 5.9).
pub trait IdMapper: Send + Sync + 'static {
    /// The name of a user.
    fn user_name(&self, uid: u32) -> IdName;
    /// The name of a group.
    fn group_name(&self, gid: u32) -> IdName;
    /// The user of that name; `None` is NFS4ERR_BADOWNER.
    fn uid(&self, name: &[u8]) -> Option<u32>;
    /// The group of that name; `None` is NFS4ERR_BADOWNER.
    fn gid(&self, name: &[u8]) -> Option<u32>;
}

/// Ids as decimal numbers, which is what clients with AUTH_SYS send and expect (RFC 8881 section 5.9).
#[derive(Debug, Clone, Copy, Default)]
pub struct NumericIds;

impl IdMapper for NumericIds {
    fn user_name(&self, uid: u32) -> IdName {
        decimal(uid)
    }

    fn group_name(&self, gid: u32) -> IdName {
        decimal(gid)
    }

    fn uid(&self, name: &[u8]) -> Option<u32> {
        parse(name)
    }

    fn gid(&self, name: &[u8]) -> Option<u32> {
        parse(name)
    }
}

fn decimal(id: u32) -> IdName {
    let mut name = IdName::new();
    let mut rest = id;
    loop {
        name.push(b'0' + u8::try_from(rest % 10).unwrap_or_default());
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    name.reverse();
    name
}

/// Digits without a sign or leading zeros (RFC 8881 section 5.9); 2^32-1 is no id (it is "leave as it is" in POSIX).
fn parse(name: &[u8]) -> Option<u32> {
    let is_canonical = name.first() != Some(&b'0') || name.len() == 1;
    let is_number = !name.is_empty() && name.iter().all(u8::is_ascii_digit) && is_canonical;
    let id = is_number.then(|| std::str::from_utf8(name).ok()?.parse().ok())??;
    (id != u32::MAX).then_some(id)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::zero(0, "0")]
    #[case::user(1000, "1000")]
    #[case::largest(u32::MAX - 1, "4294967294")]
    fn numbers_come_back(#[case] id: u32, #[case] name: &str) {
        assert_eq!(NumericIds.user_name(id).as_slice(), name.as_bytes());
        assert_eq!(NumericIds.gid(name.as_bytes()), Some(id));
    }

    #[rstest]
    #[case::empty("")]
    #[case::leading_zero("01")]
    #[case::sign("+1")]
    #[case::name("root@localdomain")]
    #[case::no_id("4294967295")]
    #[case::too_large("4294967296")]
    fn others_are_nobody(#[case] name: &str) {
        assert_eq!(NumericIds.uid(name.as_bytes()), None);
    }
}
