//! Changes to the knowledge base, as they go to memory and to the store alike.

use std::sync::Arc;

use super::{Category, Entry, Severity, Time};

/// What a group of alerts taught about one entry: counters that add up in any order, so that
/// several replicas can learn into one store.
#[derive(Clone, Debug, PartialEq)]
pub struct Learning {
    /// The entry as it is made if it does not exist yet; its counters are zero.
    pub seed: Arc<Entry>,
    /// Kept if higher than the entry's.
    pub severity: Severity,
    /// The last receipt among the alerts.
    pub seen: Time,
    /// Added to `occurrences`: new instances.
    pub occurrences: i64,
    /// Added to `resolutions`; negative when resolved instances reopened.
    pub resolutions: i64,
    /// Added to `resolve_ms`.
    pub resolve_ms: i64,
    /// Added to `firing`.
    pub firing: i64,
}

impl Learning {
    /// Nothing learned yet about `seed`.
    pub fn none(seed: Arc<Entry>) -> Self {
        let (severity, seen) = (seed.severity, seed.last_updated);
        Self { seed, severity, seen, occurrences: 0, resolutions: 0, resolve_ms: 0, firing: 0 }
    }

    /// Applies it to the entry it is about: what the stores do with `$inc`, `$min` and `$max`.
    pub fn apply_to(&self, entry: &mut Entry) {
        entry.severity = entry.severity.max(self.severity);
        entry.first_seen = entry.first_seen.min(self.seed.first_seen);
        entry.last_updated = entry.last_updated.max(self.seen);
        entry.occurrences += self.occurrences;
        entry.resolutions += self.resolutions;
        entry.resolve_ms += self.resolve_ms;
        if entry.category == Category::AlertPattern {
            entry.firing = Some((entry.firing.unwrap_or(0) + self.firing).max(0));
        }
        entry.derive_rates();
    }
}

/// One change to the knowledge base.
#[derive(Clone, Debug, PartialEq)]
pub enum EntryChange {
    /// Counters of an entry, which is made from the seed if missing.
    Learn(Learning),
    /// An entry written whole: made, or replaced by the one of the same id.
    Put(Arc<Entry>),
    /// The text of an entry written anew, its counters left to those who learn; nothing if there
    /// is no entry of this id.
    Rewrite(Arc<Entry>),
    /// An entry taken away.
    Delete(String),
}

impl EntryChange {
    /// The entry that it is about.
    pub fn entry_id(&self) -> &str {
        match self {
            Self::Learn(learning) => &learning.seed.id,
            Self::Put(entry) | Self::Rewrite(entry) => &entry.id,
            Self::Delete(id) => id,
        }
    }
}
