//! What the operations on file data have in common: the stateid, the count of a read, and the statuses of failures.

use dittofs_framework::attr::{Bitmap, FATTR4_SIZE, FATTR4_TYPE};
use dittofs_framework::compound::CompoundContext;
use dittofs_framework::export::ExportNode;
use dittofs_framework::fs::{Attributes, Authority, FsError, Stability};
use dittofs_framework::op::OpDescriptor;
use dittofs_framework::proto::{
    Minor, NFS4ERR_ACCESS, NFS4ERR_FBIG, NFS4ERR_INVAL, NFS4ERR_LOCKED, NFS4ERR_WRONG_TYPE, Stateid, Status,
};
use dittofs_framework::state::{FileKey, Io, RecallReason};
use dittofs_framework::xdr_enum;

use crate::change::{self, Change};
use crate::fault::fs_error;
use crate::file_type::check_regular;

xdr_enum! {
    /// stable_how4: how durable written data is.
    pub enum StableHow4 {
        /// UNSTABLE4: by the next COMMIT.
        Unstable = 0,
        /// DATA_SYNC4: the data, and the metadata that is needed to find it.
        DataSync = 1,
        /// FILE_SYNC4: data and metadata.
        FileSync = 2,
    }
}

impl From<StableHow4> for Stability {
    fn from(stable: StableHow4) -> Self {
        match stable {
            StableHow4::Unstable => Self::Unstable,
            StableHow4::DataSync => Self::DataSync,
            StableHow4::FileSync => Self::FileSync,
        }
    }
}

impl From<Stability> for StableHow4 {
    fn from(stability: Stability) -> Self {
        match stability {
            Stability::Unstable => Self::Unstable,
            Stability::DataSync => Self::DataSync,
            Stability::FileSync => Self::FileSync,
        }
    }
}

/// Whether a stateid allows I/O on the current filehandle's file, and on what authority (RFC 8881 section 8.2.5).
pub(crate) async fn check_stateid(
    cx: &CompoundContext<'_>,
    row: &OpDescriptor,
    stateid: Stateid,
    io: Io,
) -> Result<Authority, Status> {
    let stateid = cx.stateid(stateid)?;
    let file = FileKey::from(cx.current()?);
    check_io(cx, row, &stateid, &file, io).await
}

/// What a request may write on.
#[must_use = "to be held until it has written"]
pub(crate) struct WritePermit<'a> {
    pub(crate) authority: Authority,
    /// No open keeps delegations away from a request with a special stateid.
    _change: Change<'a>,
}

/// Whether a stateid allows to write to the current filehandle's file, and on what authority (RFC 8881 section 8.2.5).
pub(crate) async fn check_write<'a>(
    cx: &CompoundContext<'a>,
    row: &OpDescriptor,
    stateid: Stateid,
) -> Result<WritePermit<'a>, Status> {
    let change = if matches!(stateid, Stateid::ANONYMOUS | Stateid::READ_BYPASS) {
        // Boxed: so rare a thing must not make the future of every WRITE large.
        Box::pin(begin_unopened(cx)).await?
    } else {
        None
    };
    let authority = check_stateid(cx, row, stateid, Io::Write).await?;
    Ok(WritePermit { authority, _change: change })
}

async fn begin_unopened<'a>(cx: &CompoundContext<'a>) -> Result<Change<'a>, Status> {
    // An open that denies it may be reclaimed yet (RFC 8881 section 8.4.2.1).
    cx.check_grace()?;
    change::begin(cx, cx.current()?, RecallReason::Io).await
}

/// Like [`check_stateid`], for a stateid that goes with the saved filehandle: the source of COPY and CLONE.
pub(crate) async fn check_source_stateid(
    cx: &CompoundContext<'_>,
    row: &OpDescriptor,
    stateid: Stateid,
) -> Result<Authority, Status> {
    let stateid = cx.saved_stateid(stateid)?;
    let file = FileKey::from(cx.saved()?);
    check_io(cx, row, &stateid, &file, Io::Read).await
}

async fn check_io(
    cx: &CompoundContext<'_>,
    row: &OpDescriptor,
    stateid: &Stateid,
    file: &FileKey,
    io: Io,
) -> Result<Authority, Status> {
    cx.check_confirmed(stateid)?;
    if stateid.is_special() {
        // An open that denies it may be reclaimed yet (RFC 8881 section 8.4.2.1).
        cx.check_grace()?;
    }
    let user = cx.request.credentials.uid;
    let check = || cx.service().state().check_io(cx.caller(), user, stateid, file, io);
    let checked: Result<_, Status> = if stateid.is_special() {
        cx.service().ask_state(cx.now(), check).await
    } else {
        cx.service().use_state(cx.now(), check).await
    };
    checked.map_err(|status| stateid_error(row, status))
}

/// The size of a regular file, for operations that say what else it is, as READ does ([`check_regular`]).
pub(crate) async fn data_file_size(
    cx: &CompoundContext<'_>,
    row: &OpDescriptor,
    at: &ExportNode,
) -> Result<u64, Status> {
    let attributes = type_and_size(cx, row, at).await?;
    check_regular(attributes.file_type)?;
    Ok(attributes.size)
}

/// The size of a regular file; for whatever is none, [`NFS4ERR_WRONG_TYPE`] as in [`regular_file_error`].
pub(crate) async fn regular_file_size(
    cx: &CompoundContext<'_>,
    row: &OpDescriptor,
    at: &ExportNode,
) -> Result<u64, Status> {
    let attributes = type_and_size(cx, row, at).await?;
    check_regular(attributes.file_type).map_err(|_| NFS4ERR_WRONG_TYPE)?;
    Ok(attributes.size)
}

async fn type_and_size(
    cx: &CompoundContext<'_>,
    row: &OpDescriptor,
    at: &ExportNode,
) -> Result<Attributes, Status> {
    const WANTED: Bitmap = Bitmap::of(&[FATTR4_TYPE, FATTR4_SIZE]);
    let found = at.fs().attributes(&cx.request, &at.node, WANTED).await;
    found.map_err(|error| fs_error(row, error))
}

/// What a failure of the file system is in READ and its like.
///
/// A directory is NFS4ERR_ISDIR, a symbolic link NFS4ERR_SYMLINK, whatever else is no regular file NFS4ERR_WRONG_TYPE (RFC 8881
/// section 18.22.3). In minor version 0 all but a directory is NFS4ERR_INVAL (RFC 7530 section 16.23.4).
pub(crate) fn data_error(cx: &CompoundContext<'_>, row: &OpDescriptor, error: FsError) -> Status {
    match error {
        FsError::Symlink | FsError::WrongType if cx.minor() == Minor::V0 => NFS4ERR_INVAL,
        _ => fs_error(row, error),
    }
}

/// What a failure is in the operations for which whatever is no regular file "MUST fail and return NFS4ERR_WRONG_TYPE" (RFC 7862
/// sections 15.1.3, 15.2.3, 15.4.3 and 15.13.3).
pub(crate) fn regular_file_error(row: &OpDescriptor, error: FsError) -> Status {
    match error {
        FsError::IsDir | FsError::Symlink => NFS4ERR_WRONG_TYPE,
        _ => fs_error(row, error),
    }
}

/// The status of a refused stateid. A share reservation that a special one meets is NFS4ERR_LOCKED, which RFC 7862 section 11.2
/// does not give to ALLOCATE, DEALLOCATE, CLONE and IO_ADVISE: there it is a refusal of access.
fn stateid_error(row: &OpDescriptor, status: Status) -> Status {
    if status == NFS4ERR_LOCKED && !row.allows(status) { NFS4ERR_ACCESS } else { status }
}

/// How many bytes a read from `offset` may return in a body that has `overhead` bytes besides the data and its padding.
///
/// A read that the server, the session or the reply has no room for is shortened, which RFC 8881 section 18.22.3 allows at any
/// time, rather than refused with NFS4ERR_REP_TOO_BIG (section 2.10.6.4), which would leave the client to guess what fits. A room
/// in which not one byte fits is no reason for an empty answer, which the client would repeat for ever: then four are
/// read, and the reply is refused as too big.
pub(crate) fn read_count(cx: &CompoundContext<'_>, offset: u64, count: u32, overhead: usize) -> u32 {
    const XDR_UNIT: usize = 4;
    let room = cx.reply_room().saturating_sub(overhead);
    let room = (room - room % XDR_UNIT).max(XDR_UNIT);
    let room = u32::try_from(room).unwrap_or(u32::MAX);
    let to_end = u32::try_from(u64::MAX - offset).unwrap_or(u32::MAX);
    count.min(cx.service().limits().max_io).min(room).min(to_end)
}

/// A region to allocate or deallocate: not empty, and within 64 bits (as fallocate(2) has it, EINVAL and EFBIG; RFC 7862
/// sections 15.1.3 and 15.4.3 list both statuses and say nothing of when).
pub(crate) fn check_region(offset: u64, length: u64) -> Result<(), Status> {
    if length == 0 {
        return Err(NFS4ERR_INVAL);
    }
    offset.checked_add(length).map(drop).ok_or(NFS4ERR_FBIG)
}
