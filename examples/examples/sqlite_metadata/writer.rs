//! The thread that changes the database.
use std::io;
use std::sync::mpsc;
use std::thread::JoinHandle;

use dittofs_framework::storage::{Batch, Mutation, StorageError, StorageResult};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use tokio::sync::oneshot;

use super::error::SqlResult;
use super::schema::to_sql;

/// A batch, and who waits for it.
type Job = (Batch, oneshot::Sender<StorageResult<()>>);

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
        let (answer, answered) = oneshot::channel();
        let ended = || StorageError::failed(io::Error::other("the writer has ended"));
        self.jobs.as_ref().ok_or_else(ended)?.send((batch, answer)).map_err(|_| ended())?;
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
    let mut broken: Option<StorageError> = None;
    for (batch, answer) in jobs {
        let result = match &broken {
            Some(error) => Err(error.clone()),
            None => apply(&mut connection, &batch).map_err(StorageError::from),
        };
        // Whether a batch that failed is on the disk nobody knows until the database is opened again. Until then nothing can be built
        // on it.
        if let Err(error) = &result
            && !matches!(error, StorageError::NoSpace)
        {
            broken = Some(error.clone());
        }
        // Perhaps nobody waits for it any more.
        drop(answer.send(result));
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
