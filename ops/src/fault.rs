//! What a failure of the file system is on the wire.

use dittofs_framework::attr::{Bitmap, FATTR4_TYPE};
use dittofs_framework::compound::CompoundContext;
use dittofs_framework::export::ExportNode;
use dittofs_framework::fs::FsError;
use dittofs_framework::op::OpDescriptor;
use dittofs_framework::proto::{
    FileType, NFS4ERR_ACCESS, NFS4ERR_EXIST, NFS4ERR_INVAL, NFS4ERR_IO, NFS4ERR_NOSPC, NFS4ERR_NOTDIR,
    NFS4ERR_PERM, NFS4ERR_SERVERFAULT, NFS4ERR_STALE, NFS4ERR_SYMLINK, Status,
};

/// The status of `error` if the row has it; otherwise the nearest that it has.
///
/// So a sticky directory (EPERM) is NFS4ERR_ACCESS in REMOVE and RENAME, which have no NFS4ERR_PERM.
pub(crate) fn fs_error(row: &OpDescriptor, error: FsError) -> Status {
    let nearest = match error {
        FsError::Perm => NFS4ERR_ACCESS,
        FsError::Access => NFS4ERR_PERM,
        // There is no name that could be missing: it is the directory that is gone.
        FsError::NotFound => NFS4ERR_STALE,
        FsError::NotEmpty => NFS4ERR_EXIST,
        // COMMIT and DEALLOCATE write as well, and have no status for want of room.
        FsError::Quota if !row.allows(NFS4ERR_NOSPC) => NFS4ERR_IO,
        FsError::Quota => NFS4ERR_NOSPC,
        FsError::NoSpace => NFS4ERR_IO,
        FsError::IsDir
        | FsError::Symlink
        | FsError::WrongType
        | FsError::BadName
        | FsError::NameTooLong
        | FsError::NotSupported => NFS4ERR_INVAL,
        _ => NFS4ERR_SERVERFAULT,
    };
    let exact = Status::from(error);
    [exact, nearest].into_iter().find(|status| row.allows(*status)).unwrap_or(NFS4ERR_SERVERFAULT)
}

/// Like [`fs_error`], where the current filehandle must be a directory: a symbolic link is NFS4ERR_SYMLINK in LOOKUP and LOOKUPP, and
/// NFS4ERR_NOTDIR, like whatever else is no directory, in SECINFO and SECINFO_NO_NAME.
pub(crate) async fn lookup_error(
    cx: &CompoundContext<'_>,
    row: &OpDescriptor,
    dir: &ExportNode,
    error: FsError,
) -> Status {
    let status = fs_error(row, error);
    if status != NFS4ERR_NOTDIR || !row.allows(NFS4ERR_SYMLINK) {
        return status;
    }
    match file_type(cx, dir).await {
        Ok(FileType::Lnk) => NFS4ERR_SYMLINK,
        _ => status,
    }
}

/// The type of an object.
pub(crate) async fn file_type(cx: &CompoundContext<'_>, at: &ExportNode) -> Result<FileType, FsError> {
    const TYPE: Bitmap = Bitmap::of(&[FATTR4_TYPE]);
    Ok(at.fs().attributes(&cx.request, &at.node, TYPE).await?.file_type)
}

#[cfg(test)]
mod tests {
    use dittofs_framework::proto::{NFS4ERR_NAMETOOLONG, NFS4ERR_NOENT, OP_RENAME};
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::listed(&[NFS4ERR_NOENT, NFS4ERR_STALE], FsError::NotFound, NFS4ERR_NOENT)]
    #[case::gone(&[NFS4ERR_STALE], FsError::NotFound, NFS4ERR_STALE)]
    #[case::perm(&[NFS4ERR_ACCESS], FsError::Perm, NFS4ERR_ACCESS)]
    #[case::access(&[NFS4ERR_PERM], FsError::Access, NFS4ERR_PERM)]
    #[case::not_empty(&[NFS4ERR_EXIST], FsError::NotEmpty, NFS4ERR_EXIST)]
    #[case::quota(&[NFS4ERR_NOSPC], FsError::Quota, NFS4ERR_NOSPC)]
    #[case::quota_unlisted(&[NFS4ERR_IO], FsError::Quota, NFS4ERR_IO)]
    #[case::space_unlisted(&[NFS4ERR_IO], FsError::NoSpace, NFS4ERR_IO)]
    #[case::type_unlisted(&[NFS4ERR_INVAL], FsError::WrongType, NFS4ERR_INVAL)]
    #[case::too_long(&[NFS4ERR_NAMETOOLONG, NFS4ERR_INVAL], FsError::NameTooLong, NFS4ERR_NAMETOOLONG)]
    #[case::nothing_near(&[NFS4ERR_INVAL], FsError::CrossDevice, NFS4ERR_SERVERFAULT)]
    fn a_failure_is(#[case] errors: &'static [Status], #[case] error: FsError, #[case] expected: Status) {
        assert_eq!(fs_error(&OpDescriptor::new(OP_RENAME, errors), error), expected);
    }
}
