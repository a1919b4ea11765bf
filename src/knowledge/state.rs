//! The entries in memory, and everything that is kept up to date with them.
//!
//! A [`State`] is a value: a clone of it shares what did not change, so that the writer publishes
//! a new one after each group and a reader keeps the one that it has.

use std::{collections::HashMap as StdHashMap, sync::Arc};

use imbl::{HashMap, OrdSet};

use super::{
    answering::{Known, MAX_TOGETHER},
    links::{Links, alert_name},
    runbook::links::is_written_for,
    stats::Stats,
    summary::AlertActivity,
};
use crate::{
    model::{Category, Entry, Figures, Instance, InstanceChange, Note, Time},
    store::Loaded,
};

/// Links of an entry that are shown; a runbook may have thousands of patterns.
const MAX_LINKS: usize = 50;

/// Alerts that began so near to each other fire together.
const TOGETHER_MS: i64 = 10 * 60_000;

/// All entries, figures about them, and what belongs together.
#[derive(Clone, Default)]
pub struct State {
    entries: HashMap<Arc<str>, Arc<Entry>>,
    /// Figures of stored instances whose entry does not exist (any more).
    orphans: HashMap<Arc<str>, Figures>,
    links: Links,
    /// The entries of which alerts fire, by when the last of them began.
    firing: OrdSet<(Time, Arc<str>)>,
    /// How many instances fire. It is below zero for a moment where one ends that another process
    /// began and this one has not heard of.
    instances_firing: i64,
    /// Shared by all entries without notes, which most are.
    no_notes: Arc<Vec<Note>>,
    pub stats: Stats,
    pub alerts: AlertActivity,
    /// Counts changes, so that a rendered summary knows whether it is still true.
    pub revision: u64,
}

impl State {
    /// The state that the store holds; `found` is told of each entry.
    pub fn load(loaded: Loaded, mut found: impl FnMut(&Arc<Entry>)) -> Self {
        let mut state = Self { stats: Stats::filling(), ..Self::default() };
        for (id, figures) in loaded.figures {
            state.set_figures(&id, figures);
        }
        for entry in loaded.entries {
            state.put(entry).iter().for_each(&mut found);
        }
        state.stats.filled();
        state
    }

    /// The entry as it is kept.
    pub fn get(&self, id: &str) -> Option<&Arc<Entry>> {
        self.entries.get(id)
    }

    /// All entries, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.values()
    }

    /// The entry as it is shown: with its links, and a pattern without a solution of its own
    /// with its runbook's.
    pub fn view(&self, entry: &Entry) -> Entry {
        let mut view = entry.clone();
        let text = Arc::make_mut(&mut view.text);
        for linked in self.links.of(entry) {
            if text.related_entries.len() >= MAX_LINKS {
                break;
            }
            if !text.related_entries.iter().any(|known| **known == **linked) {
                text.related_entries.push(linked.to_string());
            }
        }
        if text.category == Category::AlertPattern
            && text.solution.is_empty()
            && let Some(runbook) = self.runbook_of(entry)
        {
            text.solution.clone_from(&runbook.solution);
            if text.steps.is_empty() {
                text.steps.clone_from(&runbook.steps);
            }
        }
        view
    }

    /// The runbook written for a pattern's alert, else the surest other one; of several one that
    /// says what helps.
    pub fn runbook_of(&self, pattern: &Entry) -> Option<&Arc<Entry>> {
        let name = alert_name(pattern)?;
        let runbooks = self.links.runbooks_of(pattern, MAX_LINKS);
        let runbooks = runbooks.filter_map(|id| self.entries.get(id));
        let rank =
            |runbook: &&Arc<Entry>| (runbook.solution.is_empty(), !is_written_for(runbook, name));
        runbooks.min_by_key(rank)
    }

    /// How many causes of an alert name have a pattern.
    pub fn causes(&self, alertname: &str) -> usize {
        self.links.causes(alertname)
    }

    /// The figures of the entry of this id, whether or not it exists.
    pub fn figures(&self, id: &str) -> Figures {
        let entry = self.entries.get(id).map(|entry| entry.figures);
        entry.or_else(|| self.orphans.get(id).copied()).unwrap_or_default()
    }

    /// Whether there are figures of this id and no entry. What became of instances since the entry
    /// was deleted is counted in them, but not whether they were the latest.
    pub fn is_orphaned(&self, id: &str) -> bool {
        self.orphans.contains_key(id)
    }

    /// Sets the figures of an entry, whether or not it exists.
    pub fn set_figures(&mut self, id: &str, figures: Figures) {
        let before = self.figures(id);
        if before == figures {
            return;
        }
        self.revision += 1;
        let more = figures.firing.saturating_sub(before.firing);
        self.instances_firing = self.instances_firing.saturating_add(more);
        self.alerts.firing = self.instances_firing.max(0).unsigned_abs();
        let fires = |figures: &Figures| figures.last_fired.filter(|_| figures.firing > 0);
        if fires(&figures) != fires(&before) {
            let id: Arc<str> = id.into();
            if let Some(at) = fires(&before) {
                self.firing.remove(&(at, Arc::clone(&id)));
            }
            self.firing.extend(fires(&figures).map(|at| (at, id)));
        }
        let known = self.entries.get_key_value(id).map(|(id, _)| Arc::clone(id));
        match known {
            Some(id) => {
                if let Some(entry) = self.entries.get_mut(&id) {
                    self.stats.remove_counted(&id, entry);
                    Arc::make_mut(entry).figures = figures;
                    self.stats.add_counted(&id, entry);
                }
            }
            None if figures == Figures::default() => {
                self.orphans.remove(id);
            }
            None => {
                self.orphans.insert(id.into(), figures);
            }
        }
    }

    /// Takes over what a change of the store did to alert instances.
    pub fn apply(&mut self, changes: &[InstanceChange]) {
        let mut changed: StdHashMap<&str, Figures> = StdHashMap::new();
        for change in changes {
            if let Some(before) = &change.before {
                step(self, &mut changed, before, false);
            }
            if let Some(after) = &change.after {
                step(self, &mut changed, after, true);
            }
        }
        for (id, figures) in changed {
            self.set_figures(id, figures);
        }
    }

    /// Holds the entry, with the figures of its stored instances; returns it if its text is new.
    pub fn put(&mut self, entry: Entry) -> Option<Arc<Entry>> {
        let known = self.entries.get_key_value(entry.id.as_str());
        let (id, old) = match known {
            Some((id, old)) => (Arc::clone(id), Some(Arc::clone(old))),
            None => (entry.id.as_str().into(), None),
        };
        let figures = self.figures(&id);
        let no_notes = entry.notes.is_empty().then(|| Arc::clone(&self.no_notes));
        let notes = no_notes.unwrap_or(entry.notes);
        let entry = Arc::new(Entry { figures, notes, ..entry });
        if old.as_ref() == Some(&entry) {
            return None;
        }
        self.revision += 1;
        match &old {
            // What alerts refresh is seldom more than the description.
            Some(old) if is_filed_alike(old, &entry) => {
                self.stats.remove_counted(&id, old);
                self.stats.add_counted(&id, &entry);
            }
            _ => {
                if let Some(old) = &old {
                    self.stats.remove(&id, old);
                    self.links.set(&id, old, false);
                }
                self.orphans.remove(&id);
                self.stats.add(&id, &entry);
                self.links.set(&id, &entry, true);
            }
        }
        self.entries.insert(id, Arc::clone(&entry));
        old.is_none_or(|old| old.text != entry.text).then_some(entry)
    }

    /// Takes an entry out; false if there is none. Its stored instances stay counted.
    pub fn remove(&mut self, id: &str) -> bool {
        let known = self.entries.get_key_value(id);
        let Some((id, entry)) = known.map(|(id, entry)| (Arc::clone(id), Arc::clone(entry))) else {
            return false;
        };
        self.entries.remove(&id);
        self.revision += 1;
        self.stats.remove(&id, &entry);
        self.links.set(&id, &entry, false);
        if entry.figures != Figures::default() {
            self.orphans.insert(id, entry.figures);
        }
        true
    }
}

/// Takes an instance into, or out of, the figures of the entries that it counts for.
fn step<'a>(
    state: &State,
    changed: &mut StdHashMap<&'a str, Figures>,
    instance: &'a Instance,
    there: bool,
) {
    let id = instance.entry_id.as_str();
    let own = changed.entry(id).or_insert_with(|| state.figures(id));
    if there {
        own.add(instance)
    } else {
        own.remove(instance)
    }
    if let Some(carried) = &instance.carried {
        let id = carried.entry_id.as_str();
        let of = changed.entry(id).or_insert_with(|| state.figures(id));
        of.tally = match there {
            true => of.tally.minus(carried.tally()),
            false => of.tally.plus(carried.tally()),
        };
    }
}

/// Whether two texts of an entry find the same others ([`Links`]), and count alike in all that does not change
/// with figures and times.
fn is_filed_alike(a: &Entry, b: &Entry) -> bool {
    let (from, other) = (&a.provenance, &b.provenance);
    (a.category, &a.pattern, &a.title) == (b.category, &b.pattern, &b.title)
        && (&a.runbook_url, &a.tags) == (&b.runbook_url, &b.tags)
        && (from.source_type, &from.source_model) == (other.source_type, &other.source_model)
        && from.derived_from == other.derived_from
}

impl Known for State {
    fn entry(&self, id: &str) -> Option<&Arc<Entry>> {
        self.get(id)
    }

    fn view(&self, entry: &Entry) -> Entry {
        self.view(entry)
    }

    fn runbook_of(&self, pattern: &Entry) -> Option<&Arc<Entry>> {
        self.runbook_of(pattern)
    }

    fn patterns_of(&self, runbook: &Entry) -> Vec<&Arc<Entry>> {
        self.links.of(runbook).take(MAX_LINKS).filter_map(|id| self.get(id)).collect()
    }

    fn fires_with(&self, pattern: &Entry) -> Vec<&Arc<Entry>> {
        let Some(at) = pattern.figures.last_fired.filter(|_| pattern.figures.firing > 0) else {
            return Vec::new();
        };
        let (first, last) = (at.plus_millis(-TOGETHER_MS), at.plus_millis(TOGETHER_MS + 1));
        let bound = |at: Time| (at, Arc::<str>::from(""));
        let before = self.firing.range(bound(first)..bound(at)).rev().take(MAX_TOGETHER);
        let after = self.firing.range(bound(at)..bound(last)).take(MAX_TOGETHER);
        let near = before.chain(after).filter(|(_, id)| **id != *pattern.id);
        let apart = |of: Time| (of.millis() - at.millis()).abs();
        let mut near: Vec<_> = near.map(|(of, id)| (apart(*of), id)).collect();
        near.sort();
        near.truncate(MAX_TOGETHER);
        near.into_iter().filter_map(|(_, id)| self.get(id)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AlertPattern, EntryText, Severity, SourceType};

    /// What a pattern is found by, and what it counts for.
    fn placed(state: &State) -> String {
        let tags: Vec<_> = state.stats.top_tags(9).map(|(tag, n)| (tag.to_owned(), n)).collect();
        let counted = (state.stats.by_severity().clone(), state.stats.by_source_type().clone());
        format!("{} {tags:?} {counted:?} {:?}", state.links.sorted(), state.stats.derived_from())
    }

    #[test]
    fn an_entry_that_changes_is_filed_as_if_it_had_always_been_so() {
        let text = EntryText::new("A", Category::AlertPattern, Severity::Low);
        let mut first = Entry::new("kb".into(), text, Time::default());
        first.pattern = Some(AlertPattern { alertname: "A".into(), cause: "c".into() }.into());
        let change = |change: fn(&mut Entry)| {
            let mut entry = first.clone();
            change(&mut entry);
            entry
        };
        let changed = [
            change(|entry| Arc::make_mut(&mut entry.text).description = "more".into()),
            change(|entry| Arc::make_mut(&mut entry.text).severity = Severity::High),
            change(|entry| Arc::make_mut(&mut entry.text).runbook_url = Some("https://r/b".into())),
            change(|entry| Arc::make_mut(&mut entry.text).tags = vec!["a".into(), "b".into()]),
            change(|entry| Arc::make_mut(&mut entry.text).category = Category::Runbook),
            change(|entry| Arc::make_mut(&mut entry.text).title = "B".into()),
            change(|entry| entry.pattern = None),
            change(|entry| {
                Arc::make_mut(&mut entry.provenance).source_type = SourceType::Runbook;
            }),
            change(|entry| {
                Arc::make_mut(&mut entry.provenance).derived_from = vec!["books:a.md".into()];
            }),
        ];
        for to in changed {
            let (mut state, mut fresh) = (State::default(), State::default());
            state.put(first.clone());
            state.put(to.clone());
            fresh.put(to);
            assert_eq!(placed(&state), placed(&fresh));
        }
    }

    #[test]
    fn what_ends_before_its_beginning_is_heard_of_leaves_nothing_firing() {
        let mut state = State::default();
        state.set_figures("kb", Figures { firing: -1, ..Figures::default() });
        assert_eq!(state.alerts.firing, 0);
        state.set_figures("kb", Figures::default());
        assert_eq!(state.alerts.firing, 0);
    }
}
