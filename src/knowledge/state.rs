//! The entries in memory, and everything that is kept up to date with them.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use super::{learning::pattern_id, runbook::links, stats::Stats, summary::AlertActivity};
use crate::model::{Category, Entry, EntryChange, Learning};

/// The alerts and runbooks that belong to one alert name.
#[derive(Debug, Default)]
struct Named {
    patterns: BTreeSet<String>,
    runbooks: BTreeSet<String>,
}

/// All entries, figures about them, and what belongs together.
#[derive(Default)]
pub struct State {
    entries: HashMap<String, Arc<Entry>>,
    /// By alert name: what makes the links between patterns and runbooks, whichever comes first.
    names: HashMap<String, Named>,
    pub stats: Stats,
    pub alerts: AlertActivity,
    /// Counts changes, so that a rendered summary knows whether it is still true.
    pub revision: u64,
    /// Entries that changed while the store's are being read again.
    touched: Option<HashSet<String>>,
}

impl State {
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
        for linked in self.linked(entry) {
            if !view.related_entries.contains(linked) {
                view.related_entries.push(linked.clone());
            }
        }
        if view.category == Category::AlertPattern
            && view.solution.is_empty()
            && let Some(runbook) = self.runbook_of(entry)
        {
            view.solution.clone_from(&runbook.solution);
            if view.steps.is_empty() {
                view.steps.clone_from(&runbook.steps);
            }
        }
        view
    }

    fn linked(&self, entry: &Entry) -> Vec<&String> {
        let of: fn(&Named) -> &BTreeSet<String> = match entry.category {
            Category::AlertPattern => |named| &named.runbooks,
            _ => |named| &named.patterns,
        };
        let named = keys(entry).into_iter().filter_map(|key| self.names.get(&key));
        let mut linked: Vec<&String> = named.flat_map(of).collect();
        linked.sort();
        linked.dedup();
        linked
    }

    /// The runbook written for a pattern's alert, else the surest other one; of several one that
    /// says what helps.
    fn runbook_of(&self, pattern: &Entry) -> Option<&Arc<Entry>> {
        let name = alert_name(pattern);
        let named = keys(pattern).into_iter().filter_map(|key| self.names.get(&key));
        let runbooks = named.flat_map(|named| &named.runbooks);
        let runbooks = runbooks.filter_map(|id| self.entries.get(id));
        let rank = |runbook: &&Arc<Entry>| {
            (runbook.solution.is_empty(), !links::is_written_for(runbook, name))
        };
        runbooks.min_by_key(rank)
    }

    fn link(&mut self, entry: &Entry, there: bool) {
        let of: fn(&mut Named) -> &mut BTreeSet<String> = match entry.category {
            Category::AlertPattern => |named| &mut named.patterns,
            _ => |named| &mut named.runbooks,
        };
        for key in keys(entry) {
            let named = self.names.entry(key.clone()).or_default();
            if there {
                of(named).insert(entry.id.clone());
            } else {
                of(named).remove(&entry.id);
            }
            if named.patterns.is_empty() && named.runbooks.is_empty() {
                self.names.remove(&key);
            }
        }
    }

    fn touch(&mut self, id: &str) {
        self.revision += 1;
        if let Some(touched) = &mut self.touched {
            touched.insert(id.to_owned());
        }
    }

    /// From now on remembers which entries change.
    pub fn begin_comparing(&mut self) {
        self.touched = Some(HashSet::new());
    }

    /// The entries that changed since [`begin_comparing`](Self::begin_comparing).
    pub fn end_comparing(&mut self) -> HashSet<String> {
        self.touched.take().unwrap_or_default()
    }

    /// Applies learnings; returns the entries that are new to the index.
    pub fn learn(&mut self, learnings: &[Learning]) -> Vec<Arc<Entry>> {
        let mut new = Vec::new();
        for learning in learnings {
            let id = &learning.seed.id;
            match self.entries.get_mut(id) {
                Some(entry) => {
                    self.stats.remove_counted(entry);
                    learning.apply_to(Arc::make_mut(entry));
                    self.stats.add_counted(entry);
                    self.touch(id);
                }
                None => {
                    let mut entry = Entry::clone(&learning.seed);
                    learning.apply_to(&mut entry);
                    new.extend(self.put(Arc::new(entry)));
                }
            }
        }
        new
    }

    /// Holds the entry; returns it if the index must hear of it.
    pub fn put(&mut self, entry: Arc<Entry>) -> Option<Arc<Entry>> {
        let old = self.entries.get(&entry.id).cloned();
        if old.as_ref() == Some(&entry) {
            return None;
        }
        self.touch(&entry.id);
        if let Some(old) = &old {
            self.stats.remove(old);
            self.link(old, false);
        }
        self.stats.add(&entry);
        self.link(&entry, true);
        self.entries.insert(entry.id.clone(), Arc::clone(&entry));
        let told = old.is_some_and(|old| same_text(&old, &entry));
        Some(entry).filter(|entry| entry.category != Category::Question && !told)
    }

    /// Takes an entry out; false if there is none.
    pub fn remove(&mut self, id: &str) -> bool {
        let Some(entry) = self.entries.remove(id) else { return false };
        self.touch(id);
        self.stats.remove(&entry);
        self.link(&entry, false);
        true
    }

    /// Takes out the least recently asked questions beyond `max`.
    pub fn crowded_out(&mut self, max: usize) -> Vec<EntryChange> {
        let mut out = Vec::new();
        while self.stats.open_questions() > max {
            let Some(id) = self.stats.least_recently_asked().map(str::to_owned) else { break };
            self.remove(&id);
            out.push(EntryChange::Delete(id));
        }
        out
    }
}

/// Whether the index would see no difference.
fn same_text(a: &Entry, b: &Entry) -> bool {
    a.title == b.title
        && a.category == b.category
        && a.description == b.description
        && a.root_cause == b.root_cause
        && a.solution == b.solution
        && a.prerequisites == b.prerequisites
        && a.steps == b.steps
        && a.expected_outcome == b.expected_outcome
        && a.tags == b.tags
}

/// What patterns and runbooks find each other by, the surest first; nothing for other entries.
fn keys(entry: &Entry) -> Vec<String> {
    match entry.category {
        Category::AlertPattern => {
            links::keys_of_pattern(alert_name(entry), entry.runbook_url.as_deref())
        }
        Category::Runbook => links::keys_of_runbook(entry).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// The alert that a pattern was learned from: its title up to the cause. A person may have given
/// it another title; then the tag that its id was made of.
fn alert_name(pattern: &Entry) -> &str {
    let title = pattern.title.as_str();
    let cause = pattern.root_cause.as_deref().unwrap_or_default();
    let titled = match cause {
        "" => title,
        cause => title.strip_suffix(cause).and_then(|t| t.strip_suffix(": ")).unwrap_or(title),
    };
    let is_of = |name: &str, cause: &str| pattern_id(name, cause) == pattern.id;
    if is_of(titled, cause) {
        return titled;
    }
    let tags = || pattern.tags.iter().map(String::as_str);
    let causes = || tags().chain(["", cause]);
    let name = tags().find(|name| causes().any(|cause| is_of(name, cause)));
    name.unwrap_or(titled)
}
