use dittofs_framework::proto::FileType;
use dittofs_framework::storage::{
    Batch, ContentStore, DirectoryRecord, Ino, InodeRecord, MetadataStore, Mutation, RecordBody, RecordTimes,
    StorageError, StorageResult, VolumeRecord,
};

use super::table::{Mark, Table};
use super::{FsckOptions, Mode, Problem, Report};

/// How much is read at once.
pub(super) const PAGE: usize = 1024;
/// A batch with this many changes is applied.
const BATCH: usize = 512;

/// One look at the whole volume.
pub(super) struct Pass<'a> {
    pub(super) metadata: &'a dyn MetadataStore,
    pub(super) content: &'a dyn ContentStore,
    pub(super) options: FsckOptions,
    pub(super) report: Report,
    pub(super) table: Table,
    /// As it was found.
    recorded: Option<VolumeRecord>,
    /// As it is to be.
    volume: VolumeRecord,
    batch: Batch,
    /// Where lost objects go, once one did.
    pub(super) home: Option<Ino>,
}

impl<'a> Pass<'a> {
    pub(super) async fn run(
        metadata: &'a dyn MetadataStore,
        content: &'a dyn ContentStore,
        options: FsckOptions,
    ) -> StorageResult<Report> {
        let recorded = metadata.volume().await?;
        let volume = match recorded {
            Some(volume) => volume,
            None => VolumeRecord { id: random()?, next_ino: 0, inodes: 0, starts: 1 },
        };
        let mut pass = Self {
            metadata,
            content,
            options,
            report: Report::default(),
            table: Table::default(),
            recorded,
            volume,
            batch: Batch::default(),
            home: None,
        };
        pass.look_at_all().await?;
        Ok(pass.report)
    }

    async fn look_at_all(&mut self) -> StorageResult<()> {
        if !self.root().await? {
            return Ok(());
        }
        self.take_in_objects().await?;
        self.look_at_volume();
        self.look_at_entries().await?;
        self.look_at_orphans().await?;
        self.find_homes().await?;
        self.remove_orphans().await?;
        self.look_at_inodes().await?;
        self.flush().await
    }

    /// Makes sure that there is a root; `false` if the volume is new and empty.
    async fn root(&mut self) -> StorageResult<bool> {
        let records = self.metadata.inodes(&[Ino::ROOT]).await?;
        let record = records.into_iter().next().flatten();
        if record.is_some_and(|record| matches!(record.body, RecordBody::Directory(_))) {
            return Ok(true);
        }
        if self.recorded.is_none() && self.metadata.scan(Ino(0), 1).await?.is_empty() {
            return Ok(false);
        }
        self.problem(Problem::NoRoot);
        if self.is_repair() {
            let record = self.new_directory(Ino::ROOT, 0o755);
            self.change(Mutation::PutInode(Ino::ROOT, record)).await?;
            self.flush().await?;
        }
        Ok(true)
    }

    /// The record of a directory that was not there.
    pub(super) fn new_directory(&self, parent: Ino, mode: u32) -> InodeRecord {
        InodeRecord {
            file_type: FileType::Dir,
            mode,
            uid: 0,
            gid: 0,
            nlink: 2,
            size: 0,
            allocated: 0,
            change: 1,
            times: RecordTimes::all(self.options.now),
            exclusive: None,
            xattr_bytes: 0,
            next_xattr_cookie: 1,
            // The first cookies mean something else in READDIR (RFC 8881 section 18.23.3).
            body: RecordBody::Directory(DirectoryRecord { parent, entries: 0, next_cookie: 3 }),
        }
    }

    async fn take_in_objects(&mut self) -> StorageResult<()> {
        let mut after = Ino(0);
        loop {
            let page = self.metadata.scan(after, PAGE).await?;
            for (ino, record) in &page {
                let directory = match &record.body {
                    RecordBody::Directory(directory) => Some(*directory),
                    _ => None,
                };
                let file_type = type_of(record);
                if file_type != record.file_type {
                    self.problem(Problem::Body { ino: *ino, file_type: record.file_type });
                }
                self.table.push(*ino, file_type, directory);
            }
            match page.last() {
                Some((last, _)) => after = *last,
                None => break,
            }
        }
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        self.report.objects = count(self.table.len());
        self.report.directories = count(self.table.dirs().len());
        Ok(())
    }

    fn look_at_volume(&mut self) {
        let (largest, found) = (self.table.largest().0, self.report.objects);
        match self.recorded {
            None => self.problem(Problem::NoVolume),
            Some(VolumeRecord { next_ino, inodes, .. }) => {
                if next_ino <= largest {
                    self.problem(Problem::NextIno { recorded: next_ino, largest });
                }
                if inodes != found {
                    self.problem(Problem::InodeCount { recorded: inodes, found });
                }
            }
        }
        self.volume.next_ino = self.volume.next_ino.max(largest.saturating_add(1));
        self.volume.inodes = found;
    }

    /// Whether an object had this number at some time, as the volume's record was found.
    pub(super) fn was_given(&self, ino: Ino) -> bool {
        self.recorded.is_some_and(|volume| ino.0 < volume.next_ino)
    }

    pub(super) fn is_repair(&self) -> bool {
        self.options.mode == Mode::Repair
    }

    pub(super) fn problem(&mut self, problem: Problem) {
        self.report.found += 1;
        if self.report.problems.len() < self.options.listed {
            self.report.problems.push(problem);
        }
    }

    /// A number for a new object, which is counted.
    pub(super) fn give_ino(&mut self) -> Ino {
        let ino = Ino(self.volume.next_ino);
        self.volume.next_ino = self.volume.next_ino.saturating_add(1);
        self.volume.inodes += 1;
        ino
    }

    /// An object is gone for good.
    pub(super) fn forget(&mut self, ino: Ino) {
        if let Some(slot) = self.table.find(ino) {
            self.table.set_mark(slot, Mark::Gone);
        }
        self.volume.inodes = self.volume.inodes.saturating_sub(1);
        self.report.objects = self.report.objects.saturating_sub(1);
    }

    /// Changes the store, if this is a repair; not at once, but in this order.
    pub(super) async fn change(&mut self, mutation: Mutation) -> StorageResult<()> {
        self.change_all([mutation]).await
    }

    /// Changes the store in several ways at once.
    pub(super) async fn change_all(
        &mut self,
        mutations: impl IntoIterator<Item = Mutation>,
    ) -> StorageResult<()> {
        if self.is_repair() {
            self.batch.mutations.extend(mutations);
            if self.batch.mutations.len() >= BATCH {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Makes the changes up to now. The volume's record goes with them.
    pub(super) async fn flush(&mut self) -> StorageResult<()> {
        if !self.is_repair() {
            return Ok(());
        }
        let mut batch = std::mem::take(&mut self.batch);
        let is_counted = self.table.len() > 0;
        if is_counted && self.recorded != Some(self.volume) {
            batch.mutations.push(Mutation::PutVolume(self.volume));
            self.recorded = Some(self.volume);
        }
        if batch.mutations.is_empty() {
            return Ok(());
        }
        self.metadata.apply(batch).await
    }
}

/// What an object is: what it has counts, not what it is called.
pub(super) fn type_of(record: &InodeRecord) -> FileType {
    let of = record.file_type;
    let (fitting, otherwise): (&[FileType], FileType) = match record.body {
        RecordBody::Directory(_) => (&[FileType::Dir], FileType::Dir),
        RecordBody::Symlink(_) => (&[FileType::Lnk], FileType::Lnk),
        RecordBody::Device(_) => (&[FileType::Blk, FileType::Chr], FileType::Chr),
        RecordBody::Empty => (&[FileType::Reg, FileType::Fifo, FileType::Sock], FileType::Reg),
    };
    if fitting.contains(&of) { of } else { otherwise }
}

fn random() -> StorageResult<[u8; 8]> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| StorageError::failed(std::io::Error::other(error)))?;
    Ok(bytes)
}
