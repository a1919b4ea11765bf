//! The thread that writes: nobody else waits for the disk.

use std::{
    collections::VecDeque,
    io,
    path::Path,
    sync::{Arc, mpsc},
    time::Duration,
};

use parking_lot::{Condvar, Mutex};
use prometheus::IntCounter;
use tokio::sync::oneshot;

use super::{entry::Entry, file::AuditFile, fold::Folds};
use crate::model::{Clock, Time};

/// Lines that wait for a slow disk.
pub(super) const QUEUE_MOST: usize = 1024;
/// How often it is looked whether minutes of folded events are over.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A failing disk is complained about once in this time.
const COMPLAINT_INTERVAL_MS: i64 = 60_000;

/// What the thread is to do, in order.
pub(super) enum Job {
    /// Write a line; whoever must know hears what came of it.
    Write(Entry, Option<oneshot::Sender<io::Result<()>>>),
    /// Put what was written on the disk; the answer is the first failure since the last time.
    Sync(mpsc::Sender<io::Result<()>>),
}

/// What waits for the thread.
#[derive(Default)]
pub(super) struct Pending {
    pub jobs: VecDeque<Job>,
    pub folds: Folds,
    /// The file that was opened in place of one that was moved away.
    pub replacement: Option<AuditFile>,
    pub stop: bool,
}

impl Pending {
    /// Puts the lines of what folded, of which there are few, at the end of the queue.
    pub fn close_folds(&mut self) {
        let lines = self.folds.take_all();
        self.queue(lines);
    }

    fn queue(&mut self, lines: Vec<Entry>) {
        self.jobs.extend(lines.into_iter().map(|line| Job::Write(line, None)));
    }
}

/// What callers and the thread share; nobody holds the lock while writing.
#[derive(Default)]
pub(super) struct Shared {
    pub pending: Mutex<Pending>,
    pub wake: Condvar,
}

/// The thread's own.
pub(super) struct Writer {
    pub shared: Arc<Shared>,
    pub file: AuditFile,
    pub clock: Arc<dyn Clock>,
    pub failures: IntCounter,
    pub path: Box<Path>,
    pub complained: Option<Time>,
    pub failed: Option<io::Error>,
}

impl Writer {
    /// Works until it is reply to stop and nothing waits any more.
    pub fn run(mut self) {
        loop {
            let mut pending = self.shared.pending.lock();
            let due = pending.folds.take_due(self.clock.now());
            pending.queue(due);
            if pending.jobs.is_empty() && pending.replacement.is_none() {
                if pending.stop {
                    return;
                }
                self.shared.wake.wait_for(&mut pending, LOOK_EVERY);
            }
            let jobs = std::mem::take(&mut pending.jobs);
            let replacement = pending.replacement.take();
            drop(pending);
            if let Some(file) = replacement {
                self.file = file;
            }
            jobs.into_iter().for_each(|job| self.work(job));
        }
    }

    fn work(&mut self, job: Job) {
        match job {
            Job::Write(entry, reply) => {
                // Others were shown when they came.
                if entry.count.is_some() {
                    entry.show();
                }
                let written = self.file.append(&entry);
                if let Err(error) = &written {
                    self.failures.inc();
                    self.complain(error);
                    self.failed.get_or_insert(io::Error::new(error.kind(), error.to_string()));
                }
                // Whoever waited may have given up.
                let _ = reply.map(|reply| reply.send(written));
            }
            Job::Sync(reply) => {
                let synced = self.file.sync();
                let _ = reply.send(self.failed.take().map_or(synced, Err));
            }
        }
    }

    fn complain(&mut self, error: &io::Error) {
        let now = self.clock.now();
        let lately = |at: Time| (0..COMPLAINT_INTERVAL_MS).contains(&now.since(at));
        if self.complained.is_none_or(|at| !lately(at)) {
            self.complained = Some(now);
            tracing::error!(path = %self.path.display(), %error, "the audit log cannot be written");
        }
    }
}
