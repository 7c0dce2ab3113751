//! A server with an operation of its own: number 900 answers how many bytes are free below the current filehandle.
use std::error::Error;
use std::sync::Arc;

use dittofs_backends::memory::{MemoryFileSystem, MemoryOptions};
use dittofs_framework::compound::{CompoundContext, Nfs4Service};
use dittofs_framework::export::{ExportId, Namespace};
use dittofs_framework::nfs_server::NfsServer;
use dittofs_framework::op::{Minors, OpDescriptor, OpResult, Operation};
use dittofs_framework::proto::{NFS4ERR_BADXDR, NFS4ERR_IO, OpNum};
use dittofs_framework::register_operation;
use dittofs_ops as _; // links the NFSv4 operations

/// The operation. It is registered by being linked, and runs like those of the RFCs: behind SEQUENCE, with a current filehandle.
struct FreeBytes;

impl Operation for FreeBytes {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        name: "FREE_BYTES",
        minors: Minors::SINCE_V4_1,
        ..OpDescriptor::new(OpNum::from_code(900), &[NFS4ERR_BADXDR, NFS4ERR_IO])
    };
    type Args = ();
    type Res = u64;

    async fn call(&self, cx: &mut CompoundContext<'_>, (): ()) -> OpResult<u64> {
        let usage = cx.current()?.fs().usage(&cx.request).await.map_err(|_| NFS4ERR_IO)?;
        Ok(usage.space_avail)
    }
}

register_operation!(FreeBytes);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:2049".to_owned());
    let share = Arc::new(MemoryFileSystem::new(MemoryOptions::default()));
    let exports = Namespace::builder().export(ExportId(1), "/export", share).build()?;
    let server = NfsServer::bind(Nfs4Service::builder(exports).build()?, addr).await?;
    eprintln!("listening on {}", server.local_addr());
    server.serve(async { drop(tokio::signal::ctrl_c().await) }).await;
    Ok(())
}
