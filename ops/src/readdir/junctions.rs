//! The entries of a directory of the pseudo file system, which can be the roots of exports.

use dittofs_framework::attr::{Bitmap, FATTR4_RDATTR_ERROR};
use dittofs_framework::compound::CompoundContext;
use dittofs_framework::export::ExportNode;
use dittofs_framework::fs::{DirEntry, DirSink, NodeHandle, ReaddirEnd, SinkFull};
use dittofs_framework::op::Operation;
use dittofs_framework::proto::Status;
use dittofs_framework::xdr::{XdrEncode, XdrWriter};

use super::page::Page;
use super::{ReadDir, Readdir4Args};
use crate::attributes::ObjectAttributes;
use crate::fault::fs_error;

/// Lists `dir` into `page`. An entry where an export is mounted has the attributes of the export's root, which LOOKUP would
/// find there; only its mounted_on_fileid is the pseudo file system's.
pub(super) async fn list(
    cx: &CompoundContext<'_>,
    dir: &ExportNode,
    args: &Readdir4Args,
    page: &mut Page<'_>,
) -> Result<ReaddirEnd, Status> {
    let mut names = Names(Vec::new());
    let (cookie, verifier) = (args.cookie, args.cookieverf);
    let listed = dir.fs().readdir(&cx.request, &dir.node, cookie, verifier, Bitmap::EMPTY, &mut names).await;
    let end = listed.map_err(|error| fs_error(&ReadDir::DESCRIPTOR, error))?;
    for Listed { cookie, name, node } in names.0 {
        let at = cx.service().namespace().enter(ExportNode { export: dir.export.clone(), node });
        let wanted = args.attr_request;
        let added = match ObjectAttributes::fetch(cx, &at, wanted).await {
            Ok(fetched) => page.entry(cookie, &name, |w| fetched.encode(cx, &at, wanted, w)),
            // RFC 8881 section 18.23.3: the error belongs to the entry if the client has asked for it, and otherwise to
            // the whole operation.
            Err(error) if wanted.contains(FATTR4_RDATTR_ERROR) => {
                page.entry(cookie, &name, |w| encode_rdattr_error(w, error.into()))
            }
            Err(error) => return Err(fs_error(&ReadDir::DESCRIPTOR, error)),
        };
        if added.is_err() {
            break;
        }
    }
    Ok(end)
}

/// A fattr4 with nothing but why there is no more.
fn encode_rdattr_error(w: &mut XdrWriter, error: Status) {
    Bitmap::of(&[FATTR4_RDATTR_ERROR]).encode(w);
    w.u32(4);
    error.encode(w);
}

struct Listed {
    cookie: u64,
    name: Vec<u8>,
    node: NodeHandle,
}

/// Keeps the names: asking an export for attributes can wait, which a [`DirSink`] cannot. There are no more than exports.
struct Names(Vec<Listed>);

impl DirSink for Names {
    fn entry(&mut self, entry: DirEntry<'_>) -> Result<(), SinkFull> {
        self.0.push(Listed { cookie: entry.cookie, name: entry.name.to_vec(), node: entry.node });
        Ok(())
    }
}
