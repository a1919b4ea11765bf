//! What a group of received alerts changes: decided here once, for every backend.
//!
//! A backend answers what is stored and remembered of those that a group names ([`Lookup`]),
//! [`fold`] decides, and the backend writes what it says.
//!
//! The rules: one instance per fingerprint and start; at most one open instance a fingerprint,
//! an earlier one is superseded by a later one that fires; deciding again changes nothing.

use std::collections::{BTreeMap, BTreeSet};

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
    /// When the instance began that each alert is taken to be, in the order of the group.
    pub starts: Vec<Time>,
    /// One for each instance that the group is about.
    pub writes: Vec<Write>,
    /// The instances whose part in figures changes.
    pub changes: Vec<InstanceChange>,
}

/// The alerts of a group that are of one fingerprint.
#[derive(Debug, Default)]
pub struct Named<'a> {
    /// Theirs.
    pub fingerprint: &'a str,
    /// When their instances began; one that does not say it may begin with its receipt, as another
    /// did.
    pub starts: BTreeSet<Time>,
    /// Whether one is resolved and does not say when it began.
    pub latest: bool,
    /// With their places in the group.
    alerts: Vec<(usize, &'a AssignedAlert)>,
}

impl Named<'_> {
    /// The instances that they name.
    pub fn keys(&self) -> impl Iterator<Item = AlertKey> {
        let key = |&starts_at| AlertKey { fingerprint: self.fingerprint.to_owned(), starts_at };
        self.starts.iter().map(key)
    }
}

/// The alerts of a group by fingerprint, in the order of those, as an index has them.
pub fn named(group: &[AssignedAlert]) -> Vec<Named<'_>> {
    let mut all = BTreeMap::<&str, Named<'_>>::new();
    for (place, assigned) in group.iter().enumerate() {
        let alert = &assigned.alert;
        let named = all.entry(&alert.fingerprint).or_default();
        named.fingerprint = &alert.fingerprint;
        named.starts.insert(alert.starts_at.unwrap_or(alert.received_at));
        named.latest |= alert.starts_at.is_none() && alert.status == Status::Resolved;
        named.alerts.push((place, assigned));
    }
    all.into_values().collect()
}

/// What a decision needs to know.
pub trait Lookup {
    /// Why it cannot be told.
    type Error;

    /// The stored instances of a fingerprint: those of its [`starts`](Named::starts), what is open,
    /// and the [`latest`](Named::latest) if that is asked for. There may be others among them.
    ///
    /// # Errors
    /// The store's.
    fn stored(&mut self, named: &Named<'_>) -> Result<Vec<Alert>, Self::Error>;

    /// What is remembered of an instance that is not stored any more.
    ///
    /// # Errors
    /// The store's.
    fn remembered(&mut self, key: &AlertKey) -> Result<Option<Remembered>, Self::Error>;
}

/// An instance while the group is being folded.
struct Slot {
    alert: Alert,
    before: Option<Instance>,
    stored: bool,
    changed: bool,
    touched: bool,
}

/// The instances of a fingerprint by their start. Boxed, as a map makes room for eleven at once, and
/// most fingerprints have one.
type Instances = BTreeMap<Time, Box<Slot>>;

/// Decides what `group` changes, one fingerprint after the other: what is stored of one is needed no
/// longer than that takes.
///
/// # Errors
/// The lookup's.
pub fn fold<L: Lookup>(lookup: &mut L, group: &[AssignedAlert]) -> Result<Fold, L::Error> {
    let (mut fold, mut decided) = (Fold::default(), Vec::with_capacity(group.len()));
    for named in named(group) {
        let mut instances = by_start(lookup.stored(&named)?);
        for (place, received) in named.alerts {
            let (outcome, start) = receive(&mut instances, received, lookup)?;
            decided.push((place, (outcome, start)));
        }
        fold.add(instances);
    }
    decided.sort_unstable_by_key(|(place, _)| *place);
    (fold.outcomes, fold.starts) = decided.into_iter().map(|(_, decided)| decided).unzip();
    Ok(fold)
}

/// Of several open instances of a fingerprint the latest stays open: the others as they are to be,
/// changed `at` that time, or when the last of them was. What two replicas opened at once is settled by
/// this.
pub fn supersede(stored: Vec<Alert>, at: Option<Time>) -> Vec<Alert> {
    let mut all = BTreeMap::<String, Vec<Alert>>::new();
    for alert in stored {
        all.entry(alert.fingerprint.clone()).or_default().push(alert);
    }
    let superseded = all.into_values().flat_map(|stored| {
        let at = at.or_else(|| stored.iter().map(|alert| alert.changed_at).max());
        let mut instances = by_start(stored);
        supersede_earlier(&mut instances, at.unwrap_or_default());
        instances.into_values().filter(|slot| slot.changed).map(|slot| slot.alert)
    });
    superseded.collect()
}

fn by_start(stored: Vec<Alert>) -> Instances {
    let slots = stored.into_iter().map(|alert| {
        let before = Some(alert.instance());
        let slot = Slot { alert, before, stored: true, changed: false, touched: false };
        (slot.alert.starts_at, Box::new(slot))
    });
    slots.collect()
}

fn receive<L: Lookup>(
    instances: &mut Instances,
    AssignedAlert { alert: received, entry_id }: &AssignedAlert,
    lookup: &mut L,
) -> Result<(Outcome, Time), L::Error> {
    let starts_at = start_of(received, instances);
    let later_is_open = instances
        .range((std::ops::Bound::Excluded(starts_at), std::ops::Bound::Unbounded))
        .any(|(_, slot)| slot.alert.status == Status::Firing);
    let outcome = match instances.get_mut(&starts_at) {
        Some(slot) => receive_again(slot, received, entry_id, later_is_open),
        None => {
            let mut alert = first_receipt(received, entry_id.clone(), starts_at);
            if later_is_open && alert.status == Status::Firing {
                alert.status = Status::Superseded;
            }
            let remembered = lookup.remembered(&alert.key())?;
            let outcome = if remembered.is_some() { Outcome::Updated } else { Outcome::New };
            if let Some(remembered) = remembered {
                alert.first_received = remembered.first_received;
                alert.carried = Some(remembered.carried);
            }
            let slot = Slot { alert, before: None, stored: false, changed: true, touched: true };
            instances.insert(starts_at, Box::new(slot));
            outcome
        }
    };
    supersede_earlier(instances, received.received_at);
    Ok((outcome, starts_at))
}

impl Fold {
    fn add(&mut self, instances: Instances) {
        for slot in instances.into_values().filter(|slot| slot.touched || slot.changed) {
            let after = Some(slot.alert.instance());
            if slot.before != after {
                self.changes.push(InstanceChange { before: slot.before, after });
            }
            self.writes.push(match (slot.stored, slot.changed) {
                (false, _) => Write::Insert(slot.alert),
                (true, true) => Write::Replace(slot.alert),
                (true, false) => Write::Touch(slot.alert.key(), slot.alert.timestamp),
            });
        }
    }
}

/// When the instance began: as the alert says, else it joins the open instance, else, resolved,
/// the latest one, else it begins with its receipt.
fn start_of(received: &ReceivedAlert, instances: &Instances) -> Time {
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
fn supersede_earlier(instances: &mut Instances, at: Time) {
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
    let entry_id = if same_pattern { known.entry_id.as_str() } else { entry_id };
    // Sent before the later instance began, whatever came in between.
    let is_earlier = received.status == Status::Firing && later_is_open;
    let status = match (is_earlier, known.status) {
        (false, _) => received.status,
        (true, Status::Firing) => Status::Superseded,
        (true, known) => known,
    };
    // A resolved alert sent again without an end keeps the end that it has.
    let says_no_end = received.ends_at.is_none()
        && (known.status, status) == (Status::Resolved, Status::Resolved);
    let resolved_at = match is_earlier || says_no_end {
        true => known.resolved_at,
        false => resolved_at(received, known.starts_at),
    };
    let timestamp = received.received_at.max(known.timestamp);
    let same_state =
        status == known.status && resolved_at == known.resolved_at && entry_id == known.entry_id;
    let same_content = same_pattern
        && received.severity == known.severity
        && received.labels == known.labels
        && received.annotations == known.annotations;
    if same_state && same_content {
        slot.alert.timestamp = timestamp;
        return Outcome::Duplicate;
    }
    slot.alert = Alert {
        status,
        timestamp,
        first_received: known.first_received,
        changed_at: match same_state {
            true => known.changed_at,
            false => received.received_at.max(known.changed_at),
        },
        resolved_at,
        duration: match resolved_at == known.resolved_at {
            true => known.duration,
            false => resolved_at.map(|end| end.since(known.starts_at)),
        },
        carried: known.carried.clone(),
        ..first_receipt(received, entry_id.to_owned(), known.starts_at)
    };
    slot.changed = true;
    Outcome::Updated
}
