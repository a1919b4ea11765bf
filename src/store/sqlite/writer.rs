//! The one thread that writes.
//!
//! Everything that changes the file goes through it as a job in an immediate transaction, one
//! after the other; a job that was handed in is finished even if nobody waits for it any more.
//!
//! While another process has the file locked, one job waits for that, and those behind it do not
//! wait as long once more.

use std::{
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use super::{
    checkpointer::{Checkpointer, Pages},
    connection::{BUSY_TIMEOUT, DatabaseFile, store_error, write_error},
    log,
};
use crate::store::{Result, StoreError};

/// How long a job waits for another process' lock that the job before it waited for in vain.
const STILL_BUSY_TIMEOUT: Duration = Duration::from_millis(50);

type Job = Box<dyn FnOnce(&mut Hand) + Send>;

/// What the thread has in hand.
struct Hand {
    connection: Connection,
    /// Whether another process had the file locked when it was last tried.
    locked: bool,
}

impl Hand {
    /// Begins to write.
    fn begin(&mut self) -> rusqlite::Result<Transaction<'_>> {
        let patience = if self.locked { STILL_BUSY_TIMEOUT } else { BUSY_TIMEOUT };
        self.connection.busy_timeout(patience)?;
        let begun = self.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let code = begun.as_ref().err().and_then(rusqlite::Error::sqlite_error_code);
        self.locked = code == Some(ErrorCode::DatabaseBusy);
        begun
    }
}

/// The door to the thread.
pub struct Writer {
    file: Arc<DatabaseFile>,
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

impl Writer {
    /// Hands the connection to a new thread.
    pub fn start(file: Arc<DatabaseFile>, mut connection: Connection) -> Result<Self> {
        let pages = Pages::within(file.free_space()?);
        let checkpointer = Checkpointer::start(&file, &mut connection, pages)?;
        let (jobs, queue) = mpsc::channel::<Job>();
        let written = Arc::clone(&file);
        let thread = thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || {
                let mut hand = Hand { connection, locked: false };
                for job in queue {
                    job(&mut hand);
                    log::keep_ahead(&written, &hand.connection, &checkpointer, pages);
                }
                checkpointer.stop(&mut hand.connection);
                // Leaves one file behind instead of three; what remains in the WAL is safe too.
                if let Err(error) = hand.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
                {
                    tracing::debug!(%error, "the last checkpoint was left to the next start");
                }
            })
            .map_err(StoreError::unavailable)?;
        Ok(Self { file, jobs: Mutex::new(Some(jobs)), thread: Mutex::new(Some(thread)) })
    }

    /// Runs `work` in a transaction; when it returns `Ok`, the change is on the disk.
    pub async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        let file = Arc::clone(&self.file);
        self.run(move |hand| {
            file.check()?;
            let done = hand.begin().and_then(|tx| {
                let result = work(&tx)?;
                tx.commit()?;
                Ok(result)
            });
            done.map_err(write_error)
        })
        .await
    }

    /// Can the file be locked for writing?
    pub async fn ping(&self) -> Result<()> {
        self.run(|hand| hand.begin().map(drop).map_err(store_error)).await
    }

    /// Can the file take a write? A number in its head, which nothing reads, is written and synced.
    pub async fn beat(&self) -> Result<()> {
        self.write(|tx| {
            let beat: i32 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
            tx.pragma_update(None, "user_version", beat.wrapping_add(1) & i32::MAX)
        })
        .await
    }

    /// A number that changes when another process changes the file, and only then.
    pub async fn data_version(&self) -> Result<i64> {
        self.run(|hand| {
            let version = hand.connection.query_row("PRAGMA data_version", [], |row| row.get(0));
            version.map_err(store_error)
        })
        .await
    }

    async fn run<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Hand) -> Result<T> + Send + 'static,
    {
        let (answer, result) = oneshot::channel();
        let job: Job = Box::new(move |hand| {
            // Nobody waits: the caller was cancelled, which is its right.
            let _ = answer.send(job(hand));
        });
        let sent = self.jobs.lock().as_ref().map(|jobs| jobs.send(job));
        match sent {
            Some(Ok(())) => result.await.unwrap_or_else(|_| Err(gone())),
            _ => Err(gone()),
        }
    }

    /// Finishes all jobs and closes the connection.
    pub async fn close(&self) {
        self.jobs.lock().take();
        let Some(thread) = self.thread.lock().take() else { return };
        if tokio::task::spawn_blocking(move || thread.join().is_err()).await.unwrap_or(true) {
            tracing::error!("the thread that writes to SQLite had died");
        }
    }
}

fn gone() -> StoreError {
    StoreError::unavailable("the store is closed")
}
