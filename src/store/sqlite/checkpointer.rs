//! The thread that moves what is committed from the write-ahead log into the database file.
//!
//! It has a connection of its own, so that commits go on meanwhile. As they do, it does not reach the
//! end of the log, which grows; where that must end, the thread that writes moves the rest, which is
//! little by then, and the log begins anew.

use std::{
    ffi::c_int,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, SyncSender},
    },
    thread,
};

use rusqlite::{Connection, hooks::Wal};

use super::connection::{DatabaseFile, store_error};
use crate::store::{Result, StoreError};

/// When something is done, by the pages (of 4 KiB) in the log.
#[derive(Clone, Copy)]
pub struct Pages {
    /// So many gather before they are moved: each time costs two syncs.
    due: c_int,
    /// With so many the thread that writes moves the rest.
    most: c_int,
}

impl Pages {
    /// Those of a log on a disk with so many bytes free. A page that is changed again and again is
    /// moved once each time, so a long log costs less; but what it takes, alerts cannot take.
    pub fn within(free: u64) -> Self {
        // From 4 to 64 MiB, and an eighth of what is free.
        let most = (free / 8 / 4_096).clamp(1_000, 16_000) as c_int;
        Self { due: most / 4, most }
    }

    /// How long a log is that has the most.
    pub fn most_bytes(self) -> u64 {
        log_bytes(self.most)
    }
}

/// How long a log of so many pages is: each has a head of 24 bytes, and the file one of 32.
fn log_bytes(pages: c_int) -> u64 {
    32 + u64::from(pages.unsigned_abs()) * (24 + 4_096)
}

/// The thread, once it is started.
pub struct Checkpointer {
    thread: thread::JoinHandle<()>,
    used: Arc<AtomicU64>,
}

impl Checkpointer {
    /// Starts it for what this connection writes.
    pub fn start(file: &DatabaseFile, writing: &mut Connection, pages: Pages) -> Result<Self> {
        let own = file.connect()?;
        let (due, wakes) = mpsc::sync_channel(1);
        let used = Arc::new(AtomicU64::new(0));
        writing.wal_hook(Some(watch(due, Arc::clone(&used), pages))).map_err(store_error)?;
        let work = move || {
            for () in wakes {
                let moved = own.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
                if let Err(error) = moved {
                    tracing::debug!(%error, "a checkpoint was left to the next one");
                }
            }
        };
        let thread = thread::Builder::new().name("sqlite-checkpointer".into()).spawn(work);
        let thread = thread.map_err(StoreError::unavailable)?;
        Ok(Self { thread, used })
    }

    /// Bytes of the log that were in use after the last commit.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Ends it, with the checkpoint that is under way.
    pub fn stop(self, writing: &mut Connection) {
        let deaf = writing.wal_hook(None::<fn(&mut Wal, c_int) -> rusqlite::Result<()>>);
        if deaf.is_err() || self.thread.join().is_err() {
            tracing::error!("the thread that makes SQLite's checkpoints had died");
        }
    }
}

/// Is told after each commit how many pages are in the log. It never fails: the commit is done.
fn watch(
    tell: SyncSender<()>,
    used: Arc<AtomicU64>,
    Pages { due, most }: Pages,
) -> impl FnMut(&mut Wal, c_int) -> rusqlite::Result<()> {
    let mut told_at = 0;
    move |log, pages| {
        used.store(log_bytes(pages), Ordering::Relaxed);
        if pages < told_at {
            told_at = 0;
        }
        if pages >= most {
            // It waits for no reader and not for the thread; the next commit tries again.
            let _ = log.checkpoint();
        } else if pages - told_at >= due {
            told_at = pages;
            let _ = tell.try_send(());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// Pages that fit into the log that is this long.
    fn pages(log: &Path) -> u64 {
        fs::metadata(log).unwrap().len() / 4_096
    }

    #[test]
    fn a_log_takes_an_eighth_of_what_is_free_within_bounds() {
        let most = |free: u64| Pages::within(free).most;
        assert_eq!(most(48 << 20), 1_536);
        assert_eq!((most(0), most(u64::MAX)), (1_000, 16_000));
    }

    #[test]
    fn a_log_that_is_written_without_a_pause_stays_bounded_and_no_commit_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("busy.db");
        let (file, mut writing) = DatabaseFile::open(&path).unwrap();
        let bounds = Pages { due: 20, most: 100 };
        let checkpointer = Checkpointer::start(&file, &mut writing, bounds).unwrap();
        writing.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY, x TEXT)").unwrap();
        for n in 0..2_000 {
            writing.execute("INSERT INTO t VALUES (?1, ?2)", (n, "x".repeat(9_000))).unwrap();
        }
        // Of some 8,000. A commit does not wait for the thread, so a few more may be in it.
        assert!(pages(&folder.path().join("busy.db-wal")) < 500);
        checkpointer.stop(&mut writing);
        let rows = |c: &Connection| c.query_row("SELECT count(*) FROM t", [], |row| row.get(0));
        assert_eq!(rows(&writing), Ok(2_000));
        drop(writing);
        let left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(left, [path]);
    }

    #[test]
    fn what_a_reader_holds_up_is_moved_once_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let (file, mut writing) = DatabaseFile::open(&folder.path().join("read.db")).unwrap();
        let bounds = Pages { due: 20, most: 100 };
        let checkpointer = Checkpointer::start(&file, &mut writing, bounds).unwrap();
        writing.execute_batch("CREATE TABLE t (x TEXT)").unwrap();
        let reader = file.reader().unwrap();
        let snapshot = reader.unchecked_transaction().unwrap();
        let rows = |c: &Connection| c.query_row("SELECT count(*) FROM t", [], |row| row.get(0));
        assert_eq!(rows(&snapshot), Ok(0));
        let write = |times: usize| {
            for _ in 0..times {
                writing.execute("INSERT INTO t VALUES (?1)", ["x".repeat(9_000)]).unwrap();
            }
        };
        write(200);
        let log = folder.path().join("read.db-wal");
        let grown = pages(&log);
        assert!(grown > 400, "{grown}");
        assert_eq!(rows(&snapshot), Ok(0));
        drop(snapshot);
        write(400);
        assert!(pages(&log) < grown + 400, "of some 1,600 it takes");
        checkpointer.stop(&mut writing);
    }
}
