//! Recording a group of alerts without a transaction.
//!
//! A round reads what is stored, decides, and writes by compare-and-set; alerts whose document
//! changed in between are decided anew by the next round, and nobody waits for them. What two
//! replicas open at the same moment is settled by [`open`](super::open).

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
    wire::{StoredAlert, alert_id},
};
use crate::{
    model::{Alert, AlertKey, Collection, InstanceChange, Outcome},
    store::{
        Group,
        recording::{AssignedAlert, Fold, Write, fold},
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
}

/// A write on its way, with what it changes.
struct Planned {
    key: AlertKey,
    operation: Operation,
    change: Option<InstanceChange>,
    is_touch: bool,
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
        }
    }

    /// Records until everything is settled.
    pub(super) async fn run(&mut self, patterns: &mut Patterns<'_>) -> Result<(), MongoError> {
        for _ in 0..ROUNDS {
            if self.pending.is_empty() {
                return Ok(());
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
        let mut known = Known::read(self.store, &received).await?;
        let entry_ids =
            known.absent(&received).map(|assigned| assigned.entry_id.as_str()).collect();
        futures::try_join!(known.remember(self.store), patterns.look_up(entry_ids))?;
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
        let inserted = alerts::insert(self.store, inserts).await?;
        let updated = command::update(self.store, Collection::Alerts.name(), &updates).await?;
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
            match lost.contains(&write.key) {
                true => self.store.suspects.lock().add(write.key.fingerprint),
                false => self.changes.extend(write.change),
            }
        }
    }
}
