//! Keeping the history: days are summed up, then what is old is deleted.
//!
//! Nothing is deleted that is not summed up: a run first writes the consolidations that are
//! missing, and only then deletes, and never beyond the last day that has ended. It deletes in
//! small batches with pauses as long as they took, so that whoever else wants to write waits for
//! one batch at most. Between two days and between two batches it can be stopped: it deletes nothing
//! more then, and the next run goes on. Of several replicas, the one that holds the lease runs, and all
//! that it writes goes through the lease.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::civil::Date;
use tokio::time::Instant;

use super::{Calendar, Schedule, days::Days};
use crate::{
    config::RetentionSettings,
    knowledge::{Base, ChangeError},
    model::{Clock, Collection, Time},
    shutdown::Phase,
    store::{Expired, ExpiryBatch, Lease, LeaseLost, Result, Store, StoreError},
};

/// The name of the lease.
const LEASE: &str = "retention";
/// How long it lasts when its holder falls silent.
const LEASE_TTL: Duration = Duration::from_secs(60);
/// How long after its end a day is summed up: what was received before may be on its way into
/// the store still.
pub const SETTLE_MS: i64 = 30_000;
/// How long one batch is to take: a webhook may have to wait for it.
const BATCH_AIM: Duration = Duration::from_millis(20);
/// How long it is remembered who the deleted alerts were.
const REMEMBER_MS: i64 = 30 * 86_400_000;
/// How far the clock may be ahead of everything else that tells the time.
const PLAUSIBLE_MS: i64 = 86_400_000;
const BATCH_FIRST: u32 = 200;
const BATCH_LEAST: u32 = 20;
const BATCH_MOST: u32 = 5_000;

/// Why a run did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The writer did not delete a batch.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// Another process runs it.
    #[error("another process runs retention now")]
    Busy,
    /// Another process took the lease over.
    #[error(transparent)]
    LeaseLost(#[from] LeaseLost),
}

/// What a run did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The days summed up.
    pub consolidated: Vec<String>,
    /// Alerts deleted.
    pub alerts: u64,
    /// Samples deleted.
    pub samples: u64,
    /// Alerts last received before this were old.
    pub alerts_before: Time,
    /// Samples taken before this were old.
    pub samples_before: Time,
    /// Days and alerts that could not be summed up; the rest went on.
    pub set_aside: u64,
    /// Whether it was stopped before its end.
    pub stopped: bool,
    /// Whether nothing was kept at all, as at the first start.
    pub empty: bool,
}

/// Hears of what a run does while it does it.
pub trait ProgressListener: Send + Sync {
    /// There are this many documents to delete.
    fn expects(&self, _alerts: u64, _samples: u64) {}
    /// A batch of alerts is deleted.
    fn alerts_expired(&self, _deleted: u64) {}
    /// A batch of samples is deleted.
    fn samples_expired(&self, _deleted: u64) {}
}

/// Who deletes old alerts: beside a running service the writer, so that memory follows.
#[async_trait]
pub trait AlertExpiry: Send + Sync {
    /// Deletes a batch of the store.
    async fn expire(
        &self,
        store: &Arc<dyn Store>,
        batch: ExpiryBatch,
    ) -> Result<Expired, RetentionError>;
}

/// Where no memory has to follow: the command line.
pub struct StoreOnly;

#[async_trait]
impl AlertExpiry for StoreOnly {
    async fn expire(
        &self,
        store: &Arc<dyn Store>,
        batch: ExpiryBatch,
    ) -> Result<Expired, RetentionError> {
        Ok(store.expire_alerts(batch).await?)
    }
}

#[async_trait]
impl AlertExpiry for Base {
    async fn expire(
        &self,
        store: &Arc<dyn Store>,
        batch: ExpiryBatch,
    ) -> Result<Expired, RetentionError> {
        Ok(self.expire_on(Arc::clone(store), batch).await?)
    }
}

/// Runs retention.
pub struct RetentionJob {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    calendar: Calendar,
    schedule: Schedule,
    settings: RetentionSettings,
    days: Days,
    holder: String,
    expiry: Arc<dyn AlertExpiry>,
    listener: Arc<dyn ProgressListener>,
    /// What the clock showed when this began, and the steady time of that moment.
    began: (Time, Duration),
}

impl RetentionJob {
    /// On this store, by these settings, in this calendar.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        calendar: Calendar,
        settings: RetentionSettings,
        (expiry, listener): (Arc<dyn AlertExpiry>, Arc<dyn ProgressListener>),
    ) -> Self {
        let schedule = Schedule::daily(calendar.clone(), settings.at);
        let holder = uuid::Uuid::new_v4().to_string();
        let began = (clock.now(), clock.steady());
        let days = Days::new(Arc::clone(&store), calendar.clone());
        Self { store, clock, calendar, schedule, settings, days, holder, expiry, listener, began }
    }

    /// With the replica's name before the number that tells it from others of its name.
    pub fn of_instance(mut self, instance: &str) -> Self {
        self.holder = format!("{instance} {}", self.holder);
        self
    }

    /// When a run is due next.
    pub fn next_due(&self) -> Time {
        self.schedule.next(self.settled()).plus_millis(SETTLE_MS)
    }

    /// Now, without what may be on its way still.
    fn settled(&self) -> Time {
        self.clock.now().plus_millis(-SETTLE_MS)
    }

    /// Whether no run has come to its end since one was due last.
    pub async fn is_due(&self) -> Result<bool> {
        let due = self.schedule.due(self.settled());
        // A run in the future was one by a clock that was wrong.
        let wrong = self.clock.now().plus_millis(PLAUSIBLE_MS);
        let last = self.store.last_retention().await?;
        Ok(last.is_none_or(|last| last < due || last > wrong))
    }

    /// Whether the clock shows a time that may be: not far past both the store's own clock and the
    /// newest data from before that. Where the store has no clock, the time that has passed since
    /// this began stands for it, which nobody sets.
    async fn is_plausible(&self) -> Result<bool> {
        let now = self.clock.now();
        let (began, steady) = self.began;
        let passed = began.plus(self.clock.steady().saturating_sub(steady));
        let latest = self.store.clock().await?.unwrap_or(passed).plus_millis(PLAUSIBLE_MS);
        if now <= latest {
            return Ok(true);
        }
        let newest = self.store.newest_data(latest).await?;
        Ok(newest.is_some_and(|newest| now <= newest.plus_millis(PLAUSIBLE_MS)))
    }

    /// Runs if a run is due and no other replica runs it; `None` if not.
    pub async fn run_if_due(&self, stop: &Phase) -> Result<Option<Report>, RetentionError> {
        if !self.is_due().await? {
            return Ok(None);
        }
        if !self.is_plausible().await? {
            tracing::error!(
                now = %self.clock.now(),
                "the clock is more than a day ahead of the store's and of the newest data: \
                 retention deletes nothing. If the clock is right, restart the service"
            );
            return Ok(None);
        }
        let Some(lease) = self.lease().await? else { return Ok(None) };
        let store = lease.store();
        let run = async {
            // Another replica may have run while this one waited for the lease.
            match self.is_due().await? {
                true => Ok(Some(self.work(&store, stop).await?)),
                false => Ok(None),
            }
        };
        lease.hold_while(run).await?
    }

    /// Runs now.
    pub async fn run(&self, stop: &Phase) -> Result<Report, RetentionError> {
        let lease = self.lease().await?.ok_or(RetentionError::Busy)?;
        let store = lease.store();
        lease.hold_while(self.work(&store, stop)).await?
    }

    /// What [`run`](Self::run) would do now.
    pub async fn preview(&self) -> Result<Report> {
        let mut report = self.cutoffs();
        let (alerts, samples) =
            self.store.expired_counts(report.alerts_before, report.samples_before).await?;
        let missing = self.days.missing(self.settled()).await?;
        report.consolidated = missing.iter().map(Date::to_string).collect();
        Ok(Report { alerts, samples, ..report })
    }

    async fn lease(&self) -> Result<Option<Lease<'_>>> {
        Lease::take(self.store.as_ref(), LEASE, &self.holder, LEASE_TTL).await
    }

    /// The run; what it writes goes to `store`, which is that of the lease.
    async fn work(&self, store: &Arc<dyn Store>, stop: &Phase) -> Result<Report, RetentionError> {
        let began = self.clock.now();
        let mut report = self.cutoffs();
        report.empty = self.store.history_start().await?.is_none();
        (report.consolidated, report.set_aside) =
            self.days.sum_up_missing(store, self.settled(), stop).await?;
        let (before_alerts, before_samples) = (report.alerts_before, report.samples_before);
        let (alerts, samples) = self.store.expired_counts(before_alerts, before_samples).await?;
        self.listener.expects(alerts, samples);
        let unread;
        (report.alerts, unread) =
            self.expire(store, Collection::Alerts, before_alerts, stop).await?;
        (report.samples, _) = self.expire(store, Collection::Metrics, before_samples, stop).await?;
        report.set_aside += unread;
        forget(store, began.plus_millis(-REMEMBER_MS), stop).await?;
        report.stopped = stop.is_draining();
        if !report.stopped {
            store.note_retention(began).await?;
        }
        Ok(report)
    }

    /// Deletes in batches until there is nothing left or `stop` drains; how much in all, and how
    /// much of it could not be summed up.
    async fn expire(
        &self,
        store: &Arc<dyn Store>,
        collection: Collection,
        before: Time,
        stop: &Phase,
    ) -> Result<(u64, u64), RetentionError> {
        let (mut pace, mut all, mut set_aside) = (Pace { limit: BATCH_FIRST }, 0, 0);
        while !stop.is_draining() {
            let (began, limit) = (Instant::now(), pace.limit);
            let (deleted, unread) = self.expire_batch(store, collection, before, limit).await?;
            all += deleted;
            set_aside += unread;
            if deleted < u64::from(limit) {
                break;
            }
            stop.pause(pace.after(began.elapsed())).await;
        }
        Ok((all, set_aside))
    }

    async fn expire_batch(
        &self,
        store: &Arc<dyn Store>,
        collection: Collection,
        before: Time,
        limit: u32,
    ) -> Result<(u64, u64), RetentionError> {
        if collection == Collection::Alerts {
            let batch = ExpiryBatch { before, limit, now: self.clock.now() };
            let Expired { deleted, set_aside, .. } = self.expiry.expire(store, batch).await?;
            self.listener.alerts_expired(deleted);
            return Ok((deleted, set_aside));
        }
        let deleted = store.expire_samples(before, limit).await?;
        self.listener.samples_expired(deleted);
        Ok((deleted, 0))
    }

    /// What is old: never anything of a day that has not ended.
    fn cutoffs(&self) -> Report {
        let now = self.clock.now();
        let ended = self.calendar.start_of(self.calendar.day_of(self.settled()));
        let old = |ms: i64| now.plus_millis(-ms).min(ended);
        Report {
            alerts_before: old(i64::from(self.settings.alerts_hours) * 3_600_000),
            samples_before: old(i64::from(self.settings.metrics_days) * 86_400_000),
            ..Report::default()
        }
    }
}

/// Forgets who the alerts were that were deleted long ago.
async fn forget(store: &Arc<dyn Store>, before: Time, stop: &Phase) -> Result<()> {
    while !stop.is_draining() {
        if store.forget_alerts(before, BATCH_MOST).await? < u64::from(BATCH_MOST) {
            break;
        }
    }
    Ok(())
}

/// How large the next batch is.
struct Pace {
    limit: u32,
}

impl Pace {
    /// Learns from how long a batch took; how long to pause now.
    fn after(&mut self, took: Duration) -> Duration {
        self.limit = match took {
            took if took > BATCH_AIM => (self.limit / 2).max(BATCH_LEAST),
            took if took < BATCH_AIM / 2 => (self.limit + self.limit / 4).min(BATCH_MOST),
            _ => self.limit,
        };
        took.min(BATCH_AIM * 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_shrink_when_they_are_slow_and_grow_when_they_are_fast() {
        let mut pace = Pace { limit: BATCH_FIRST };
        assert_eq!(pace.after(BATCH_AIM * 2), BATCH_AIM * 2);
        assert_eq!(pace.limit, BATCH_FIRST / 2);
        for _ in 0..50 {
            pace.after(Duration::ZERO);
        }
        assert_eq!(pace.limit, BATCH_MOST);
        for _ in 0..50 {
            pace.after(Duration::from_secs(9));
        }
        assert_eq!(pace.limit, BATCH_LEAST);
        assert_eq!(pace.after(Duration::from_secs(9)), BATCH_AIM * 10);
    }
}
