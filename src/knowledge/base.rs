//! All knowledge in memory: asking, learning, and the summary.
//!
//! Reading never waits for the store. How changes get there is [`keeping`](super::keeping)'s
//! part, what people write [`editing`](super::editing)'s.

use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use super::{
    answer::{Answer, Gap, Question, ScoredEntry},
    answering,
    learning::learn_from_alerts,
    questions,
    search::{Confidence, Index, IndexChange, Query, SearchError},
    state::State,
    summary::{self, RenderedSummary},
    unpersisted::Unpersisted,
};
use crate::{
    model::{Category, Clock, Entry, EntryChange, Learning, Outcome, ReceivedAlert, Status},
    store::{Expired, Recording, Store, StoreError},
    telemetry::Metrics,
};

/// After how long a summary is rendered again although nothing changed: ages grow by themselves.
const SUMMARY_AGE_MS: i64 = 60_000;

/// Why the base could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The full-text index failed: a defect. Answered with 500.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// The summary could not be rendered: a defect. Answered with 500.
    #[error("the summary could not be rendered: {0}")]
    Render(#[from] serde_json::Error),
    /// A search broke down: a defect. Answered with 500.
    #[error("a search broke down: {0}")]
    Broken(#[from] tokio::task::JoinError),
}

/// All knowledge.
pub struct Base {
    pub(super) state: RwLock<State>,
    pub(super) index: Index,
    /// What the index has not heard yet; it is told before the next search, or soon.
    pub(super) untold: Mutex<Vec<IndexChange>>,
    /// Held while the index is told, so that a search after a change waits for it.
    pub(super) telling: Mutex<()>,
    pub(super) wake: Notify,
    /// Held for reading while memory and store change one after the other, as in between one of
    /// them has what the other has not. Who reads the store again waits for the changes under way.
    pub(super) changing: tokio::sync::RwLock<()>,
    /// Held while the store is read again: one comparison at a time.
    pub(super) reading: tokio::sync::Mutex<()>,
    /// New or changed entries that open questions are to be asked of.
    pub(super) to_ask: Mutex<Vec<String>>,
    pub(super) unpersisted: Mutex<Unpersisted>,
    /// Held while what waits is written, so that what people change comes after it.
    pub(super) writing: tokio::sync::Mutex<()>,
    rendered: Mutex<Option<Rendered>>,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Arc<Metrics>,
    max_questions: usize,
}

/// How many entries there are, open questions too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All.
    pub total: usize,
    /// By category; categories without any are left out.
    pub by_category: Vec<(&'static str, usize)>,
    /// By severity.
    pub by_severity: Vec<(&'static str, usize)>,
}

struct Rendered {
    revision: u64,
    minute: i64,
    summary: RenderedSummary,
}

impl Base {
    /// Loads all entries and builds the index.
    ///
    /// # Errors
    /// If they cannot be read: the service never starts without what it knows.
    pub async fn load(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
        max_questions: usize,
    ) -> Result<Arc<Self>, BaseError> {
        let entries = store.entries(None).await?;
        let base = Arc::new(Self {
            state: RwLock::default(),
            index: Index::new()?,
            untold: Mutex::default(),
            telling: Mutex::default(),
            wake: Notify::new(),
            changing: tokio::sync::RwLock::default(),
            reading: tokio::sync::Mutex::default(),
            to_ask: Mutex::default(),
            unpersisted: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
            rendered: Mutex::default(),
            store,
            clock,
            metrics,
            max_questions,
        });
        base.merge(entries, true);
        let loading = Arc::clone(&base);
        tokio::task::spawn_blocking(move || loading.tell_index()).await??;
        // What is loaded has met the open questions before.
        base.to_ask.lock().clear();
        base.count_alerts().await?;
        Ok(base)
    }

    /// Records alerts in the store, and takes over what they taught there.
    ///
    /// # Errors
    /// If the store does not take them: then nothing was learned either.
    pub async fn record(&self, alerts: Arc<[ReceivedAlert]>) -> Result<Recording, StoreError> {
        let _changing = self.changing.read().await;
        let recording = self.store.record(alerts, Arc::new(learn_from_alerts)).await?;
        self.learned(&recording);
        Ok(recording)
    }

    /// Takes over what was recorded and learned in the store.
    pub fn learned(&self, recording: &Recording) {
        if !recording.learned {
            let changes = recording.learnings.iter().cloned().map(EntryChange::Learn);
            self.keep_for_later(changes.collect());
        }
        let mut state = self.state.write();
        for recorded in &recording.outcomes {
            let firing = |status| status == Status::Firing;
            let before = recorded.before.is_some_and(|before| firing(before.status));
            match (before, firing(recorded.after.status)) {
                (false, true) => state.alerts.firing += 1,
                (true, false) => state.alerts.firing = state.alerts.firing.saturating_sub(1),
                _ => {}
            }
            state.alerts.last24_hours += u64::from(recorded.outcome == Outcome::New);
        }
        let new = state.learn(&recording.learnings);
        self.publish_sizes(&state);
        drop(state);
        self.tell_later(new.into_iter().map(IndexChange::Upsert).collect());
    }

    /// Takes over that old alerts were deleted in the store: those still firing no longer count.
    pub fn expired(&self, expired: &Expired) {
        let mut state = self.state.write();
        let learnings = expired.fired.iter().filter_map(|(id, count)| {
            let entry = state.get(id)?;
            Some(Learning { firing: -count, ..Learning::none(Arc::clone(entry)) })
        });
        let learnings: Vec<_> = learnings.collect();
        let fired: i64 = expired.fired.values().sum();
        state.alerts.firing = state.alerts.firing.saturating_sub(fired.unsigned_abs());
        state.learn(&learnings);
    }

    /// What is known about a question; what is not becomes an open question.
    ///
    /// # Errors
    /// Only of defects: a store that is away does not keep it from answering.
    pub async fn ask(self: &Arc<Self>, question: Question) -> Result<Answer, BaseError> {
        let base = Arc::clone(self);
        let (question, entries) = tokio::task::spawn_blocking(move || {
            let entries = base.search(&question)?;
            Ok::<_, BaseError>((question, entries))
        })
        .await??;
        // A weak answer is given, and the question stays open all the same.
        let sure = entries.first().filter(|best| best.confidence == Confidence::High);
        let gap = match sure {
            None => Some(self.note_question(&question.text).await),
            Some(best) => {
                self.close_if_open(&question, &best.entry.id).await;
                None
            }
        };
        let outcome = if gap.is_some() { "gap" } else { "answered" };
        self.metrics.knowledge_queries_total.with_label_values(&[outcome]).inc();
        let freshness = self.state.read().stats.freshness(self.clock.now());
        Ok(Answer { question, entries, gap, freshness })
    }

    /// The entries that answer a question, best first; knows of every change before it.
    ///
    /// # Errors
    /// If the index cannot be told of the changes.
    pub fn search(&self, question: &Question) -> Result<Vec<ScoredEntry>, SearchError> {
        self.tell_index()?;
        let state = self.state.read();
        let admits = |id: &str| state.get(id).is_some_and(|entry| question.filter.admits(entry));
        // What is folded into one answer must not make fewer of them.
        let limit = question.limit.saturating_mul(2);
        let query = Query { text: &question.text, limit, admits: &admits };
        Ok(answering::answers(&*state, &self.index.find(&query), question.limit))
    }

    async fn note_question(&self, text: &str) -> Gap {
        let learning = questions::asked(text, self.clock.now());
        let id = learning.seed.id.clone();
        let _changing = self.changing.read().await;
        let (gap, mut changes) = {
            let mut state = self.state.write();
            state.learn(std::slice::from_ref(&learning));
            let occurrences = state.get(&id).map_or(1, |entry| entry.occurrences);
            let crowded_out = state.crowded_out(self.max_questions);
            self.publish_sizes(&state);
            (Gap { id, occurrences }, crowded_out)
        };
        changes.push(EntryChange::Learn(learning));
        self.persist(changes).await;
        gap
    }

    /// The page that dashboards poll.
    ///
    /// # Errors
    /// Only of defects.
    pub fn summary(&self) -> Result<RenderedSummary, BaseError> {
        let now = self.clock.now();
        let minute = now.millis().div_euclid(SUMMARY_AGE_MS);
        let mut rendered = self.rendered.lock();
        let state = self.state.read();
        if let Some(page) = rendered.as_ref()
            && (page.revision, page.minute) == (state.revision, minute)
        {
            return Ok(page.summary.clone());
        }
        let summary = summary::render(&state, now)?;
        *rendered = Some(Rendered { revision: state.revision, minute, summary: summary.clone() });
        Ok(summary)
    }

    /// How many entries there are.
    pub fn counts(&self) -> Counts {
        let state = self.state.read();
        let (categories, severities) = (state.stats.by_category(), state.stats.by_severity());
        Counts {
            total: state.stats.total(),
            by_category: categories.iter().map(|(name, n)| (name.as_str(), *n)).collect(),
            by_severity: severities.iter().map(|(name, n)| (name.as_str(), *n)).collect(),
        }
    }

    /// The entry of this id, as it is shown.
    pub fn entry(&self, id: &str) -> Option<Entry> {
        let state = self.state.read();
        state.get(id).map(|entry| state.view(entry))
    }

    /// All entries as they are kept, in the order of their ids; open questions too.
    pub fn entries(&self) -> Vec<Arc<Entry>> {
        let mut entries: Vec<_> = self.state.read().iter().cloned().collect();
        entries.sort_by(|a, b| a.id.cmp(&b.id));
        entries
    }

    pub(super) fn publish_sizes(&self, state: &State) {
        for category in Category::ALL {
            let count = state.stats.by_category().get(&category).copied().unwrap_or(0);
            let gauge = self.metrics.knowledge_entries.with_label_values(&[category.as_str()]);
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}
