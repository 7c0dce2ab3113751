//! Objects that are marked as orphans.

use dittofs_framework::proto::FileType;
use dittofs_framework::storage::{Ino, Mutation, NamedXattr, StorageResult};

use super::Problem;
use super::pass::{PAGE, Pass};
use super::table::Mark;

impl Pass<'_> {
    /// Takes in the marks that are right, and removes the others.
    pub(super) async fn look_at_orphans(&mut self) -> StorageResult<()> {
        let mut after = Ino(0);
        loop {
            let page = self.metadata.orphans(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = *last;
            for ino in page {
                let wrong = match self.table.find(ino) {
                    None => Problem::OrphanOfNothing { ino },
                    Some(slot) if self.table.names(slot) > 0 || ino == Ino::ROOT => {
                        Problem::NamedOrphan { ino }
                    }
                    Some(_) if self.table.dir(ino).is_some_and(|dir| dir.entries > 0) => {
                        Problem::FullOrphan { ino }
                    }
                    Some(slot) => {
                        self.report.orphans += 1;
                        self.table.set_mark(slot, Mark::Orphan);
                        continue;
                    }
                };
                self.problem(wrong);
                self.change(Mutation::UnmarkOrphan(ino)).await?;
            }
        }
        self.flush().await
    }

    /// Removes all that are marked, as the file system does when nobody has them open: contents first.
    pub(super) async fn remove_orphans(&mut self) -> StorageResult<()> {
        if !self.is_repair() {
            return Ok(());
        }
        for slot in self.table.slots() {
            if self.table.mark(slot) != Mark::Orphan {
                continue;
            }
            let ino = self.table.ino(slot);
            if self.table.file_type(slot) == FileType::Reg {
                self.content.remove(ino).await?;
            }
            let mut after = 0;
            loop {
                let page = self.metadata.xattrs(ino, after, PAGE).await?;
                let Some(last) = page.last() else { break };
                after = last.cookie;
                let remove = |NamedXattr { name, cookie }| Mutation::RemoveXattr { ino, name, cookie };
                self.change_all(page.into_iter().map(remove)).await?;
            }
            self.forget(ino);
            self.change_all([Mutation::UnmarkOrphan(ino), Mutation::RemoveInode(ino)]).await?;
        }
        self.flush().await
    }
}
