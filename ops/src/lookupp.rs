//! LOOKUPP: RFC 8881 section 18.14.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::export::ExportNode;
use dittofs_framework::op::{OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{NFS4ERR_NOENT, OP_LOOKUPP, Status};
use dittofs_framework::register_operation;

use crate::errors;
use crate::fault::lookup_error;

/// The operation.
pub struct LookupP;

impl Operation for LookupP {
    const DESCRIPTOR: OpDescriptor =
        OpDescriptor { flags: OpFlags::SETS_FH, ..OpDescriptor::new(OP_LOOKUPP, errors::LOOKUPP) };
    type Args = ();
    type Res = ();

    async fn call(&self, cx: &mut CompoundContext<'_>, (): ()) -> OpResult<()> {
        let parent = parent(cx, &Self::DESCRIPTOR).await?;
        cx.set_current(parent);
        Ok(())
    }
}

/// The parent of the current filehandle's directory, across the mount point if that is the root of an export. NFS4ERR_NOENT at the
/// top of the server's tree.
pub(crate) async fn parent(cx: &CompoundContext<'_>, row: &OpDescriptor) -> Result<ExportNode, Status> {
    let namespace = cx.service().namespace();
    let current = cx.current()?;
    if current.is_same(&namespace.root()) {
        return Err(NFS4ERR_NOENT);
    }
    let covered = namespace.covered_by(current);
    let dir = covered.as_ref().unwrap_or(current);
    match dir.fs().parent(&cx.request, &dir.node).await {
        Ok(node) => Ok(ExportNode { export: dir.export.clone(), node }),
        Err(error) => Err(lookup_error(cx, row, dir, error).await),
    }
}

register_operation!(LookupP);
