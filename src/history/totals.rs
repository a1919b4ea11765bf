//! Counts over a period of days, beyond the life of single alerts, and nothing twice.
//!
//! The boundary rule, for alerts and for samples alike. An alert is of the moment of its first
//! receipt, a sample of the moment when it was taken; both lie in exactly one local day.
//!
//! 1. While everything of the period is still kept (it begins no earlier than
//!    `RETENTION_ALERTS_HOURS`, or `RETENTION_METRICS_DAYS`, ago), what is kept is counted, from
//!    the period's first instant on.
//! 2. Otherwise let C be the end of the last consolidated day that begins within it. Days that end after the period's
//!    beginning and no later than C count by their consolidations, the first of them whole;
//!    what is kept counts from C on, or from the period's beginning if that is later. So what
//!    is still kept of a consolidated day (an alert that fires for weeks) is not counted again.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;

use super::{
    Calendar,
    breakdown::{AlertDay, Breakdown, Names, TopAlert, of_day},
    series::{Aggregation, AlertPoint, POINTS_MOST, Point, add_point, alert_points, series},
};
use crate::{
    config::RetentionSettings,
    knowledge::Base,
    model::{Clock, Consolidation, DayName, Time},
    store::{AlertCounts, Result, Store},
};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// A period: from an instant until just before another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Period {
    /// When it begins.
    #[schema(value_type = String)]
    pub start_date: Time,
    /// When it ends.
    #[schema(value_type = String)]
    pub end_date: Time,
    /// How many days it has, of which the last may have begun only.
    pub days: u32,
}

impl Period {
    /// From `start` until just before `end`.
    pub fn between(start_date: Time, end_date: Time) -> Self {
        let days = end_date.since(start_date).max(0).div_euclid(DAY_MS);
        let begun = end_date.since(start_date).rem_euclid(DAY_MS) > 0;
        let days = u32::try_from(days + i64::from(begun)).unwrap_or(u32::MAX);
        Self { start_date, end_date, days }
    }

    /// The days before `end`.
    pub fn before(end: Time, days: u32) -> Self {
        Self::between(end.plus_millis(-i64::from(days) * DAY_MS), end)
    }
}

/// What of a period is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct HistoryFilter<'a> {
    /// Alerts of this name only, and their series.
    pub alertname: Option<&'a str>,
    /// The series of this metric.
    pub metric: Option<&'a str>,
    /// How series are put together.
    pub aggregation: Aggregation,
    /// Whether alerts are counted by the day and by name, too.
    pub breakdown: bool,
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
    /// The alerts of the name asked for, the earliest point first. Of days of which single alerts
    /// are kept no more there is one point a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert_series: Option<Vec<AlertPoint>>,
    /// Local days on which alerts were first received, the earliest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert_days: Option<Vec<AlertDay>>,
    /// The alerts that fired most, the most frequent first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_alerts: Option<Vec<TopAlert>>,
    /// Whether a series has more points; the latest are given.
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

    /// What happened in the last `days` days.
    pub async fn of_last(&self, days: u32, filter: HistoryFilter<'_>) -> Result<Historical> {
        let period = Period::before(self.clock.now(), days);
        // What is received now is of it.
        let until = period.end_date.plus_millis(1);
        self.over(period, until, filter).await
    }

    /// What happened in a period.
    pub async fn of(&self, period: Period, filter: HistoryFilter<'_>) -> Result<Historical> {
        let until = period.end_date;
        self.over(period, until, filter).await
    }

    async fn over(
        &self,
        period: Period,
        until: Time,
        filter: HistoryFilter<'_>,
    ) -> Result<Historical> {
        let start = period.start_date;
        let mut consolidations = self.store.consolidations_after(start).await?;
        consolidations.retain(|day| self.start_of(day) < until);
        let span = Span { start, until, consolidations: &consolidations };
        let (alerts, alert_points, metrics_by_name, found, breakdown) = tokio::try_join!(
            self.alerts(span, filter.alertname),
            self.alert_points(span, filter),
            self.samples(span),
            async {
                let Some(name) = filter.metric else { return Ok(None) };
                let period = (start, until);
                series(&self.store, &self.calendar, name, filter.aggregation, period)
                    .await
                    .map(Some)
            },
            async {
                match filter.breakdown {
                    true => self.breakdown(span, filter.alertname).await.map(Some),
                    false => Ok(None),
                }
            },
        )?;
        let too_many = |points: &Option<Vec<AlertPoint>>| {
            points.as_ref().is_some_and(|p| p.len() > POINTS_MOST)
        };
        let truncated =
            found.as_ref().is_some_and(|series| series.truncated) || too_many(&alert_points);
        let alert_series = alert_points.map(|mut points| {
            points.drain(..points.len().saturating_sub(POINTS_MOST));
            points
        });
        let (alert_days, top_alerts) = breakdown.map(|Breakdown { days, top }| (days, top)).unzip();
        Ok(Historical {
            metrics_count: metrics_by_name.values().sum(),
            alerts_count: alerts.total,
            alerts_by_severity: alerts.by_severity,
            metrics_by_name,
            knowledge_base: self.knowledge(),
            consolidations: consolidations.len() as u64,
            series: found.map(|series| series.points),
            alert_series,
            alert_days,
            top_alerts,
            truncated,
            period,
        })
    }

    /// The first instant of a day that is summed up.
    fn start_of(&self, day: &Consolidation) -> Time {
        let date = day.date.parse().ok();
        date.map_or_else(|| day.timestamp.plus_millis(-DAY_MS), |date| self.calendar.start_of(date))
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

    async fn alerts(&self, span: Span<'_>, name: Option<&str>) -> Result<AlertCounts> {
        let (summed_up, kept_from) = self.alerts_boundary(span);
        let mut counts = self.kept(name, kept_from, span.until).await?;
        for day in summed_up {
            counts.merge(of_day(&day.alerts, name));
        }
        Ok(counts)
    }

    /// Stored alerts that were first received in a period.
    async fn kept(&self, name: Option<&str>, from: Time, until: Time) -> Result<AlertCounts> {
        match name {
            Some(name) => self.store.received_counts_of(name, from, until).await,
            None => self.store.received_counts(from, until).await,
        }
    }

    async fn breakdown(&self, span: Span<'_>, name: Option<&str>) -> Result<Breakdown> {
        let (summed_up, kept_from) = self.alerts_boundary(span);
        let mut days: BTreeMap<Time, AlertCounts> = BTreeMap::new();
        let mut names = Names::default();
        for day in summed_up {
            days.insert(self.start_of(day), of_day(&day.alerts, name));
            names.add_day(&day.alerts);
        }
        // Before the first of all data there is no day to ask for.
        let first = self.store.history_start().await?.map(|start| start.max(kept_from));
        if let Some(first) = first.filter(|first| *first < span.until) {
            let last = self.calendar.day_of(span.until.plus_millis(-1));
            for day in Calendar::days(self.calendar.day_of(first), last) {
                let (start, end) = (self.calendar.start_of(day), self.calendar.end_of(day));
                let counts = self.kept(name, start.max(first), end.min(span.until)).await?;
                days.entry(start).or_default().merge(counts);
            }
            names.add_issues(self.store.issues(first, span.until).await?);
        }
        let days = days.into_iter().filter(|(_, counts)| counts.total > 0);
        let days = days.map(|(timestamp, AlertCounts { total, by_severity })| {
            let date = self.calendar.day_of(timestamp).to_string();
            AlertDay { date, timestamp, total, by_severity }
        });
        Ok(Breakdown { days: days.collect(), top: names.top(name) })
    }

    async fn alert_points(
        &self,
        span: Span<'_>,
        filter: HistoryFilter<'_>,
    ) -> Result<Option<Vec<AlertPoint>>> {
        let Some(name) = filter.alertname else { return Ok(None) };
        let (summed_up, kept_from) = self.alerts_boundary(span);
        let kept = (kept_from, span.until);
        let points = alert_points(&self.store, &self.calendar, name, filter.aggregation, kept);
        let mut points = points.await?;
        for day in summed_up {
            let DayName { count: firing, resolved, .. } = day.alerts.of_name(name);
            if firing > 0 {
                let timestamp = self.start_of(day);
                add_point(&mut points, AlertPoint { timestamp, firing, resolved });
            }
        }
        Ok(Some(points.into_values().collect()))
    }

    fn alerts_boundary<'a>(&self, span: Span<'a>) -> (&'a [Consolidation], Time) {
        span.boundary(self.clock.now(), i64::from(self.settings.alerts_hours) * HOUR_MS)
    }

    async fn samples(&self, span: Span<'_>) -> Result<BTreeMap<String, u64>> {
        let kept_for = i64::from(self.settings.metrics_days) * DAY_MS;
        let (summed_up, kept_from) = span.boundary(self.clock.now(), kept_for);
        let mut counts = self.store.sample_counts(kept_from, span.until).await?;
        for (name, day) in summed_up.iter().flat_map(|day| &day.metrics.by_name) {
            *counts.entry(name.clone()).or_default() += day.count;
        }
        Ok(counts)
    }
}

/// A period, and the days of it that are summed up, the earliest first.
#[derive(Clone, Copy)]
struct Span<'a> {
    start: Time,
    until: Time,
    consolidations: &'a [Consolidation],
}

impl<'a> Span<'a> {
    /// Which consolidations count, and from when on what is kept counts; see the module.
    fn boundary(self, now: Time, kept_for_ms: i64) -> (&'a [Consolidation], Time) {
        match self.consolidations.last() {
            Some(last) if self.start < now.plus_millis(-kept_for_ms) => {
                (self.consolidations, last.timestamp.max(self.start))
            }
            _ => (&[], self.start),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DayAlerts, DayMetrics};

    fn over(start: Time, consolidations: &[Consolidation]) -> Span<'_> {
        Span { start, until: Time::from_millis(i64::MAX), consolidations }
    }

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
        assert_eq!(over(start, &days).boundary(now, 2 * DAY_MS), (&[][..], start));
        let earlier = start.plus_millis(-1);
        let (summed_up, kept_from) = over(earlier, &days).boundary(now, 2 * DAY_MS);
        assert_eq!((summed_up.len(), kept_from), (2, Time::from_millis(10 * DAY_MS)));
    }

    #[test]
    fn without_consolidations_what_is_kept_is_all_there_is() {
        let now = Time::from_millis(10 * DAY_MS);
        assert_eq!(over(Time::EPOCH, &[]).boundary(now, 1), (&[][..], Time::from_millis(0)));
    }
}
