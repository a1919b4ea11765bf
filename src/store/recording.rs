//! What a group of received alerts changes: decided here once, for every backend.
//!
//! A backend looks up what is stored under [`keys`], what is open of each of the
//! [`fingerprints`], the latest instance of those [`without_start`], and what is remembered of
//! instances that are deleted; [`fold`] decides, and the backend writes what it says.
//!
//! The rules: one instance per fingerprint and start; at most one open instance a fingerprint,
//! an earlier one is superseded by a later one that fires; deciding again changes nothing.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::model::{
    Alert, AlertKey, Instance, InstanceChange, Outcome, ReceivedAlert, Remembered, Status, Time,
};

/// A received alert, and the entry that it belongs to unless it is stored already.
#[derive(Clone, Debug, PartialEq)]
pub struct AssignedAlert {
    /// The alert.
    pub alert: ReceivedAlert,
    /// The id of its pattern.
    pub entry_id: String,
}

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
    pub outcomes: Vec<Outcome>,
    /// The instance that each alert is taken to be, in the order of the group.
    pub instances: Vec<AlertKey>,
    /// One for each instance that the group is about.
    pub writes: Vec<Write>,
    /// The instances whose part in figures changes.
    pub changes: Vec<InstanceChange>,
}

/// Instances that the group names: a backend must look up which of them are stored.
pub fn keys(group: &[AssignedAlert]) -> HashSet<AlertKey> {
    let keys = group.iter().map(|AssignedAlert { alert, .. }| AlertKey {
        fingerprint: alert.fingerprint.clone(),
        // One that does not say when it began may begin with its receipt, as another did.
        starts_at: alert.starts_at.unwrap_or(alert.received_at),
    });
    keys.collect()
}

/// The fingerprints of the group: a backend must look up the open instances of each.
pub fn fingerprints(group: &[AssignedAlert]) -> HashSet<&str> {
    group.iter().map(|assigned| assigned.alert.fingerprint.as_str()).collect()
}

/// Fingerprints of resolved alerts that do not say when they began: a backend must look up the
/// latest instance of each.
pub fn without_start(group: &[AssignedAlert]) -> HashSet<&str> {
    let alerts = group.iter().map(|assigned| &assigned.alert);
    let alerts = alerts.filter(|a| a.starts_at.is_none() && a.status == Status::Resolved);
    alerts.map(|alert| alert.fingerprint.as_str()).collect()
}

/// An instance while the group is being folded.
struct Slot {
    alert: Alert,
    before: Option<Instance>,
    stored: bool,
    changed: bool,
    touched: bool,
}

/// Decides what `group` changes, given what is `stored` of it (see the module) and what is
/// `remembered` of instances that are not stored.
pub fn fold(
    stored: Vec<Alert>,
    remembered: &HashMap<AlertKey, Remembered>,
    group: &[AssignedAlert],
) -> Fold {
    let mut slots = Slots::of(stored);
    let (outcomes, instances) =
        group.iter().map(|received| slots.receive(received, remembered)).unzip();
    slots.into_fold(outcomes, instances)
}

/// Of several open instances of a fingerprint the latest stays open: the others as they are to be
/// `at` that time. What two replicas opened at once is settled by this.
pub fn supersede(stored: Vec<Alert>, at: Time) -> Vec<Alert> {
    let mut slots = Slots::of(stored);
    slots.0.values_mut().for_each(|instances| supersede_earlier(instances, at));
    let slots = slots.0.into_values().flat_map(BTreeMap::into_values);
    slots.filter(|slot| slot.changed).map(|slot| slot.alert).collect()
}

/// The instances of each fingerprint by their start.
struct Slots(HashMap<String, BTreeMap<Time, Slot>>);

impl Slots {
    fn of(stored: Vec<Alert>) -> Self {
        let mut slots: HashMap<String, BTreeMap<Time, Slot>> = HashMap::new();
        for alert in stored {
            let before = Some(alert.instance());
            let slot = Slot { alert, before, stored: true, changed: false, touched: false };
            let of_fingerprint = slots.entry(slot.alert.fingerprint.clone()).or_default();
            of_fingerprint.insert(slot.alert.starts_at, slot);
        }
        Self(slots)
    }

    fn receive(
        &mut self,
        AssignedAlert { alert: received, entry_id }: &AssignedAlert,
        remembered: &HashMap<AlertKey, Remembered>,
    ) -> (Outcome, AlertKey) {
        let instances = self.0.entry(received.fingerprint.clone()).or_default();
        let starts_at = start_of(received, instances);
        let later_is_open = instances
            .range((std::ops::Bound::Excluded(starts_at), std::ops::Bound::Unbounded))
            .any(|(_, slot)| slot.alert.status == Status::Firing);
        let key = AlertKey { fingerprint: received.fingerprint.clone(), starts_at };
        let outcome = match instances.get_mut(&starts_at) {
            Some(slot) => receive_again(slot, received, entry_id, later_is_open),
            None => {
                let remembered = remembered.get(&key);
                let mut alert = first_receipt(received, entry_id.clone(), starts_at);
                if later_is_open && alert.status == Status::Firing {
                    alert.status = Status::Superseded;
                }
                if let Some(remembered) = remembered {
                    alert.first_received = remembered.first_received;
                    alert.carried = Some(remembered.carried.clone());
                }
                let slot =
                    Slot { alert, before: None, stored: false, changed: true, touched: true };
                instances.insert(starts_at, slot);
                if remembered.is_some() { Outcome::Updated } else { Outcome::New }
            }
        };
        supersede_earlier(instances, received.received_at);
        (outcome, key)
    }

    fn into_fold(self, outcomes: Vec<Outcome>, instances: Vec<AlertKey>) -> Fold {
        let mut fold = Fold { outcomes, instances, ..Fold::default() };
        let slots = self.0.into_values().flat_map(BTreeMap::into_values);
        for slot in slots.filter(|slot| slot.touched || slot.changed) {
            let after = Some(slot.alert.instance());
            if slot.before != after {
                fold.changes.push(InstanceChange { before: slot.before, after });
            }
            fold.writes.push(match (slot.stored, slot.changed) {
                (false, _) => Write::Insert(slot.alert),
                (true, true) => Write::Replace(slot.alert),
                (true, false) => Write::Touch(slot.alert.key(), slot.alert.timestamp),
            });
        }
        fold
    }
}

/// When the instance began: as the alert says, else it joins the open instance, else, resolved,
/// the latest one, else it begins with its receipt.
fn start_of(received: &ReceivedAlert, instances: &BTreeMap<Time, Slot>) -> Time {
    let open = || {
        let open = instances.iter().rev().find(|(_, s)| s.alert.status == Status::Firing);
        open.map(|(start, _)| *start)
    };
    let latest = || {
        let resolved = received.status == Status::Resolved;
        instances.last_key_value().filter(|_| resolved).map(|(start, _)| *start)
    };
    received.starts_at.or_else(open).or_else(latest).unwrap_or(received.received_at)
}

/// Of several open instances the latest stays open.
fn supersede_earlier(instances: &mut BTreeMap<Time, Slot>, at: Time) {
    let open = instances.values_mut().filter(|slot| slot.alert.status == Status::Firing);
    for earlier in open.rev().skip(1) {
        earlier.alert.status = Status::Superseded;
        earlier.alert.changed_at = earlier.alert.changed_at.max(at);
        earlier.changed = true;
    }
}

fn first_receipt(received: &ReceivedAlert, entry_id: String, starts_at: Time) -> Alert {
    let resolved_at = resolved_at(received, starts_at);
    Alert {
        fingerprint: received.fingerprint.clone(),
        starts_at,
        name: received.name.clone(),
        cause: received.cause.clone(),
        entry_id,
        severity: received.severity.clone(),
        status: received.status,
        message: received.message.clone(),
        timestamp: received.received_at,
        first_received: received.received_at,
        changed_at: received.received_at,
        resolved_at,
        duration: resolved_at.map(|end| end.since(starts_at)),
        labels: received.labels.clone(),
        annotations: received.annotations.clone(),
        generator_url: received.generator_url.clone(),
        receiver: received.receiver.clone(),
        carried: None,
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
fn receive_again(
    slot: &mut Slot,
    received: &ReceivedAlert,
    entry_id: &str,
    later_is_open: bool,
) -> Outcome {
    slot.touched = true;
    let known = &slot.alert;
    // The pattern of the same alerts stays the same, also when there is room for another now.
    let same_pattern = known.name == received.name && known.cause == received.cause;
    let entry_id = if same_pattern { &known.entry_id } else { entry_id };
    let mut now = first_receipt(received, entry_id.to_owned(), known.starts_at);
    if now.status == Status::Firing && later_is_open {
        // Sent before the later instance began, whatever came in between.
        now.status = if known.status == Status::Firing { Status::Superseded } else { known.status };
        (now.resolved_at, now.duration) = (known.resolved_at, known.duration);
    }
    // A resolved alert sent again without an end keeps the end that it has.
    if known.status == Status::Resolved
        && now.status == Status::Resolved
        && received.ends_at.is_none()
    {
        (now.resolved_at, now.duration) = (known.resolved_at, known.duration);
    }
    now.timestamp = now.timestamp.max(known.timestamp);
    now.first_received = known.first_received;
    now.carried = known.carried.clone();
    let same_state = now.status == known.status
        && now.resolved_at == known.resolved_at
        && now.entry_id == known.entry_id;
    now.changed_at = match same_state {
        true => known.changed_at,
        false => received.received_at.max(known.changed_at),
    };
    let same_content = same_pattern
        && now.severity == known.severity
        && now.labels == known.labels
        && now.annotations == known.annotations;
    if same_state && same_content {
        slot.alert.timestamp = now.timestamp;
        return Outcome::Duplicate;
    }
    slot.alert = now;
    slot.changed = true;
    Outcome::Updated
}
