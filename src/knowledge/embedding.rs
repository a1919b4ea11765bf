//! The background that embeds entries, where a model is set: half the time of one thread, so that
//! those who wait for something hardly notice it.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::shared::Shared;
use crate::shutdown::Phase;

/// How long it works at a stretch.
const STRETCH: Duration = Duration::from_millis(100);
/// How long it rests when nothing waits.
const REST: Duration = Duration::from_secs(1);

/// Embeds what waits until the phase turns to draining.
pub(super) async fn run(shared: Arc<Shared>, phase: Phase) {
    let mut behind = false;
    loop {
        let working = Arc::clone(&shared);
        let worked = tokio::task::spawn_blocking(move || work(&working)).await;
        let pause = worked.unwrap_or_else(|error| {
            tracing::error!(%error, "an entry could not be embedded");
            REST
        });
        let progress = shared.indexer.index().progress();
        let gauge = |state| shared.metrics.knowledge_embeddings.with_label_values(&[state]);
        gauge("done").set(i64::try_from(progress.done).unwrap_or(i64::MAX));
        gauge("waiting").set(i64::try_from(progress.left).unwrap_or(i64::MAX));
        if behind && progress.left == 0 {
            tracing::info!(entries = progress.done, "all entries are embedded");
        }
        behind = progress.left > 0;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = phase.draining() => return,
        }
    }
}

/// Works for a while; how long to pause after it.
fn work(shared: &Shared) -> Duration {
    let began = Instant::now();
    while shared.indexer.index().embed_one() {
        if began.elapsed() >= STRETCH {
            return began.elapsed();
        }
    }
    REST
}
