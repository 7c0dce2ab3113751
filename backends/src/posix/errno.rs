//! What the kernel's errors mean to a client.

use dittofs_framework::fs::FsError;
use rustix::io::Errno;

/// The error of a call, where no call-specific meaning was found before.
pub(super) fn to_fs(error: Errno) -> FsError {
    match error {
        Errno::PERM => FsError::Perm,
        // A mount point below the export that was to be removed, and a program that runs and was to be written: it may not be done.
        Errno::ACCESS | Errno::BUSY | Errno::TXTBSY => FsError::Access,
        Errno::NOENT => FsError::NotFound,
        Errno::EXIST => FsError::Exist,
        Errno::NOTDIR => FsError::NotDir,
        Errno::ISDIR => FsError::IsDir,
        Errno::LOOP => FsError::Symlink,
        Errno::NOTEMPTY => FsError::NotEmpty,
        Errno::INVAL | Errno::DOM => FsError::Inval,
        Errno::NAMETOOLONG => FsError::NameTooLong,
        Errno::ILSEQ => FsError::BadName,
        Errno::FBIG | Errno::OVERFLOW => FsError::FileTooBig,
        Errno::NOSPC => FsError::NoSpace,
        Errno::DQUOT => FsError::Quota,
        Errno::ROFS => FsError::ReadOnly,
        Errno::MLINK => FsError::TooManyLinks,
        Errno::XDEV => FsError::CrossDevice,
        Errno::STALE => FsError::Stale,
        Errno::OPNOTSUPP | Errno::NOSYS | Errno::NOTTY => FsError::NotSupported,
        Errno::NODATA => FsError::NoXattr,
        Errno::TOOBIG | Errno::RANGE => FsError::XattrTooBig,
        Errno::NXIO => FsError::NoSuchOffset,
        Errno::IO | Errno::UCLEAN | Errno::BADMSG | Errno::NODEV | Errno::NOMEDIUM | Errno::REMOTEIO => {
            FsError::Io
        }
        // Short of memory or descriptors, a lease that is being broken, a rename that came in between.
        Errno::AGAIN | Errno::INTR | Errno::NOMEM | Errno::MFILE | Errno::NFILE | Errno::TIMEDOUT => {
            FsError::Delay
        }
        other => {
            tracing::error!(error = %other, "a system call failed in a way that no status fits");
            FsError::Fault
        }
    }
}

#[cfg(test)]
mod tests {
    //! Origin: own table.
    //! RFC: 8881 section 15.1.

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::quota(Errno::DQUOT, FsError::Quota)]
    #[case::read_only(Errno::ROFS, FsError::ReadOnly)]
    #[case::long_name(Errno::NAMETOOLONG, FsError::NameTooLong)]
    #[case::symlink(Errno::LOOP, FsError::Symlink)]
    #[case::stale(Errno::STALE, FsError::Stale)]
    #[case::links(Errno::MLINK, FsError::TooManyLinks)]
    #[case::device(Errno::XDEV, FsError::CrossDevice)]
    #[case::large(Errno::FBIG, FsError::FileTooBig)]
    #[case::no_space(Errno::NOSPC, FsError::NoSpace)]
    #[case::running_program(Errno::TXTBSY, FsError::Access)]
    #[case::mount_point(Errno::BUSY, FsError::Access)]
    #[case::descriptors(Errno::MFILE, FsError::Delay)]
    #[case::corrupted(Errno::UCLEAN, FsError::Io)]
    #[case::unheard_of(Errno::CHRNG, FsError::Fault)]
    fn errors_of_the_kernel(#[case] error: Errno, #[case] expected: FsError) {
        assert_eq!(to_fs(error), expected);
    }
}
