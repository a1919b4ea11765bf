//! The audit log: one JSON object a line, in a file that only its owner reads.
//!
//! Callers never wait for the disk: a thread writes what they queue (`writer`), and equal events
//! fold (`fold`), so that a flood fills neither queue nor disk. A disk that fails never fails the
//! caller: the failure is counted and logged, the event is still in the log, and the next line
//! opens the file anew. What must not happen unseen asks for proof: [`AuditLog::record_confirmed`].

mod entry;
mod file;
mod fold;
mod writer;

use std::{
    fmt, io,
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use parking_lot::MutexGuard;
use prometheus::{IntCounter, IntCounterVec};
use serde_json::Value;
use tokio::sync::oneshot;

use self::{
    entry::Entry,
    file::AuditFile,
    writer::{Job, Pending, QUEUE_MOST, Shared, Writer},
};
use super::Event;
use crate::model::Clock;

/// How long a disk may take before a caller who asked for proof gives up.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is counted about the audit log.
#[derive(Clone, Debug)]
pub struct AuditCounters {
    /// `security_events_total{event}`.
    pub events: IntCounterVec,
    /// `audit_write_failures_total`.
    pub write_failures: IntCounter,
}

/// Whose doing an event was, as far as known.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuditContext<'a> {
    /// The id of the request.
    pub request_id: Option<&'a str>,
    /// The client's address, behind trusted proxies.
    pub client_ip: Option<IpAddr>,
}

/// An event that must not happen unseen could not be written down.
#[derive(Debug, thiserror::Error)]
#[error("the audit log cannot be written: {0}")]
pub struct NotAudited(io::Error);

/// Where events are written down.
pub struct AuditLog {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    counters: AuditCounters,
    shared: Arc<Shared>,
}

impl AuditLog {
    /// Opens `path` to append to; makes it and its folder if missing, and takes it away from
    /// other readers if it was open to them.
    ///
    /// # Errors
    /// The file cannot be opened, or there can be no thread.
    pub fn open(
        path: impl Into<PathBuf>,
        clock: Arc<dyn Clock>,
        counters: AuditCounters,
    ) -> io::Result<Self> {
        let path = path.into();
        let shared = Arc::<Shared>::default();
        let writer = Writer {
            shared: Arc::clone(&shared),
            file: AuditFile::open(&path)?,
            clock: Arc::clone(&clock),
            failures: counters.write_failures.clone(),
            path: path.clone().into(),
            complained: None,
            failed: None,
        };
        thread::Builder::new().name("audit".into()).spawn(move || writer.run())?;
        Ok(Self { path, clock, counters, shared })
    }

    /// Notes that `event` happened; never waits. Every text in the details is bounded and
    /// escaped. If the disk is so slow that the queue is full, an event that folds comes with a
    /// later line; another is lost to the file, and counted as a write failure.
    pub fn record(&self, event: Event, context: AuditContext<'_>, details: Value) {
        self.submit(event, context, details, None);
    }

    /// Writes down that `event` happens, and returns when that is in the file.
    ///
    /// # Errors
    /// [`NotAudited`]: what was to happen should not.
    pub async fn record_confirmed(
        &self,
        event: Event,
        context: AuditContext<'_>,
        details: Value,
    ) -> Result<(), NotAudited> {
        let (reply, answer) = oneshot::channel();
        self.submit(event, context, details, Some(reply));
        let answer = tokio::time::timeout(PATIENCE, answer).await;
        // A closed channel: the queue was full.
        let busy = || io::Error::from(io::ErrorKind::TimedOut);
        answer
            .map_or_else(|_| Err(busy()), |reply| reply.unwrap_or_else(|_| Err(busy())))
            .map_err(NotAudited)
    }

    fn submit(
        &self,
        event: Event,
        context: AuditContext<'_>,
        details: Value,
        reply: Option<oneshot::Sender<io::Result<()>>>,
    ) {
        self.counters.events.with_label_values(&[event.as_str()]).inc();
        let entry = Entry::new(self.clock.now(), event, context, details);
        let (shown, mut pending) = (entry.clone(), self.shared.pending.lock());
        let room = pending.jobs.len() < QUEUE_MOST;
        if reply.is_none() && event.folds() && !pending.folds.admit(&entry, room) {
            return;
        }
        if event == Event::Shutdown {
            // The last line is the last.
            pending.close_folds();
        }
        if room {
            pending.jobs.push_back(Job::Write(entry, reply));
            self.shared.wake.notify_one();
        } else {
            self.counters.write_failures.inc();
        }
        drop(pending);
        shown.show();
    }

    /// Opens the path anew: `logrotate` has moved the file away. If that fails, the file that is
    /// open stays in use.
    ///
    /// # Errors
    /// The new file cannot be opened.
    pub fn reopen(&self) -> io::Result<()> {
        let file = AuditFile::open(&self.path)?;
        self.shared.pending.lock().replacement = Some(file);
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Waits until what was recorded is on the disk; for the end of a process or command.
    ///
    /// # Errors
    /// The first failure since the last call, or the disk does not answer.
    pub fn sync(&self) -> io::Result<()> {
        self.finish(self.shared.pending.lock())
    }

    fn finish(&self, mut pending: MutexGuard<'_, Pending>) -> io::Result<()> {
        let (reply, answer) = mpsc::channel();
        pending.jobs.push_back(Job::Sync(reply));
        drop(pending);
        self.shared.wake.notify_one();
        answer.recv_timeout(PATIENCE).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Drop for AuditLog {
    /// Nothing that was recorded is lost by forgetting to call [`sync`](Self::sync).
    fn drop(&mut self) {
        let mut pending = self.shared.pending.lock();
        pending.close_folds();
        pending.stop = true;
        // The failure was counted and logged.
        let _ = self.finish(pending);
    }
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditLog").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
