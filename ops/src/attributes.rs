//! The attributes of one object, from the file system to the wire.

use dittofs_framework::attr::{
    AttrSource, Bitmap, DELEGATED_TIMES, FATTR4_FILEHANDLE, FATTR4_MOUNTED_ON_FILEID, NEEDS_USAGE,
    WRITE_ONLY, encode_fattr4,
};
use dittofs_framework::compound::CompoundContext;
use dittofs_framework::export::ExportNode;
use dittofs_framework::fs::{Attributes, FsError, FsUsage};
use dittofs_framework::op::OpDescriptor;
use dittofs_framework::proto::{Minor, NFS4_OK, NFS4ERR_INVAL, Status};
use dittofs_framework::xdr::XdrWriter;

use crate::fault::fs_error;
use crate::kept;

/// Refuses attributes that can be set but not read (RFC 8881 section 5.5, RFC 9754 section 5).
pub(crate) fn check_readable(minor: Minor, wanted: Bitmap) -> Result<(), Status> {
    if wanted.and(write_only(minor)).is_empty() { Ok(()) } else { Err(NFS4ERR_INVAL) }
}

/// Of the attributes that a minor version has those that can be set but not read.
pub(crate) fn write_only(minor: Minor) -> Bitmap {
    if minor == Minor::V2 { WRITE_ONLY } else { WRITE_ONLY.minus(DELEGATED_TIMES) }
}

/// What the attributes of one object are encoded from.
pub(crate) struct ObjectAttributes {
    attributes: Attributes,
    usage: FsUsage,
    mounted_on_fileid: u64,
}

impl ObjectAttributes {
    /// Asks the file system for as much as the `wanted` attributes need.
    pub(crate) async fn fetch(
        cx: &CompoundContext<'_>,
        at: &ExportNode,
        wanted: Bitmap,
    ) -> Result<Self, FsError> {
        let attributes = at.fs().attributes(&cx.request, &at.node, wanted).await?;
        let usage = fetch_usage(cx, at, wanted).await?;
        let mut mounted_on_fileid = attributes.fileid;
        if wanted.contains(FATTR4_MOUNTED_ON_FILEID)
            && let Some(covered) = cx.service().namespace().covered_by(at)
        {
            mounted_on_fileid = covered.fs().attributes(&cx.request, &covered.node, wanted).await?.fileid;
        }
        Ok(Self { attributes, usage, mounted_on_fileid })
    }

    /// Like [`fetch`](Self::fetch), and asks the client that holds a write delegation of the object for what it knows better.
    pub(crate) async fn fetch_current(
        cx: &CompoundContext<'_>,
        row: &OpDescriptor,
        at: &ExportNode,
        wanted: Bitmap,
    ) -> Result<Self, Status> {
        let mut fetched = Self::fetch(cx, at, wanted).await.map_err(|error| fs_error(row, error))?;
        if !wanted.and(kept::KEPT).is_empty()
            && cx.service().state().has_write_delegations()
            && let Some(held) = kept::by_another(cx, at)
        {
            // Boxed: so rare a thing must not make the future of every GETATTR large.
            fetched.attributes = Box::pin(kept::ask(cx, row, at, wanted, held)).await?;
        }
        Ok(fetched)
    }

    /// Writes the fattr4 of `at` with those of the `wanted` attributes that are supported.
    pub(crate) fn encode(
        &self,
        cx: &CompoundContext<'_>,
        at: &ExportNode,
        wanted: Bitmap,
        w: &mut XdrWriter,
    ) {
        let handle = wanted
            .contains(FATTR4_FILEHANDLE)
            .then(|| cx.service().filehandles().encode(at.export.id, &at.node));
        let source = AttrSource {
            server: &cx.attr_server(&at.export),
            attributes: &self.attributes,
            info: &at.fs().info(),
            usage: &self.usage,
            filehandle: handle.as_ref().map_or(&[], |handle| handle.as_bytes()),
            mounted_on_fileid: self.mounted_on_fileid,
            rdattr_error: NFS4_OK,
        };
        encode_fattr4(w, wanted, &source);
    }
}

/// How full the file system is, if any of the `wanted` attributes tells.
pub(crate) async fn fetch_usage(
    cx: &CompoundContext<'_>,
    at: &ExportNode,
    wanted: Bitmap,
) -> Result<FsUsage, FsError> {
    if wanted.and(NEEDS_USAGE).is_empty() {
        return Ok(FsUsage::default());
    }
    at.fs().usage(&cx.request).await
}
