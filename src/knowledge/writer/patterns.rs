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
    store::{AssignedAlert, Edit, Group, Pattern},
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

/// How the alerts of a group get their patterns, and what that does to the group.
pub struct Assignment {
    limits: PatternLimits,
    /// Entries as the group before will have written them.
    ahead: HashMap<String, Arc<Entry>>,
    /// The pattern of each alert as these alerts alone make it: its place in the group, by id.
    made: HashMap<String, usize>,
    /// How many of them are new.
    new: usize,
    /// Known patterns whose text is refreshed: the place of the edit in the group, by id.
    refreshed: HashMap<String, usize>,
    /// How many patterns make room.
    evicted: usize,
    /// Alerts that share a pattern because of the limits.
    pub limited: u64,
    new_causes: HashMap<String, usize>,
}

impl Assignment {
    /// Nothing is assigned yet. `before` is the group that is written first, if that is not over.
    pub fn new(limits: PatternLimits, before: Option<&Group>) -> Self {
        let written = before.into_iter().flat_map(|group| &group.learned);
        let written = written.filter_map(|edit| match edit {
            Edit::Write { entry, .. } => Some((entry.id.clone(), Arc::clone(entry))),
            _ => None,
        });
        Self {
            limits,
            ahead: written.collect(),
            made: HashMap::new(),
            new: 0,
            refreshed: HashMap::new(),
            evicted: 0,
            limited: 0,
            new_causes: HashMap::new(),
        }
    }

    /// Adds an alert to the group, with its pattern, which learns its text.
    pub fn assign(&mut self, state: &State, group: &mut Group, alert: ReceivedAlert) {
        let cause = alert.cause.clone().unwrap_or_default();
        let wanted = AlertPattern { alertname: alert.name.clone(), cause };
        let of = self.room_for(state, group, wanted, &alert);
        let entry_id = pattern_id(&of.alertname, &of.cause);
        self.learn(state, group, &entry_id, of, &alert);
        group.alerts.push(AssignedAlert { alert, entry_id });
    }

    fn exists(&self, state: &State, of: &AlertPattern) -> bool {
        let id = pattern_id(&of.alertname, &of.cause);
        state.get(&id).is_some() || self.made.contains_key(&id)
    }

    fn room_for(
        &mut self,
        state: &State,
        group: &mut Group,
        wanted: AlertPattern,
        alert: &ReceivedAlert,
    ) -> AlertPattern {
        if self.exists(state, &wanted) {
            return wanted;
        }
        let new_causes = self.new_causes.get(&alert.name).copied().unwrap_or(0);
        let causes = state.causes(&alert.name) + new_causes;
        if causes < self.limits.causes_per_name && self.make_room(state, group) {
            *self.new_causes.entry(alert.name.clone()).or_default() += 1;
            return wanted;
        }
        self.limited += 1;
        let shared = AlertPattern { alertname: alert.name.clone(), cause: OTHER_CAUSES.to_owned() };
        if self.exists(state, &shared) || causes > 0 && self.make_room(state, group) {
            return shared;
        }
        AlertPattern { alertname: OTHER_ALERTS.to_owned(), cause: String::new() }
    }

    /// Whether there is room for one more pattern; a quiet one may be evicted for it.
    fn make_room(&mut self, state: &State, group: &mut Group) -> bool {
        let patterns = state.stats.patterns() + self.new - self.evicted;
        if patterns < self.limits.patterns {
            return true;
        }
        let mut evictable = state.stats.evictable().skip(self.evicted);
        let quiet = evictable.find(|id| !self.made.contains_key(*id));
        let Some(quiet) = quiet.and_then(|id| state.get(id)) else { return false };
        let (id, expected) = (quiet.id.clone(), Some(quiet.version));
        group.learned.push(Edit::Delete { id, expected });
        self.evicted += 1;
        true
    }

    fn learn(
        &mut self,
        state: &State,
        group: &mut Group,
        entry_id: &str,
        of: AlertPattern,
        alert: &ReceivedAlert,
    ) {
        let known = self.ahead.get(entry_id).or_else(|| state.get(entry_id));
        if let Some(place) = self.made.get(entry_id) {
            refresh(Arc::make_mut(&mut group.patterns[*place].entry), alert);
        } else {
            self.made.insert(entry_id.to_owned(), group.patterns.len());
            let entry = Arc::new(pattern(of, alert));
            group.patterns.push(Pattern { entry, known: known.is_some() });
            self.new += usize::from(known.is_none());
        }
        let refreshed = self.refreshed.get(entry_id).map(|place| &mut group.learned[*place]);
        if let Some(Edit::Write { entry, .. }) = refreshed {
            refresh(Arc::make_mut(entry), alert);
        } else if let Some(known) = known {
            let mut entry = Entry::clone(known);
            if refresh(&mut entry, alert) {
                (entry.version, entry.written) = (known.version + 1, alert.received_at);
                self.refreshed.insert(entry_id.to_owned(), group.learned.len());
                let (entry, expected) = (Arc::new(entry), Some(known.version));
                group.learned.push(Edit::Write { entry, expected });
            }
        }
    }
}
