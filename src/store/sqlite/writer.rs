//! The one thread that writes.
//!
//! Everything that changes the file goes through it as a job in an immediate transaction, one
//! after the other; a job that was handed in is finished even if nobody waits for it any more.
//!
//! While another process has the file locked, one job waits for that, and those behind it do not
//! wait as long once more.

use std::{
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use super::{
    connection::{BUSY_TIMEOUT, DatabaseFile, store_error, write_error},
    inbox::Inbox,
};
use crate::store::{Result, StoreError};

/// How long a job waits for another process' lock that the job before it waited for in vain.
const STILL_BUSY_TIMEOUT: Duration = Duration::from_millis(50);

/// How long nothing has to come before what is in the inbox is written into the table.
const QUIET: Duration = Duration::from_millis(20);
/// The same after that failed.
const SETTLE_AGAIN: Duration = Duration::from_secs(1);

type Job = Box<dyn FnOnce(&mut Hand) + Send>;

/// What the thread has in hand.
struct Hand {
    file: Arc<DatabaseFile>,
    connection: Connection,
    inbox: Inbox,
    /// Whether another process had the file locked when it was last tried.
    locked: bool,
    /// When the last group of alerts was written.
    last_group: Option<Instant>,
}

impl Hand {
    /// Begins to write.
    fn begin(&mut self) -> rusqlite::Result<(Transaction<'_>, &mut Inbox)> {
        let patience = if self.locked { STILL_BUSY_TIMEOUT } else { BUSY_TIMEOUT };
        self.connection.busy_timeout(patience)?;
        let begun = self.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let code = begun.as_ref().err().and_then(rusqlite::Error::sqlite_error_code);
        self.locked = code == Some(ErrorCode::DatabaseBusy);
        begun.map(|tx| (tx, &mut self.inbox))
    }

    /// Runs `work` in a transaction; when it returns `Ok`, the change is on the disk.
    fn write<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, &mut Inbox) -> rusqlite::Result<T>,
    ) -> Result<T> {
        self.file.check()?;
        let done = self.begin().and_then(|(tx, inbox)| {
            let result = work(&tx, inbox)?;
            tx.commit()?;
            Ok(result)
        });
        self.inbox.end(done.is_ok());
        done.map_err(write_error)
    }

    /// Does the jobs, and what is left for when there are none.
    fn work(&mut self, jobs: &mpsc::Receiver<Job>) {
        let mut patience = QUIET;
        loop {
            let job = match self.inbox.is_empty() {
                true => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => jobs.recv_timeout(patience),
            };
            let settled = match job {
                Ok(job) => {
                    job(self);
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => self.write(settle),
                Err(RecvTimeoutError::Disconnected) => break,
            };
            patience = match settled {
                Ok(()) => QUIET,
                Err(error) => {
                    tracing::debug!(%error, "the inbox of alerts waits for the database");
                    SETTLE_AGAIN
                }
            };
        }
        // Leaves one file behind instead of three, and nothing in the inbox; what remains there or
        // in the WAL is safe too.
        let settled = if self.inbox.is_empty() { Ok(()) } else { self.write(settle) };
        let checkpoint = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
        if let Err(error) = settled.and(checkpoint.map_err(store_error)) {
            tracing::debug!(%error, "the last checkpoint was left to the next start");
        }
    }
}

fn settle(tx: &Transaction<'_>, inbox: &mut Inbox) -> rusqlite::Result<()> {
    inbox.follow(tx)?;
    inbox.settle(tx)
}

/// The door to the thread.
pub struct Writer {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

impl Writer {
    /// Hands the connection to a new thread.
    pub fn start(file: Arc<DatabaseFile>, connection: Connection) -> Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let thread = thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || {
                let inbox = Inbox::default();
                Hand { file, connection, inbox, locked: false, last_group: None }.work(&queue);
            })
            .map_err(StoreError::unavailable)?;
        Ok(Self { jobs: Mutex::new(Some(jobs)), thread: Mutex::new(Some(thread)) })
    }

    /// Runs `work`, which changes no alerts, in a transaction; when it returns `Ok`, the change is
    /// on the disk.
    pub async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        self.run(move |hand| hand.write(|tx, _| work(tx))).await
    }

    /// The same for what changes alerts: all that are stored are in their table.
    pub async fn write_alerts<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        self.run(move |hand| {
            hand.write(|tx, inbox| {
                settle(tx, inbox)?;
                work(tx)
            })
        })
        .await
    }

    /// The same for what may leave alerts in the inbox. It is told whether it is one of several that
    /// follow one another.
    pub async fn write_group<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>, &mut Inbox, bool) -> rusqlite::Result<T> + Send + 'static,
    {
        self.run(move |hand| {
            let hurry = hand.last_group.is_some_and(|last| last.elapsed() < QUIET);
            let written = hand.write(|tx, inbox| {
                inbox.follow(tx)?;
                work(tx, inbox, hurry)
            });
            hand.last_group = Some(Instant::now());
            written
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
