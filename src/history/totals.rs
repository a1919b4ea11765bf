//! Counts over a period of days, beyond the life of single alerts, and nothing twice.
//!
//! The boundary rule, for alerts and for samples alike. An alert is of the moment of its first
//! receipt, a sample of the moment when it was taken; both lie in exactly one local day.
//!
//! 1. While everything of the period is still kept (it begins no earlier than
//!    `RETENTION_ALERTS_HOURS`, or `RETENTION_METRICS_DAYS`, ago), what is kept is counted, from
//!    the period's first instant on.
//! 2. Otherwise let C be the end of the last consolidated day. Days that end after the period's
//!    beginning and no later than C count by their consolidations, the first of them whole;
//!    what is kept counts from C on, or from the period's beginning if that is later. So what
//!    is still kept of a consolidated day (an alert that fires for weeks) is not counted again.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;

use super::{
    Calendar,
    series::{Aggregation, Point, series},
};
use crate::{
    config::RetentionSettings,
    knowledge::Base,
    model::{Clock, Consolidation, Time, severity_key},
    store::{AlertCounts, Result, Store},
};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// A period that ends now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Period {
    /// When it begins.
    #[schema(value_type = String)]
    pub start_date: Time,
    /// When it ends: now.
    #[schema(value_type = String)]
    pub end_date: Time,
    /// How many days it has.
    pub days: u32,
}

/// One group of a count, as MongoDB's aggregation names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Group {
    /// What is counted.
    #[serde(rename = "_id")]
    pub id: &'static str,
    /// How many.
    pub count: usize,
}

/// The knowledge base as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KnowledgeCounts {
    /// All entries.
    pub total: usize,
    /// By category.
    pub by_category: Vec<Group>,
    /// By severity.
    pub by_severity: Vec<Group>,
}

/// What happened in a period.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Historical {
    /// Which period.
    pub period: Period,
    /// Metric samples.
    pub metrics_count: u64,
    /// Alert instances, by the time of their first receipt.
    pub alerts_count: u64,
    /// The same by severity label.
    pub alerts_by_severity: BTreeMap<String, u64>,
    /// Metric samples by name.
    pub metrics_by_name: BTreeMap<String, u64>,
    /// The knowledge base.
    pub knowledge_base: KnowledgeCounts,
    /// Daily consolidations of days that end within the period.
    pub consolidations: u64,
    /// The metric asked for, the earliest point first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series: Option<Vec<Point>>,
    /// Whether the series has more points; the latest are given.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// Counts over the history.
pub struct Totals {
    store: Arc<dyn Store>,
    base: Base,
    clock: Arc<dyn Clock>,
    calendar: Calendar,
    settings: RetentionSettings,
}

impl Totals {
    /// Over this store, which keeps things as long as these settings say.
    pub fn new(
        store: Arc<dyn Store>,
        base: Base,
        clock: Arc<dyn Clock>,
        calendar: Calendar,
        settings: RetentionSettings,
    ) -> Self {
        Self { store, base, clock, calendar, settings }
    }

    /// What happened in the last `days` days, with the series of one metric if it is asked for.
    pub async fn of_last(
        &self,
        days: u32,
        metric: Option<(&str, Aggregation)>,
    ) -> Result<Historical> {
        let end_date = self.clock.now();
        let start_date = end_date.plus_millis(-i64::from(days) * DAY_MS);
        let consolidations = self.store.consolidations_after(start_date).await?;
        let (alerts, metrics_by_name, found) = tokio::try_join!(
            self.alerts(start_date, end_date, &consolidations),
            self.samples(start_date, end_date, &consolidations),
            async {
                let Some((name, aggregation)) = metric else { return Ok(None) };
                let period = (start_date, end_date.plus_millis(1));
                let found = series(&self.store, &self.calendar, name, aggregation, period).await?;
                Ok(Some(found))
            },
        )?;
        let truncated = found.as_ref().is_some_and(|series| series.truncated);
        Ok(Historical {
            period: Period { start_date, end_date, days },
            metrics_count: metrics_by_name.values().sum(),
            alerts_count: alerts.total,
            alerts_by_severity: alerts.by_severity,
            metrics_by_name,
            knowledge_base: self.knowledge(),
            consolidations: consolidations.len() as u64,
            series: found.map(|series| series.points),
            truncated,
        })
    }

    fn knowledge(&self) -> KnowledgeCounts {
        let known = self.base.counts();
        let groups = |counts: Vec<(&'static str, usize)>| {
            counts.into_iter().map(|(id, count)| Group { id, count }).collect()
        };
        KnowledgeCounts {
            total: known.total,
            by_category: groups(known.by_category),
            by_severity: groups(known.by_severity),
        }
    }

    async fn alerts(
        &self,
        start: Time,
        now: Time,
        consolidations: &[Consolidation],
    ) -> Result<AlertCounts> {
        let kept_for = i64::from(self.settings.alerts_hours) * HOUR_MS;
        let (summed_up, kept_from) = boundary(start, now, kept_for, consolidations);
        let mut counts = self.store.received_counts(kept_from, now.plus_millis(1)).await?;
        for day in summed_up {
            counts.total += day.alerts.total;
            for (severity, count) in &day.alerts.by_severity {
                let key = severity_key(severity).to_owned();
                *counts.by_severity.entry(key).or_default() += count;
            }
        }
        Ok(counts)
    }

    async fn samples(
        &self,
        start: Time,
        now: Time,
        consolidations: &[Consolidation],
    ) -> Result<BTreeMap<String, u64>> {
        let kept_for = i64::from(self.settings.metrics_days) * DAY_MS;
        let (summed_up, kept_from) = boundary(start, now, kept_for, consolidations);
        let mut counts = self.store.sample_counts(kept_from).await?;
        for (name, day) in summed_up.iter().flat_map(|day| &day.metrics.by_name) {
            *counts.entry(name.clone()).or_default() += day.count;
        }
        Ok(counts)
    }
}

/// Which consolidations count, and from when on what is kept counts; see the module.
///
/// `consolidations` are those that ended after `start`, the earliest first.
fn boundary(
    start: Time,
    now: Time,
    kept_for_ms: i64,
    consolidations: &[Consolidation],
) -> (&[Consolidation], Time) {
    match consolidations.last() {
        Some(last) if start < now.plus_millis(-kept_for_ms) => {
            (consolidations, last.timestamp.max(start))
        }
        _ => (&[], start),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DayAlerts, DayMetrics};

    fn ended(day: i64) -> Consolidation {
        Consolidation {
            date: format!("day {day}"),
            timestamp: Time::from_millis(day * DAY_MS),
            alerts: DayAlerts::default(),
            metrics: DayMetrics::default(),
            summary: String::new(),
            insights: Vec::new(),
            recommendations: Vec::new(),
            kb_entries_generated: 0,
        }
    }

    #[test]
    fn what_is_kept_counts_alone_while_all_of_it_is_kept() {
        let now = Time::from_millis(10 * DAY_MS + 5);
        let start = now.plus_millis(-2 * DAY_MS);
        let days = [ended(9), ended(10)];
        assert_eq!(boundary(start, now, 2 * DAY_MS, &days), (&[][..], start));
        let earlier = start.plus_millis(-1);
        let (summed_up, kept_from) = boundary(earlier, now, 2 * DAY_MS, &days);
        assert_eq!((summed_up.len(), kept_from), (2, Time::from_millis(10 * DAY_MS)));
    }

    #[test]
    fn without_consolidations_what_is_kept_is_all_there_is() {
        let now = Time::from_millis(10 * DAY_MS);
        assert_eq!(boundary(Time::from_millis(0), now, 1, &[]), (&[][..], Time::from_millis(0)));
    }
}
