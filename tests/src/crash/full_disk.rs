//! A share on a disk that is full: what was acknowledged is there, removing works, and so does writing afterwards.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dittofs_framework::attr::{Bitmap, FATTR4_SPACE_AVAIL};
use dittofs_framework::proto::{Minor, NFS4ERR_NOSPC, NfsFh4, Stateid, Status, component};
use dittofs_framework::testing::CompoundReply;
use dittofs_framework::xdr::{Opaque, decode_all};
use dittofs_ops::close::{Close, Close4Args};
use dittofs_ops::commit::{Commit, Commit4Args};
use dittofs_ops::create::{Create, Create4Args, CreateType4};
use dittofs_ops::getattr::{GetAttr, Getattr4Args};
use dittofs_ops::io::StableHow4;
use dittofs_ops::open::{CreateHow4, Open, Open4Args, OpenClaim4, OpenFlag4};
use dittofs_ops::putfh::PutFh;
use dittofs_ops::remove::{Remove, Remove4Args};
use dittofs_ops::write::{Write, Write4Args};

use super::Failure;
use super::fault::{Fault, Step, Stop};
use super::op::Data;
use super::process::{Program, Server};
use super::send::wide;
use super::subject::Life;
use super::wire::{Attributes, Link, good, unexpected, wanted};
use crate::{BOTH, mode_attr, put, walk};

/// Figures of a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filled {
    /// Bytes that were acknowledged.
    pub bytes: u64,
    /// Names that were acknowledged.
    pub names: u64,
    /// Operations that were told that there is no space.
    pub refused: u64,
}

/// The largest write, and the smallest.
const LARGE: usize = 256 << 10;
const SMALL: usize = 1 << 10;
/// The longest file.
const LONGEST: usize = 4 << 20;
/// More names than any disk of this test has room for.
const TOO_MANY: usize = 500_000;
/// How long the space of what was removed may take to come back.
const PATIENCE: Duration = Duration::from_secs(20);

struct File {
    name: String,
    fh: NfsFh4,
    fileid: u64,
    written: Vec<Data>,
}

struct Disk<'a> {
    program: &'a Program,
    server: Server,
    link: Link,
    share: NfsFh4,
    files: Vec<File>,
    dirs: Vec<String>,
    lives: u64,
    seeds: u64,
    filled: Filled,
}

/// Fills the file system that the program's data directory is on, and empties it again.
pub async fn fill(program: &Program) -> Result<Filled, Failure> {
    let (server, link, share) = begin(program, 1).await.map_err(|stop| failure(stop, None))?;
    let (files, dirs, filled) = (Vec::new(), Vec::new(), Filled::default());
    let mut disk = Disk { program, server, link, share, files, dirs, lives: 1, seeds: 0, filled };
    match disk.all().await {
        Ok(()) => Ok(disk.filled),
        Err(stop) => Err(failure(stop, Some(&disk.server))),
    }
}

fn failure(stop: Stop, server: Option<&Server>) -> Failure {
    let fault = match stop {
        Stop::Gone => Fault::wrong("the server ended the connection"),
        Stop::Refused(what) => Fault::wrong(what),
        Stop::Fault(fault) => fault,
    };
    let context = server.map(Server::last_lines).unwrap_or_default();
    Failure { faults: vec![fault], context, ..Failure::default() }
}

async fn begin(program: &Program, life: u64) -> Step<(Server, Link, NfsFh4)> {
    let mut server = program.spawn().map_err(|error| Fault::wrong(format!("dfs does not start: {error}")))?;
    let addr = server.ready().await.map_err(Fault::wrong)?;
    // Another client each time: nobody has anything to reclaim.
    let mut link = Link::connect(addr, Minor::V2, "filler", life.to_be_bytes()).await?;
    link.complete().await?;
    let begun = Instant::now();
    while server.is_in_grace().await.map_err(Fault::wrong)? {
        if begun.elapsed() > PATIENCE {
            return Err(Fault::wrong("the grace period goes on, and nobody reclaims").into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let find = |link: &mut Link| walk(link.compound(), &["export"]).op::<GetAttr>(&wanted());
    let share = good(link.run(find).await?)?.get::<GetAttr>();
    let share = Attributes::of(&share.obj_attributes)?.fh;
    Ok((server, link, share))
}

impl Disk<'_> {
    async fn all(&mut self) -> Step<()> {
        self.fill_with_data(StableHow4::FileSync).await?;
        self.fill_with_data(StableHow4::Unstable).await?;
        self.fill_with_names().await?;
        self.check().await?;
        self.remove_while_full().await?;
        self.restart().await?;
        self.remove_while_full().await?;
        self.empty_a_half().await?;
        self.write_again().await?;
        self.fill_from_outside().await?;
        self.restart().await?;
        self.server.kill().await.map_err(Fault::wrong)?;
        self.fsck()
    }

    fn fsck(&self) -> Step<()> {
        self.program.fsck().map_err(|what| Fault::wrong(what).into())
    }

    /// The server is killed and starts again, on a disk as it is.
    async fn restart(&mut self) -> Step<()> {
        self.server.kill().await.map_err(Fault::wrong)?;
        self.fsck()?;
        self.lives += 1;
        (self.server, self.link, self.share) = begin(self.program, self.lives).await?;
        self.check().await
    }

    /// Writes files until even the smallest write is refused.
    async fn fill_with_data(&mut self, stable: StableHow4) -> Step<()> {
        let mut len = LARGE;
        loop {
            let is_done = self.files.last().is_none_or(|file| file.len() >= LONGEST);
            if is_done && !self.create_file().await? {
                return Ok(());
            }
            if !self.append(len, stable).await? {
                len /= 4;
            }
            if len < SMALL {
                return Ok(());
            }
        }
    }

    /// Makes files and directories until both are refused.
    async fn fill_with_names(&mut self) -> Step<()> {
        for _ in 0..TOO_MANY {
            let made = (self.create_file().await?, self.create_dir().await?);
            if made == (false, false) {
                return Ok(());
            }
        }
        Err(Fault::wrong("names without end on a full disk").into())
    }

    /// Removing needs no space that is not there.
    async fn remove_while_full(&mut self) -> Step<()> {
        let before = self.available().await?;
        for _ in 0..3 {
            let file = self.files.remove(0);
            self.remove(&file.name).await?;
        }
        if let Some(dir) = self.dirs.pop() {
            self.remove(&dir).await?;
        }
        let begun = Instant::now();
        while self.available().await? <= before {
            if begun.elapsed() > PATIENCE {
                return Err(Fault::wrong("no more space is free after files were removed").into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.check().await
    }

    async fn empty_a_half(&mut self) -> Step<()> {
        for _ in 0..self.files.len() / 2 {
            let file = self.files.remove(0);
            self.remove(&file.name).await?;
        }
        for dir in std::mem::take(&mut self.dirs) {
            self.remove(&dir).await?;
        }
        self.check().await
    }

    /// Where there is space again, all works again.
    async fn write_again(&mut self) -> Step<()> {
        let begun = Instant::now();
        loop {
            let written = self.create_file().await? && self.append(LARGE, StableHow4::FileSync).await?;
            if written && self.create_dir().await? {
                return self.check().await;
            }
            if begun.elapsed() > PATIENCE {
                return Err(Fault::wrong("no space for writes, and half of all was removed").into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Somebody else takes all the space that is left, reserves included, and gives it back.
    async fn fill_from_outside(&mut self) -> Step<()> {
        let beside = self.program.log.with_file_name("filler");
        let failed = |error: io::Error| Fault::wrong(format!("{}: {error}", beside.display()));
        take_all(&beside).map_err(failed)?;
        for _ in 0..20 {
            if self.create_file().await? {
                self.append(LARGE, StableHow4::FileSync).await?;
            }
            self.create_dir().await?;
        }
        self.check().await?;
        std::fs::remove_file(&beside).map_err(failed)?;
        self.write_again().await
    }

    fn next_name(&mut self, kind: &str) -> String {
        self.seeds += 1;
        format!("{kind}-{}", self.seeds)
    }

    /// `false` if there is no space; nothing else may be wrong.
    fn has_space(&mut self, doing: &str, reply: &CompoundReply) -> Step<bool> {
        match reply.status {
            NFS4ERR_NOSPC => {
                self.filled.refused += 1;
                Ok(false)
            }
            status if status.is_ok() => Ok(true),
            status => Err(unexpected(doing, status)),
        }
    }

    async fn create_file(&mut self) -> Step<bool> {
        let name = self.next_name("file");
        let args = Open4Args {
            seqid: 0,
            share_access: BOTH,
            share_deny: 0,
            owner: self.link.owner(),
            openhow: OpenFlag4::Create(CreateHow4::Guarded(mode_attr(0o644))),
            claim: OpenClaim4::Null(component(&name)),
        };
        let share = put(&self.share);
        let open = |link: &mut Link| {
            let close = Close4Args { seqid: 0, open_stateid: Stateid::CURRENT };
            let compound = link.compound().op::<PutFh>(&share).op::<Open>(&args);
            compound.op::<GetAttr>(&wanted()).op::<Close>(&close)
        };
        let reply = self.link.run(open).await?;
        if !self.has_space("OPEN", &reply)? {
            return Ok(false);
        }
        let made = Attributes::of(&reply.get::<GetAttr>().obj_attributes)?;
        self.filled.names += 1;
        self.files.push(File { name, fh: made.fh, fileid: made.fileid, written: Vec::new() });
        Ok(true)
    }

    async fn create_dir(&mut self) -> Step<bool> {
        let name = self.next_name("dir");
        let args = Create4Args {
            objtype: CreateType4::Dir,
            objname: component(&name),
            createattrs: mode_attr(0o755),
        };
        let share = put(&self.share);
        let reply = self.link.run(|link| link.compound().op::<PutFh>(&share).op::<Create>(&args)).await?;
        let is_made = self.has_space("CREATE", &reply)?;
        if is_made {
            self.filled.names += 1;
            self.dirs.push(name);
        }
        Ok(is_made)
    }

    /// Appends to the last file, and commits that.
    async fn append(&mut self, len: usize, stable: StableHow4) -> Step<bool> {
        self.seeds += 1;
        let data = Data { seed: self.seeds, len };
        let Some(file) = self.files.last() else { return Ok(false) };
        let (fh, offset) = (put(&file.fh), wide(file.len()));
        let args = Write4Args {
            stateid: Stateid::ANONYMOUS,
            offset,
            stable,
            data: Opaque(Bytes::from(data.bytes())),
        };
        let write = |link: &mut Link| {
            let compound = link.compound().op::<PutFh>(&fh).op::<Write>(&args);
            compound.op::<Commit>(&Commit4Args { offset: 0, count: 0 })
        };
        let reply = self.link.run(write).await?;
        if !self.has_space("WRITE", &reply)? {
            return self.cut(offset).await.map(|()| false);
        }
        let count = usize::try_from(reply.get::<Write>().count).unwrap_or(usize::MAX);
        if count != len {
            return Err(Fault::wrong(format!("{count} bytes of {len} written")).into());
        }
        self.filled.bytes += wide(len);
        if let Some(file) = self.files.last_mut() {
            file.written.push(data);
        }
        Ok(true)
    }

    /// Where a write was refused, or its commit, the file may be longer than what was acknowledged: that is cut.
    async fn cut(&mut self, size: u64) -> Step<()> {
        let Some(file) = self.files.last() else { return Ok(()) };
        let found = self.link.attributes(&file.fh).await?;
        let found = found.ok_or_else(|| Fault::lost(format!("{} is stale", file.name)))?;
        if found.size < size {
            return Err(Fault::lost(format!("{} has {} bytes of {size}", file.name, found.size)).into());
        }
        if found.size > size {
            let fh = file.fh.clone();
            let status = self.link.resize(&fh, size).await?;
            if !status.is_ok() {
                return Err(unexpected("truncation on a full disk", status));
            }
        }
        Ok(())
    }

    async fn remove(&mut self, name: &str) -> Step<()> {
        let (share, args) = (put(&self.share), Remove4Args { target: component(name) });
        let reply = self.link.run(|link| link.compound().op::<PutFh>(&share).op::<Remove>(&args)).await?;
        if reply.status.is_ok() {
            Ok(())
        } else {
            Err(unexpected(&format!("REMOVE of {name}"), reply.status))
        }
    }

    async fn available(&mut self) -> Step<u64> {
        let args = Getattr4Args { attr_request: Bitmap::of(&[FATTR4_SPACE_AVAIL]) };
        let share = put(&self.share);
        let reply = self.link.run(|link| link.compound().op::<PutFh>(&share).op::<GetAttr>(&args)).await?;
        let found = good(reply)?.get::<GetAttr>().obj_attributes;
        decode_all(&found.attr_vals.0).map_err(|error| Fault::wrong(error.to_string()).into())
    }

    /// All names that were acknowledged are there and no others, and every byte is right.
    async fn check(&mut self) -> Step<()> {
        let entries = self.link.list(&self.share, "").await?;
        let count = self.files.len() + self.dirs.len();
        if entries.len() != count {
            return Err(Fault::wrong(format!("{} names instead of {count}", entries.len())).into());
        }
        for dir in &self.dirs {
            entries.get(dir).ok_or_else(|| Fault::lost(format!("{dir} is not there")))?;
        }
        for file in &self.files {
            let found =
                entries.get(&file.name).ok_or_else(|| Fault::lost(format!("{} is not there", file.name)))?;
            if found.fileid != file.fileid || found.fh != file.fh {
                return Err(Fault::wrong(format!("{} is another file", file.name)).into());
            }
            let bytes = self.link.contents(&file.fh, found.size).await?;
            if bytes != file.bytes() {
                let what =
                    format!("{} bytes of {}: {} were acknowledged", bytes.len(), file.name, file.len());
                return Err(Fault::lost(what).into());
            }
        }
        Ok(())
    }
}

impl File {
    fn len(&self) -> usize {
        self.written.iter().map(|data| data.len).sum()
    }

    fn bytes(&self) -> Vec<u8> {
        self.written.iter().flat_map(|data| data.bytes()).collect()
    }
}

impl Link {
    /// Sets the size of a file.
    async fn resize(&mut self, fh: &NfsFh4, size: u64) -> Step<Status> {
        use dittofs_ops::setattr::{SetAttr, Setattr4Args};
        let args = Setattr4Args { stateid: Stateid::ANONYMOUS, obj_attributes: crate::size_attr(size) };
        let fh = put(fh);
        Ok(self.run(|link| link.compound().op::<PutFh>(&fh).op::<SetAttr>(&args)).await?.status)
    }
}

/// Writes a file until its file system has no byte left.
fn take_all(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    let zeros = vec![0; 1 << 16];
    let mut len = zeros.len();
    while len > 0 {
        match file.write(&zeros[..len]) {
            Ok(0) => len /= 2,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::StorageFull => len /= 2,
            Err(error) => return Err(error),
        }
    }
    file.sync_all()
        .or_else(|error| if error.kind() == io::ErrorKind::StorageFull { Ok(()) } else { Err(error) })
}
