//! What goes on beside the requests, by name; the table of what is done again and again.

use std::{future::Future, pin::Pin, time::Duration};

use crate::{http::state::App, knowledge::BaseTasks};

pub(super) const WRITER: &str = BaseTasks::WRITER;
pub(super) const LISTENER: &str = "listener";
pub(super) const METRICS_LISTENER: &str = "metrics listener";
pub(super) const SAMPLER: &str = "sampler";
pub(super) const RETENTION: &str = "retention";
pub(super) const CERTIFICATE: &str = "certificate";

/// A job that is done every `period` until draining begins.
pub(super) struct Periodic {
    pub(super) name: &'static str,
    period: Duration,
    job: for<'a> fn(&'a App) -> Job<'a>,
}

type Job<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// All of them.
pub(super) const PERIODIC: [Periodic; 4] = [
    Periodic { name: "store probe", period: Duration::from_secs(2), job: probe_store },
    Periodic { name: "document counts", period: Duration::from_secs(30), job: count_documents },
    Periodic { name: "idle clients", period: Duration::from_secs(5), job: evict_idle_clients },
    Periodic { name: "Redis check", period: Duration::from_millis(500), job: check_redis },
];

/// The names of all tasks of a service.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let others =
        [WRITER, BaseTasks::INDEX, LISTENER, METRICS_LISTENER, SAMPLER, RETENTION, CERTIFICATE];
    PERIODIC.into_iter().map(|periodic| periodic.name).chain(others)
}

impl Periodic {
    /// Does it at once and then every period, until the phase turns to draining.
    pub(super) async fn run(&self, app: &App) {
        loop {
            (self.job)(app).await;
            if !app.phase.pause(self.period).await {
                return;
            }
        }
    }
}

/// Has the store take a write; what it answers becomes its health.
fn probe_store(app: &App) -> Job<'_> {
    Box::pin(async { drop(app.store.beat().await) })
}

fn count_documents(app: &App) -> Job<'_> {
    Box::pin(async {
        let Ok(counts) = app.store.collection_counts().await else { return };
        for (collection, count) in counts {
            let gauge =
                app.metrics.mongodb_collection_count.with_label_values(&[collection.name()]);
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    })
}

fn evict_idle_clients(app: &App) -> Job<'_> {
    Box::pin(async { app.limits.evict_idle_clients() })
}

/// Asks Redis whether it is there again, or still.
fn check_redis(app: &App) -> Job<'_> {
    Box::pin(app.coordination.check())
}
