//! What readers, the writer and the index share.

use std::{sync::Arc, thread};

use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::Mutex;
use tokio::{
    sync::{Semaphore, mpsc},
    time::{Duration, Instant},
};

use super::{
    indexing::Indexer,
    state::State,
    summary::{self, RenderedSummary},
    writer::request::Request,
};
use crate::{
    model::{Category, Clock},
    store::Store,
    telemetry::Metrics,
};

/// After how long a summary is rendered again although nothing changed: ages grow by themselves.
const SUMMARY_AGE_MS: i64 = 60_000;
/// Which alerts are recent.
pub(super) const RECENT_MS: i64 = 24 * 3_600_000;
/// How often it is said that patterns are limited.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// What readers, the writer and the index share.
pub(super) struct Shared {
    state: ArcSwap<State>,
    pub indexer: Indexer,
    /// A turn to search: more at once than there are processors would only make all of them slow.
    pub searches: Arc<Semaphore>,
    rendered: ArcSwapOption<Rendered>,
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<Metrics>,
    /// The writer's own door, for what the index finds.
    requests: mpsc::WeakUnboundedSender<Request>,
    warned: Mutex<Option<Instant>>,
}

struct Rendered {
    revision: u64,
    minute: i64,
    summary: RenderedSummary,
}

impl Shared {
    /// With nothing known yet; `requests` is the writer's own door.
    pub fn new(
        indexer: Indexer,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
        requests: mpsc::WeakUnboundedSender<Request>,
    ) -> Self {
        Self {
            state: ArcSwap::default(),
            indexer,
            searches: Arc::new(Semaphore::new(
                thread::available_parallelism().map_or(1, Into::into),
            )),
            rendered: ArcSwapOption::empty(),
            store,
            clock,
            metrics,
            requests,
            warned: Mutex::default(),
        }
    }

    /// The state as it was last published.
    pub fn state(&self) -> Arc<State> {
        self.state.load_full()
    }

    /// Lets readers see a state.
    pub fn publish(&self, state: &State) {
        for category in Category::ALL {
            let count = state.stats.by_category().get(&category).copied().unwrap_or(0);
            let gauge = self.metrics.knowledge_entries.with_label_values(&[category.as_str()]);
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        self.state.store(Arc::new(state.clone()));
    }

    /// Has the writer close questions, each with the id of the entry that answers it.
    pub fn close_questions(&self, answered: Vec<(String, String)>) {
        if let Some(requests) = self.requests.upgrade() {
            let _ = requests.send(Request::Close(answered));
        }
    }

    /// Says, once a minute, that alerts share patterns because there are too many.
    pub fn warn_of_limited(&self, alerts: u64) {
        let mut warned = self.warned.lock();
        if warned.is_none_or(|at| at.elapsed() >= WARN_EVERY) {
            *warned = Some(Instant::now());
            tracing::warn!(
                alerts,
                "alerts share a pattern because there are too many alert names or causes; see \
                 KNOWLEDGE_MAX_PATTERNS"
            );
        }
    }

    /// The page that dashboards poll.
    ///
    /// # Errors
    /// Only of defects.
    pub fn summary(&self) -> Result<RenderedSummary, serde_json::Error> {
        let now = self.clock.now();
        let minute = now.millis().div_euclid(SUMMARY_AGE_MS);
        let state = self.state.load();
        if let Some(page) = &*self.rendered.load()
            && (page.revision, page.minute) == (state.revision, minute)
        {
            return Ok(page.summary.clone());
        }
        let summary = summary::render(&state, now)?;
        let rendered = Rendered { revision: state.revision, minute, summary: summary.clone() };
        self.rendered.store(Some(Arc::new(rendered)));
        Ok(summary)
    }
}
