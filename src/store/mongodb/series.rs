//! The samples of one metric over time, from the index on `name` and `timestamp`.

use futures::TryStreamExt;
use mongodb::bson::{Bson, DateTime, Document, doc};

use super::{
    MongoStore,
    error::MongoError,
    history::named,
    wire::{date, integer, number, sample},
};
use crate::{
    model::{COUNTED, Collection, Sample, Time},
    store::{AlertBucket, Bucket, Buckets},
};

/// The latest samples of a period, the earliest first.
pub(super) async fn samples(
    store: &MongoStore,
    name: &str,
    from: Time,
    until: Time,
    limit: usize,
) -> Result<Vec<Sample>, MongoError> {
    let metrics = store.documents(Collection::Metrics);
    let latest = metrics
        .find(of_period(name, from, until))
        .sort(doc! { "timestamp": -1 })
        .limit(i64::try_from(limit).unwrap_or(i64::MAX));
    let documents: Vec<Document> = latest.await?.try_collect().await?;
    Ok(documents.iter().rev().filter_map(sample).collect())
}

/// The same in buckets.
pub(super) async fn buckets(
    store: &MongoStore,
    name: &str,
    wanted: Buckets,
) -> Result<Vec<Bucket>, MongoError> {
    let pipeline = [
        doc! { "$match": of_period(name, wanted.from, wanted.until) },
        moments(),
        doc! { "$sort": { "_id.timestamp": 1 } },
        doc! { "$group": {
            "_id": bucket("$_id.timestamp", wanted),
            "count": { "$sum": 1 },
            "min": { "$min": "$value" },
            "max": { "$max": "$value" },
            "sum": { "$sum": "$value" },
            "last": { "$last": "$value" },
        } },
        doc! { "$sort": { "_id": 1 } },
    ];
    let groups = store.documents(Collection::Metrics).aggregate(pipeline).await?;
    let groups: Vec<Document> = groups.try_collect().await?;
    Ok(groups.iter().filter_map(bucket_of).collect())
}

/// What is counted adds up at each moment, all else stands for itself.
pub(super) fn moments() -> Document {
    let itself = doc! { "$cond": [{ "$in": ["$unit", COUNTED.to_vec()] }, Bson::Null, "$_id"] };
    doc! { "$group": {
        "_id": { "name": "$name", "timestamp": "$timestamp", "itself": itself },
        "samples": { "$sum": 1 },
        "value": { "$sum": "$value" },
    } }
}

/// The number of the bucket that the time in a field is in.
fn bucket(time: &str, wanted: Buckets) -> Document {
    let since_1970 = doc! { "$subtract": [time, DateTime::from_millis(0)] };
    let shifted = doc! { "$add": [since_1970, wanted.offset_ms] };
    doc! { "$floor": { "$divide": [shifted, wanted.width_ms.max(1)] } }
}

/// Alerts of one name by their first receipt, the latest buckets first.
pub(super) async fn alerts(
    store: &MongoStore,
    name: &str,
    wanted: Buckets,
    limit: usize,
) -> Result<Vec<AlertBucket>, MongoError> {
    let resolved = doc! { "$cond": [{ "$eq": ["$status", "resolved"] }, 1, 0] };
    let pipeline = [
        doc! { "$match": named(name, wanted.from, wanted.until) },
        doc! { "$group": {
            "_id": bucket("$firstReceived", wanted),
            "fired": { "$sum": 1 },
            "resolved": { "$sum": resolved },
        } },
        doc! { "$sort": { "_id": -1 } },
        doc! { "$limit": i64::try_from(limit).unwrap_or(i64::MAX) },
    ];
    let groups = store.documents(Collection::Alerts).aggregate(pipeline).await?;
    let groups: Vec<Document> = groups.try_collect().await?;
    let buckets = groups.iter().filter_map(|group| {
        let whole = |field: &str| group.get(field).and_then(integer);
        Some(AlertBucket {
            number: whole("_id")?,
            fired: whole("fired")?.unsigned_abs(),
            resolved: whole("resolved")?.unsigned_abs(),
        })
    });
    Ok(buckets.collect())
}

fn of_period(name: &str, from: Time, until: Time) -> Document {
    doc! { "name": name, "timestamp": { "$gte": date(from), "$lt": date(until) } }
}

/// `None` where an old orchestrator's samples have no numbers for values.
fn bucket_of(group: &Document) -> Option<Bucket> {
    let value = |field: &str| group.get(field).and_then(number);
    let whole = |field: &str| group.get(field).and_then(integer);
    Some(Bucket {
        number: whole("_id")?,
        count: whole("count")?.unsigned_abs(),
        min: value("min")?,
        max: value("max")?,
        sum: value("sum")?,
        last: group.get("last").filter(|last| **last != Bson::Null).and_then(number)?,
    })
}
