//! A durable share whose metadata are in a SQLite database and whose data are files:
//! `sqlite_metadata 127.0.0.1:2049 /srv/share`.
//!
//! The store is in `store`; docs/framework/backends.md walks through it. Here it is put together with the other half and served.
use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dittofs_backends::content::{LocalContentStore, LocalOptions};
use dittofs_backends::state_store::JournalStateStore;
use dittofs_backends::store::{StoreFileSystem, StoreOptions};
use dittofs_framework::compound::Nfs4Service;
use dittofs_framework::export::{ExportId, FilehandleKey, Namespace};
use dittofs_framework::nfs_server::NfsServer;
use dittofs_framework::session::ServerIdentity;
use dittofs_ops as _; // links the NFSv4 operations

mod error;
mod queries;
mod readers;
mod schema;
mod store;
mod writer;

use store::{SqliteMetadata, SqliteOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1);
    let addr = args.next().and_then(|addr| addr.into_string().ok()).ok_or("no address")?;
    let dir = PathBuf::from(args.next().ok_or("no directory")?);
    fs::create_dir_all(&dir)?;

    let metadata = SqliteMetadata::open(&dir.join("metadata.sqlite"), SqliteOptions::default())?;
    let contents = LocalContentStore::open(&dir.join("contents"), &LocalOptions::default())?;
    let share =
        StoreFileSystem::open(Arc::new(metadata), Arc::new(contents), StoreOptions::default()).await?;
    let share = Arc::new(share);
    let exports = Namespace::builder().export(ExportId(1), "/export", share.clone()).build()?;

    // With these three, clients go on after a restart: their handles are good, they know the server again, and they reclaim what
    // they held.
    let secret = kept_secret(&dir.join("secret"))?;
    let (key, name) = secret.split_at(16);
    let service = Nfs4Service::builder(exports)
        .filehandle_key(FilehandleKey::from_bytes(key.try_into()?))
        .identity(ServerIdentity::new(name, 0))
        .recover(Arc::new(JournalStateStore::open(&dir.join("state"))?))
        .await?
        .build()?;

    let server = NfsServer::bind(service, addr).await?;
    eprintln!("listening on {}", server.local_addr());
    server.serve(async { drop(tokio::signal::ctrl_c().await) }).await;
    share.flush().await?;
    Ok(())
}

/// What handles are signed with, and behind it the server's name. Made at the first start.
fn kept_secret(path: &Path) -> Result<[u8; 32], Box<dyn Error>> {
    let mut secret = [0; 32];
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => {
            getrandom::fill(&mut secret)?;
            file.write_all(&secret)?;
            file.sync_all()?;
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            secret.copy_from_slice(fs::read(path)?.get(..32).ok_or("the secret is cut off")?);
        }
        Err(error) => return Err(error.into()),
    }
    Ok(secret)
}
