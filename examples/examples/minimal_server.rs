//! The smallest NFS server: a memory share as `/export`, on the address in the first argument.
use std::error::Error;
use std::sync::Arc;

use dittofs_backends::store::{MemoryOptions, StoreFileSystem};
use dittofs_framework::compound::Nfs4Service;
use dittofs_framework::export::{ExportId, Namespace};
use dittofs_framework::nfs_server::NfsServer;
use dittofs_ops as _; // links the NFSv4 operations

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:2049".to_owned());
    let share = Arc::new(StoreFileSystem::in_memory(MemoryOptions::default())?);
    let exports = Namespace::builder().export(ExportId(1), "/export", share).build()?;
    let server = NfsServer::bind(Nfs4Service::builder(exports).build()?, addr).await?;
    eprintln!("listening on {}", server.local_addr());
    server.serve(async { drop(tokio::signal::ctrl_c().await) }).await;
    Ok(())
}
