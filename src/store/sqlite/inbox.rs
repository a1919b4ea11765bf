//! The inbox of alerts: on the disk with their group, and written into their table and its indexes
//! many at a time.
//!
//! A new alert changes pages of eight indexes, most of which are changed by its neighbours as well.
//! Written group by group, each of these pages goes to the disk with each group. So while groups
//! follow one another, a group is one row of `alert_inbox`, which is a page or two, and the table
//! has its alerts once there are some hundred of them, or nothing came for a moment, or somebody
//! wants to read alerts. What is decided about alerts is decided with the inbox laid over the table.
//!
//! What memory holds of the inbox is what the file holds of it: it follows a transaction once that
//! is committed, and is read again when another process has changed the file.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, Transaction};

use super::{
    alerts,
    json::{from_json, json},
};
use crate::{
    model::{Alert, Time},
    store::recording::{AssignedAlert, Write, fingerprints},
};

/// Alerts that are held at most.
const MOST: usize = 256;
/// And the bytes of their rows.
const MOST_BYTES: usize = 1 << 20;

/// What is in the inbox, and what the transaction under way does with it.
#[derive(Default)]
pub struct Inbox {
    held: Held,
    alerts: usize,
    bytes: usize,
    /// SQLite's number for what other processes did to the file, when the inbox was read.
    data_version: Option<i64>,
    /// What the transaction adds.
    added: Vec<(Vec<Write>, usize)>,
    /// Whether the transaction has written what is held into the table.
    settled: bool,
}

/// By fingerprint and start.
type Held = HashMap<String, BTreeMap<Time, Kept>>;

/// An alert that is not in the table yet as it is.
enum Kept {
    /// All of it.
    Whole(Box<Alert>),
    /// It was received again, and nothing else.
    Touched(Time),
}

impl Inbox {
    /// Nothing is held.
    pub fn is_empty(&self) -> bool {
        self.alerts == 0
    }

    /// Whether the alerts of one more group may be held.
    pub fn has_room_for(&self, alerts: usize) -> bool {
        self.alerts + alerts <= MOST && self.bytes <= MOST_BYTES
    }

    /// Reads what the file holds, if another process may have changed it.
    pub fn follow(&mut self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        let version = tx.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        if self.data_version == Some(version) {
            return Ok(());
        }
        *self = Self::default();
        let mut rows = tx.prepare_cached("SELECT writes FROM alert_inbox ORDER BY rowid")?;
        for row in rows.query_map([], |row| row.get::<_, String>(0))? {
            let row = row?;
            self.hold(from_json(&row)?, row.len());
        }
        self.data_version = Some(version);
        Ok(())
    }

    /// Lays what is held over what the table has of the fingerprints of a group.
    pub fn lay_over(&self, stored: &mut Vec<Alert>, group: &[AssignedAlert]) {
        if self.is_empty() || self.settled {
            return;
        }
        for alert in &mut *stored {
            let kept = self.held.get(&alert.fingerprint).and_then(|of| of.get(&alert.starts_at));
            if let Some(Kept::Touched(at)) = kept {
                alert.timestamp = alert.timestamp.max(*at);
            }
        }
        // Of two of one key the later counts.
        let held = fingerprints(group).into_iter().filter_map(|print| self.held.get(print));
        stored.extend(held.flat_map(BTreeMap::values).filter_map(|kept| match kept {
            Kept::Whole(alert) => Some(Alert::clone(alert)),
            Kept::Touched(_) => None,
        }));
    }

    /// Adds what was decided about a group; the caller commits.
    pub fn add(&mut self, tx: &Transaction<'_>, writes: Vec<Write>) -> rusqlite::Result<()> {
        if writes.is_empty() {
            return Ok(());
        }
        let row = json(&writes)?;
        tx.prepare_cached("INSERT INTO alert_inbox (writes) VALUES (?1)")?.execute([&row])?;
        self.added.push((writes, row.len()));
        Ok(())
    }

    /// Writes what is held into the table; the caller commits.
    pub fn settle(&mut self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        if self.is_empty() || self.settled {
            return Ok(());
        }
        let mut whole = Vec::with_capacity(self.alerts);
        for (fingerprint, instances) in &self.held {
            for (starts_at, kept) in instances {
                match kept {
                    Kept::Whole(alert) => whole.push(&**alert),
                    Kept::Touched(at) => alerts::touch(tx, fingerprint, *starts_at, *at)?,
                }
            }
        }
        alerts::put_all(tx, whole)?;
        tx.prepare_cached("DELETE FROM alert_inbox")?.execute([])?;
        self.settled = true;
        Ok(())
    }

    /// The transaction is over.
    pub fn end(&mut self, committed: bool) {
        let (settled, added) = (std::mem::take(&mut self.settled), std::mem::take(&mut self.added));
        if !committed {
            return;
        }
        if settled {
            self.held.clear();
            (self.alerts, self.bytes) = (0, 0);
        }
        added.into_iter().for_each(|(writes, bytes)| self.hold(writes, bytes));
    }

    fn hold(&mut self, writes: Vec<Write>, bytes: usize) {
        self.alerts += writes.len();
        self.bytes += bytes;
        for write in writes {
            match write {
                Write::Insert(alert) | Write::Replace(alert) => {
                    let instances = self.held.entry(alert.fingerprint.clone()).or_default();
                    instances.insert(alert.starts_at, Kept::Whole(Box::new(alert)));
                }
                Write::Touch(key, at) => {
                    let instances = self.held.entry(key.fingerprint).or_default();
                    match instances.entry(key.starts_at).or_insert(Kept::Touched(at)) {
                        Kept::Whole(alert) => alert.timestamp = alert.timestamp.max(at),
                        Kept::Touched(before) => *before = at.max(*before),
                    }
                }
            }
        }
    }
}

/// Whether alerts wait in the inbox. A database that was never brought up to date has none.
pub fn holds_any(connection: &Connection) -> rusqlite::Result<bool> {
    let holds = connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM alert_inbox)")
        .and_then(|mut holds| holds.query_row([], |row| row.get(0)));
    let exists = || connection.table_exists(None, "alert_inbox");
    if holds.is_err() && !exists()? { Ok(false) } else { holds }
}
