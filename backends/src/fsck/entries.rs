//! Every name in every directory.

use bytes::Bytes;
use dittofs_framework::proto::FileType;
use dittofs_framework::storage::{Entry, Ino, Mutation, NamedEntry, StorageResult};

use super::Problem;
use super::pass::{PAGE, Pass};
use super::table::Slot;

/// The longest name.
const MAX_NAME: usize = 255;

impl Pass<'_> {
    /// Looks at all names, drops those that cannot stay, and counts the others.
    pub(super) async fn look_at_entries(&mut self) -> StorageResult<()> {
        let mut after = (Ino(0), 0);
        loop {
            let page = self.metadata.scan_entries(after, PAGE).await?;
            let Some((dir, last)) = page.last() else { break };
            after = (*dir, last.entry.cookie);
            for (dir, found) in page {
                self.report.entries += 1;
                self.look_at_entry(dir, found).await?;
            }
        }
        self.flush().await
    }

    async fn look_at_entry(&mut self, dir: Ino, found: NamedEntry) -> StorageResult<()> {
        let NamedEntry { name, entry } = found;
        if self.table.dir(dir).is_none() {
            let problem = Problem::EntryInNothing { dir, name: name.clone() };
            return self.drop_entry(problem, dir, name, entry.cookie).await;
        }
        if !self.agrees(dir, &name, entry).await? {
            return Ok(());
        }
        if !is_name(&name) {
            let problem = Problem::EntryName { dir, name: name.clone() };
            return self.drop_entry(problem, dir, name, entry.cookie).await;
        }
        let Some(slot) = self.table.find(entry.ino) else {
            let problem = Problem::EntryOfNothing { dir, name: name.clone(), ino: entry.ino };
            return self.drop_entry(problem, dir, name, entry.cookie).await;
        };
        if entry.ino == Ino::ROOT {
            let problem = Problem::NameOfRoot { dir, name: name.clone() };
            return self.drop_entry(problem, dir, name, entry.cookie).await;
        }
        let file_type = self.table.file_type(slot);
        if file_type == FileType::Dir && !self.is_only_name(dir, &name, entry).await? {
            return Ok(());
        }
        if entry.file_type != file_type {
            let (recorded, found) = (entry.file_type, file_type);
            self.problem(Problem::EntryType { dir, name: name.clone(), recorded, found });
            let fixed = Entry { file_type, ..entry };
            self.replace(dir, name, entry.cookie, fixed).await?;
        }
        self.count(dir, slot, entry);
        Ok(())
    }

    /// Whether a look-up finds what the listing has, or does from now on. If it finds another entry, that one comes in the listing too.
    async fn agrees(&mut self, dir: Ino, name: &Bytes, listed: Entry) -> StorageResult<bool> {
        let found = self.metadata.entry(dir, name).await?;
        if found == Some(listed) {
            return Ok(true);
        }
        self.problem(Problem::EntryIndex { dir, name: name.clone() });
        let mut stays = listed;
        if let Some(other) = found.filter(|found| found.cookie != listed.cookie) {
            let there = self.entry_at((dir, other.cookie)).await?;
            if there.is_none_or(|there| there.name == *name) {
                stays = other;
            }
        }
        self.replace(dir, name.clone(), listed.cookie, stays).await?;
        Ok(stays == listed)
    }

    /// Puts an entry into the place of the one with this cookie.
    async fn replace(&mut self, dir: Ino, name: Bytes, cookie: u64, entry: Entry) -> StorageResult<()> {
        self.touch(dir);
        let remove = Mutation::RemoveEntry { dir, name: name.clone(), cookie };
        self.change_all([remove, Mutation::PutEntry { dir, name, entry }]).await
    }

    /// Whether the directory that the entry stands for has no other name. If it has two, the one that its record knows stays.
    async fn is_only_name(&mut self, dir: Ino, name: &Bytes, entry: Entry) -> StorageResult<bool> {
        let Some(known) = self.table.dir(entry.ino) else { return Ok(true) };
        let Some(before) = known.place else { return Ok(true) };
        let ino = entry.ino;
        if known.recorded != dir || before.0 == dir {
            let problem = Problem::SecondName { ino, dir, name: name.clone() };
            self.drop_entry(problem, dir, name.clone(), entry.cookie).await?;
            return Ok(false);
        }
        if let Some(first) = self.entry_at(before).await? {
            let problem = Problem::SecondName { ino, dir: before.0, name: first.name.clone() };
            self.drop_entry(problem, before.0, first.name, before.1).await?;
        }
        self.uncount(ino);
        Ok(true)
    }

    /// The entry at a place, as it is after all changes.
    pub(super) async fn entry_at(&mut self, (dir, cookie): (Ino, u64)) -> StorageResult<Option<NamedEntry>> {
        self.flush().await?;
        let found = self.metadata.entries(dir, cookie.saturating_sub(1), 1).await?;
        Ok(found.into_iter().find(|found| found.entry.cookie == cookie))
    }

    fn count(&mut self, dir: Ino, slot: Slot, entry: Entry) {
        self.table.set_names(slot, self.table.names(slot).saturating_add(1));
        let is_dir = self.table.file_type(slot) == FileType::Dir;
        if is_dir && let Some(child) = self.table.dir_mut(entry.ino) {
            child.place = Some((dir, entry.cookie));
        }
        if let Some(dir) = self.table.dir_mut(dir) {
            dir.entries += 1;
            dir.subdirs = dir.subdirs.saturating_add(is_dir.into());
            dir.largest_cookie = dir.largest_cookie.max(entry.cookie);
        }
    }

    /// Takes the name of a directory back that was counted.
    pub(super) fn uncount(&mut self, ino: Ino) {
        if let Some(slot) = self.table.find(ino) {
            self.table.set_names(slot, self.table.names(slot).saturating_sub(1));
        }
        let place = self.table.dir_mut(ino).and_then(|child| child.place.take());
        if let Some(parent) = place.and_then(|(parent, _)| self.table.dir_mut(parent)) {
            parent.entries = parent.entries.saturating_sub(1);
            parent.subdirs = parent.subdirs.saturating_sub(1);
        }
    }

    /// Removes an entry for this reason.
    pub(super) async fn drop_entry(
        &mut self,
        problem: Problem,
        dir: Ino,
        name: Bytes,
        cookie: u64,
    ) -> StorageResult<()> {
        self.problem(problem);
        self.touch(dir);
        self.change(Mutation::RemoveEntry { dir, name, cookie }).await
    }

    pub(super) fn touch(&mut self, dir: Ino) {
        if let Some(dir) = self.table.dir_mut(dir) {
            dir.is_changed = true;
        }
    }
}

fn is_name(name: &[u8]) -> bool {
    let is_reserved = matches!(name, b"" | b"." | b"..");
    !is_reserved && name.len() <= MAX_NAME && !name.iter().any(|byte| matches!(byte, 0 | b'/'))
}
