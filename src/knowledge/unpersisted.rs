//! Changes that memory has and the store has not yet, because it was away.

use std::{collections::HashMap, sync::Arc};

use crate::model::{Entry, EntryChange, Learning};

/// One pending change an entry: later ones are folded in, so that an outage costs memory by
/// entries and not by queries.
#[derive(Debug, Default)]
pub struct Unpersisted(HashMap<String, EntryChange>);

impl Unpersisted {
    /// Adds a change after those that wait.
    pub fn push(&mut self, change: EntryChange) {
        let id = change.entry_id().to_owned();
        let folded = match (self.0.remove(&id), change) {
            (Some(EntryChange::Learn(earlier)), EntryChange::Learn(later)) => {
                EntryChange::Learn(add(earlier, &later))
            }
            (Some(EntryChange::Put(entry)), EntryChange::Learn(later)) => {
                EntryChange::Put(Arc::new(applied(&entry, &later)))
            }
            (Some(EntryChange::Delete(_)), EntryChange::Learn(later)) => {
                EntryChange::Put(Arc::new(applied(&later.seed, &later)))
            }
            (_, change) => change,
        };
        self.0.insert(id, folded);
    }

    /// Takes everything out, to be written.
    pub fn take(&mut self) -> Vec<EntryChange> {
        std::mem::take(&mut self.0).into_values().collect()
    }

    /// Puts changes back that could not be written, before those that came since.
    pub fn give_back(&mut self, changes: Vec<EntryChange>) {
        let since = std::mem::take(&mut self.0);
        changes.into_iter().chain(since.into_values()).for_each(|change| self.push(change));
    }

    /// The change that waits for this entry.
    pub fn get(&self, id: &str) -> Option<&EntryChange> {
        self.0.get(id)
    }

    /// All changes that wait.
    pub fn iter(&self) -> impl Iterator<Item = &EntryChange> {
        self.0.values()
    }

    /// How many entries wait.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

fn applied(entry: &Entry, learning: &Learning) -> Entry {
    let mut entry = entry.clone();
    learning.apply_to(&mut entry);
    entry
}

fn add(earlier: Learning, later: &Learning) -> Learning {
    Learning {
        severity: earlier.severity.max(later.severity),
        seen: earlier.seen.max(later.seen),
        occurrences: earlier.occurrences + later.occurrences,
        resolutions: earlier.resolutions + later.resolutions,
        resolve_ms: earlier.resolve_ms + later.resolve_ms,
        firing: earlier.firing + later.firing,
        seed: earlier.seed,
    }
}
