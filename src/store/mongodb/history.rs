//! Counts, each answered by an index.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};

use super::{
    MongoStore,
    fault::Fault,
    wire::{date, integer},
};
use crate::{
    model::{Collection, Time},
    store::AlertCounts,
};

/// How many documents each collection holds, from the server's own book-keeping.
pub(super) async fn collection_counts(store: &MongoStore) -> Result<Vec<(Collection, u64)>, Fault> {
    let counts = Collection::ALL.map(|collection| async move {
        let count = store.documents(collection).estimated_document_count().await?;
        Ok::<_, Fault>((collection, count))
    });
    futures::future::try_join_all(counts).await
}

pub(super) async fn alert_counts(store: &MongoStore, since: Time) -> Result<AlertCounts, Fault> {
    let by_severity = grouped(store, Collection::Alerts, since, "$severity", "none").await?;
    Ok(AlertCounts { total: by_severity.values().sum(), by_severity })
}

pub(super) async fn firing_alerts(store: &MongoStore) -> Result<u64, Fault> {
    let firing = doc! { "status": "firing" };
    Ok(store.documents(Collection::Alerts).count_documents(firing).await?)
}

pub(super) async fn sample_counts(
    store: &MongoStore,
    since: Time,
) -> Result<BTreeMap<String, u64>, Fault> {
    grouped(store, Collection::Metrics, since, "$name", "unnamed").await
}

/// `date` is the day as `YYYY-MM-DD`; the old orchestrator may have written a BSON date.
pub(super) async fn consolidation_count(store: &MongoStore, since: Time) -> Result<u64, Fault> {
    let day: String = since.to_string().chars().take("YYYY-MM-DD".len()).collect();
    let either = doc! { "$or": [{ "date": { "$gte": day } }, { "date": { "$gte": date(since) } }] };
    Ok(store.documents(Collection::Consolidations).count_documents(either).await?)
}

/// Documents with a `timestamp` at or after `since`, counted by a field.
async fn grouped(
    store: &MongoStore,
    collection: Collection,
    since: Time,
    field: &str,
    missing: &str,
) -> Result<BTreeMap<String, u64>, Fault> {
    let pipeline = [
        doc! { "$match": { "timestamp": { "$gte": date(since) } } },
        doc! { "$group": { "_id": field, "count": { "$sum": 1 } } },
    ];
    let mut groups = store.documents(collection).aggregate(pipeline).await?;
    let mut counts = BTreeMap::new();
    while let Some(group) = groups.try_next().await? {
        let count = group.get("count").and_then(integer).unwrap_or(0).unsigned_abs();
        *counts.entry(name(&group, missing)).or_default() += count;
    }
    Ok(counts)
}

fn name(group: &Document, missing: &str) -> String {
    match group.get("_id") {
        Some(Bson::String(name)) if !name.is_empty() => name.clone(),
        None | Some(Bson::Null | Bson::String(_)) => missing.to_owned(),
        Some(other) => other.to_string(),
    }
}
