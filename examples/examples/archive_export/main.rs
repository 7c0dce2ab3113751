//! Exports what is in a tar file, read-only, without unpacking it: `archive_export 127.0.0.1:2049 some.tar`.
//!
//! A whole [`FileSystem`](dittofs_framework::fs::FileSystem) of its own, to see how one is made:
//! - `headers` reads the archive's headers and knows the formats: ustar, GNU and PAX.
//! - `tree` makes objects and directories of them, and decides what becomes of entries that fit nowhere.
//! - `file_system` answers the operations.
//!
//! # What is shown
//! Everything has the mode, owner, group and times that the archive says; set-id bits and device nodes too, so whoever mounts a stranger's
//! archive uses `nosuid,nodev`. Directories that are implied by a path only belong to root and have mode 0755. Hard links are links;
//! holes of sparse files in GNU's old format are holes. A later entry of a name replaces an earlier one, as unpacking would do it.
//!
//! # What is not
//! Each of these is left out and reported, and the rest is shown:
//! - names with `..`, NUL or more than 255 bytes in a component, and paths longer than 4096 bytes;
//! - what is below a name that is no directory, and a directory in the place of something else or the other way round;
//! - hard links to what is not in the archive before them, or to directories;
//! - sparse files in the formats of PAX, and entries of types that nobody needs: volume labels, parts of other volumes.
//!
//! A leading `/` means nothing, and neither do `.` and `//`. Symbolic links are the client's business: nothing here follows one.
//!
//! # What is refused
//! An archive is not served at all if a header is damaged, data reach beyond its end, or its entries are too many. It is to stay as it
//! is while it is served: put another one in its place by a rename.
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use dittofs_framework::compound::Nfs4Service;
use dittofs_framework::export::{ExportId, FilehandleKey, Namespace};
use dittofs_framework::nfs_server::NfsServer;
use dittofs_ops as _; // links the NFSv4 operations

mod extents;
mod file_system;
mod headers;
mod permission;
mod tree;

use file_system::ArchiveFileSystem;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1);
    let addr = args.next().and_then(|addr| addr.into_string().ok()).ok_or("no address")?;
    let path = PathBuf::from(args.next().ok_or("no archive")?);
    let share = ArchiveFileSystem::open(&path)?;
    for entry in share.left_out() {
        eprintln!("left out: {entry}");
    }
    let exports = Namespace::builder().export(ExportId(1), "/export", Arc::new(share)).build()?;
    // Handles are good for as long as the archive is the same, so the key must be too. Whoever knows it can name an object without
    // having searched the directories above it: where that matters, keep a secret one, as `sqlite_metadata` does.
    let key = FilehandleKey::from_bytes(*b"archives are one");
    let service = Nfs4Service::builder(exports).filehandle_key(key).build()?;
    let server = NfsServer::bind(service, addr).await?;
    eprintln!("listening on {}", server.local_addr());
    server.serve(async { drop(tokio::signal::ctrl_c().await) }).await;
    Ok(())
}
