//! Every object once more, against what was counted, together with its extended attributes and contents.

use std::collections::VecDeque;

use dittofs_framework::proto::FileType;
use dittofs_framework::storage::{
    ContentSize, Ino, InodeRecord, Mutation, NamedXattr, RecordBody, StorageResult,
};

use super::Problem;
use super::pass::{PAGE, Pass, type_of};
use super::table::{Mark, Slot};

/// The contents that there are, by their numbers.
struct Sizes {
    page: VecDeque<(Ino, ContentSize)>,
    after: Ino,
    is_over: bool,
}

impl Pass<'_> {
    /// Compares and corrects all records.
    pub(super) async fn look_at_inodes(&mut self) -> StorageResult<()> {
        let mut sizes = Sizes { page: VecDeque::new(), after: Ino(0), is_over: false };
        let mut after = Ino(0);
        loop {
            let page = self.metadata.scan(after, PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            for (ino, record) in page {
                let contents = self.contents_of(&mut sizes, ino).await?;
                if let Some(slot) = self.table.find(ino) {
                    self.look_at_inode(slot, ino, &record, contents).await?;
                }
            }
        }
        while let Some((ino, size)) = self.next_contents(&mut sizes).await? {
            self.remove_contents(ino, size).await?;
        }
        self.flush().await
    }

    async fn look_at_inode(
        &mut self,
        slot: Slot,
        ino: Ino,
        record: &InodeRecord,
        contents: Option<ContentSize>,
    ) -> StorageResult<()> {
        let mut fixed = record.clone();
        fixed.file_type = type_of(record);
        self.look_at_names(slot, ino, &mut fixed);
        self.look_at_xattrs(ino, &mut fixed).await?;
        let is_changed = self.table.dir(ino).is_some_and(|dir| dir.is_changed) || fixed != *record;
        if is_changed {
            fixed.change = fixed.change.saturating_add(1);
            fixed.times.metadata = self.options.now;
        }
        self.look_at_contents(slot, ino, contents, &mut fixed).await?;
        if fixed != *record {
            self.change(Mutation::PutInode(ino, fixed)).await?;
        }
        Ok(())
    }

    fn look_at_names(&mut self, slot: Slot, ino: Ino, record: &mut InodeRecord) {
        let mark = self.table.mark(slot);
        if mark == Mark::Orphan {
            return;
        }
        let Some(dir) = self.table.dir(ino) else {
            let found = self.table.names(slot);
            if record.nlink != found && mark != Mark::Lost {
                self.problem(Problem::LinkCount { ino, recorded: record.nlink, found });
            }
            record.nlink = found;
            return;
        };
        let RecordBody::Directory(body) = &mut record.body else { return };
        let parent = if ino == Ino::ROOT { Some(Ino::ROOT) } else { dir.place.map(|(parent, _)| parent) };
        let mut problems = Vec::new();
        let links = dir.subdirs.saturating_add(2);
        if record.nlink != links {
            problems.push(Problem::LinkCount { ino, recorded: record.nlink, found: links });
        }
        if body.entries != dir.entries {
            problems.push(Problem::EntryCount { ino, recorded: body.entries, found: dir.entries });
        }
        if let Some(found) = parent.filter(|parent| *parent != body.parent && mark != Mark::Lost) {
            problems.push(Problem::Parent { ino, recorded: body.parent, found });
        }
        if body.next_cookie <= dir.largest_cookie {
            let (recorded, largest) = (body.next_cookie, dir.largest_cookie);
            problems.push(Problem::NextCookie { ino, recorded, largest });
        }
        record.nlink = links.saturating_add(dir.added_dirs);
        body.entries = dir.entries + dir.added;
        body.parent = parent.unwrap_or(body.parent);
        body.next_cookie = body.next_cookie.max(dir.next_cookie).max(dir.largest_cookie.saturating_add(1));
        for problem in problems {
            self.problem(problem);
        }
    }

    async fn look_at_xattrs(&mut self, ino: Ino, record: &mut InodeRecord) -> StorageResult<()> {
        let (mut bytes, mut largest) = (0, 0);
        loop {
            let page = self.metadata.xattrs(ino, largest, PAGE).await?;
            let Some(last) = page.last() else { break };
            largest = last.cookie;
            for found in page {
                self.report.xattrs += 1;
                bytes += self.look_at_xattr(ino, found).await?;
            }
        }
        if record.xattr_bytes != bytes {
            self.problem(Problem::XattrBytes { ino, recorded: record.xattr_bytes, found: bytes });
            record.xattr_bytes = bytes;
        }
        if largest > 0 && record.next_xattr_cookie <= largest {
            let recorded = record.next_xattr_cookie;
            self.problem(Problem::NextXattrCookie { ino, recorded, largest });
            record.next_xattr_cookie = largest.saturating_add(1);
        }
        Ok(())
    }

    /// The bytes that it takes. One that a look-up does not find is removed: its value is not known.
    async fn look_at_xattr(&mut self, ino: Ino, listed: NamedXattr) -> StorageResult<u64> {
        let NamedXattr { name, cookie } = listed;
        let found = self.metadata.xattr(ino, &name).await?;
        if let Some(xattr) = found.as_ref().filter(|xattr| xattr.cookie == cookie) {
            return Ok(u64::try_from(name.len() + xattr.value.len()).unwrap_or(u64::MAX));
        }
        self.problem(Problem::XattrIndex { ino, name: name.clone() });
        let mut put = None;
        if let Some(mut xattr) = found {
            self.flush().await?;
            let there = self.metadata.xattrs(ino, xattr.cookie.saturating_sub(1), 1).await?;
            if !there.contains(&NamedXattr { name: name.clone(), cookie: xattr.cookie }) {
                xattr.cookie = cookie;
            }
            put = Some(Mutation::PutXattr { ino, name: name.clone(), xattr });
        }
        let remove = Mutation::RemoveXattr { ino, name, cookie };
        self.change_all([remove].into_iter().chain(put)).await?;
        Ok(0)
    }

    async fn look_at_contents(
        &mut self,
        slot: Slot,
        ino: Ino,
        contents: Option<ContentSize>,
        record: &mut InodeRecord,
    ) -> StorageResult<()> {
        if self.table.file_type(slot) != FileType::Reg {
            if let Some(size) = contents {
                self.remove_contents(ino, size).await?;
            }
            return Ok(());
        }
        let mut size = contents.unwrap_or_default();
        self.report.contents += u64::from(contents.is_some());
        if size.len > record.size {
            self.report.excess += 1;
            if self.is_repair() {
                size = self.content.truncate(ino, record.size).await?;
                self.content.sync(ino).await?;
                record.allocated = size.allocated;
            }
        } else if size.allocated != record.allocated {
            self.report.figures += 1;
            record.allocated = size.allocated;
        }
        Ok(())
    }

    /// The contents with this number; those before it belong to nothing.
    async fn contents_of(&mut self, sizes: &mut Sizes, ino: Ino) -> StorageResult<Option<ContentSize>> {
        while let Some((number, size)) = self.next_contents(sizes).await? {
            if number == ino {
                return Ok(Some(size));
            }
            if number > ino {
                sizes.page.push_front((number, size));
                break;
            }
            self.remove_contents(number, size).await?;
        }
        Ok(None)
    }

    async fn next_contents(&self, sizes: &mut Sizes) -> StorageResult<Option<(Ino, ContentSize)>> {
        if sizes.page.is_empty() && !sizes.is_over {
            let page = self.content.scan(sizes.after, PAGE).await?;
            match page.last() {
                Some((last, _)) => sizes.after = *last,
                None => sizes.is_over = true,
            }
            sizes.page = page.into();
        }
        Ok(sizes.page.pop_front())
    }

    async fn remove_contents(&mut self, ino: Ino, size: ContentSize) -> StorageResult<()> {
        // A removal need not be durable at once, so that a crash can bring back what a file had that is gone.
        if self.was_given(ino) && self.table.find(ino).is_none() {
            self.report.excess += 1;
        } else {
            self.problem(Problem::Contents { ino, len: size.len });
        }
        if self.is_repair() {
            self.content.remove(ino).await?;
        }
        Ok(())
    }
}
