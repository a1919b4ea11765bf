//! Deleting what is old, a batch at a time, and when that was last done.

use futures::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};

use super::{
    IDENTITIES, MongoStore, command, error::MongoError, history::last_received_before, lease,
    wire::date,
};
use crate::model::{Collection, Time};

const LAST_RETENTION: &str = "last_retention";
const HEARTBEAT: &str = "heartbeat";

/// Documents last received, or taken, before these times.
pub(super) async fn expired_counts(
    store: &MongoStore,
    alerts: Time,
    samples: Time,
) -> Result<(u64, u64), MongoError> {
    let count = |collection, query| async move {
        let counted = store.documents(collection).count_documents(query).await;
        Ok::<_, MongoError>(counted?)
    };
    futures::try_join!(
        count(Collection::Alerts, last_received_before(alerts)),
        count(Collection::Metrics, before(samples)),
    )
}

pub(super) fn before(time: Time) -> Document {
    doc! { "timestamp": { "$lt": date(time) } }
}

pub(super) async fn expire_samples(
    store: &MongoStore,
    before_time: Time,
    limit: u32,
) -> Result<u64, MongoError> {
    delete_oldest(store, Collection::Metrics.name(), before(before_time), "timestamp", limit).await
}

/// Forgets who the alerts were that were deleted before this.
pub(super) async fn forget_alerts(
    store: &MongoStore,
    before: Time,
    limit: u32,
) -> Result<u64, MongoError> {
    let old = doc! { "expiredAt": { "$lt": date(before) } };
    delete_oldest(store, IDENTITIES, old, "expiredAt", limit).await
}

async fn delete_oldest(
    store: &MongoStore,
    collection: &str,
    old: Document,
    time: &str,
    limit: u32,
) -> Result<u64, MongoError> {
    let documents = store.db.collection::<Document>(collection);
    let find = documents.find(old.clone()).sort(doc! { time: 1 }).limit(i64::from(limit));
    let found: Vec<Document> = find.projection(doc! { "_id": 1 }).await?.try_collect().await?;
    if found.is_empty() {
        return Ok(0);
    }
    let ids: Vec<Bson> = found.into_iter().filter_map(|mut found| found.remove("_id")).collect();
    lease::check(store).await?;
    // What came back meanwhile is old no more.
    let mut query = doc! { "_id": { "$in": ids } };
    query.extend(old);
    command::delete(store, collection, [query]).await
}

/// When retention last ran to its end.
pub(super) async fn last(store: &MongoStore) -> Result<Option<Time>, MongoError> {
    let state = store.documents(Collection::SystemState);
    let last = state.find_one(doc! { "_id": LAST_RETENTION }).await?;
    let at = last.as_ref().and_then(|last| last.get_datetime("at").ok());
    Ok(at.map(|at| Time::from_millis(at.timestamp_millis())))
}

/// Writes a heartbeat.
pub(super) async fn beat(store: &MongoStore) -> Result<(), MongoError> {
    let set = doc! { "$set": { "key": HEARTBEAT }, "$currentDate": { "at": true } };
    let state = store.probes.collection::<Document>(Collection::SystemState.name());
    state.update_one(doc! { "_id": HEARTBEAT }, set).upsert(true).await?;
    Ok(())
}

/// Notes that retention ran to its end.
pub(super) async fn note(store: &MongoStore, at: Time) -> Result<(), MongoError> {
    lease::set_state(store, LAST_RETENTION, "at", date(at).into()).await
}
