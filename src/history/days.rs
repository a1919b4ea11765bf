//! The days that have ended: which are not summed up yet, and summing them up.

use std::sync::Arc;

use jiff::civil::Date;

use super::{
    Calendar,
    consolidation::{DayFacts, consolidate, usual_days},
};
use crate::{
    model::{Consolidation, Entry, Time},
    shutdown::Phase,
    store::{Result, Store, StoreError, Stored},
};

/// The days of a store, in this calendar.
pub(super) struct Days {
    store: Arc<dyn Store>,
    calendar: Calendar,
}

impl Days {
    pub(super) fn new(store: Arc<dyn Store>, calendar: Calendar) -> Self {
        Self { store, calendar }
    }

    /// Days that had ended at `settled` and are not summed up, the first first, as far back as anything of
    /// them is kept.
    pub(super) async fn missing(&self, settled: Time) -> Result<Vec<Date>> {
        let Some(start) = self.store.history_start().await? else { return Ok(Vec::new()) };
        let first = self.calendar.day_of(start);
        let Ok(last) = self.calendar.day_of(settled).yesterday() else {
            return Ok(Vec::new());
        };
        let known = self.store.consolidations_after(self.calendar.start_of(first)).await?;
        let missing = |day: &Date| !known.iter().any(|known| known.date == day.to_string());
        Ok(Calendar::days(first, last).filter(missing).collect())
    }

    /// Sums up the days that are missing and writes them to `to`, the store under a lease, until `stop`
    /// drains: which they were, and how many could not be summed up. A day of which nothing is known
    /// has no document. A day that the store refuses is set aside: it must not keep what is old for
    /// ever.
    pub(super) async fn sum_up_missing(
        &self,
        to: &Arc<dyn Store>,
        settled: Time,
        stop: &Phase,
    ) -> Result<(Vec<String>, u64)> {
        let missing = self.missing(settled).await?;
        let Some(first) = missing.first() else { return Ok((Vec::new(), 0)) };
        let entries = self.store.entries().await?;
        let a_while_before = self.calendar.start_of(*first).plus_millis(-60 * 86_400_000);
        let mut known = self.store.consolidations_after(a_while_before).await?;
        let (mut written, mut set_aside) = (Vec::new(), 0);
        for day in missing {
            if stop.is_draining() {
                break;
            }
            let place = known.partition_point(|known| known.date < day.to_string());
            match self.write(to, day, &entries, &known[..place]).await {
                Ok(None) => {}
                Ok(Some(consolidation)) => {
                    written.push(consolidation.date.clone());
                    known.insert(place, consolidation);
                }
                Err(error @ (StoreError::Unavailable(_) | StoreError::LeaseLost(_))) => {
                    return Err(error);
                }
                Err(error) => {
                    tracing::error!(%error, %day, "a day cannot be summed up and is set aside");
                    set_aside += 1;
                }
            }
        }
        Ok((written, set_aside))
    }

    /// Sums up a day and writes it down.
    async fn write(
        &self,
        to: &Arc<dyn Store>,
        day: Date,
        entries: &[Entry],
        before: &[Consolidation],
    ) -> Result<Option<Consolidation>> {
        let Some(consolidation) = self.sum_up(day, entries, before).await? else {
            return Ok(None);
        };
        to.put(vec![Stored::Consolidation(Box::new(consolidation.clone()))]).await?;
        Ok(Some(consolidation))
    }

    async fn sum_up(
        &self,
        day: Date,
        entries: &[Entry],
        before: &[Consolidation],
    ) -> Result<Option<Consolidation>> {
        // Where the zone was changed, the day before may have ended later than this one begins.
        let ended = before.last().map_or(Time::from_millis(i64::MIN), |before| before.timestamp);
        let from = self.calendar.start_of(day).max(ended);
        let until = self.calendar.end_of(day);
        let issues = self.store.issues(from, until).await?;
        let metrics = self.store.sample_days(from, until).await?;
        if issues.is_empty() && metrics.is_empty() {
            return Ok(None);
        }
        let alerts = issues.iter().map(|issue| issue.count).sum();
        let (date, issues, metrics) = (day.to_string(), &issues[..], &metrics);
        let before = usual_days(before);
        let facts = DayFacts { date, from, until, alerts, issues, metrics, entries, before };
        Ok(Some(consolidate(&facts)))
    }
}
