//! What every file system promises: by the kernel's handles, by the map of places, in memory, with all callers as one, and with one
//! thread and hardly a descriptor.
//!
//! Origin: the suite of the framework.
//! RFC: as the suite cites it.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Arc;

use async_trait::async_trait;
use dittofs_framework::file_system_suite;
use dittofs_framework::fs::FileSystem;
use dittofs_framework::testing::file_system::FileSystemFixture;
use tempfile::TempDir;

use crate::posix::{Handles, Identity, PosixFileSystem, PosixOptions};

struct Fixture {
    options: PosixOptions,
    outside: TempDir,
}

impl Fixture {
    fn best() -> Self {
        Self::with(tempfile::tempdir().unwrap(), |_| {})
    }

    fn in_memory() -> Self {
        Self::with(tempfile::tempdir_in("/dev/shm").unwrap(), |_| {})
    }

    fn map() -> Self {
        Self::with(tempfile::tempdir().unwrap(), |options| options.handles = Handles::Map)
    }

    fn narrow() -> Self {
        Self::with(tempfile::tempdir_in("/dev/shm").unwrap(), |options| {
            options.max_open_files = 4;
            options.threads = 2;
        })
    }

    fn squashed() -> Self {
        Self::with(tempfile::tempdir_in("/dev/shm").unwrap(), |options| {
            options.identity = Identity::Squash { uid: 0, gid: 0 };
        })
    }

    fn with(outside: TempDir, change: impl FnOnce(&mut PosixOptions)) -> Self {
        let root = outside.path().join("export");
        std::fs::create_dir(&root).unwrap();
        std::fs::set_permissions(&root, PermissionsExt::from_mode(0o777)).unwrap();
        let mut options = PosixOptions::new(root, outside.path().join("state"));
        change(&mut options);
        Self { options, outside }
    }
}

#[async_trait]
impl FileSystemFixture for Fixture {
    async fn open(&mut self) -> Arc<dyn FileSystem> {
        Arc::new(PosixFileSystem::open(self.options.clone()).unwrap())
    }

    /// The kernel's clock goes on by itself: until it has.
    async fn tick(&mut self) {
        let path = self.outside.path().join("clock");
        let now = || {
            std::fs::write(&path, "").unwrap();
            let file = std::fs::metadata(&path).unwrap();
            (file.mtime(), file.mtime_nsec() / 20_000_000)
        };
        let before = now();
        while now() == before {
            tokio::task::yield_now().await;
        }
    }

    fn rounds(&self) -> u64 {
        20
    }
}

file_system_suite!(Fixture::best => users, restarts);

mod in_memory {
    use super::*;
    file_system_suite!(Fixture::in_memory => users, restarts);
}

mod map {
    use super::*;
    file_system_suite!(Fixture::map => users, restarts);
}

mod narrow {
    use super::*;
    file_system_suite!(Fixture::narrow => users, restarts);
}

mod squashed {
    use super::*;
    file_system_suite!(Fixture::squashed => restarts);
}
