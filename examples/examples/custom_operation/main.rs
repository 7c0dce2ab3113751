//! A server with operations of its own: one that no RFC has, one in the place of another, and a layer around all of them.
use std::error::Error;
use std::sync::Arc;

use dittofs_backends::store::{MemoryOptions, StoreFileSystem};
use dittofs_framework::compound::Nfs4Service;
use dittofs_framework::export::{ExportId, Namespace};
use dittofs_framework::nfs_server::NfsServer;
use dittofs_framework::registry::Registry;
use dittofs_ops as _; // links the NFSv4 operations

mod audit;
mod free_bytes;
mod tidy_readdir;

use audit::{Audit, Tally};
use tidy_readdir::TidyReadDir;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:2049".to_owned());
    let share = Arc::new(StoreFileSystem::in_memory(MemoryOptions::default())?);
    let exports = Namespace::builder().export(ExportId(1), "/export", share).build()?;
    let audit = Audit::default();
    let registry = Registry::linked() // FREE_BYTES is among them
        .replace(TidyReadDir)
        .add(Tally(audit.counts.clone()))
        .wrap_all(audit);
    let service = Nfs4Service::builder(exports).registry(registry).build()?;
    let server = NfsServer::bind(service, addr).await?;
    eprintln!("listening on {}", server.local_addr());
    server.serve(async { drop(tokio::signal::ctrl_c().await) }).await;
    Ok(())
}
