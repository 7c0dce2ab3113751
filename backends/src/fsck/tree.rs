//! Whether every object hangs on the root.

use dittofs_framework::proto::FileType;
use dittofs_framework::storage::{Ino, StorageResult};

use super::Problem;
use super::pass::Pass;
use super::table::{Mark, Slot};

/// What is known of a directory while paths are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Not,
    /// On the path that is being followed.
    OnPath,
    /// On one that was followed to its end.
    Before,
}

impl Pass<'_> {
    /// Gives every object that hangs on nothing a name.
    pub(super) async fn find_homes(&mut self) -> StorageResult<()> {
        for ino in self.loops() {
            self.problem(Problem::Loop { ino });
            self.cut(ino).await?;
        }
        for slot in self.table.slots() {
            if !self.is_lost(slot) {
                continue;
            }
            let ino = self.table.ino(slot);
            // A directory of a loop was told of already.
            if self.table.mark(slot) != Mark::Lost {
                self.problem(Problem::Lost { ino, file_type: self.table.file_type(slot) });
                self.table.set_mark(slot, Mark::Lost);
            }
            self.bring_home(slot).await?;
        }
        self.flush().await
    }

    fn is_lost(&self, slot: Slot) -> bool {
        let is_lost = matches!(self.table.mark(slot), Mark::None | Mark::Lost);
        is_lost && self.table.names(slot) == 0 && self.table.ino(slot) != Ino::ROOT
    }

    /// One directory of each loop.
    fn loops(&self) -> Vec<Ino> {
        let dirs = self.table.dirs();
        let mut seen = vec![Seen::Not; dirs.len()];
        let mut loops = Vec::new();
        let mut path = Vec::new();
        for start in 0..dirs.len() {
            let mut at = Some(start);
            while let Some(index) = at {
                match seen.get(index) {
                    Some(Seen::Not) => {}
                    Some(Seen::OnPath) => {
                        loops.extend(dirs.get(index).map(|dir| dir.ino));
                        break;
                    }
                    Some(Seen::Before) | None => break,
                }
                if let Some(seen) = seen.get_mut(index) {
                    *seen = Seen::OnPath;
                }
                path.push(index);
                let place = dirs.get(index).and_then(|dir| dir.place);
                at = place.and_then(|(parent, _)| self.table.dir_index(parent));
            }
            for index in path.drain(..) {
                if let Some(seen) = seen.get_mut(index) {
                    *seen = Seen::Before;
                }
            }
        }
        loops
    }

    /// Takes a directory out of the loop that it is in.
    async fn cut(&mut self, ino: Ino) -> StorageResult<()> {
        let place = self.table.dir(ino).and_then(|dir| dir.place);
        if let Some(slot) = self.table.find(ino) {
            self.table.set_mark(slot, Mark::Lost);
        }
        self.uncount(ino);
        let Some((parent, cookie)) = place else { return Ok(()) };
        let found = self.entry_at((parent, cookie)).await?;
        self.touch(parent);
        if let Some(found) = found {
            self.remove_entry(parent, found.name, cookie).await?;
        }
        Ok(())
    }

    /// Puts an object that has no name into `/lost+found`; in a check it only counts as if it were there.
    async fn bring_home(&mut self, slot: Slot) -> StorageResult<()> {
        self.table.set_names(slot, 1);
        if !self.is_repair() {
            return Ok(());
        }
        let ino = self.table.ino(slot);
        let file_type = self.table.file_type(slot);
        let home = self.home().await?;
        let cookie = self.add_entry(home, format!("#{}", ino.0), ino, file_type).await?;
        if file_type == FileType::Dir
            && let Some(dir) = self.table.dir_mut(ino)
        {
            dir.place = Some((home, cookie));
        }
        Ok(())
    }
}
