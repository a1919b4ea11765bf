//! One metric over time: as sampled, by the hour, or by the local day.
//!
//! Hours and days are those of the calendar. The store counts buckets of one width from one
//! offset; where the zone's offset changes within the period, each stretch is asked for by
//! itself, and what belongs to one hour or day is put together here.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;

use super::{Calendar, Stretch};
use crate::{
    model::Time,
    store::{Bucket, Buckets, Result, Store},
};

/// Points of one series at most; the latest are kept.
pub const POINTS_MOST: usize = 10_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// How a series is put together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Aggregation {
    /// Every sample.
    #[default]
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

/// A point of the alerts of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AlertPoint {
    /// When the stretch begins; raw, when alerts were first received.
    #[schema(value_type = String)]
    pub timestamp: Time,
    /// How many began to fire in it: were first received.
    pub firing: u64,
    /// How many of them are resolved.
    pub resolved: u64,
}

/// Reads the stored alerts of one name, the earliest first: the latest [`POINTS_MOST`] points and
/// one more, if there are more.
pub async fn alert_points(
    store: &Arc<dyn Store>,
    calendar: &Calendar,
    name: &str,
    aggregation: Aggregation,
    (from, until): (Time, Time),
) -> Result<BTreeMap<Time, AlertPoint>> {
    let mut points = BTreeMap::new();
    let (width_ms, stretches) = match aggregation {
        Aggregation::Raw => (1, vec![Stretch { from, until, offset_ms: 0 }]),
        Aggregation::Hourly => (HOUR_MS, calendar.stretches(from, until)),
        Aggregation::Daily => (DAY_MS, calendar.stretches(from, until)),
    };
    for stretch in stretches {
        let (from, until, offset_ms) = (stretch.from, stretch.until, stretch.offset_ms);
        let wanted = Buckets { from, until, width_ms, offset_ms };
        for bucket in store.alert_buckets(name, wanted, POINTS_MOST + 1).await? {
            let timestamp = start_of(calendar, bucket.number, wanted);
            let (firing, resolved) = (bucket.fired, bucket.resolved);
            add_point(&mut points, AlertPoint { timestamp, firing, resolved });
        }
    }
    Ok(points)
}

/// Adds to the point of the same time, if there is one.
pub fn add_point(points: &mut BTreeMap<Time, AlertPoint>, point: AlertPoint) {
    let none = AlertPoint { firing: 0, resolved: 0, ..point };
    let known = points.entry(point.timestamp).or_insert(none);
    known.firing += point.firing;
    known.resolved += point.resolved;
}

/// When a bucket begins: an hour of the clock, or the local day that it is of.
fn start_of(calendar: &Calendar, number: i64, of: Buckets) -> Time {
    let start = Time::from_millis(number * of.width_ms - of.offset_ms);
    match of.width_ms {
        // The instant within the bucket that is certainly of this stretch.
        DAY_MS => calendar.start_of(calendar.day_of(start.max(of.from))),
        _ => start,
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
            let start = start_of(calendar, bucket.number, wanted);
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
