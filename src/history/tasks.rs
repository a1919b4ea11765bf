//! The history's tasks in the running service: the schedule of retention, and what it reports.

use std::{sync::Arc, time::Duration};

use serde_json::json;

use super::{Calendar, ProgressListener, Report, RetentionJob};
use crate::{
    config::RetentionSettings,
    knowledge::Base,
    model::{Clock, Collection},
    security::{AuditContext, AuditLog, Event},
    shutdown::Phase,
    store::Store,
    telemetry::Metrics,
};

/// The longest pause between two looks at the clock: a machine that slept, or a clock that was
/// set, is noticed within it.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How soon a run that failed is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Counts what retention deletes from the store.
struct Counter(Arc<Metrics>);

impl ProgressListener for Counter {
    fn alerts_expired(&self, deleted: u64) {
        self.count(Collection::Alerts, deleted);
    }

    fn samples_expired(&self, deleted: u64) {
        self.count(Collection::Metrics, deleted);
    }
}

impl Counter {
    fn count(&self, collection: Collection, deleted: u64) {
        self.0.retention_deleted_total.with_label_values(&[collection.name()]).inc_by(deleted);
    }
}

/// Retention in the running service.
pub struct RetentionTask {
    job: RetentionJob,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    audit: Arc<AuditLog>,
}

impl RetentionTask {
    /// On these, in the machine's time zone.
    pub fn new(
        store: Arc<dyn Store>,
        base: Base,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
        audit: Arc<AuditLog>,
        settings: RetentionSettings,
    ) -> Self {
        let counter = Arc::new(Counter(Arc::clone(&metrics)));
        let (kept, time) = (Arc::clone(&store), Arc::clone(&clock));
        let calendar = Calendar::local();
        let job = RetentionJob::new(kept, time, calendar, settings, (Arc::new(base), counter));
        Self { job, store, clock, metrics, audit }
    }

    /// Of the replica of this name.
    pub fn of_instance(mut self, instance: &str) -> Self {
        self.job = self.job.of_instance(instance);
        self
    }

    /// Runs what is due, at once what was missed, until the phase turns to draining.
    pub async fn run(self, phase: &Phase) {
        loop {
            self.show_last().await;
            let pause = match self.job.run_if_due(phase).await {
                Ok(Some(report)) => {
                    self.report(&report);
                    self.until_next()
                }
                Ok(None) => self.until_next(),
                Err(error) => {
                    tracing::error!(%error, "retention did not come to its end; it will go on");
                    AGAIN_AFTER
                }
            };
            if !phase.pause(pause).await {
                return;
            }
        }
    }

    fn until_next(&self) -> Duration {
        let ms = self.job.next_due().since(self.clock.now());
        Duration::from_millis(u64::try_from(ms).unwrap_or(0)).min(LOOK_EVERY)
    }

    /// The last complete run, whichever replica ran.
    async fn show_last(&self) {
        if let Ok(Some(last)) = self.store.last_retention().await {
            self.metrics.retention_last_success_timestamp_seconds.set(last.millis() / 1000);
        }
    }

    fn report(&self, report: &Report) {
        if !report.stopped {
            let now = self.clock.now().millis() / 1000;
            self.metrics.retention_last_success_timestamp_seconds.set(now);
        }
        if !report.empty {
            audit(&self.audit, report, "schedule");
        }
    }
}

/// Writes the audit event about a run.
pub fn audit(log: &AuditLog, report: &Report, by: &str) {
    let details = json!({
        "by": by,
        "consolidated": report.consolidated,
        "alerts": report.alerts,
        "alertsBefore": report.alerts_before,
        "metrics": report.samples,
        "metricsBefore": report.samples_before,
        "setAside": report.set_aside,
        "stopped": report.stopped,
    });
    log.record(Event::RetentionRun, AuditContext::default(), details);
}
