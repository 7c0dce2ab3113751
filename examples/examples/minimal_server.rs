//! The smallest NFS server: a durable share as `/export`, on the address in the first argument, in the directory in the second.
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use dittofs_backends::embedded;
use dittofs_backends::store::StoreOptions;
use dittofs_framework::compound::Nfs4Service;
use dittofs_framework::export::{ExportId, Namespace};
use dittofs_framework::nfs_server::NfsServer;
use dittofs_ops as _; // links the NFSv4 operations

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (addr, dir) = args.next().zip(args.next()).ok_or("which address, and which directory?")?;
    let share = Arc::new(embedded::open(Path::new(&dir), StoreOptions::default()).await?);
    let exports = Namespace::builder().export(ExportId(1), "/export", share.clone()).build()?;
    let server = NfsServer::bind(Nfs4Service::builder(exports).build()?, addr).await?;
    eprintln!("listening on {}", server.local_addr());
    server.serve(async { drop(tokio::signal::ctrl_c().await) }).await;
    Ok(share.flush().await?)
}
