//! Recording a group of alerts without a transaction.
//!
//! A round reads what is stored, decides, and writes by compare-and-set; alerts whose document
//! changed in between are decided anew by the next round, and nobody waits for them. At the end
//! the fingerprints that were opened are looked at again, because another replica may have opened
//! another instance at the same moment.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use mongodb::bson::doc;

use super::{
    MongoStore,
    alerts::{self, Known, Operation, replace, touch},
    command,
    error::MongoError,
    patterns::Patterns,
    wire::{StoredAlert, alert, alert_id},
};
use crate::{
    model::{Alert, AlertKey, Collection, Instance, InstanceChange, Outcome, Status, Time},
    store::{
        Group,
        recording::{AssignedAlert, Fold, Write, fold, supersede},
    },
};

/// Rounds before a group gives up. Of those that race for a document one wins each round.
const ROUNDS: usize = 30;

/// The alerts of a group on their way into the store. It may be run again after a failure: what
/// is settled stays so.
pub(super) struct Recording<'a> {
    store: &'a MongoStore,
    group: &'a Group,
    /// Alerts that are not settled, by their place in the group.
    pending: Vec<usize>,
    outcomes: Vec<Outcome>,
    changes: Vec<InstanceChange>,
    /// Fingerprints of which several instances may be open.
    opened: HashSet<String>,
}

/// A write on its way, with what it changes.
struct Planned {
    key: AlertKey,
    operation: Operation,
    change: Option<InstanceChange>,
    is_touch: bool,
}

impl Planned {
    fn opens(&self) -> bool {
        let firing = |instance: &Instance| instance.status == Status::Firing;
        self.change.as_ref().is_some_and(|change| {
            change.after.as_ref().is_some_and(firing) && !change.before.as_ref().is_some_and(firing)
        })
    }
}

fn planned_replace(store: &MongoStore, stored: &StoredAlert, alert: &Alert) -> Planned {
    let (before, after) = (stored.alert.instance(), alert.instance());
    let change =
        (before != after).then_some(InstanceChange { before: Some(before), after: Some(after) });
    let operation = Operation::Update(replace(store, stored, alert));
    Planned { key: alert.key(), operation, change, is_touch: false }
}

impl<'a> Recording<'a> {
    pub(super) fn new(store: &'a MongoStore, group: &'a Group) -> Self {
        Self {
            store,
            group,
            pending: (0..group.alerts.len()).collect(),
            outcomes: vec![Outcome::Duplicate; group.alerts.len()],
            changes: Vec::new(),
            opened: HashSet::new(),
        }
    }

    /// Records until everything is settled.
    pub(super) async fn run(&mut self, patterns: &mut Patterns<'_>) -> Result<(), MongoError> {
        for _ in 0..ROUNDS {
            if self.pending.is_empty() {
                return self.close_earlier(patterns).await;
            }
            self.round(patterns).await?;
        }
        Err(MongoError::Overtaken)
    }

    /// What came of each alert, and what changed.
    pub(super) fn into_parts(self) -> (Vec<Outcome>, Vec<InstanceChange>) {
        (self.outcomes, self.changes)
    }

    async fn round(&mut self, patterns: &mut Patterns<'_>) -> Result<(), MongoError> {
        let received = self.received();
        let known = Known::read(self.store, &received).await?;
        let Ok(fold) = fold(&mut &known, &received);
        let planned = self.plan(&known, &fold.writes);
        let changes: Vec<_> = planned.iter().filter_map(|write| write.change.clone()).collect();
        patterns.concern(changes.iter().flat_map(|change| [&change.before, &change.after]));
        if patterns.make(self.group.patterns_of(&changes)).await?.changed_instances {
            // What was read carries what is not summed up any more.
            return Ok(());
        }
        let lost = self.write(&planned).await?;
        self.settle(fold, planned, &lost);
        Ok(())
    }

    fn received(&self) -> Cow<'a, [AssignedAlert]> {
        let group = self.group;
        if self.pending.len() == group.alerts.len() {
            return Cow::Borrowed(&group.alerts);
        }
        self.pending.iter().map(|&place| group.alerts[place].clone()).collect()
    }

    fn plan(&self, known: &Known, writes: &[Write]) -> Vec<Planned> {
        let plan = |write: &Write| match write {
            Write::Insert(alert) => Some(Planned {
                key: alert.key(),
                operation: known.insert(self.store, alert),
                change: Some(InstanceChange { before: None, after: Some(alert.instance()) }),
                is_touch: false,
            }),
            Write::Replace(alert) => {
                let stored = known.get(&alert.key())?;
                Some(planned_replace(self.store, stored, alert))
            }
            Write::Touch(key, at) => Some(Planned {
                key: key.clone(),
                operation: Operation::Update(touch(key, *at)),
                change: None,
                is_touch: true,
            }),
        };
        writes.iter().filter_map(plan).collect()
    }

    /// Writes, and tells which instances were changed by others in between.
    async fn write(&self, planned: &[Planned]) -> Result<HashSet<AlertKey>, MongoError> {
        let (mut inserts, mut updates) = (Vec::new(), Vec::new());
        for Planned { key, operation, .. } in planned {
            match operation {
                Operation::Insert(document) => inserts.push((key, document.clone())),
                Operation::Update(statement) => updates.push((key, statement.clone())),
            }
        }
        let (inserting, inserts): (Vec<_>, Vec<_>) = inserts.into_iter().unzip();
        let (updating, updates): (Vec<_>, Vec<_>) = updates.into_iter().unzip();
        let (db, collection) = (&self.store.db, Collection::Alerts.name());
        let inserted = command::insert(db, collection, &inserts).await?;
        let updated = command::update(db, collection, &updates).await?;
        let mut lost: HashSet<AlertKey> =
            inserted.duplicate_keys.iter().map(|&place| inserting[place].clone()).collect();
        lost.extend(updated.duplicate_keys.iter().map(|&place| updating[place].clone()));
        if updated.hit < (updates.len() - updated.duplicate_keys.len()) as u64 {
            // A touched alert was deleted before it was touched.
            let touched = planned.iter().filter(|write| write.is_touch).map(|write| &write.key);
            lost.extend(self.deleted(touched).await?);
        }
        Ok(lost)
    }

    async fn deleted(
        &self,
        keys: impl Iterator<Item = &AlertKey>,
    ) -> Result<Vec<AlertKey>, MongoError> {
        let mut by_id: HashMap<_, _> = keys.map(|key| (alert_id(key), key)).collect();
        let ids: Vec<&String> = by_id.keys().collect();
        for document in alerts::find(self.store, doc! { "_id": { "$in": ids } }).await? {
            by_id.remove(document.get_str("_id").unwrap_or_default());
        }
        Ok(by_id.into_values().cloned().collect())
    }

    fn settle(&mut self, fold: Fold, planned: Vec<Planned>, lost: &HashSet<AlertKey>) {
        let places = std::mem::take(&mut self.pending);
        for ((place, outcome), starts_at) in places.into_iter().zip(fold.outcomes).zip(fold.starts)
        {
            let fingerprint = self.group.alerts[place].alert.fingerprint.clone();
            match lost.contains(&AlertKey { fingerprint, starts_at }) {
                true => self.pending.push(place),
                false => self.outcomes[place] = outcome,
            }
        }
        for write in planned {
            let is_lost = lost.contains(&write.key);
            if is_lost || write.opens() {
                self.opened.insert(write.key.fingerprint.clone());
            }
            self.changes.extend(write.change.filter(|_| !is_lost));
        }
    }

    /// Of several open instances of a fingerprint the latest stays open.
    async fn close_earlier(&mut self, patterns: &mut Patterns<'_>) -> Result<(), MongoError> {
        let at = self.group.alerts.iter().map(|assigned| assigned.alert.received_at).max();
        for _ in 0..ROUNDS {
            let fingerprints: Vec<_> = self.opened.iter().cloned().collect();
            let changes = close_all(self.store, fingerprints, at.unwrap_or_default()).await?;
            let Some((changes, all)) = changes else { return Ok(()) };
            patterns.concern(changes.iter().flat_map(|change| [&change.before, &change.after]));
            self.changes.extend(changes);
            if all {
                return Ok(());
            }
        }
        Err(MongoError::Overtaken)
    }
}

/// Closes all open instances of these fingerprints but the latest of each. Returns what changed
/// and whether that was all of them; `None` if there was nothing to close.
pub(super) async fn close_all(
    store: &MongoStore,
    fingerprints: Vec<String>,
    at: Time,
) -> Result<Option<(Vec<InstanceChange>, bool)>, MongoError> {
    if fingerprints.is_empty() {
        return Ok(None);
    }
    let several = alerts::several_open(store, &fingerprints).await?;
    if several.is_empty() {
        return Ok(None);
    }
    let open: Vec<_> = alerts::open(store, &several).await?.iter().filter_map(alert).collect();
    let by_key: HashMap<_, _> = open.iter().map(|stored| (stored.alert.key(), stored)).collect();
    let closed = supersede(open.iter().map(|stored| stored.alert.clone()).collect(), at);
    let closed: Vec<_> =
        closed.into_iter().filter_map(|alert| Some((*by_key.get(&alert.key())?, alert))).collect();
    if closed.is_empty() {
        return Ok(None);
    }
    let statements: Vec<_> =
        closed.iter().map(|(stored, alert)| replace(store, stored, alert)).collect();
    let written = command::update(&store.db, Collection::Alerts.name(), &statements).await?;
    let changes = closed.iter().enumerate().filter_map(|(place, (stored, alert))| {
        let (before, after) = (stored.alert.instance(), alert.instance());
        (!written.duplicate_keys.contains(&place))
            .then_some(InstanceChange { before: Some(before), after: Some(after) })
    });
    Ok(Some((changes.collect(), written.duplicate_keys.is_empty())))
}
