//! `/lost+found`, and what is put there.

use bytes::Bytes;
use dittofs_framework::proto::FileType;
use dittofs_framework::storage::{Entry, Ino, Mutation, StorageResult};

use super::pass::Pass;

const LOST_AND_FOUND: &str = "lost+found";

impl Pass<'_> {
    /// The directory for lost objects. A new one is for root alone: what is in it was in directories that not everybody may enter.
    pub(super) async fn home(&mut self) -> StorageResult<Ino> {
        if let Some(home) = self.home {
            return Ok(home);
        }
        self.flush().await?;
        let found = self.metadata.entry(Ino::ROOT, LOST_AND_FOUND.as_bytes()).await?;
        let is_dir = |entry: &Entry| self.table.dir(entry.ino).is_some();
        let home = match found.filter(is_dir) {
            Some(entry) => entry.ino,
            None => self.make_home().await?,
        };
        self.home = Some(home);
        Ok(home)
    }

    async fn make_home(&mut self) -> StorageResult<Ino> {
        let ino = self.give_ino();
        let record = self.new_directory(Ino::ROOT, 0o700);
        self.table.push(ino, FileType::Dir, None);
        if let Some(slot) = self.table.find(ino) {
            self.table.set_names(slot, 1);
        }
        self.change(Mutation::PutInode(ino, record)).await?;
        let cookie = self.add_entry(Ino::ROOT, LOST_AND_FOUND.to_owned(), ino, FileType::Dir).await?;
        if let Some(dir) = self.table.dir_mut(ino) {
            dir.next_cookie = 3;
            dir.place = Some((Ino::ROOT, cookie));
        }
        Ok(ino)
    }

    /// Adds an entry of this name, or, if there is one already, of the first free one like it; returns its cookie.
    pub(super) async fn add_entry(
        &mut self,
        dir: Ino,
        stem: String,
        ino: Ino,
        file_type: FileType,
    ) -> StorageResult<u64> {
        self.flush().await?;
        let mut name = Bytes::from(stem.clone());
        let mut number = 1;
        while self.metadata.entry(dir, &name).await?.is_some() {
            number += 1;
            name = Bytes::from(format!("{stem}.{number}"));
        }
        let mut cookie = 0;
        if let Some(dir) = self.table.dir_mut(dir) {
            cookie = dir.next_cookie.max(dir.largest_cookie.saturating_add(1));
            dir.next_cookie = cookie.saturating_add(1);
            dir.added += 1;
            dir.added_dirs = dir.added_dirs.saturating_add((file_type == FileType::Dir).into());
            dir.is_changed = true;
        }
        let entry = Entry { cookie, ino, file_type };
        self.change(Mutation::PutEntry { dir, name, entry }).await?;
        Ok(cookie)
    }

    /// Removes an entry that was counted before, or is not counted.
    pub(super) async fn remove_entry(&mut self, dir: Ino, name: Bytes, cookie: u64) -> StorageResult<()> {
        self.change(Mutation::RemoveEntry { dir, name, cookie }).await
    }
}
