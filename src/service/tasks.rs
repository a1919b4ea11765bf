//! What goes on beside the requests, until draining begins.

use std::time::Duration;

use tokio::time::Instant;

use crate::{http::state::App, model::Collection};

/// How often the store is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(2);
/// How often knowledge that waits for the store is offered to it.
pub(super) const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// How often collections are counted for the metrics, and alerts for the summary.
pub(super) const COUNT_EVERY: Duration = Duration::from_secs(30);
/// How often changes of other processes are taken over.
const CATCH_UP_EVERY: Duration = Duration::from_secs(5);
/// How far back each time: as far as clocks may differ.
const CATCH_UP_MS: i64 = 60_000;
/// How often everything is read again, to see what other processes deleted or wrote as old as it
/// is: soonest and latest, and between them so often that it takes one part in so many of the time.
const RELOAD_SOONEST: Duration = Duration::from_secs(10);
const RELOAD_LATEST: Duration = Duration::from_secs(600);
const RELOAD_SHARE: u32 = 200;
/// How often clients whose buckets are full are forgotten.
pub(super) const FORGET_EVERY: Duration = Duration::from_secs(5);

/// Asks the store whether it is there; when it comes back, memory and store are made to agree.
pub(super) async fn watch_store(app: &App) {
    let mut agreed = true;
    while app.phase.pause(PING_EVERY).await {
        let up = app.store.ping().await.is_ok();
        if !up {
            agreed = false;
        } else if !agreed && app.base.flush().await {
            match app.base.reload().await {
                Ok(()) => agreed = true,
                Err(error) => tracing::warn!(%error, "knowledge could not be read again yet"),
            }
        }
    }
}

/// Takes over what replicas, or an import on the command line, changed in the store.
pub(super) async fn follow_others(app: &App) {
    let mut reload_at = Instant::now() + RELOAD_SOONEST;
    while app.phase.pause(CATCH_UP_EVERY).await {
        if !app.store_health.is_up() {
            continue;
        }
        let begun = Instant::now();
        let followed = if begun >= reload_at {
            let reloaded = app.base.reload().await;
            let rest = begun.elapsed() * RELOAD_SHARE;
            reload_at = Instant::now() + rest.clamp(RELOAD_SOONEST, RELOAD_LATEST);
            reloaded
        } else {
            app.base.catch_up(app.clock.now().plus_millis(-CATCH_UP_MS)).await
        };
        if let Err(error) = followed {
            tracing::debug!(%error, "changes of other processes could not be read");
        }
    }
}

pub(super) async fn count_collections(app: &App) {
    let Ok(counts) = app.store.collection_counts().await else { return };
    for (collection, count) in counts {
        let gauge =
            app.metrics.mongodb_collection_count.with_label_values(&[Collection::name(collection)]);
        gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}
