//! Which patterns and runbooks belong together, whichever comes first.
//!
//! A clone shares what does not change.

use std::sync::Arc;

use imbl::{HashMap, OrdSet};

use super::runbook::links;
use crate::model::{Category, Entry};

/// The patterns and runbooks that are found by one key.
#[derive(Clone, Debug, Default)]
struct Named {
    patterns: OrdSet<Arc<str>>,
    runbooks: OrdSet<Arc<str>>,
}

/// What belongs together, by what patterns and runbooks find each other by.
#[derive(Clone, Debug, Default)]
pub struct Links {
    names: HashMap<Arc<str>, Named>,
    /// How many patterns an alert name has.
    causes: HashMap<Arc<str>, usize>,
}

impl Links {
    /// The entry is there, or not any more.
    pub fn set(&mut self, id: &Arc<str>, entry: &Entry, there: bool) {
        if let Some(name) = alert_name(entry) {
            let count = self.causes.entry(name.into()).or_default();
            *count = if there { *count + 1 } else { count.saturating_sub(1) };
            if *count == 0 {
                self.causes.remove(name);
            }
        }
        let of: fn(&mut Named) -> &mut OrdSet<Arc<str>> = match entry.category {
            Category::AlertPattern => |named| &mut named.patterns,
            _ => |named| &mut named.runbooks,
        };
        for key in keys(entry) {
            let named = self.names.entry(key.as_str().into()).or_default();
            if there {
                of(named).insert(Arc::clone(id));
            } else {
                of(named).remove(id);
            }
            if named.patterns.is_empty() && named.runbooks.is_empty() {
                self.names.remove(key.as_str());
            }
        }
    }

    /// Ids of the runbooks of a pattern, of the patterns of a runbook; one may come several times.
    pub fn of<'a>(&'a self, entry: &Entry) -> impl Iterator<Item = &'a Arc<str>> {
        let of: fn(&Named) -> &OrdSet<Arc<str>> = match entry.category {
            Category::AlertPattern => |named| &named.runbooks,
            _ => |named| &named.patterns,
        };
        keys(entry).into_iter().filter_map(|key| self.names.get(key.as_str())).flat_map(of)
    }

    /// Ids of the runbooks of a pattern, at most so many by each key.
    pub fn runbooks_of(&self, pattern: &Entry, most: usize) -> impl Iterator<Item = &Arc<str>> {
        let named = keys(pattern).into_iter().filter_map(|key| self.names.get(key.as_str()));
        named.flat_map(move |named| named.runbooks.iter().take(most))
    }

    /// How many causes of an alert name have a pattern.
    pub fn causes(&self, alertname: &str) -> usize {
        self.causes.get(alertname).copied().unwrap_or(0)
    }

    /// All of it, in an order that compares.
    #[cfg(test)]
    pub fn sorted(&self) -> String {
        let names: std::collections::BTreeMap<_, _> = self.names.iter().collect();
        let causes: std::collections::BTreeMap<_, _> = self.causes.iter().collect();
        format!("{names:?} {causes:?}")
    }
}

/// What patterns and runbooks find each other by, the surest first; nothing for other entries.
fn keys(entry: &Entry) -> Vec<String> {
    match entry.category {
        Category::AlertPattern => {
            let name = alert_name(entry).unwrap_or(&entry.title);
            links::keys_of_pattern(name, entry.runbook_url.as_deref())
        }
        Category::Runbook => links::keys_of_runbook(entry).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// The name of the alerts that a pattern is learned from.
pub fn alert_name(pattern: &Entry) -> Option<&str> {
    pattern.pattern.as_ref().map(|pattern| pattern.alertname.as_str())
}
