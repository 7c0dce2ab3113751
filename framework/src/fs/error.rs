use crate::proto::{
    NFS4ERR_ACCESS, NFS4ERR_BAD_COOKIE, NFS4ERR_BADNAME, NFS4ERR_BADOWNER, NFS4ERR_BADTYPE, NFS4ERR_DELAY,
    NFS4ERR_DQUOT, NFS4ERR_EXIST, NFS4ERR_FBIG, NFS4ERR_INVAL, NFS4ERR_IO, NFS4ERR_ISDIR, NFS4ERR_MLINK,
    NFS4ERR_NAMETOOLONG, NFS4ERR_NOENT, NFS4ERR_NOSPC, NFS4ERR_NOTDIR, NFS4ERR_NOTEMPTY, NFS4ERR_NOTSUPP,
    NFS4ERR_NOXATTR, NFS4ERR_NXIO, NFS4ERR_PERM, NFS4ERR_ROFS, NFS4ERR_SERVERFAULT, NFS4ERR_STALE,
    NFS4ERR_SYMLINK, NFS4ERR_WRONG_TYPE, NFS4ERR_XATTR2BIG, NFS4ERR_XDEV, Status,
};

/// What a file system call gives back.
pub type FsResult<T> = Result<T, FsError>;

/// Why a file system call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum FsError {
    /// Only the owner or a privileged caller may do this.
    #[error("operation not permitted")]
    Perm,
    /// The permission bits or the ACL do not allow it.
    #[error("permission denied")]
    Access,
    /// There is no object of that name.
    #[error("no such file or directory")]
    NotFound,
    /// There is an object of that name already.
    #[error("file exists")]
    Exist,
    /// A directory was needed.
    #[error("not a directory")]
    NotDir,
    /// Anything but a directory was needed.
    #[error("is a directory")]
    IsDir,
    /// A regular file was needed and this is a symbolic link.
    #[error("is a symbolic link")]
    Symlink,
    /// A regular file was needed and this is neither that nor a directory or symbolic link.
    #[error("is of the wrong type")]
    WrongType,
    /// The directory has entries.
    #[error("directory not empty")]
    NotEmpty,
    /// The argument makes no sense for this object.
    #[error("invalid argument")]
    Inval,
    /// The name is longer than the file system allows.
    #[error("name too long")]
    NameTooLong,
    /// The name holds what this file system cannot store.
    #[error("name not supported")]
    BadName,
    /// The file would exceed the largest size.
    #[error("file too large")]
    FileTooBig,
    /// No space is left.
    #[error("no space left")]
    NoSpace,
    /// The caller's quota is used up.
    #[error("quota exceeded")]
    Quota,
    /// The file system is read-only.
    #[error("read-only file system")]
    ReadOnly,
    /// The object has as many hard links as it can have.
    #[error("too many links")]
    TooManyLinks,
    /// The two objects are not in the same file system.
    #[error("cross-device link")]
    CrossDevice,
    /// The object that the handle named is gone.
    #[error("stale file handle")]
    Stale,
    /// The directory cookie or its verifier is not valid any more.
    #[error("bad directory cookie")]
    BadCookie,
    /// The file system cannot do this at all.
    #[error("not supported")]
    NotSupported,
    /// Objects of this type cannot be created.
    #[error("type not supported")]
    BadType,
    /// An owner or group that the file system cannot represent.
    #[error("bad owner")]
    BadOwner,
    /// There is no extended attribute of that name.
    #[error("no such extended attribute")]
    NoXattr,
    /// The extended attribute's name or value is too big.
    #[error("extended attribute too big")]
    XattrTooBig,
    /// Nothing is at or after the offset (SEEK).
    #[error("no such offset")]
    NoSuchOffset,
    /// Storage failed.
    #[error("input/output error")]
    Io,
    /// Not now: the client is to try again.
    #[error("try again later")]
    Delay,
    /// A fault of the backend that no other variant fits.
    #[error("backend fault")]
    Fault,
}

impl From<FsError> for Status {
    fn from(error: FsError) -> Self {
        match error {
            FsError::Perm => NFS4ERR_PERM,
            FsError::Access => NFS4ERR_ACCESS,
            FsError::NotFound => NFS4ERR_NOENT,
            FsError::Exist => NFS4ERR_EXIST,
            FsError::NotDir => NFS4ERR_NOTDIR,
            FsError::IsDir => NFS4ERR_ISDIR,
            FsError::Symlink => NFS4ERR_SYMLINK,
            FsError::WrongType => NFS4ERR_WRONG_TYPE,
            FsError::NotEmpty => NFS4ERR_NOTEMPTY,
            FsError::Inval => NFS4ERR_INVAL,
            FsError::NameTooLong => NFS4ERR_NAMETOOLONG,
            FsError::BadName => NFS4ERR_BADNAME,
            FsError::FileTooBig => NFS4ERR_FBIG,
            FsError::NoSpace => NFS4ERR_NOSPC,
            FsError::Quota => NFS4ERR_DQUOT,
            FsError::ReadOnly => NFS4ERR_ROFS,
            FsError::TooManyLinks => NFS4ERR_MLINK,
            FsError::CrossDevice => NFS4ERR_XDEV,
            FsError::Stale => NFS4ERR_STALE,
            FsError::BadCookie => NFS4ERR_BAD_COOKIE,
            FsError::NotSupported => NFS4ERR_NOTSUPP,
            FsError::BadType => NFS4ERR_BADTYPE,
            FsError::BadOwner => NFS4ERR_BADOWNER,
            FsError::NoXattr => NFS4ERR_NOXATTR,
            FsError::XattrTooBig => NFS4ERR_XATTR2BIG,
            FsError::NoSuchOffset => NFS4ERR_NXIO,
            FsError::Io => NFS4ERR_IO,
            FsError::Delay => NFS4ERR_DELAY,
            FsError::Fault => NFS4ERR_SERVERFAULT,
        }
    }
}
