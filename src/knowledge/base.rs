//! All knowledge in memory, and the way every change takes to the store.
//!
//! Reading never waits for the store. A change that the store cannot take now stays in memory,
//! is counted as unpersisted, and is written once the store is back ([`Base::flush`]).

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use parking_lot::{Mutex, RwLock};

use super::{
    answer::{Answer, Gap, Question, ScoredEntry},
    questions,
    search::{Index, IndexChange, Query, SearchError},
    stats::Stats,
    summary::{self, AlertActivity, RenderedSummary},
    unpersisted::Unpersisted,
};
use crate::{
    model::{Category, Clock, Entry, EntryChange, Learning, Outcome, Status},
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
}

/// All knowledge.
pub struct Base {
    state: RwLock<State>,
    index: Index,
    unpersisted: Mutex<Unpersisted>,
    rendered: Mutex<Option<Rendered>>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
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

#[derive(Default)]
struct State {
    entries: HashMap<String, Arc<Entry>>,
    stats: Stats,
    alerts: AlertActivity,
    /// Counts changes, so that a rendered summary knows whether it is still true.
    revision: u64,
    /// Entries that changed while the store's are being read again.
    touched: Option<HashSet<String>>,
}

struct Rendered {
    revision: u64,
    minute: i64,
    summary: RenderedSummary,
}

impl Base {
    /// Loads all entries and builds the index.
    pub async fn load(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
        max_questions: usize,
    ) -> Result<Self, BaseError> {
        let entries = store.entries().await?;
        let base = Self {
            state: RwLock::default(),
            index: Index::new()?,
            unpersisted: Mutex::default(),
            rendered: Mutex::default(),
            store,
            clock,
            metrics,
            max_questions,
        };
        base.replace(entries)?;
        base.count_alerts().await?;
        Ok(base)
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
        self.tell_index(new);
    }

    /// Takes over that old alerts were deleted in the store: those still firing no longer count.
    pub fn expired(&self, expired: &Expired) {
        let mut state = self.state.write();
        let learnings = expired.fired.iter().filter_map(|(id, count)| {
            let entry = state.entries.get(id)?;
            Some(Learning { firing: -count, ..Learning::none(Arc::clone(entry)) })
        });
        let learnings: Vec<_> = learnings.collect();
        let fired: i64 = expired.fired.values().sum();
        state.alerts.firing = state.alerts.firing.saturating_sub(fired.unsigned_abs());
        state.learn(&learnings);
    }

    /// What is known about a question; what is not becomes an open question.
    pub async fn ask(&self, question: &Question) -> Result<Answer, BaseError> {
        let hits = {
            let state = self.state.read();
            let admits =
                |id: &str| state.entries.get(id).is_some_and(|entry| question.filter.admits(entry));
            let query = Query { text: &question.text, limit: question.limit };
            let hits = self.index.search(&query, &admits)?;
            let scored = hits.into_iter().filter_map(|hit| {
                let entry = state.entries.get(&hit.id)?;
                Some(ScoredEntry { entry: Entry::clone(entry), score: hit.score })
            });
            scored.collect::<Vec<_>>()
        };
        let gap = match hits.is_empty() {
            true => Some(self.note_question(&question.text).await),
            false => None,
        };
        let outcome = if gap.is_some() { "gap" } else { "answered" };
        self.metrics.knowledge_queries_total.with_label_values(&[outcome]).inc();
        let freshness = self.state.read().stats.freshness(self.clock.now());
        Ok(Answer { entries: hits, gap, freshness })
    }

    async fn note_question(&self, text: &str) -> Gap {
        let learning = questions::asked(text, self.clock.now());
        let id = learning.seed.id.clone();
        let (gap, mut changes) = {
            let mut state = self.state.write();
            state.learn(std::slice::from_ref(&learning));
            let occurrences = state.entries.get(&id).map_or(1, |entry| entry.occurrences);
            let crowded_out = state.crowded_out(self.max_questions);
            self.publish_sizes(&state);
            (Gap { id, occurrences }, crowded_out)
        };
        changes.push(EntryChange::Learn(learning));
        self.persist(changes).await;
        gap
    }

    /// Writes changes, or keeps them for later if the store is away.
    async fn persist(&self, changes: Vec<EntryChange>) {
        if self.unpersisted.lock().len() > 0 {
            // Those that wait go first.
            self.keep_for_later(changes);
            return;
        }
        if let Err(error) = self.store.apply(changes.clone()).await {
            tracing::warn!(%error, "knowledge is kept in memory until the store takes it");
            self.keep_for_later(changes);
        }
    }

    fn keep_for_later(&self, changes: Vec<EntryChange>) {
        let mut unpersisted = self.unpersisted.lock();
        changes.into_iter().for_each(|change| unpersisted.push(change));
        self.metrics.knowledge_unpersisted_entries.set(unpersisted.len() as i64);
    }

    /// Writes what waits; true if nothing waits any more.
    pub async fn flush(&self) -> bool {
        let changes = self.unpersisted.lock().take();
        if changes.is_empty() {
            return true;
        }
        let count = changes.len();
        let result = self.store.apply(changes.clone()).await;
        let mut unpersisted = self.unpersisted.lock();
        match &result {
            Ok(()) => tracing::info!(entries = count, "knowledge from the outage is stored"),
            Err(error) => {
                tracing::debug!(%error, entries = count, "knowledge still waits for the store");
                unpersisted.give_back(changes);
            }
        }
        self.metrics.knowledge_unpersisted_entries.set(unpersisted.len() as i64);
        result.is_ok() && unpersisted.len() == 0
    }

    /// Reads all entries again: after an outage the store may know what memory does not (a
    /// write whose answer was lost, or another replica's learning).
    pub async fn reload(&self) -> Result<(), BaseError> {
        self.state.write().touched = Some(HashSet::new());
        let entries = self.store.entries().await;
        let entries = entries.inspect_err(|_| self.state.write().touched = None)?;
        self.replace(entries)?;
        self.count_alerts().await
    }

    /// Counts firing and recent alerts in the store.
    pub async fn count_alerts(&self) -> Result<(), BaseError> {
        let since = self.clock.now().plus_millis(-24 * 3_600_000);
        let last24_hours = self.store.alert_counts(since).await?.total;
        let alerts = AlertActivity { firing: self.store.firing_alerts().await?, last24_hours };
        let mut state = self.state.write();
        if state.alerts != alerts {
            state.alerts = alerts;
            state.revision += 1;
        }
        Ok(())
    }

    /// Makes memory hold `stored` and what waits to be stored, except for entries touched
    /// meanwhile.
    fn replace(&self, stored: Vec<Entry>) -> Result<(), BaseError> {
        let mut changes = Vec::new();
        {
            let unpersisted = self.unpersisted.lock();
            let mut state = self.state.write();
            let touched = state.touched.take().unwrap_or_default();
            let mut stored: HashMap<String, Entry> =
                stored.into_iter().map(|entry| (entry.id.clone(), entry)).collect();
            for change in unpersisted.iter() {
                overlay(&mut stored, change);
            }
            let known: HashSet<&String> = state.entries.keys().collect();
            let gone: Vec<String> = known
                .into_iter()
                .filter(|id| !stored.contains_key(*id) && !touched.contains(*id))
                .cloned()
                .collect();
            for id in gone {
                state.remove(&id);
                changes.push(IndexChange::Remove(id));
            }
            for (id, entry) in stored {
                if !touched.contains(&id) {
                    changes.extend(state.put(Arc::new(entry)).map(IndexChange::Upsert));
                }
            }
            self.publish_sizes(&state);
        }
        Ok(self.index.apply(&changes)?)
    }

    /// The page that dashboards poll.
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
        let entry = |id: &str| state.entries.get(id);
        let summary = summary::render(&state.stats, entry, state.alerts, now)?;
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

    fn tell_index(&self, new: Vec<Arc<Entry>>) {
        if new.is_empty() {
            return;
        }
        let changes: Vec<_> = new.into_iter().map(IndexChange::Upsert).collect();
        if let Err(error) = self.index.apply(&changes) {
            tracing::error!(%error, "the full-text index could not take new entries");
        }
    }

    fn publish_sizes(&self, state: &State) {
        for category in Category::ALL {
            let count = state.stats.by_category().get(&category).copied().unwrap_or(0);
            let gauge = self.metrics.knowledge_entries.with_label_values(&[category.as_str()]);
            gauge.set(count as i64);
        }
    }
}

fn overlay(stored: &mut HashMap<String, Entry>, change: &EntryChange) {
    match change {
        EntryChange::Learn(learning) => {
            let id = learning.seed.id.clone();
            let entry = stored.entry(id).or_insert_with(|| Entry::clone(&learning.seed));
            learning.apply_to(entry);
        }
        EntryChange::Put(entry) => {
            stored.insert(entry.id.clone(), Entry::clone(entry));
        }
        EntryChange::Delete(id) => {
            stored.remove(id);
        }
    }
}

impl State {
    fn touch(&mut self, id: &str) {
        self.revision += 1;
        if let Some(touched) = &mut self.touched {
            touched.insert(id.to_owned());
        }
    }

    /// Applies learnings; returns the entries that are new to the index.
    fn learn(&mut self, learnings: &[Learning]) -> Vec<Arc<Entry>> {
        let mut new = Vec::new();
        for learning in learnings {
            let id = &learning.seed.id;
            self.touch(id);
            match self.entries.get_mut(id) {
                Some(entry) => {
                    self.stats.remove_counted(entry);
                    learning.apply_to(Arc::make_mut(entry));
                    self.stats.add_counted(entry);
                }
                None => {
                    let mut entry = Entry::clone(&learning.seed);
                    learning.apply_to(&mut entry);
                    let entry = Arc::new(entry);
                    self.stats.add(&entry);
                    self.entries.insert(id.clone(), Arc::clone(&entry));
                    if entry.category != Category::Question {
                        new.push(entry);
                    }
                }
            }
        }
        new
    }

    /// Holds the entry; returns it if the index must hear of it.
    fn put(&mut self, entry: Arc<Entry>) -> Option<Arc<Entry>> {
        let old = self.entries.get(&entry.id).cloned();
        if old.as_ref() == Some(&entry) {
            return None;
        }
        self.touch(&entry.id);
        if let Some(old) = &old {
            self.stats.remove(old);
        }
        self.stats.add(&entry);
        self.entries.insert(entry.id.clone(), Arc::clone(&entry));
        Some(entry).filter(|entry| entry.category != Category::Question)
    }

    fn remove(&mut self, id: &str) {
        if let Some(entry) = self.entries.remove(id) {
            self.touch(id);
            self.stats.remove(&entry);
        }
    }

    /// Takes out the least recently asked questions beyond `max`.
    fn crowded_out(&mut self, max: usize) -> Vec<EntryChange> {
        let mut out = Vec::new();
        while self.stats.open_questions() > max {
            let Some(id) = self.stats.least_recently_asked().map(str::to_owned) else { break };
            self.remove(&id);
            out.push(EntryChange::Delete(id));
        }
        out
    }
}
