//! Making the patterns that alerts belong to, before the alerts are written.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use mongodb::bson::{Document, doc};

use super::{
    IDENTITIES, MongoStore, alerts,
    command::{self, update_all, upsert},
    error::MongoError,
    knowledge,
    wire::{carried, entry_document},
};
use crate::{
    model::{Collection, Entry, Instance},
    store::{Group, Pattern},
};

/// The patterns of a group, and the entries that it changes.
///
/// If the operation ends before it is known what became of these entries, by an error or a time
/// limit, they are read again by whatever comes next.
pub(super) struct Patterns<'a> {
    store: &'a MongoStore,
    group: &'a Group,
    looked_up: HashSet<String>,
    /// Those that did not exist.
    made: Vec<Arc<Entry>>,
    /// Entries that were there already, and memory did not know.
    found: Vec<Entry>,
    /// Entries whose figures must be read again.
    stale: HashSet<String>,
    /// Entries that change.
    concerned: HashSet<String>,
}

/// What came of making patterns.
pub(super) struct Made {
    /// Whether stored instances were changed by it.
    pub(super) changed_instances: bool,
}

impl<'a> Patterns<'a> {
    pub(super) fn new(store: &'a MongoStore, group: &'a Group) -> Self {
        let alerts = group.alerts.iter().map(|assigned| assigned.entry_id.clone());
        let edits = group.all_edits().map(|edit| edit.entry_id().to_owned());
        Self {
            store,
            group,
            looked_up: HashSet::new(),
            made: Vec::new(),
            found: Vec::new(),
            stale: HashSet::new(),
            concerned: alerts.chain(edits).collect(),
        }
    }

    /// What became of the entries so far is not known.
    pub(super) fn unsettle(&self) {
        self.store.unsettled().extend(self.concerned.iter().cloned());
    }

    /// All is done: what was made, what was found in place of others, and the entries whose
    /// figures must be read again.
    pub(super) fn settle(mut self) -> (Vec<Arc<Entry>>, Vec<Entry>, HashSet<String>) {
        self.concerned.clear();
        let Self { made, found, stale, .. } = &mut self;
        (std::mem::take(made), std::mem::take(found), std::mem::take(stale))
    }

    /// Notes that these instances are about to change.
    pub(super) fn concern<'b>(&mut self, instances: impl Iterator<Item = &'b Option<Instance>>) {
        for instance in instances.flatten() {
            if !self.concerned.contains(&instance.entry_id) {
                self.concerned.insert(instance.entry_id.clone());
            }
        }
    }

    /// Looks ahead which of those that memory knows exist, while other things are asked.
    pub(super) async fn look_up(&mut self, entry_ids: HashSet<&str>) -> Result<(), MongoError> {
        let known = self.group.patterns.iter().filter(|pattern| pattern.known);
        let known = known.map(|pattern| &pattern.id).filter(|id| entry_ids.contains(id.as_str()));
        let ids: Vec<&String> = known.filter(|id| !self.looked_up.contains(*id)).collect();
        let existing = knowledge::existing(self.store, &ids).await?;
        self.looked_up.extend(existing);
        Ok(())
    }

    /// Makes those that do not exist.
    ///
    /// What is summed up of a pattern's instances was deleted with it, so those that carried it
    /// count by themselves again.
    pub(super) async fn make(&mut self, patterns: Vec<&Pattern>) -> Result<Made, MongoError> {
        let mut wanted: HashMap<String, &Pattern> = patterns
            .into_iter()
            .filter(|pattern| !self.looked_up.contains(&pattern.id))
            .map(|pattern| (pattern.id.clone(), pattern))
            .collect();
        if wanted.is_empty() {
            return Ok(Made { changed_instances: false });
        }
        let ids: Vec<String> = wanted.keys().cloned().collect();
        let (known, unknown): (Vec<_>, Vec<_>) = ids.iter().partition(|id| wanted[*id].known);
        for id in knowledge::existing(self.store, &known).await? {
            wanted.remove(&id);
        }
        for entry in knowledge::of(self.store, &unknown).await?.into_values() {
            wanted.remove(&entry.id);
            self.found.push(entry);
        }
        let missing: Vec<String> = wanted.keys().cloned().collect();
        let changed_instances = !missing.is_empty() && self.count_again(&missing).await?;
        let missing: Vec<&Pattern> = wanted.into_values().collect();
        self.insert(self.group.learn(&missing)).await?;
        self.looked_up.extend(ids);
        Ok(Made { changed_instances })
    }

    async fn insert(&mut self, patterns: Vec<Arc<Entry>>) -> Result<(), MongoError> {
        if patterns.is_empty() {
            return Ok(());
        }
        let statements: Vec<_> = patterns.iter().map(|p| insert_statement(self.store, p)).collect();
        let collection = Collection::KnowledgeBase.name();
        let written = command::update(self.store, collection, &statements).await?;
        let (made, others): (Vec<_>, Vec<_>) =
            patterns.into_iter().enumerate().partition(|(place, _)| written.made.contains(place));
        self.store.followed().add(made.iter().map(|(_, pattern)| pattern.id.clone()));
        self.made.extend(made.into_iter().map(|(_, pattern)| pattern));
        let others: Vec<&String> = others.iter().map(|(_, pattern)| &pattern.id).collect();
        self.found.extend(knowledge::of(self.store, &others).await?.into_values());
        Ok(())
    }

    /// Takes off what instances carry of these entries; whether any did.
    async fn count_again(&mut self, entry_ids: &[String]) -> Result<bool, MongoError> {
        let query = doc! { "carried.entryId": { "$in": entry_ids } };
        let identities = command::delete(self.store, IDENTITIES, [query.clone()]).await?;
        let instances = alerts::find(self.store, query.clone()).await?;
        if instances.is_empty() {
            return Ok(identities > 0);
        }
        for instance in &instances {
            self.stale.extend(instance.get_str("entryId").ok().map(str::to_owned));
            self.stale.extend(carried(instance).map(|(carried, _)| carried.entry_id));
        }
        let update = doc! {
            "$unset": { "carried": "" },
            "$inc": { "revision": 1_i64 },
            "$set": { "changedBy": self.store.mark() },
            "$currentDate": { "syncedAt": true },
        };
        let collection = Collection::Alerts.name();
        command::update(self.store, collection, &[update_all(query, update)]).await?;
        Ok(true)
    }
}

impl Drop for Patterns<'_> {
    fn drop(&mut self) {
        self.unsettle();
    }
}

/// The statement that makes an entry if there is none of its id.
pub(super) fn insert_statement(store: &MongoStore, entry: &Entry) -> Document {
    let mut document = entry_document(entry);
    document.remove("id");
    document.insert("_id", &entry.id);
    document.insert("changedBy", store.mark());
    let update = doc! { "$setOnInsert": document, "$currentDate": { "syncedAt": true } };
    upsert(doc! { "id": &entry.id }, update)
}
