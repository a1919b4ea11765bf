//! The entries in memory, and everything that is kept up to date with them.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use super::{answering::Known, learning::pattern_id, runbook, stats::Stats, summary::AlertActivity};
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
        match entry.category {
            Category::AlertPattern => {
                self.names.get(alert_name(entry)).into_iter().flat_map(|n| &n.runbooks).collect()
            }
            Category::Runbook => {
                let named = entry.tags.iter().filter_map(|tag| self.names.get(tag));
                named.flat_map(|named| &named.patterns).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The runbook written for a pattern's alert, else one that names it among its tags.
    fn runbook_of(&self, pattern: &Entry) -> Option<&Arc<Entry>> {
        let name = alert_name(pattern);
        let own = self.entries.get(&runbook::id_for(name));
        own.filter(|entry| entry.category == Category::Runbook).or_else(|| {
            let others = self.names.get(name)?.runbooks.iter();
            others.filter_map(|id| self.entries.get(id)).next()
        })
    }

    fn link(&mut self, entry: &Entry, there: bool) {
        let mut change = |name: &str, of: fn(&mut Named) -> &mut BTreeSet<String>| {
            let named = self.names.entry(name.to_owned()).or_default();
            if there {
                of(named).insert(entry.id.clone());
            } else {
                of(named).remove(&entry.id);
            }
            if named.patterns.is_empty() && named.runbooks.is_empty() {
                self.names.remove(name);
            }
        };
        match entry.category {
            Category::AlertPattern => change(alert_name(entry), |named| &mut named.patterns),
            Category::Runbook => {
                entry.tags.iter().for_each(|tag| change(tag, |named| &mut named.runbooks));
            }
            _ => {}
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
        self.linked(runbook).into_iter().filter_map(|id| self.get(id)).collect()
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
