//! LOOKUP: RFC 8881 section 18.13.

use dittofs_framework::attr::Bitmap;
use dittofs_framework::compound::CompoundContext;
use dittofs_framework::export::ExportNode;
use dittofs_framework::op::{OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{Component4, OP_LOOKUP, Status};
use dittofs_framework::{register_operation, xdr_struct};

use crate::errors;
use crate::fault::lookup_error;
use crate::names::check_component;

xdr_struct! {
    /// LOOKUP4args.
    #[derive(Clone)]
    pub struct Lookup4Args {
        /// The name in the directory that is the current filehandle.
        pub objname: Component4,
    }
}

/// The operation.
pub struct Lookup;

impl Operation for Lookup {
    const DESCRIPTOR: OpDescriptor =
        OpDescriptor { flags: OpFlags::SETS_FH, ..OpDescriptor::new(OP_LOOKUP, errors::LOOKUP) };
    type Args = Lookup4Args;
    type Res = ();

    async fn call(&self, cx: &mut CompoundContext<'_>, args: Lookup4Args) -> OpResult<()> {
        let found = find(cx, &Self::DESCRIPTOR, &args.objname).await?;
        cx.set_current(found);
        Ok(())
    }
}

/// The object of that name in the current filehandle's directory; the root of an export where one is mounted there.
pub(crate) async fn find(
    cx: &CompoundContext<'_>,
    row: &OpDescriptor,
    name: &[u8],
) -> Result<ExportNode, Status> {
    let dir = cx.current()?;
    check_component(name, dir.fs().info().max_name)?;
    match dir.fs().lookup(&cx.request, &dir.node, name, Bitmap::EMPTY).await {
        Ok(found) => {
            let found = ExportNode { export: dir.export.clone(), node: found.node };
            Ok(cx.service().namespace().enter(found))
        }
        Err(error) => Err(lookup_error(cx, row, dir, error).await),
    }
}

register_operation!(Lookup);
