use std::ops::RangeInclusive;
use std::sync::Arc;

use super::Nfs4Service;
use super::dispatch::run_compound;
use crate::proto::{NFS_PROGRAM, NFS_V4};
use crate::rpc::{BoxFuture, RpcCall, RpcProgram, RpcReply};
use crate::xdr::XdrWriter;

/// NFSPROC4_NULL and NFSPROC4_COMPOUND (RFC 8881 section 16).
const NFSPROC4_NULL: u32 = 0;
const NFSPROC4_COMPOUND: u32 = 1;

/// NFS version 4 as an RPC program.
pub struct Nfs4Program {
    service: Arc<Nfs4Service>,
}

impl Nfs4Program {
    /// Serves `service`.
    pub fn new(service: Arc<Nfs4Service>) -> Self {
        Self { service }
    }
}

impl RpcProgram for Nfs4Program {
    fn program(&self) -> u32 {
        NFS_PROGRAM
    }

    fn versions(&self) -> RangeInclusive<u32> {
        NFS_V4..=NFS_V4
    }

    fn call(self: Arc<Self>, call: RpcCall, results: XdrWriter) -> BoxFuture<'static, (RpcReply, XdrWriter)> {
        match call.procedure {
            NFSPROC4_NULL => Box::pin(std::future::ready((RpcReply::Success, results))),
            NFSPROC4_COMPOUND => Box::pin(async move { run_compound(&self.service, call, results).await }),
            _ => Box::pin(std::future::ready((RpcReply::ProcUnavail, results))),
        }
    }
}
