//! What a group of received alerts changes: decided here once, for every backend.
//!
//! A backend looks up what is stored under [`keys`] and what is open under [`open_wanted`],
//! lets [`fold`] decide, and writes what it says.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::model::{Alert, AlertKey, Outcome, ReceivedAlert, Recorded, Status, Time};

/// What a backend has to write for one alert instance.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// It is not stored yet.
    Insert(Alert),
    /// It is stored and its content changed.
    Replace(Alert),
    /// It is stored and only its time of receipt moves on.
    Touch(AlertKey, Time),
}

/// The decision about a group.
#[derive(Debug, Default, PartialEq)]
pub struct Fold {
    /// One for each alert of the group, in its order.
    pub outcomes: Vec<Recorded>,
    /// One for each instance that the group is about.
    pub writes: Vec<Write>,
}

/// Fingerprints of alerts that do not say when they began: a backend must look up which
/// instance of each, if any, is open (firing; the latest start if there are several).
pub fn open_wanted(group: &[ReceivedAlert]) -> HashSet<&str> {
    group.iter().filter(|a| a.starts_at.is_none()).map(|a| a.fingerprint.as_str()).collect()
}

/// Instances that the group names: a backend must look up which of them are stored.
pub fn keys(group: &[ReceivedAlert]) -> HashSet<AlertKey> {
    let known = group.iter().filter_map(|alert| {
        let starts_at = alert.starts_at?;
        Some(AlertKey { fingerprint: alert.fingerprint.clone(), starts_at })
    });
    known.collect()
}

/// An instance while the group is being folded.
struct Slot {
    alert: Alert,
    stored: bool,
    changed: bool,
}

/// Decides what `group` changes, given what is `stored` (the instances under [`keys`] and the
/// open ones under [`open_wanted`]).
pub fn fold(stored: Vec<Alert>, group: &[ReceivedAlert]) -> Fold {
    let mut open: HashMap<String, Time> = HashMap::new();
    let mut slots: BTreeMap<AlertKey, Slot> = BTreeMap::new();
    for alert in stored {
        note_open(&mut open, &alert);
        slots.insert(alert.key(), Slot { alert, stored: true, changed: false });
    }
    let mut outcomes = Vec::with_capacity(group.len());
    let mut touched = HashSet::with_capacity(group.len());
    for received in group {
        let starts_at = received
            .starts_at
            .or_else(|| open.get(&received.fingerprint).copied())
            .unwrap_or(received.received_at);
        let key = AlertKey { fingerprint: received.fingerprint.clone(), starts_at };
        let recorded = match slots.get_mut(&key) {
            Some(slot) => receive_again(slot, received),
            None => {
                let alert = first_receipt(received, starts_at);
                let after = alert.state();
                slots.insert(key.clone(), Slot { alert, stored: false, changed: true });
                Recorded { outcome: Outcome::New, before: None, after }
            }
        };
        if let Some(slot) = slots.get(&key) {
            note_open(&mut open, &slot.alert);
        }
        touched.insert(key);
        outcomes.push(recorded);
    }
    let writes = slots
        .into_iter()
        .filter(|(key, _)| touched.contains(key))
        .map(|(key, slot)| match (slot.stored, slot.changed) {
            (false, _) => Write::Insert(slot.alert),
            (true, true) => Write::Replace(slot.alert),
            (true, false) => Write::Touch(key, slot.alert.timestamp),
        })
        .collect();
    Fold { outcomes, writes }
}

/// Keeps `open` at the latest start of a firing instance.
fn note_open(open: &mut HashMap<String, Time>, alert: &Alert) {
    match alert.status {
        Status::Firing => {
            let start = open.entry(alert.fingerprint.clone()).or_insert(alert.starts_at);
            *start = (*start).max(alert.starts_at);
        }
        Status::Resolved => {
            if open.get(&alert.fingerprint) == Some(&alert.starts_at) {
                open.remove(&alert.fingerprint);
            }
        }
    }
}

fn first_receipt(received: &ReceivedAlert, starts_at: Time) -> Alert {
    let resolved_at = resolved_at(received, starts_at);
    Alert {
        fingerprint: received.fingerprint.clone(),
        starts_at,
        name: received.name.clone(),
        severity: received.severity.clone(),
        status: received.status,
        message: received.message.clone(),
        timestamp: received.received_at,
        first_received: received.received_at,
        resolved_at,
        duration: resolved_at.map(|end| end.since(starts_at)),
        labels: received.labels.clone(),
        annotations: received.annotations.clone(),
        generator_url: received.generator_url.clone(),
        receiver: received.receiver.clone(),
    }
}

/// The end of a resolved alert: what it says, else now; never before its start.
fn resolved_at(received: &ReceivedAlert, starts_at: Time) -> Option<Time> {
    (received.status == Status::Resolved)
        .then(|| received.ends_at.unwrap_or(received.received_at).max(starts_at))
}

/// A known instance is received again.
///
/// Receiver and generator URL are not content: two receivers, or two Prometheus of one pair,
/// would make every repeat look like a change.
fn receive_again(slot: &mut Slot, received: &ReceivedAlert) -> Recorded {
    let before = slot.alert.state();
    let mut now = first_receipt(received, slot.alert.starts_at);
    // A resolved alert sent again without an end keeps the end that it has.
    if before.status == Status::Resolved
        && now.status == Status::Resolved
        && received.ends_at.is_none()
    {
        (now.resolved_at, now.duration) = (slot.alert.resolved_at, slot.alert.duration);
    }
    now.timestamp = now.timestamp.max(slot.alert.timestamp);
    now.first_received = slot.alert.first_received;
    let same = now.status == slot.alert.status
        && now.resolved_at == slot.alert.resolved_at
        && now.labels == slot.alert.labels
        && now.annotations == slot.alert.annotations;
    if same {
        slot.alert.timestamp = now.timestamp;
        return Recorded { outcome: Outcome::Duplicate, before: Some(before), after: before };
    }
    slot.alert = now;
    slot.changed = true;
    Recorded { outcome: Outcome::Updated, before: Some(before), after: slot.alert.state() }
}
