//! The thread that changes the database.
use std::io;
use std::sync::mpsc;
use std::thread::JoinHandle;

use dittofs_framework::storage::{Batch, Mutation, Room, StorageError, StorageResult};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use tokio::sync::oneshot;

use super::error::SqlResult;
use super::schema::to_sql;

/// What the thread is asked for, and who waits for it.
enum Job {
    Apply(Batch, oneshot::Sender<StorageResult<()>>),
    Room(oneshot::Sender<StorageResult<Room>>),
}

/// The thread. When it is dropped it does what it was asked for, and ends.
pub(crate) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(connection: Connection) -> io::Result<Self> {
        let (jobs, asked) = mpsc::channel();
        let thread = std::thread::Builder::new().name("sqlite writer".to_owned());
        let thread = thread.spawn(move || run(connection, &asked))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    pub(crate) async fn apply(&self, batch: Batch) -> StorageResult<()> {
        self.ask(|answer| Job::Apply(batch, answer)).await
    }

    pub(crate) async fn room(&self) -> StorageResult<Room> {
        self.ask(Job::Room).await
    }

    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<StorageResult<T>>) -> Job) -> StorageResult<T> {
        let (answer, answered) = oneshot::channel();
        let ended = || StorageError::failed(io::Error::other("the writer has ended"));
        self.jobs.as_ref().ok_or_else(ended)?.send(job(answer)).map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn run(mut connection: Connection, jobs: &mpsc::Receiver<Job>) {
    let mut broken = None;
    for job in jobs {
        match job {
            Job::Apply(batch, answer) => {
                let result = match &broken {
                    Some(error) => Err(StorageError::clone(error)),
                    None => apply(&mut connection, &batch).map_err(StorageError::from),
                };
                // Whether a batch that failed is on the disk nobody knows until the database is opened again. Until then nothing can
                // be built on it.
                if let Err(error) = &result
                    && !matches!(error, StorageError::NoSpace)
                {
                    broken = Some(error.clone());
                }
                // Nobody may wait for it any more.
                drop(answer.send(result));
            }
            Job::Room(answer) => drop(answer.send(room(&connection).map_err(StorageError::from))),
        }
    }
}

/// One batch is one transaction. If anything fails it is rolled back when it is dropped.
fn apply(connection: &mut Connection, batch: &Batch) -> SqlResult<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for mutation in &batch.mutations {
        change(&transaction, mutation)?;
    }
    Ok(transaction.commit()?)
}

fn change(transaction: &Transaction<'_>, mutation: &Mutation) -> SqlResult<()> {
    let run = |sql: &str, params: &[&dyn rusqlite::ToSql]| {
        transaction.prepare_cached(sql).and_then(|mut statement| statement.execute(params))
    };
    match mutation {
        Mutation::PutVolume(volume) => {
            run("INSERT OR REPLACE INTO volume VALUES (1, ?1)", params![&volume.to_bytes()[..]])
        }
        Mutation::PutInode(ino, record) => run(
            "INSERT OR REPLACE INTO inodes VALUES (?1, ?2)",
            params![to_sql(ino.0), &record.to_bytes()[..]],
        ),
        Mutation::RemoveInode(ino) => run("DELETE FROM inodes WHERE ino = ?1", params![to_sql(ino.0)]),
        // Not `OR REPLACE`: an entry that is there already means that the file system and the store disagree.
        Mutation::PutEntry { dir, name, entry } => run(
            "INSERT INTO entries (dir, cookie, name, ino, file_type) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                to_sql(dir.0),
                to_sql(entry.cookie),
                &name[..],
                to_sql(entry.ino.0),
                entry.file_type as u32
            ],
        ),
        Mutation::RemoveEntry { dir, cookie, .. } => {
            run("DELETE FROM entries WHERE dir = ?1 AND cookie = ?2", params![to_sql(dir.0), to_sql(*cookie)])
        }
        Mutation::PutXattr { ino, name, xattr } => run(
            "INSERT OR REPLACE INTO xattrs (ino, cookie, name, value) VALUES (?1, ?2, ?3, ?4)",
            params![to_sql(ino.0), to_sql(xattr.cookie), &name[..], &xattr.value[..]],
        ),
        Mutation::RemoveXattr { ino, cookie, .. } => {
            run("DELETE FROM xattrs WHERE ino = ?1 AND cookie = ?2", params![to_sql(ino.0), to_sql(*cookie)])
        }
        Mutation::MarkOrphan(ino) => run("INSERT INTO orphans VALUES (?1)", params![to_sql(ino.0)]),
        Mutation::UnmarkOrphan(ino) => run("DELETE FROM orphans WHERE ino = ?1", params![to_sql(ino.0)]),
    }?;
    Ok(())
}

/// As many bytes as the database may still grow by, and those of pages that are free in it.
fn room(connection: &Connection) -> SqlResult<Room> {
    let value =
        |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, u32>(0)).map(u64::from);
    let (page_size, max) = (value("page_size")?, value("max_page_count")?);
    let (pages, unused) = (value("page_count")?, value("freelist_count")?);
    let total = max * page_size;
    let free = (max.saturating_sub(pages) + unused) * page_size;
    Ok(Room { total, free, available: free })
}
