//! Which pattern an alert belongs to, within the bounds on patterns.
//!
//! Names and causes are chosen by senders, so their number is bounded: beyond
//! [`PatternLimits::causes_per_name`] the causes of a name share the pattern
//! `<alertname>: (other causes)`; beyond [`PatternLimits::patterns`] a quiet pattern that nobody
//! has edited makes room, and if there is none, alerts share `(other alerts)`.

use std::{collections::HashMap, sync::Arc};

use crate::{
    knowledge::{
        learning::{pattern, refresh},
        state::State,
    },
    model::{AlertPattern, Entry, OTHER_CAUSES, ReceivedAlert, pattern_id},
    store::{AssignedAlert, Edit, Pattern},
};

/// The alert name that stands for all for which there is no room.
const OTHER_ALERTS: &str = "(other alerts)";
const CAUSES_PER_NAME: usize = 100;

/// How many patterns there may be.
#[derive(Clone, Copy, Debug)]
pub struct PatternLimits {
    /// In all.
    pub patterns: usize,
    /// Causes of one alert name.
    pub causes_per_name: usize,
}

impl PatternLimits {
    /// So many in all.
    pub fn new(patterns: usize) -> Self {
        Self { patterns, causes_per_name: CAUSES_PER_NAME }
    }
}

/// Alerts on their way into a group.
pub struct Assignment<'a> {
    state: &'a State,
    limits: PatternLimits,
    /// The pattern of each alert as these alerts alone make it, by id.
    made: HashMap<String, Entry>,
    /// How many of them are new.
    new: usize,
    /// Known patterns whose text is refreshed.
    refreshed: HashMap<String, Entry>,
    /// Patterns that make room.
    evicted: Vec<Arc<Entry>>,
    /// Alerts that share a pattern because of the limits.
    pub limited: u64,
    new_causes: HashMap<String, usize>,
}

impl<'a> Assignment<'a> {
    /// Nothing is assigned yet.
    pub fn new(state: &'a State, limits: PatternLimits) -> Self {
        Self {
            state,
            limits,
            made: HashMap::new(),
            new: 0,
            refreshed: HashMap::new(),
            evicted: Vec::new(),
            limited: 0,
            new_causes: HashMap::new(),
        }
    }

    /// Assigns an alert to its pattern, which learns its text.
    pub fn assign(&mut self, alert: ReceivedAlert) -> AssignedAlert {
        let cause = alert.cause.clone().unwrap_or_default();
        let wanted = AlertPattern { alertname: alert.name.clone(), cause };
        let of = self.room_for(wanted, &alert);
        let entry_id = pattern_id(&of.alertname, &of.cause);
        self.learn(&entry_id, of, &alert);
        AssignedAlert { alert, entry_id }
    }

    fn exists(&self, of: &AlertPattern) -> bool {
        let id = pattern_id(&of.alertname, &of.cause);
        self.state.get(&id).is_some() || self.made.contains_key(&id)
    }

    fn room_for(&mut self, wanted: AlertPattern, alert: &ReceivedAlert) -> AlertPattern {
        if self.exists(&wanted) {
            return wanted;
        }
        let new_causes = self.new_causes.get(&alert.name).copied().unwrap_or(0);
        let causes = self.state.causes(&alert.name) + new_causes;
        if causes < self.limits.causes_per_name && self.make_room() {
            *self.new_causes.entry(alert.name.clone()).or_default() += 1;
            return wanted;
        }
        self.limited += 1;
        let shared = AlertPattern { alertname: alert.name.clone(), cause: OTHER_CAUSES.to_owned() };
        if self.exists(&shared) || causes > 0 && self.make_room() {
            return shared;
        }
        AlertPattern { alertname: OTHER_ALERTS.to_owned(), cause: String::new() }
    }

    /// Whether there is room for one more pattern; a quiet one may be evicted for it.
    fn make_room(&mut self) -> bool {
        let patterns = self.state.stats.patterns() + self.new - self.evicted.len();
        if patterns < self.limits.patterns {
            return true;
        }
        let mut evictable = self.state.stats.evictable().skip(self.evicted.len());
        let quiet = evictable.find(|id| !self.made.contains_key(*id));
        let quiet = quiet.and_then(|id| self.state.get(id)).cloned();
        let found = quiet.is_some();
        self.evicted.extend(quiet);
        found
    }

    fn learn(&mut self, entry_id: &str, of: AlertPattern, alert: &ReceivedAlert) {
        let known = self.state.get(entry_id);
        if let Some(made) = self.made.get_mut(entry_id) {
            refresh(made, alert);
        } else {
            self.made.insert(entry_id.to_owned(), pattern(of, alert));
            self.new += usize::from(known.is_none());
        }
        if let Some(refreshed) = self.refreshed.get_mut(entry_id) {
            refresh(refreshed, alert);
        } else if let Some(known) = known {
            let mut entry = Entry::clone(known);
            if refresh(&mut entry, alert) {
                (entry.version, entry.written) = (known.version + 1, alert.received_at);
                self.refreshed.insert(entry_id.to_owned(), entry);
            }
        }
    }

    /// The patterns to be made if they do not exist, and the changes of known ones.
    pub fn finish(self) -> (Vec<Pattern>, Vec<Edit>) {
        let evicted = self
            .evicted
            .into_iter()
            .map(|entry| Edit::Delete { id: entry.id.clone(), expected: Some(entry.version) });
        let refreshed = self
            .refreshed
            .into_values()
            .map(|entry| Edit::Write { expected: Some(entry.version - 1), entry: Arc::new(entry) });
        let patterns = self.made.into_values().map(|entry| Pattern {
            known: self.state.get(&entry.id).is_some(),
            entry: Arc::new(entry),
        });
        (patterns.collect(), refreshed.chain(evicted).collect())
    }
}
