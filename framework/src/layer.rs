//! Layers: code around operations, for what is every operation's business and none's (metrics, tracing, deny lists,
//! fault injection).

use std::sync::Arc;

use crate::compound::CompoundContext;
use crate::op::{DynOperation, OpDescriptor, OpFuture};
use crate::xdr::{XdrReader, XdrWriter};

/// Code around operations.
pub trait Layer: Send + Sync + 'static {
    /// Runs `next`, or does not, with whatever is to happen before and after.
    ///
    /// Admission (versions, positions, filehandles, room for the reply) has passed. An error must be in the list of
    /// `next.descriptor()`, like any of the operation's own.
    fn call<'a>(
        &'a self,
        next: &'a dyn DynOperation,
        cx: &'a mut CompoundContext<'_>,
        args: &'a mut XdrReader<'_>,
        reply: &'a mut XdrWriter,
    ) -> OpFuture<'a>;
}

/// An operation with a layer around it.
pub(crate) struct Layered {
    layer: Arc<dyn Layer>,
    inner: Arc<dyn DynOperation>,
}

impl Layered {
    pub(crate) fn new(layer: Arc<dyn Layer>, inner: Arc<dyn DynOperation>) -> Self {
        Self { layer, inner }
    }
}

impl DynOperation for Layered {
    fn descriptor(&self) -> &OpDescriptor {
        self.inner.descriptor()
    }

    fn run<'a>(
        &'a self,
        cx: &'a mut CompoundContext<'_>,
        args: &'a mut XdrReader<'_>,
        reply: &'a mut XdrWriter,
    ) -> OpFuture<'a> {
        self.layer.call(&*self.inner, cx, args, reply)
    }
}
