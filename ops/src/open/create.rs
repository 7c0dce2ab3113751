//! Opening with creation.

use dittofs_framework::attr::{AttrServer, Bitmap, attrset, decode_settable};
use dittofs_framework::compound::{CompoundContext, DirChange, DirEdit, DirOutcome};
use dittofs_framework::export::ExportNode;
use dittofs_framework::fs::{CreateMode, Created, SetAttributes, ShareAccess};
use dittofs_framework::op::OpResult;
use dittofs_framework::proto::{NFS4ERR_EXIST, NFS4ERR_INVAL, Status};

use super::claim::Wanted;
use super::{CreateHow4, Opening, Truncates, claim, failed};
use crate::names::check_component;

/// CLAIM_NULL with creation.
pub(super) async fn create(
    cx: &CompoundContext<'_>,
    name: &[u8],
    how: &CreateHow4,
    access: ShareAccess,
) -> OpResult<Opening> {
    let dir = cx.current()?;
    let fs = dir.fs();
    check_component(name, fs.info().max_name)?;
    let mode = create_mode(how, &cx.attr_server(&dir.export))?;
    let change = begin_addition(cx, dir, name).await?;
    let opened = fs.open_create(&cx.request, &dir.node, name, &mode, access).await;
    let is_new = opened.as_ref().is_ok_and(|opened| opened.created == Created::New);
    match change {
        Some(change) => change.end(if is_new { DirOutcome::Changed } else { DirOutcome::Unchanged }).await,
        None if is_new => cx.dir_changed(dir, DirEdit::Add(name)).await,
        None => {}
    }
    let opened = opened.map_err(failed)?;
    let (set, truncates) = done(&mode, opened.created);
    Ok(Opening {
        file: ExportNode { export: dir.export.clone(), node: opened.found.node },
        hold: opened.hold,
        cinfo: opened.dir_change,
        attrset: set,
        truncates,
    })
}

/// Before a file is created: `None` if it is there, as far as can be known before, so that nobody's delegation of the directory is in the
/// way.
async fn begin_addition<'a>(
    cx: &CompoundContext<'a>,
    dir: &ExportNode,
    name: &[u8],
) -> Result<Option<DirChange<'a>>, Status> {
    if cx.service().state().has_directory_delegations() {
        let found = dir.fs().lookup(&cx.request, &dir.node, name, Bitmap::EMPTY).await;
        if found.is_ok() {
            return Ok(None);
        }
    }
    cx.begin_dir_change(dir, DirEdit::Add(name)).await.map(Some)
}

/// CLAIM_DELEGATE_CUR and CLAIM_DELEGATE_PREV with creation: the client has done it on its own, with the file that it has delegated, so that there is nothing
/// to make.
pub(super) async fn existing(
    cx: &CompoundContext<'_>,
    name: &[u8],
    how: &CreateHow4,
    wanted: Wanted,
) -> OpResult<Opening> {
    let dir = cx.current()?;
    let CreateMode::Unchecked(set) = create_mode(how, &cx.attr_server(&dir.export))? else {
        return Err(NFS4ERR_EXIST.into());
    };
    let opening = claim::by_name(cx, name, wanted).await?;
    let truncates = if set.size == Some(0) { Truncates::Yes } else { Truncates::No };
    Ok(Opening { truncates, ..opening })
}

/// How the file system is to create.
fn create_mode(how: &CreateHow4, server: &AttrServer<'_>) -> Result<CreateMode, Status> {
    Ok(match how {
        CreateHow4::Unchecked(attrs) => CreateMode::Unchecked(decode_settable(attrs, server)?),
        CreateHow4::Guarded(attrs) => CreateMode::Guarded(decode_settable(attrs, server)?),
        CreateHow4::Exclusive(verifier) => CreateMode::Exclusive(*verifier, SetAttributes::default()),
        CreateHow4::Exclusive4_1(both) => {
            // RFC 8881 section 18.16.3: NFS4ERR_INVAL for what is not in suppattr_exclcreat, supported or not.
            if !both.cva_attrs.attrmask.minus(server.exclcreat).is_empty() {
                return Err(NFS4ERR_INVAL);
            }
            CreateMode::Exclusive(both.cva_verf, decode_settable(&both.cva_attrs, server)?)
        }
    })
}

/// What was set of the attributes that came along, and whether the file that was found is to be emptied: of an existing
/// file UNCHECKED4 applies a size of zero and nothing else (RFC 8881 section 18.16.3).
fn done(mode: &CreateMode, created: Created) -> (Bitmap, Truncates) {
    match (mode, created) {
        (CreateMode::Unchecked(set), Created::Existing) if set.size == Some(0) => {
            (Bitmap::EMPTY, Truncates::Yes)
        }
        (CreateMode::Unchecked(_), Created::Existing) => (Bitmap::EMPTY, Truncates::No),
        // An exclusive create that finds its file is the retry of one that set them.
        (CreateMode::Unchecked(set) | CreateMode::Guarded(set) | CreateMode::Exclusive(_, set), _) => {
            (attrset(set), Truncates::No)
        }
    }
}
