//! Counts, each answered by an index.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};

use super::{
    MongoStore,
    error::MongoError,
    series::moments,
    wire::{date, firing_alert, integer, json, number, one_of, time_in},
};
use crate::{
    model::{
        Collection, Consolidation, FiringAlert, MetricDay, Status, Time, consolidation_from_json,
    },
    store::{AlertCounts, Issue},
};

/// How many documents each collection holds, from the server's own book-keeping.
pub(super) async fn collection_counts(
    store: &MongoStore,
) -> Result<Vec<(Collection, u64)>, MongoError> {
    let counts = Collection::ALL.map(|collection| async move {
        let count = store.documents(collection).estimated_document_count().await?;
        Ok::<_, MongoError>((collection, count))
    });
    futures::future::try_join_all(counts).await
}

/// How many alerts were first received at or after `since`.
pub(super) async fn received_since(store: &MongoStore, since: Time) -> Result<u64, MongoError> {
    let since = doc! { "status": of_any(), "firstReceived": { "$gte": date(since) } };
    Ok(store.documents(Collection::Alerts).count_documents(since).await?)
}

pub(super) async fn firing_alerts(store: &MongoStore) -> Result<u64, MongoError> {
    let firing = doc! { "status": "firing" };
    Ok(store.documents(Collection::Alerts).count_documents(firing).await?)
}

/// Alerts of these entries that fire now, so many of each at most, the newest first.
pub(super) async fn firing_of(
    store: &MongoStore,
    entries: &[(String, usize)],
) -> Result<Vec<FiringAlert>, MongoError> {
    let parts = doc! { "entryId": 1, "fingerprint": 1, "startsAt": 1, "labels": 1 };
    let parts = &parts;
    let of_each = entries.iter().map(|(id, most)| async move {
        // What fires has no duration, so this is the order of the index.
        let found = store
            .documents(Collection::Alerts)
            .find(doc! { "entryId": id, "status": "firing" })
            .projection(parts.clone())
            .sort(doc! { "duration": -1, "startsAt": -1 })
            .limit(i64::try_from(*most).unwrap_or(i64::MAX))
            .await?;
        let alerts = found.try_filter_map(|document| async move { Ok(firing_alert(&document)) });
        Ok::<_, MongoError>(alerts.try_collect::<Vec<_>>().await?)
    });
    Ok(futures::future::try_join_all(of_each).await?.concat())
}

pub(super) async fn sample_counts(
    store: &MongoStore,
    from: Time,
    until: Time,
) -> Result<BTreeMap<String, u64>, MongoError> {
    let taken = doc! { "timestamp": { "$gte": date(from), "$lt": date(until) } };
    counted(store, Collection::Metrics, taken, "$name", "unnamed").await
}

pub(super) async fn received_counts(
    store: &MongoStore,
    from: Time,
    until: Time,
) -> Result<AlertCounts, MongoError> {
    let (mut counts, others) = futures::try_join!(
        by_severity(store, of_service(from, until)),
        by_severity(store, doc! { "$or": of_others(from, until).to_vec() }),
    )?;
    counts.merge(others);
    Ok(counts)
}

/// The same of one name.
pub(super) async fn counts_of(
    store: &MongoStore,
    name: &str,
    from: Time,
    until: Time,
) -> Result<AlertCounts, MongoError> {
    by_severity(store, named(name, from, until)).await
}

/// Alerts of this service of one name, as their index has them.
pub(super) fn named(name: &str, from: Time, until: Time) -> Document {
    doc! {
        "name": name,
        "status": of_any(),
        "firstReceived": { "$gte": date(from), "$lt": date(until) },
    }
}

async fn by_severity(store: &MongoStore, query: Document) -> Result<AlertCounts, MongoError> {
    let mut counts = AlertCounts::default();
    let sent = counted(store, Collection::Alerts, query, "$severity", "none").await?;
    sent.iter().for_each(|(severity, alerts)| counts.add(severity, *alerts));
    Ok(counts)
}

/// Alerts that were first received in a period.
pub(super) fn first_received(from: Time, until: Time) -> Document {
    let [others, unknown] = of_others(from, until);
    doc! { "$or": [of_service(from, until), others, unknown] }
}

/// Alerts that were last received before. No index is by that, so that a repeat changes none: those
/// that were first received before are looked through, most of which end soon.
pub(super) fn last_received_before(time: Time) -> Document {
    let before = doc! { "$lt": date(time) };
    let [others, unknown] = undated();
    let parts = [of_service(Time::from_millis(i64::MIN), time), others, unknown];
    let parts = parts.map(|mut part| {
        part.insert("timestamp", &before);
        part
    });
    doc! { "$or": parts.to_vec() }
}

fn of_any() -> Document {
    one_of(&Status::ALL)
}

fn of_service(from: Time, until: Time) -> Document {
    doc! { "status": of_any(), "firstReceived": { "$gte": date(from), "$lt": date(until) } }
}

/// The same of what has a last receipt only.
fn of_others(from: Time, until: Time) -> [Document; 2] {
    undated().map(|mut part| {
        part.insert("timestamp", doc! { "$gte": date(from), "$lt": date(until) });
        part
    })
}

/// What has no first receipt that an index could find it by: alerts of the old orchestrator, and what
/// cannot be read.
fn undated() -> [Document; 2] {
    let none = doc! { "$not": { "$gte": date(Time::from_millis(i64::MIN)) } };
    let of_none = doc! { "$nin": Status::ALL.map(Status::as_str).to_vec() };
    [doc! { "status": of_any(), "firstReceived": none }, doc! { "status": of_none }]
}

pub(super) async fn issues(
    store: &MongoStore,
    from: Time,
    until: Time,
) -> Result<Vec<Issue>, MongoError> {
    let if_resolved = |value: Bson| {
        doc! { "$sum": { "$cond": [{ "$eq": ["$status", "resolved"] }, value, 0] } }
    };
    let pipeline = [
        doc! { "$match": first_received(from, until) },
        doc! { "$group": {
            "_id": { "name": "$name", "cause": { "$ifNull": ["$cause", "$labels.cause"] }, "severity": "$severity" },
            "count": { "$sum": 1 },
            "resolved": if_resolved(1.into()),
            // As floating numbers, whose sum does not overflow.
            "resolveMs": if_resolved(doc! { "$toDouble": "$duration" }.into()),
        } },
    ];
    let groups = store.documents(Collection::Alerts).aggregate(pipeline).await?;
    let groups: Vec<Document> = groups.try_collect().await?;
    Ok(groups.iter().map(issue).collect())
}

fn issue(group: &Document) -> Issue {
    let of = group.get_document("_id").ok();
    let text = |name: &str, missing: &str| {
        of.and_then(|of| of.get_str(name).ok()).unwrap_or(missing).to_owned()
    };
    let whole = |name: &str| group.get(name).and_then(integer).unwrap_or(0);
    Issue {
        name: text("name", "unnamed"),
        cause: text("cause", ""),
        severity: text("severity", "none"),
        count: whole("count").unsigned_abs(),
        resolved: whole("resolved").unsigned_abs(),
        resolve_ms: whole("resolveMs"),
    }
}

pub(super) async fn sample_days(
    store: &MongoStore,
    from: Time,
    until: Time,
) -> Result<BTreeMap<String, MetricDay>, MongoError> {
    let pipeline = [
        doc! { "$match": { "timestamp": { "$gte": date(from), "$lt": date(until) } } },
        moments(),
        doc! { "$group": {
            "_id": "$_id.name",
            "count": { "$sum": "$samples" },
            "min": { "$min": "$value" },
            "max": { "$max": "$value" },
            "avg": { "$avg": "$value" },
        } },
    ];
    let groups = store.documents(Collection::Metrics).aggregate(pipeline).await?;
    let groups: Vec<Document> = groups.try_collect().await?;
    let days = groups.iter().map(|group| {
        let value = |field: &str| group.get(field).and_then(number).unwrap_or(0.0);
        let count = group.get("count").and_then(integer).unwrap_or(0).unsigned_abs();
        let day = MetricDay { count, min: value("min"), max: value("max"), avg: value("avg") };
        (name(group, "unnamed"), day)
    });
    Ok(days.collect())
}

pub(super) async fn consolidations_after(
    store: &MongoStore,
    time: Time,
) -> Result<Vec<Consolidation>, MongoError> {
    let after = doc! { "timestamp": { "$gt": date(time) } };
    let consolidations = store.documents(Collection::Consolidations);
    let days = consolidations.find(after).sort(doc! { "timestamp": 1 }).await?;
    let days: Vec<Document> = days.try_collect().await?;
    let days = days.into_iter().map(|day| consolidation_from_json(&json(Bson::Document(day))));
    Ok(days.flatten().collect())
}

/// The latest of each, from its index.
pub(super) async fn newest_data(
    store: &MongoStore,
    until: Time,
) -> Result<Option<Time>, MongoError> {
    let until = doc! { "$lte": date(until) };
    let latest = |collection, field: &'static str, query: Document| async move {
        let latest = store.documents(collection).find_one(query).sort(doc! { field: -1 }).await?;
        Ok::<_, MongoError>(latest.and_then(|found| time_in(&found, field)))
    };
    let received = doc! { "status": of_any(), "firstReceived": &until };
    let (alerts, samples) = futures::try_join!(
        latest(Collection::Alerts, "firstReceived", received),
        latest(Collection::Metrics, "timestamp", doc! { "timestamp": until }),
    )?;
    Ok(alerts.max(samples))
}

/// The server's clock.
pub(super) async fn clock(store: &MongoStore) -> Result<Option<Time>, MongoError> {
    let hello = store.db.run_command(doc! { "hello": 1 }).await?;
    let at = hello.get_datetime("localTime").ok();
    Ok(at.map(|at| Time::from_millis(at.timestamp_millis())))
}

/// The least of each, from its index. An alert without a first receipt counts by its last.
pub(super) async fn history_start(store: &MongoStore) -> Result<Option<Time>, MongoError> {
    let least = |collection, field: &'static str, query: Document| async move {
        let first = store.documents(collection).find_one(query).sort(doc! { field: 1 }).await?;
        Ok::<_, MongoError>(first.and_then(|found| time_in(&found, field)))
    };
    let earliest = date(Time::from_millis(i64::MIN));
    let dated = doc! { "status": of_any(), "firstReceived": { "$gte": earliest } };
    let [others, unknown] = undated();
    let (first, others, unknown, samples) = futures::try_join!(
        least(Collection::Alerts, "firstReceived", dated),
        least(Collection::Alerts, "timestamp", others),
        least(Collection::Alerts, "timestamp", unknown),
        least(Collection::Metrics, "timestamp", doc! {}),
    )?;
    Ok([first, others, unknown, samples].into_iter().flatten().min())
}

/// Documents counted by a field.
async fn counted(
    store: &MongoStore,
    collection: Collection,
    query: Document,
    field: &str,
    missing: &str,
) -> Result<BTreeMap<String, u64>, MongoError> {
    let pipeline =
        [doc! { "$match": query }, doc! { "$group": { "_id": field, "count": { "$sum": 1 } } }];
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
