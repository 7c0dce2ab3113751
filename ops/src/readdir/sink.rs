//! The entries of a file system's directory, written as they come.

use dittofs_framework::attr::{AttrServer, AttrSource, Bitmap, FATTR4_FILEHANDLE, encode_fattr4};
use dittofs_framework::compound::CompoundContext;
use dittofs_framework::export::{ExportId, ExportNode, Filehandles};
use dittofs_framework::fs::{DirEntry, DirSink, FsInfo, FsUsage, ReaddirEnd, SinkFull};
use dittofs_framework::op::Operation;
use dittofs_framework::proto::{NFS4_OK, Status};

use super::page::Page;
use super::{ReadDir, Readdir4Args};
use crate::attributes::fetch_usage;
use crate::fault::fs_error;

/// Lists `dir` into `page`. No entry of a file system is a mount point: exports lie in the pseudo file system only.
pub(super) async fn list(
    cx: &CompoundContext<'_>,
    dir: &ExportNode,
    args: &Readdir4Args,
    page: &mut Page<'_>,
) -> Result<ReaddirEnd, Status> {
    let wanted = args.attr_request;
    let row = &ReadDir::DESCRIPTOR;
    let usage = fetch_usage(cx, dir, wanted).await.map_err(|error| fs_error(row, error))?;
    let mut sink = EntrySink {
        page,
        wanted,
        server: cx.attr_server(&dir.export),
        info: dir.fs().info(),
        usage,
        filehandles: cx.service().filehandles(),
        export: dir.export.id,
        wants_filehandle: wanted.contains(FATTR4_FILEHANDLE),
    };
    let listed =
        dir.fs().readdir(&cx.request, &dir.node, args.cookie, args.cookieverf, wanted, &mut sink).await;
    listed.map_err(|error| fs_error(row, error))
}

struct EntrySink<'a, 'w> {
    page: &'a mut Page<'w>,
    wanted: Bitmap,
    server: AttrServer<'a>,
    info: FsInfo,
    usage: FsUsage,
    filehandles: &'a Filehandles,
    export: ExportId,
    wants_filehandle: bool,
}

impl DirSink for EntrySink<'_, '_> {
    fn entry(&mut self, entry: DirEntry<'_>) -> Result<(), SinkFull> {
        let handle = self.wants_filehandle.then(|| self.filehandles.encode(self.export, &entry.node));
        let source = AttrSource {
            server: &self.server,
            attributes: entry.attributes,
            info: &self.info,
            usage: &self.usage,
            filehandle: handle.as_ref().map_or(&[], |handle| handle.as_bytes()),
            mounted_on_fileid: entry.attributes.fileid,
            rdattr_error: NFS4_OK,
        };
        self.page.entry(entry.cookie, entry.name, |w| encode_fattr4(w, self.wanted, &source))
    }
}
