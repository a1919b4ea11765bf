//! Changes as the one writer hands them to the store, and what came of them.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, OnceLock},
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::recording::AssignedAlert;
use crate::model::{
    Alert, AlertPattern, BatchSums, Entry, Figures, InstanceChange, Outcome, ReceivedAlert, Tally,
    Time,
};

/// A group of changes that is written as one operation.
///
/// On SQLite it is one transaction. On MongoDB each document is written by itself, compare-and-set;
/// patterns come before the alerts that belong to them, so that a crash in between leaves a
/// pattern without instances and never an instance without its pattern.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// The pattern of each alert: made if there is no entry of its id and an instance of it
    /// changes ([`patterns_of`](Self::patterns_of)). A repeat does not bring a deleted entry back;
    /// an alert that is new does, also where only another process knows of the deletion.
    pub patterns: Vec<Pattern>,
    /// Alerts that were received.
    pub alerts: Vec<AssignedAlert>,
    /// Changes of entries.
    pub edits: Vec<Edit>,
    /// Changes of entries that come from the alerts: what they teach, and what makes room for it.
    pub learned: Vec<Edit>,
}

impl Group {
    /// All changes of entries, in the order in which they are made and answered.
    pub fn all_edits(&self) -> impl Iterator<Item = &Edit> {
        self.edits.iter().chain(&self.learned)
    }

    /// The patterns that these changes are about: what a backend makes before it writes them.
    pub fn patterns_of(&self, changes: &[InstanceChange]) -> Vec<&Pattern> {
        let instances = changes.iter().filter_map(|change| change.after.as_ref());
        let changed: HashSet<&str> = instances.map(|after| after.entry_id.as_str()).collect();
        self.patterns.iter().filter(|pattern| changed.contains(&*pattern.id)).collect()
    }

    /// The entries of these patterns, as the alerts of the group make them.
    pub fn learn(&self, patterns: &[&Pattern]) -> Vec<Arc<Entry>> {
        if patterns.is_empty() {
            return Vec::new();
        }
        let mut alerts: HashMap<&str, Vec<&ReceivedAlert>> = HashMap::new();
        for AssignedAlert { alert, entry_id } in &self.alerts {
            alerts.entry(entry_id).or_default().push(alert);
        }
        let learn = |pattern: &&Pattern| {
            let (first, later) = alerts.get(&*pattern.id)?.split_first()?;
            Some(Arc::new((pattern.learn)(&pattern.of, first, later)))
        };
        patterns.iter().filter_map(learn).collect()
    }
}

/// A group on its way to the store, which more may join until the store begins to write it: while
/// it waits for the one before, the next gathers.
#[derive(Debug)]
pub struct Gathering {
    open: Mutex<Option<Group>>,
    closed: OnceLock<Group>,
}

impl From<Group> for Gathering {
    fn from(group: Group) -> Self {
        Self { open: Mutex::new(Some(group)), closed: OnceLock::new() }
    }
}

impl Gathering {
    /// Adds to the group; `None`, and nothing is done, if it is closed.
    pub fn add<T>(&self, more: impl FnOnce(&mut Group) -> T) -> Option<T> {
        self.open.lock().as_mut().map(more)
    }

    /// The group, to which nothing is added from now on.
    pub fn close(&self) -> &Group {
        self.closed.get_or_init(|| self.open.lock().take().unwrap_or_default())
    }

    /// The group, if it is closed.
    pub fn closed(&self) -> Option<&Group> {
        self.closed.get()
    }
}

/// The pattern of alerts of a group.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// The id of its entry.
    pub id: String,
    /// What alerts it is of.
    pub of: AlertPattern,
    /// Whether memory holds the entry, so that the stored one need not be returned.
    pub known: bool,
    /// How the entry is made, should it have to be.
    pub learn: Learn,
}

/// Makes the entry of a pattern of its alerts: the first one and the later ones.
pub type Learn = fn(&AlertPattern, &ReceivedAlert, &[&ReceivedAlert]) -> Entry;

/// One change of an entry.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// Writes all of an entry but its figures and, unless it is a question, its sums. What is
    /// stored must be of the version `expected`; `None`: there must be no such entry.
    /// `provenance.derivedFrom` only gains.
    Write {
        /// The entry; its version is that after the change.
        entry: Arc<Entry>,
        /// The version before.
        expected: Option<u64>,
    },
    /// Adds to the set `provenance.derivedFrom`, whatever the version, which stays.
    AddSources {
        /// The entry.
        id: String,
        /// What to add.
        sources: Vec<String>,
    },
    /// Deletes an entry.
    Delete {
        /// The entry.
        id: String,
        /// The version that it must have; `None`: any.
        expected: Option<u64>,
    },
}

impl Edit {
    /// The entry that it is about.
    pub fn entry_id(&self) -> &str {
        match self {
            Self::Write { entry, .. } => &entry.id,
            Self::AddSources { id, .. } | Self::Delete { id, .. } => id,
        }
    }
}

/// What came of an edit, as the store's own count says.
#[derive(Clone, Debug, PartialEq)]
pub enum Edited {
    /// It is done.
    Done,
    /// There is no such entry.
    Missing,
    /// The entry is of another version: this one.
    Conflict(Box<Entry>),
}

/// What came of a group.
#[derive(Clone, Debug, Default)]
pub struct Committed {
    /// One for each alert, in the order of the group.
    pub outcomes: Vec<Outcome>,
    /// The instances whose part in figures changed.
    pub changes: Vec<InstanceChange>,
    /// Patterns that were made.
    pub made: Vec<Arc<Entry>>,
    /// Entries that are stored in place of patterns that memory did not know.
    pub found: Vec<Entry>,
    /// Entries whose figures must be read again.
    pub stale: Vec<String>,
    /// One for each edit, in the order of the group.
    pub edits: Vec<Edited>,
}

/// All that memory holds of the store.
#[derive(Debug, Default)]
pub struct Loaded {
    /// All entries, without figures.
    pub entries: Vec<Entry>,
    /// The figures of all entries that stored instances belong to, by id, also of entries that
    /// do not exist (any more).
    pub figures: HashMap<String, Figures>,
    /// Up to where changes of other processes are part of this.
    pub position: Position,
}

/// How far a process has followed the changes of others; each backend has its own measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position(pub i64);

/// What is known of whether other processes changed something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// They may have: to be followed from the last position.
    Perhaps(Option<Looked>),
    /// The store was exchanged or set back, or so much happened that it cannot tell what: all is to
    /// be read again.
    Everything,
}

/// What was read ahead of following, beside the writing: of all that was changed the larger part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// When that began.
    pub began: Instant,
    /// Up to where.
    pub position: Position,
    /// Entries whose instances other processes changed.
    pub entry_ids: HashSet<String>,
    /// How many instances were superseded because another process had opened a later one.
    pub superseded: u64,
}

/// What other processes changed.
#[derive(Debug)]
pub enum Followed {
    /// Nothing.
    Nothing,
    /// These.
    Some {
        /// Entries that were made or changed.
        entries: Vec<Entry>,
        /// Entries that were deleted.
        deleted: Vec<String>,
        /// The figures of entries whose instances changed.
        figures: HashMap<String, Figures>,
        /// Up to where.
        position: Position,
    },
    /// It is not known what, so this is all that there is.
    Everything(Loaded),
}

/// A batch of retention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpiryBatch {
    /// Alerts last received before this are deleted.
    pub before: Time,
    /// So many at most, the oldest first.
    pub limit: u32,
    /// Now.
    pub now: Time,
}

/// What a batch of retention did.
#[derive(Clone, Debug, Default)]
pub struct Expired {
    /// How many alerts were deleted.
    pub deleted: u64,
    /// What happened to their instances.
    pub changes: Vec<InstanceChange>,
    /// What was added to the sums of entries, by id.
    pub sums: HashMap<String, (i64, BatchSums)>,
    /// Alerts that could not be summed up and were set aside, so that the rest goes on.
    pub set_aside: u64,
}

/// What deleting these alerts adds to the sums of entries, by id: what each says, less what is
/// summed up of it already.
pub fn sums_of<'a>(alerts: impl Iterator<Item = &'a Alert>) -> HashMap<String, BatchSums> {
    let mut sums: HashMap<String, BatchSums> = HashMap::new();
    for alert in alerts {
        let own = sums.entry(alert.entry_id.clone()).or_default();
        own.tally = own.tally.plus(Tally::of(alert.status, alert.duration));
        own.last_fired = own.last_fired.max(Some(alert.starts_at));
        own.last_changed = own.last_changed.max(Some(alert.changed_at));
        if let Some(carried) = &alert.carried {
            let of = sums.entry(carried.entry_id.clone()).or_default();
            of.tally = of.tally.minus(carried.tally());
        }
    }
    sums
}
