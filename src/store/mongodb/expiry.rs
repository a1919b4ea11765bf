//! Deleting a batch of old alerts without a transaction, so that nothing is added twice.
//!
//! The batch is noted first, with a number that only rises, and what it adds to the sums of which
//! entry. Then each entry takes the sums unless it has taken a batch of this number; then who the
//! alerts were is remembered, and each stored alert is marked as carrying what is summed up of it;
//! then those that did not change meanwhile are deleted. A crash at any point leaves the note,
//! and the next call makes it whole.

mod note;

use std::collections::{HashMap, HashSet};

use futures::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};

pub(super) use self::note::NOTE;
use self::note::Note;
use super::{
    IDENTITIES, MongoStore, alerts,
    command::{self, upsert},
    error::MongoError,
    history::last_received_before,
    knowledge, lease,
    retention::before,
    upgrade,
    wire::{
        StoredAlert, alert, alert_id, carried, carried_fields, date, integer, is_ours,
        summed_up_fields,
    },
};
use crate::{
    model::{Alert, Collection, InstanceChange},
    store::{Expired, ExpiryBatch},
};

/// So many alerts a note holds at most: a document has 16 MB.
const NOTED_MOST: u32 = 5_000;
/// Tries of sums that another process changed in between.
const TRIES: usize = 10;

pub(super) async fn expire_alerts(
    store: &MongoStore,
    batch: ExpiryBatch,
) -> Result<Expired, MongoError> {
    let mut expired = Expired::default();
    let last = note::read(store).await?;
    let last_number = last.as_ref().map(|note| note.number);
    if let Some(unfinished) = last.filter(|note| !note.is_done) {
        tracing::warn!(
            batch = unfinished.number,
            "a batch of retention that was cut is made whole"
        );
        apply(store, &unfinished, &mut expired).await?;
    }
    let old = old(store, batch).await?;
    let (ours, others) = sort(old, &mut expired);
    if !others.is_empty() {
        let mut query = before(batch.before);
        query.insert("_id", doc! { "$in": others });
        lease::check(store).await?;
        expired.deleted += command::delete(store, Collection::Alerts.name(), [query]).await?;
    }
    if !ours.is_empty() {
        let note = note::write(store, batch, last_number, ours).await?;
        apply(store, &note, &mut expired).await?;
    }
    Ok(expired)
}

async fn old(store: &MongoStore, batch: ExpiryBatch) -> Result<Vec<Document>, MongoError> {
    let documents = store.documents(Collection::Alerts);
    let find = documents.find(last_received_before(batch.before));
    let limit = batch.limit.min(NOTED_MOST);
    Ok(find.limit(i64::from(limit)).batch_size(NOTED_MOST).await?.try_collect().await?)
}

/// Alerts of this service, and the ids of all other documents: what cannot be summed up is deleted
/// like the rest.
fn sort(documents: Vec<Document>, expired: &mut Expired) -> (Vec<StoredAlert>, Vec<Bson>) {
    let (mut ours, mut others) = (Vec::new(), Vec::new());
    for mut document in documents {
        match alert(&document) {
            Some(stored) => ours.push(stored),
            None => {
                expired.set_aside += u64::from(is_ours(&document));
                others.extend(document.remove("_id"));
            }
        }
    }
    (ours, others)
}

/// Does what the note says, from wherever an earlier try was cut.
async fn apply(store: &MongoStore, note: &Note, expired: &mut Expired) -> Result<(), MongoError> {
    let stored = stored(store, note).await?;
    lease::check(store).await?;
    add_sums(store, note, expired).await?;
    lease::check(store).await?;
    remember(store, note).await?;
    lease::check(store).await?;
    mark(store, note).await?;
    lease::check(store).await?;
    let deleted = delete(store, note).await?;
    expired.deleted += deleted.len() as u64;
    expired.changes.extend(changes(store, note, &stored, &deleted));
    lease::check(store).await?;
    announce(store, note).await?;
    // What others changed of these instances before may not have been followed yet.
    store.unsettled().extend(note.sums.keys().cloned());
    let done = doc! { "$set": { "done": true }, "$unset": { "alerts": "", "sums": "" } };
    let statement = doc! { "q": { "_id": NOTE, "number": note.number }, "u": done };
    command::update(store, Collection::SystemState.name(), &[statement]).await?;
    Ok(())
}

/// A noted alert as it is stored, and the batch that last marked it.
type Marked = (Alert, i64);

async fn stored(store: &MongoStore, note: &Note) -> Result<HashMap<String, Marked>, MongoError> {
    let ids: Vec<&String> = note.alerts.iter().map(|alert| &alert.id).collect();
    let documents = alerts::find(store, doc! { "_id": { "$in": ids } }).await?;
    let marked = documents.iter().filter_map(|document| {
        let batch = carried(document).map_or(0, |(_, batch)| batch);
        let stored = alert(document)?.alert;
        Some((alert_id(&stored.key()), (stored, batch)))
    });
    Ok(marked.collect())
}

/// Each entry takes the sums once. What is not there any more takes none.
async fn add_sums(
    store: &MongoStore,
    note: &Note,
    expired: &mut Expired,
) -> Result<(), MongoError> {
    let mut left: HashSet<String> = note.sums.keys().cloned().collect();
    for attempt in 0..TRIES {
        let ids: Vec<String> = left.iter().cloned().collect();
        for id in &ids {
            if attempt == 0 {
                upgrade::upgrade_entry(store, id).await?;
            }
        }
        let entries = knowledge::of(store, &ids).await?;
        left.retain(|id| entries.get(id).is_some_and(|entry| entry.summed_up.batch < note.number));
        if attempt == 0 {
            let added =
                note.sums.iter().filter(|(id, _)| left.contains(*id) || !entries.contains_key(*id));
            let added = added.map(|(id, sums)| (id.clone(), (note.number, *sums)));
            expired.sums.extend(added);
        }
        if left.is_empty() {
            return Ok(());
        }
        let statements: Vec<_> = entries
            .values()
            .filter(|entry| left.contains(&entry.id))
            .map(|entry| {
                let mut sums = entry.summed_up;
                sums.add_batch(note.number, &note.sums[&entry.id]);
                let query = doc! { "id": &entry.id, "summedUp.batch": entry.summed_up.batch };
                let set = doc! { "summedUp": summed_up_fields(&sums), "changedBy": store.mark() };
                let update = doc! { "$set": set, "$currentDate": { "syncedAt": true } };
                command::update_all(query, update)
            })
            .collect();
        command::update(store, Collection::KnowledgeBase.name(), &statements).await?;
    }
    Err(MongoError::Overtaken)
}

/// Writes down who the alerts were, for when they come back.
async fn remember(store: &MongoStore, note: &Note) -> Result<(), MongoError> {
    let statements: Vec<_> = note
        .alerts
        .iter()
        .map(|alert| {
            let query =
                doc! { "_id": &alert.id, "carried.batch": { "$not": { "$gt": note.number } } };
            let fields = doc! {
                "carried": carried_fields(&alert.carried, note.number),
                "firstReceived": date(alert.first_received),
                "expiredAt": date(note.at),
            };
            upsert(query, doc! { "$set": fields })
        })
        .collect();
    command::update(store, IDENTITIES, &statements).await?;
    Ok(())
}

/// Marks the stored alerts as summed up, also those that changed meanwhile and stay.
async fn mark(store: &MongoStore, note: &Note) -> Result<(), MongoError> {
    let statements: Vec<_> = note
        .alerts
        .iter()
        .map(|alert| {
            let query =
                doc! { "_id": &alert.id, "carried.batch": { "$not": { "$gte": note.number } } };
            let update = doc! {
                "$set": {
                    "carried": carried_fields(&alert.carried, note.number),
                    "changedBy": store.mark(),
                },
                "$inc": { "revision": 1_i64 },
                "$currentDate": { "syncedAt": true },
            };
            doc! { "q": query, "u": update }
        })
        .collect();
    command::update(store, Collection::Alerts.name(), &statements).await?;
    Ok(())
}

/// Deletes the alerts that are as they were noted, but for the mark; returns their ids.
async fn delete(store: &MongoStore, note: &Note) -> Result<HashSet<String>, MongoError> {
    let revisions: HashMap<&str, i64> = note
        .alerts
        .iter()
        .map(|alert| (alert.id.as_str(), alert.revision.unwrap_or(0) + 1))
        .collect();
    let ids: Vec<&str> = revisions.keys().copied().collect();
    let marked = doc! { "_id": { "$in": &ids }, "carried.batch": note.number };
    let unchanged: Vec<String> = alerts::find(store, marked)
        .await?
        .iter()
        .filter_map(|document| {
            let id = document.get_str("_id").ok()?;
            let revision = document.get("revision").and_then(integer)?;
            (revisions.get(id) == Some(&revision)).then(|| id.to_owned())
        })
        .collect();
    let mut by_revision: HashMap<i64, Vec<&String>> = HashMap::new();
    for id in &unchanged {
        by_revision.entry(revisions[id.as_str()]).or_default().push(id);
    }
    // The `_id` comes first, for servers that take an index by the order of the question.
    let queries = by_revision.into_iter().map(|(revision, ids)| {
        let mut query = doc! { "_id": { "$in": ids }, "revision": revision };
        query.extend(before(note.before));
        query
    });
    let count = command::delete(store, Collection::Alerts.name(), queries).await?;
    let mut deleted: HashSet<String> = unchanged.into_iter().collect();
    if count < deleted.len() as u64 {
        // Some were received again at this very moment.
        let kept = alerts::find(store, doc! { "_id": { "$in": &ids } }).await?;
        for id in kept.iter().filter_map(|document| document.get_str("_id").ok()) {
            deleted.remove(id);
        }
    }
    Ok(deleted)
}

fn changes(
    store: &MongoStore,
    note: &Note,
    stored: &HashMap<String, Marked>,
    deleted: &HashSet<String>,
) -> Vec<InstanceChange> {
    let mut changes = Vec::new();
    for noted in &note.alerts {
        let Some((alert, batch)) = stored.get(&noted.id) else { continue };
        let before = alert.instance();
        if deleted.contains(&noted.id) {
            changes.push(InstanceChange { before: Some(before), after: None });
        } else {
            // Whatever it is by now, its entries are read again.
            let mut unsettled = store.unsettled();
            unsettled.extend([before.entry_id.clone(), noted.carried.entry_id.clone()]);
            drop(unsettled);
            if *batch < note.number {
                let mut after = before.clone();
                after.carried = Some(noted.carried.clone());
                changes.push(InstanceChange { before: Some(before), after: Some(after) });
            }
        }
    }
    changes
}

/// Lets other processes read the figures of the entries again: deleted alerts notify nobody.
async fn announce(store: &MongoStore, note: &Note) -> Result<(), MongoError> {
    let ids: Vec<&String> = note.alerts.iter().map(|alert| &alert.id).collect();
    let update = doc! {
        "$set": { "changedBy": store.mark() },
        "$currentDate": { "syncedAt": true },
    };
    let statement = command::update_all(doc! { "_id": { "$in": ids } }, update);
    command::update(store, IDENTITIES, &[statement]).await?;
    Ok(())
}
