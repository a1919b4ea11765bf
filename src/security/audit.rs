//! The audit log: one JSON object a line, in a file that only its owner reads.
//!
//! Each line goes to the kernel in one write before [`AuditLog::record`] returns, so that a crash
//! of the process loses none. A disk that fails never fails the caller: the failure is counted
//! and logged, the event is still in the log's warning, and the next record opens the file anew.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    net::IpAddr,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use prometheus::{IntCounter, IntCounterVec};
use serde::Serialize;
use serde_json::Value;

use super::Event;
use crate::model::{Clock, Time};

/// The file's owner reads and writes, nobody else does anything.
const MODE: u32 = 0o600;
/// A failing disk is complained about once in this time.
const COMPLAINT_INTERVAL_MS: i64 = 60_000;

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

/// One line of the file.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    timestamp: Time,
    event: &'static str,
    request_id: Option<&'a str>,
    client_ip: Option<IpAddr>,
    details: &'a Value,
}

/// Where events are written down.
pub struct AuditLog {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    counters: AuditCounters,
    sink: Mutex<Sink>,
}

/// The open file, or what is known of it while it cannot be written.
struct Sink {
    file: Option<File>,
    /// The file ends within a line, which a full disk or a power cut left behind.
    torn: bool,
    complained: Option<Time>,
}

impl AuditLog {
    /// Opens `path` to append to; makes it and its folder if missing, and takes it away from
    /// other readers if it was open to them.
    pub fn open(
        path: impl Into<PathBuf>,
        clock: Arc<dyn Clock>,
        counters: AuditCounters,
    ) -> io::Result<Self> {
        let path = path.into();
        let (file, torn) = open_file(&path)?;
        let sink = Mutex::new(Sink { file: Some(file), torn, complained: None });
        Ok(Self { path, clock, counters, sink })
    }

    /// Writes down that `event` happened. Blocks for one small write.
    pub fn record(&self, event: Event, context: AuditContext<'_>, details: Value) {
        self.counters.events.with_label_values(&[event.as_str()]).inc();
        tracing::warn!(
            target: "security",
            event = event.as_str(),
            request_id = context.request_id,
            client_ip = context.client_ip.map(tracing::field::display),
            details = %details,
            "security event"
        );
        let timestamp = self.clock.now();
        let line = Line {
            timestamp,
            event: event.as_str(),
            request_id: context.request_id,
            client_ip: context.client_ip,
            details: &details,
        };
        if let Err(error) = self.append(&line) {
            self.counters.write_failures.inc();
            self.complain(timestamp, &error);
        }
    }

    fn append(&self, line: &Line<'_>) -> io::Result<()> {
        // A leading line end, skipped unless the file ends within a line.
        let mut bytes = vec![b'\n'];
        serde_json::to_writer(&mut bytes, line)?;
        bytes.push(b'\n');
        let mut sink = self.sink.lock();
        let sink = &mut *sink;
        let file = match &mut sink.file {
            Some(file) => file,
            closed => {
                let (file, torn) = open_file(&self.path)?;
                sink.torn = torn;
                closed.insert(file)
            }
        };
        let written = write_once(file, &bytes[usize::from(!sink.torn)..]);
        match written {
            Ok(()) => sink.torn = false,
            Err(_) => sink.file = None,
        }
        written
    }

    fn complain(&self, now: Time, error: &io::Error) {
        let mut sink = self.sink.lock();
        let lately = |at: Time| (0..COMPLAINT_INTERVAL_MS).contains(&now.since(at));
        if sink.complained.is_some_and(lately) {
            return;
        }
        sink.complained = Some(now);
        drop(sink);
        tracing::error!(path = %self.path.display(), %error, "the audit log cannot be written");
    }

    /// Opens the path anew: `logrotate` has moved the file away. If that fails, the file that is
    /// open stays in use.
    pub fn reopen(&self) -> io::Result<()> {
        let (file, torn) = open_file(&self.path)?;
        let mut sink = self.sink.lock();
        (sink.file, sink.torn) = (Some(file), torn);
        Ok(())
    }

    /// Waits until what was recorded is on the disk; for the end of the process.
    pub fn sync(&self) -> io::Result<()> {
        match &self.sink.lock().file {
            Some(file) => file.sync_all(),
            None => Ok(()),
        }
    }
}

impl std::fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditLog").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The file, and whether it ends within a line.
fn open_file(path: &Path) -> io::Result<(File, bool)> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(MODE).open(path)?;
    let metadata = file.metadata()?;
    // A device or pipe is the operator's own choice, and not ours to change.
    if !metadata.is_file() {
        return Ok((file, false));
    }
    if metadata.permissions().mode() & 0o7777 & !MODE != 0 {
        file.set_permissions(Permissions::from_mode(MODE))?;
    }
    let torn = metadata.len() > 0 && {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        last != [b'\n']
    };
    Ok((file, torn))
}

/// One write call, so that lines of several processes cannot mix; a part of a line is a failure.
fn write_once(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    loop {
        return match file.write(bytes) {
            Ok(written) if written == bytes.len() => Ok(()),
            Ok(_) => Err(ErrorKind::StorageFull.into()),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
    }
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
