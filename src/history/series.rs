//! One metric over time: as sampled, by the hour, or by the local day.
//!
//! Hours and days are those of the calendar. The store counts buckets of one width from one
//! offset; where the zone's offset changes within the period, each stretch is asked for by
//! itself, and what belongs to one hour or day is put together here.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;

use super::Calendar;
use crate::{
    model::Time,
    store::{Bucket, Buckets, Result, Store},
};

/// Points of one series at most; the latest are kept.
pub const POINTS_MOST: usize = 10_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// How a series is put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregation {
    /// Every sample.
    Raw,
    /// A point an hour.
    Hourly,
    /// A point a local day.
    Daily,
}

impl Aggregation {
    /// The words for it.
    pub const NAMES: [&'static str; 3] = ["raw", "hourly", "daily"];

    /// By its word; raw by any other.
    pub fn named(name: &str) -> Self {
        match name {
            "hourly" => Self::Hourly,
            "daily" => Self::Daily,
            _ => Self::Raw,
        }
    }
}

/// A point of a series.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum Point {
    /// A sample.
    Sample {
        /// When it was taken.
        #[schema(value_type = String)]
        timestamp: Time,
        /// What was measured.
        value: f64,
        /// Of what.
        labels: BTreeMap<String, String>,
    },
    /// The samples of an hour or a day.
    Bucket {
        /// When it begins.
        #[schema(value_type = String)]
        timestamp: Time,
        /// How many.
        count: u64,
        /// The least.
        min: f64,
        /// The greatest.
        max: f64,
        /// Their mean.
        avg: f64,
        /// The latest.
        last: f64,
    },
}

/// A series, the earliest point first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// The points.
    pub points: Vec<Point>,
    /// Whether earlier points were left out.
    pub truncated: bool,
}

/// Reads a series.
pub async fn series(
    store: &Arc<dyn Store>,
    calendar: &Calendar,
    metric: &str,
    aggregation: Aggregation,
    (from, until): (Time, Time),
) -> Result<Series> {
    match aggregation {
        Aggregation::Raw => raw(store, metric, from, until).await,
        Aggregation::Hourly => bucketed(store, calendar, metric, HOUR_MS, (from, until)).await,
        Aggregation::Daily => bucketed(store, calendar, metric, DAY_MS, (from, until)).await,
    }
}

async fn raw(store: &Arc<dyn Store>, metric: &str, from: Time, until: Time) -> Result<Series> {
    let mut samples = store.samples(metric, from, until, POINTS_MOST + 1).await?;
    let truncated = samples.len() > POINTS_MOST;
    let samples = samples.drain(usize::from(truncated)..);
    let points = samples.map(|sample| Point::Sample {
        timestamp: sample.timestamp,
        value: sample.value,
        labels: sample.labels,
    });
    Ok(Series { points: points.collect(), truncated })
}

async fn bucketed(
    store: &Arc<dyn Store>,
    calendar: &Calendar,
    metric: &str,
    width_ms: i64,
    (from, until): (Time, Time),
) -> Result<Series> {
    let mut joined: BTreeMap<Time, Bucket> = BTreeMap::new();
    for stretch in calendar.stretches(from, until) {
        let (from, until, offset_ms) = (stretch.from, stretch.until, stretch.offset_ms);
        let wanted = Buckets { from, until, width_ms, offset_ms };
        for bucket in store.sample_buckets(metric, wanted).await? {
            let start = Time::from_millis(bucket.number * width_ms - offset_ms);
            // The instant within the bucket that is certainly of this stretch.
            let start = match width_ms {
                DAY_MS => calendar.start_of(calendar.day_of(start.max(stretch.from))),
                _ => start,
            };
            joined
                .entry(start)
                .and_modify(|earlier| *earlier = join(*earlier, bucket))
                .or_insert(bucket);
        }
    }
    let truncated = joined.len() > POINTS_MOST;
    let left_out = joined.len().saturating_sub(POINTS_MOST);
    let points = joined.into_iter().skip(left_out).map(|(timestamp, bucket)| Point::Bucket {
        timestamp,
        count: bucket.count,
        min: bucket.min,
        max: bucket.max,
        avg: bucket.sum / bucket.count.max(1) as f64,
        last: bucket.last,
    });
    Ok(Series { points: points.collect(), truncated })
}

fn join(earlier: Bucket, later: Bucket) -> Bucket {
    Bucket {
        number: later.number,
        count: earlier.count + later.count,
        min: earlier.min.min(later.min),
        max: earlier.max.max(later.max),
        sum: earlier.sum + later.sum,
        last: later.last,
    }
}
