//! What a component name may be (RFC 8881 sections 14.5 and 15.1.7).

use dittofs_framework::proto::{
    NFS4ERR_BADCHAR, NFS4ERR_BADNAME, NFS4ERR_INVAL, NFS4ERR_NAMETOOLONG, Status,
};

/// Checks a component of at most `max_name` bytes, as an operation was given it: what passes can be handed to a file system.
///
/// Names are bytes, as on every file system of POSIX: one that is not UTF-8 is neither refused nor converted, which RFC 8881
/// section 14.4 provides for (FSCHARSET_CAP4_CONTAINS_NON_UTF8). `.` and `..` mean nothing in NFSv4 (section 18.13.4) but do in
/// every POSIX file system, so no object can have them for its name.
pub fn check_component(name: &[u8], max_name: u32) -> Result<(), Status> {
    if name.is_empty() {
        return Err(NFS4ERR_INVAL);
    }
    if usize::try_from(max_name).is_ok_and(|max| name.len() > max) {
        return Err(NFS4ERR_NAMETOOLONG);
    }
    if name.iter().any(|byte| matches!(byte, b'/' | 0)) {
        return Err(NFS4ERR_BADCHAR);
    }
    if matches!(name, b"." | b"..") {
        return Err(NFS4ERR_BADNAME);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const MAX: u32 = 8;

    #[rstest]
    #[case::plain(b"name", Ok(()))]
    #[case::longest(b"12345678", Ok(()))]
    #[case::hidden(b".name", Ok(()))]
    #[case::three_dots(b"...", Ok(()))]
    #[case::not_utf8(b"\xff\xfe", Ok(()))]
    #[case::empty(b"", Err(NFS4ERR_INVAL))]
    #[case::too_long(b"123456789", Err(NFS4ERR_NAMETOOLONG))]
    #[case::slash(b"a/b", Err(NFS4ERR_BADCHAR))]
    #[case::slash_alone(b"/", Err(NFS4ERR_BADCHAR))]
    #[case::nul(b"a\0", Err(NFS4ERR_BADCHAR))]
    #[case::dot(b".", Err(NFS4ERR_BADNAME))]
    #[case::dot_dot(b"..", Err(NFS4ERR_BADNAME))]
    fn a_component_is(#[case] name: &[u8], #[case] expected: Result<(), Status>) {
        assert_eq!(check_component(name, MAX), expected);
    }
}
