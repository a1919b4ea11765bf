//! Changes that memory has and the store has not yet, because it was away.

use std::{collections::HashMap, sync::Arc};

use crate::model::{Entry, EntryChange, Learning};

/// Pending changes by entry, in their order; later ones are folded in, so that an outage costs
/// memory by entries and not by queries.
#[derive(Debug, Default)]
pub struct Unpersisted(HashMap<String, Vec<EntryChange>>);

impl Unpersisted {
    /// Adds a change after those that wait.
    pub fn push(&mut self, change: EntryChange) {
        let waiting = self.0.entry(change.entry_id().to_owned()).or_default();
        match change {
            EntryChange::Learn(later) => learn(waiting, later),
            EntryChange::Rewrite(_) => {
                waiting.retain(|change| !matches!(change, EntryChange::Rewrite(_)));
                waiting.push(change);
            }
            // What is written or taken away whole makes void what came before.
            EntryChange::Put(_) | EntryChange::Delete(_) => *waiting = vec![change],
        }
    }

    /// Takes everything out, to be written.
    pub fn take(&mut self) -> Vec<EntryChange> {
        std::mem::take(&mut self.0).into_values().flatten().collect()
    }

    /// Puts changes back that could not be written, before those that came since.
    pub fn give_back(&mut self, changes: Vec<EntryChange>) {
        let since = self.take();
        changes.into_iter().chain(since).for_each(|change| self.push(change));
    }

    /// All changes that wait.
    pub fn iter(&self) -> impl Iterator<Item = &EntryChange> {
        self.0.values().flatten()
    }

    /// How many entries wait.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

fn learn(waiting: &mut Vec<EntryChange>, later: Learning) {
    for change in waiting.iter_mut() {
        match change {
            EntryChange::Learn(earlier) => return add(earlier, &later),
            EntryChange::Put(entry) => return later.apply_to(Arc::make_mut(entry)),
            EntryChange::Delete(_) => {
                let mut entry = Entry::clone(&later.seed);
                later.apply_to(&mut entry);
                *change = EntryChange::Put(Arc::new(entry));
                return;
            }
            EntryChange::Rewrite(_) => {}
        }
    }
    waiting.push(EntryChange::Learn(later));
}

fn add(earlier: &mut Learning, later: &Learning) {
    earlier.severity = earlier.severity.max(later.severity);
    earlier.seen = earlier.seen.max(later.seen);
    earlier.occurrences += later.occurrences;
    earlier.resolutions += later.resolutions;
    earlier.resolve_ms += later.resolve_ms;
    earlier.firing += later.firing;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        knowledge::questions::asked,
        model::{Category, Severity, Time},
    };

    fn entry(title: &str) -> Arc<Entry> {
        let category = Category::Troubleshooting;
        let entry = Entry::new("kb".into(), title.into(), category, Severity::Low, Time::default());
        Arc::new(entry)
    }

    fn learned(n: i64) -> EntryChange {
        let seed = entry("seed");
        EntryChange::Learn(Learning { occurrences: n, ..Learning::none(seed) })
    }

    #[test]
    fn a_thousand_askings_wait_as_one_change() {
        let mut waiting = Unpersisted::default();
        (0..1000).for_each(|_| waiting.push(EntryChange::Learn(asked("why", Time::default()))));
        let changes = waiting.take();
        let [EntryChange::Learn(learning)] = &changes[..] else { panic!("{changes:?}") };
        assert_eq!(learning.occurrences, 1000);
        assert_eq!(waiting.len(), 0);
    }

    #[test]
    fn what_is_given_back_goes_before_what_came_since() {
        let mut waiting = Unpersisted::default();
        waiting.push(learned(1));
        waiting.push(EntryChange::Rewrite(entry("first")));
        let taken = waiting.take();
        waiting.push(EntryChange::Rewrite(entry("second")));
        waiting.push(learned(2));
        waiting.give_back(taken);
        let changes = waiting.take();
        let [EntryChange::Learn(learning), EntryChange::Rewrite(rewritten)] = &changes[..] else {
            panic!("{changes:?}")
        };
        assert_eq!((learning.occurrences, rewritten.title.as_str()), (3, "second"));
    }

    #[test]
    fn what_is_learned_after_a_deletion_begins_anew() {
        let mut waiting = Unpersisted::default();
        waiting.push(learned(5));
        waiting.push(EntryChange::Delete("kb".into()));
        waiting.push(learned(2));
        let changes = waiting.take();
        let [EntryChange::Put(entry)] = &changes[..] else { panic!("{changes:?}") };
        assert_eq!(entry.occurrences, 2);
    }
}
