//! Stored alerts: what is known of those that a group names, and the statements that change them.
//!
//! A document is changed by compare-and-set on its `revision`. The statements upsert, so that a
//! lost race fails as a statement of its own (a duplicate key) while all others go on.

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    time::Duration,
};

use futures::{StreamExt, TryStreamExt, stream};
use mongodb::bson::{Bson, Document, doc};
use tokio::time::Instant;

use super::{
    IDENTITIES, MongoStore,
    command::{self, Written, update_all, upsert},
    error::MongoError,
    follow, watch,
    wire::{
        ALERT_OPTIONAL, StoredAlert, alert, alert_fields, alert_id, carried, carried_fields, date,
        integer, is_ours, missing, of_fingerprint, time_in,
    },
};
use crate::{
    model::{Alert, AlertKey, Collection, Remembered, Time},
    store::recording::{self, AssignedAlert, Lookup, Named},
};

/// How long an insert may take for others to find it by the time that it bears.
const ON_TIME: Duration = Duration::from_millis(500);
/// Fingerprints whose latest instances are looked for at the same time.
const AT_ONCE: usize = 8;
/// So many of the entries that an alert belonged to are kept, for others to follow.
const MOVES_KEPT: usize = 8;

/// What is stored of the instances that a group names, and what is remembered of others.
#[derive(Debug, Default)]
pub(super) struct Known {
    stored: HashMap<String, BTreeMap<Time, StoredAlert>>,
    /// Instances that are named and not stored.
    absent: Vec<AlertKey>,
    /// Revisions of documents that stand in the place of an alert and cannot be read.
    unreadable: HashMap<String, Option<i64>>,
    remembered: HashMap<AlertKey, Remembered>,
    batches: HashMap<AlertKey, i64>,
}

impl Known {
    /// Reads what is stored.
    pub(super) async fn read(
        store: &MongoStore,
        received: &[AssignedAlert],
    ) -> Result<Self, MongoError> {
        let mut known = Self::default();
        let named = recording::named(received);
        let keys: Vec<AlertKey> = named.iter().flat_map(Named::keys).collect();
        let ids: Vec<String> = keys.iter().map(alert_id).collect();
        let fingerprints: Vec<_> = named.iter().map(|named| named.fingerprint).collect();
        // Two questions, each answered by its own index.
        let stored = find(store, doc! { "_id": { "$in": ids } });
        let (stored, open) = futures::try_join!(stored, open(store, &fingerprints))?;
        known.take(stored);
        known.take(open);
        let latest = named.iter().filter(|named| named.latest);
        let latest: Vec<_> = latest.map(|named| named.fingerprint).collect();
        if !latest.is_empty() {
            known.take(find_latest(store, &latest).await?);
        }
        known.absent = keys.into_iter().filter(|key| known.get(key).is_none()).collect();
        Ok(known)
    }

    /// The alerts of which nothing is stored: most likely they are new.
    pub(super) fn absent<'a>(
        &self,
        received: &'a [AssignedAlert],
    ) -> impl Iterator<Item = &'a AssignedAlert> {
        received.iter().filter(|AssignedAlert { alert, .. }| {
            let start = alert.starts_at.unwrap_or(alert.received_at);
            self.stored.get(&alert.fingerprint).is_none_or(|stored| !stored.contains_key(&start))
        })
    }

    fn take(&mut self, documents: Vec<Document>) {
        for document in documents {
            match (alert(&document), document.get_str("_id")) {
                (Some(stored), _) => {
                    let AlertKey { fingerprint, starts_at } = stored.alert.key();
                    self.stored.entry(fingerprint).or_default().insert(starts_at, stored);
                }
                (None, Ok(id)) => {
                    let revision = document.get("revision").and_then(integer);
                    self.unreadable.insert(id.to_owned(), revision);
                }
                (None, Err(_)) => {}
            }
        }
    }

    /// Reads what is remembered of those that are not stored.
    pub(super) async fn remember(&mut self, store: &MongoStore) -> Result<(), MongoError> {
        if self.absent.is_empty() {
            return Ok(());
        }
        let by_id: HashMap<String, &AlertKey> =
            self.absent.iter().map(|key| (alert_id(key), key)).collect();
        let ids: Vec<&String> = by_id.keys().collect();
        let identities = store.db.collection::<Document>(IDENTITIES);
        let mut found = identities.find(doc! { "_id": { "$in": ids } }).await?;
        while let Some(identity) = found.try_next().await? {
            let key = identity.get_str("_id").ok().and_then(|id| by_id.get(id));
            let first_received = time_in(&identity, "firstReceived");
            let Some(((&key, (carried, batch)), first_received)) =
                key.zip(carried(&identity)).zip(first_received)
            else {
                tracing::error!(
                    id = %identity.get("_id").unwrap_or(&Bson::Null),
                    "a deleted alert's identity cannot be read and is left out"
                );
                continue;
            };
            self.remembered.insert(key.clone(), Remembered { carried, first_received });
            self.batches.insert(key.clone(), batch);
        }
        Ok(())
    }

    /// The alert that is stored under this key.
    pub(super) fn get(&self, key: &AlertKey) -> Option<&StoredAlert> {
        self.stored.get(&key.fingerprint)?.get(&key.starts_at)
    }

    /// What stores an alert where none is.
    pub(super) fn insert(&self, store: &MongoStore, alert: &Alert) -> Operation {
        let key = alert.key();
        let id = alert_id(&key);
        let mut fields = alert_fields(alert);
        fields.insert("timestamp", date(alert.timestamp));
        fields.insert("firstReceived", date(alert.first_received));
        fields.insert("changedBy", store.mark());
        if let Some(carried) = &alert.carried {
            let batch = self.batches.get(&key).copied().unwrap_or(0);
            fields.insert("carried", carried_fields(carried, batch));
        }
        let revision = self.unreadable.get(&id);
        fields.insert("revision", revision.copied().flatten().unwrap_or(0) + 1);
        match revision {
            Some(revision) => {
                let query = doc! { "_id": id, "revision": *revision };
                let now = doc! { "syncedAt": true };
                Operation::Update(upsert(query, doc! { "$set": fields, "$currentDate": now }))
            }
            None => {
                fields.insert("_id", id);
                Operation::Insert(fields)
            }
        }
    }
}

impl Lookup for &Known {
    type Error = Infallible;

    fn stored(&mut self, named: &Named<'_>) -> Result<Vec<Alert>, Infallible> {
        let stored = self.stored.get(named.fingerprint).into_iter().flat_map(BTreeMap::values);
        Ok(stored.map(|stored| stored.alert.clone()).collect())
    }

    fn remembered(&mut self, key: &AlertKey) -> Result<Option<Remembered>, Infallible> {
        Ok(self.remembered.get(key).cloned())
    }
}

/// Inserts alerts, which bear the time before that by the server's clock. Others look for what is a
/// little older than their last look and no more, so what took longer is marked once more.
pub(super) async fn insert(
    store: &MongoStore,
    mut documents: Vec<Document>,
) -> Result<Written, MongoError> {
    if documents.is_empty() {
        return Ok(Written::default());
    }
    let at = follow::server_now(store).await?;
    documents.iter_mut().for_each(|document| drop(document.insert("syncedAt", date(at))));
    // Until it is known, and if that is never known.
    store.late.lock().push(at);
    let began = Instant::now();
    let written = command::insert(store, Collection::Alerts.name(), &documents).await?;
    if began.elapsed() < ON_TIME {
        let mut late = store.late.lock();
        if let Some(place) = late.iter().rposition(|time| *time == at) {
            late.remove(place);
        }
    }
    mark_late(store).await?;
    Ok(written)
}

/// Marks what was inserted later than the time says that it bears.
pub(super) async fn mark_late(store: &MongoStore) -> Result<(), MongoError> {
    let late = store.late.lock().clone();
    if late.is_empty() {
        return Ok(());
    }
    let times: Vec<_> = late.iter().copied().map(date).collect();
    let query = doc! { "syncedAt": { "$in": times }, "changedBy": watch::own(&store.id) };
    let update = doc! {
        "$set": { "changedBy": store.mark() },
        "$currentDate": { "syncedAt": true },
    };
    let collection = Collection::Alerts.name();
    command::update(store, collection, &[update_all(query, update)]).await?;
    store.late.lock().retain(|time| !late.contains(time));
    Ok(())
}

/// A write of one document.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    /// Makes it.
    Insert(Document),
    /// Changes it by this statement.
    Update(Document),
}

/// The statement that changes a stored alert.
///
/// It upserts, but never makes a document: then, too, it fails by itself, because it would have to
/// change the `_id` that it asks for.
pub(super) fn replace(store: &MongoStore, stored: &StoredAlert, alert: &Alert) -> Document {
    note_change_of_other(store, stored);
    let fields = alert_fields(alert);
    let mut unset = missing(&fields, &ALERT_OPTIONAL);
    let mut set = fields;
    set.insert("firstReceived", date(alert.first_received));
    set.insert("revision", stored.revision.unwrap_or(0) + 1);
    set.insert("changedBy", store.mark());
    if stored.alert.entry_id != alert.entry_id {
        let mut moved = stored.moved_from.clone();
        moved.push(stored.alert.entry_id.clone());
        set.insert("movedFrom", &moved[moved.len().saturating_sub(MOVES_KEPT)..]);
    }
    let mut update = doc! {
        "$set": set,
        "$max": { "timestamp": date(alert.timestamp) },
        "$currentDate": { "syncedAt": true },
        "$setOnInsert": { "_id": "" },
    };
    if !unset.is_empty() {
        update.insert("$unset", std::mem::take(&mut unset));
    }
    upsert(doc! { "_id": alert_id(&alert.key()), "revision": stored.revision }, update)
}

/// What another process changed may not have been followed yet, and after this write it does not
/// show any more that it was another, so the entries are read again.
fn note_change_of_other(store: &MongoStore, stored: &StoredAlert) {
    if stored.changed_by.as_ref().is_some_and(|mark| store.is_own(mark)) {
        return;
    }
    let mut unsettled = store.unsettled();
    unsettled.insert(stored.alert.entry_id.clone());
    unsettled.extend(stored.alert.carried.iter().map(|carried| carried.entry_id.clone()));
    unsettled.extend(stored.moved_from.iter().cloned());
}

/// The statement that moves the last receipt on.
pub(super) fn touch(key: &AlertKey, at: Time) -> Document {
    doc! { "q": { "_id": alert_id(key) }, "u": { "$max": { "timestamp": date(at) } } }
}

/// Documents of this service that match.
pub(super) async fn find(store: &MongoStore, query: Document) -> Result<Vec<Document>, MongoError> {
    let found = store.documents(Collection::Alerts).find(query).batch_size(2_000).await?;
    let documents: Vec<Document> = found.try_collect().await?;
    Ok(documents.into_iter().filter(is_ours).collect())
}

/// The open instances of these fingerprints.
pub(super) async fn open<T: AsRef<str>>(
    store: &MongoStore,
    fingerprints: &[T],
) -> Result<Vec<Document>, MongoError> {
    find(store, of_open(fingerprints)).await
}

pub(super) fn of_open<T: AsRef<str>>(fingerprints: &[T]) -> Document {
    let fingerprints: Vec<&str> = fingerprints.iter().map(AsRef::as_ref).collect();
    doc! { "fingerprint": { "$in": fingerprints }, "status": "firing" }
}

/// The latest instance of each fingerprint.
async fn find_latest(
    store: &MongoStore,
    fingerprints: &[&str],
) -> Result<Vec<Document>, MongoError> {
    let documents = store.documents(Collection::Alerts);
    let queries: Vec<_> = fingerprints.iter().map(|of| of_fingerprint(of)).collect();
    let latest = queries
        .into_iter()
        .map(|query| documents.find_one(query).sort(doc! { "startsAt": -1 }).into_future());
    let latest: Vec<_> = stream::iter(latest).buffer_unordered(AT_ONCE).try_collect().await?;
    Ok(latest.into_iter().flatten().collect())
}
