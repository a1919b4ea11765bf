//! Which pattern an alert belongs to, within the bounds on patterns.
//!
//! Names and causes are chosen by senders, so their number is bounded: beyond
//! [`PatternLimits::causes_per_name`] the causes of a name share the pattern
//! `<alertname>: (other causes)`; beyond [`PatternLimits::patterns`] a quiet pattern that nobody
//! has edited makes room, and if there is none, alerts share `(other alerts)`.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::{
    knowledge::{
        learning::{pattern, refreshed},
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
    /// The ids of the patterns of the group.
    named: HashSet<String>,
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
            named: HashSet::new(),
            new: 0,
            refreshed: HashMap::new(),
            evicted: 0,
            limited: 0,
            new_causes: HashMap::new(),
        }
    }

    /// Adds an alert to the group, with its pattern, which learns its text.
    pub fn assign(&mut self, state: &State, group: &mut Group, alert: ReceivedAlert) {
        let wanted = Wanted::of(&alert.name, alert.cause.as_deref().unwrap_or_default());
        let Wanted { of, id } = self.room_for(state, group, wanted, &alert);
        self.learn(state, group, of, &id, &alert);
        group.alerts.push(AssignedAlert { alert, entry_id: id });
    }

    fn exists(&self, state: &State, wanted: &Wanted) -> bool {
        state.get(&wanted.id).is_some() || self.named.contains(&wanted.id)
    }

    fn room_for(
        &mut self,
        state: &State,
        group: &mut Group,
        wanted: Wanted,
        alert: &ReceivedAlert,
    ) -> Wanted {
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
        let shared = Wanted::of(&alert.name, OTHER_CAUSES);
        if self.exists(state, &shared) || causes > 0 && self.make_room(state, group) {
            return shared;
        }
        Wanted::of(OTHER_ALERTS, "")
    }

    /// Whether there is room for one more pattern; a quiet one may be evicted for it.
    fn make_room(&mut self, state: &State, group: &mut Group) -> bool {
        let patterns = state.stats.patterns() + self.new - self.evicted;
        if patterns < self.limits.patterns {
            return true;
        }
        let mut evictable = state.stats.evictable().skip(self.evicted);
        let quiet = evictable.find(|id| !self.named.contains(*id));
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
        of: AlertPattern,
        id: &str,
        alert: &ReceivedAlert,
    ) {
        let known = self.ahead.get(id).or_else(|| state.get(id));
        if !self.named.contains(id) {
            self.named.insert(id.to_owned());
            let known = known.is_some();
            group.patterns.push(Pattern { id: id.to_owned(), of, known, learn: pattern });
            self.new += usize::from(!known);
        }
        let refreshing = self.refreshed.get(id).map(|place| &mut group.learned[*place]);
        if let Some(Edit::Write { entry, .. }) = refreshing {
            if let Some(refreshed) = refreshed(entry, alert) {
                *entry = Arc::new(refreshed);
            }
        } else if let Some(known) = known
            && let Some(refreshed) = refreshed(known, alert)
        {
            self.refreshed.insert(id.to_owned(), group.learned.len());
            let (version, written) = (known.version + 1, alert.received_at);
            let entry = Arc::new(Entry { version, written, ..refreshed });
            group.learned.push(Edit::Write { entry, expected: Some(known.version) });
        }
    }
}

/// A pattern that an alert may belong to.
struct Wanted {
    of: AlertPattern,
    id: String,
}

impl Wanted {
    fn of(alertname: &str, cause: &str) -> Self {
        let of = AlertPattern { alertname: alertname.to_owned(), cause: cause.to_owned() };
        Self { id: pattern_id(alertname, cause), of }
    }
}
