//! All knowledge: reading it from memory, and the doors through which it is changed.
//!
//! Readers take the state that the writer last published, whole, and wait for nobody. What is
//! changed goes to the [`writer`](super::writer); what is searched is the
//! [index](super::indexing).

use std::sync::Arc;

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use super::{
    draft::EntryDraft,
    editing::{Change, Editor, Imported, created},
    embedding,
    indexing::{self, Indexer},
    runbook::{self, Origin, own},
    search::{Index, Model, SearchError},
    shared::{RECENT_MS, Shared},
    state::State,
    summary::RenderedSummary,
    writer::{
        Writer,
        patterns::PatternLimits,
        request::{Answer as Reply, ChangeError, EditDone, Receipt, Request},
    },
};
use crate::{
    model::{Clock, Entry, ReceivedAlert, SeverityWords},
    shutdown::Phase,
    store::{Expired, ExpiryBatch, Store, StoreError},
    telemetry::Metrics,
};

/// Why the base could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A change was not made.
    #[error(transparent)]
    Change(#[from] ChangeError),
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

/// How many of what the base keeps.
#[derive(Clone, Copy, Debug)]
pub struct BaseLimits {
    /// Patterns learned from alerts.
    pub patterns: usize,
    /// Open questions.
    pub questions: usize,
}

/// All knowledge.
#[derive(Clone)]
pub struct Base {
    pub(super) shared: Arc<Shared>,
    pub(super) requests: mpsc::UnboundedSender<Request>,
}

/// The tasks behind the base.
pub struct BaseTasks {
    writer: Writer,
    shared: Arc<Shared>,
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

impl BaseTasks {
    /// The name of the task that writes.
    pub const WRITER: &str = "writer";
    /// The name of the task that keeps the index.
    pub const INDEX: &str = "index";
    /// The name of the task that embeds entries, where a model is set.
    pub const EMBEDDING: &str = "embedding";

    /// Spawns the writer alone, for a command that indexes what it changed at its end
    /// ([`Base::close_answered_questions`]).
    pub fn spawn_writer(self, tasks: &mut JoinSet<&'static str>) {
        tasks.spawn(async move {
            self.writer.run().await;
            Self::WRITER
        });
    }

    /// Spawns the tasks: the writer, which ends when it is told to finish, and the index, which
    /// ends when the phase turns to draining.
    pub fn spawn(self, tasks: &mut JoinSet<&'static str>, phase: &Phase) {
        let shared = Arc::clone(&self.shared);
        self.spawn_writer(tasks);
        if shared.indexer.index().meaning().is_some() {
            let (shared, phase) = (Arc::clone(&shared), phase.clone());
            tasks.spawn(async move {
                embedding::run(shared, phase).await;
                Self::EMBEDDING
            });
        }
        let phase = phase.clone();
        tasks.spawn(async move {
            indexing::run(shared, phase).await;
            Self::INDEX
        });
    }
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
        limits: BaseLimits,
    ) -> Result<(Self, BaseTasks), BaseError> {
        let loaded = store.load().await?;
        let position = loaded.position;
        let (requests, inbox) = mpsc::unbounded_channel();
        let indexer = Indexer::new(Index::new()?, metrics.knowledge_indexed_texts_total.clone());
        let door = requests.downgrade();
        let shared = Arc::new(Shared::new(indexer, store, clock, metrics, door));
        // What is loaded is indexed meanwhile. It has met the open questions before.
        let (found, entries) = std::sync::mpsc::channel();
        let indexing = Arc::clone(&shared);
        let indexed = tokio::task::spawn_blocking(move || indexing.indexer.load(entries));
        let mut state = State::load(loaded, |entry| drop(found.send(Arc::clone(entry))));
        drop(found);
        state.alerts.last24_hours =
            shared.store.received_since(shared.clock.now().plus_millis(-RECENT_MS)).await?;
        indexed.await??;
        shared.publish(&state);
        let limits = (PatternLimits::new(limits.patterns), limits.questions);
        let writer = Writer::new(Arc::clone(&shared), inbox, state, position, limits);
        let base = Self { shared: Arc::clone(&shared), requests };
        Ok((base, BaseTasks { writer, shared }))
    }

    /// Ranks answers by what texts mean, too, from now on; before the tasks are spawned, one of
    /// which embeds the entries.
    pub fn understand(&self, model: Model) {
        self.shared.indexer.index().understand(model, self.shared.state().iter());
    }

    async fn request<T>(
        &self,
        request: impl FnOnce(Reply<T>) -> Request,
    ) -> Result<T, ChangeError> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(request(answer)).map_err(|_| ChangeError::Closed)?;
        answered.await.map_err(|_| ChangeError::Closed)?
    }

    /// Takes alerts in; returns when they are durable.
    ///
    /// # Errors
    /// [`ChangeError`]; then none of them is stored for certain.
    pub async fn receive(&self, alerts: Vec<ReceivedAlert>) -> Result<Receipt, ChangeError> {
        if alerts.is_empty() {
            return Ok(Receipt::default());
        }
        self.request(|answer| Request::Alerts { alerts, answer }).await
    }

    /// Deletes a batch of old alerts; what they say stays in the sums of their entries. `store` is
    /// that of the lease under which it is done ([`crate::store::Lease::store`]).
    ///
    /// # Errors
    /// [`ChangeError`], also when the lease was lost; the batch is made whole by the next.
    pub async fn expire_on(
        &self,
        store: Arc<dyn Store>,
        batch: ExpiryBatch,
    ) -> Result<Expired, ChangeError> {
        self.request(|answer| Request::Expire { batch, store, answer }).await
    }

    /// Makes an entry that a person wrote.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn create(&self, draft: EntryDraft, author: &str) -> Result<Entry, ChangeError> {
        let editor = Editor { name: author.to_owned(), at: self.shared.clock.now() };
        let entry = Box::new(created(draft, &editor));
        self.request(|answer| Request::Create { entry, answer }).await
    }

    /// Changes an entry. `seen` is the version that the author saw, if their change depends on
    /// it.
    ///
    /// # Errors
    /// [`ChangeError::Edit`] if there is no such entry, it is of another version, or the change
    /// makes no valid entry; else if it cannot be stored.
    pub async fn edit(
        &self,
        id: &str,
        seen: Option<u64>,
        change: Change,
        author: &str,
    ) -> Result<EditDone, ChangeError> {
        let editor = Editor { name: author.to_owned(), at: self.shared.clock.now() };
        let id = id.to_owned();
        self.request(|answer| Request::Edit { id, seen, change, editor, answer }).await
    }

    /// Makes or updates entries that were read from files. One that is there keeps what was
    /// learned about it and what open questions it answered.
    ///
    /// # Errors
    /// If they cannot be stored.
    pub async fn import(&self, entries: Vec<Entry>) -> Result<Vec<Imported>, ChangeError> {
        self.request(|answer| Request::Import { entries, answer }).await
    }

    /// Puts the service's own runbook in, unless anything of it is there: what people made of it
    /// stays. How many entries were made: another process may be putting it in, too.
    ///
    /// # Errors
    /// [`ChangeError`]; some of them may be stored.
    pub async fn import_own_runbook(&self, words: &SeverityWords) -> Result<usize, ChangeError> {
        let known = self.entries();
        let source = |entry: &Arc<Entry>| Origin::of(entry).map(|origin| origin.source);
        if known.iter().filter_map(source).any(|source| source == own::SOURCE) {
            return Ok(0);
        }
        let parsed = own::parsed(self.shared.clock.now(), words);
        let placed = runbook::place(&known, parsed, &|_| false);
        let imported = self.import(placed.entries).await?;
        Ok(imported.iter().filter(|done| **done == Imported::Created).count())
    }

    /// Reads everything again.
    ///
    /// # Errors
    /// If it cannot be read; memory stays as it is.
    pub async fn reload(&self) -> Result<(), ChangeError> {
        self.request(|answer| Request::Reload { answer }).await
    }

    /// Takes over what other processes changed.
    ///
    /// # Errors
    /// If it cannot be read; memory stays as it is.
    pub async fn follow(&self) -> Result<(), ChangeError> {
        self.request(|answer| Request::Follow { answer: Some(answer) }).await
    }

    /// Writes what waits and ends the writer; how many changes could not be written.
    pub async fn finish(&self) -> usize {
        let (answer, left) = oneshot::channel();
        if self.requests.send(Request::Finish { answer }).is_err() {
            return 0;
        }
        left.await.unwrap_or(0)
    }

    /// Asks all open questions of all that changed, and closes those that are answered.
    ///
    /// # Errors
    /// If the index cannot be written.
    pub async fn close_answered_questions(&self) -> Result<(), BaseError> {
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || indexing::ask_all(&shared)).await??;
        Ok(())
    }

    /// The page that dashboards poll.
    ///
    /// # Errors
    /// Only of defects.
    pub fn summary(&self) -> Result<RenderedSummary, BaseError> {
        Ok(self.shared.summary()?)
    }

    /// How many entries there are.
    pub fn counts(&self) -> Counts {
        let state = self.shared.state();
        let (categories, severities) = (state.stats.by_category(), state.stats.by_severity());
        Counts {
            total: state.stats.total(),
            by_category: categories.iter().map(|(name, n)| (name.as_str(), *n)).collect(),
            by_severity: severities.iter().map(|(name, n)| (name.as_str(), *n)).collect(),
        }
    }

    /// How many alerts fire now.
    pub fn firing_alerts(&self) -> u64 {
        self.shared.state().alerts.firing
    }

    /// The entry of this id, as it is shown. What memory does not have may be in the store.
    pub async fn entry(&self, id: &str) -> Option<Entry> {
        let state = self.shared.state();
        if let Some(entry) = state.get(id) {
            return Some(state.view(entry));
        }
        self.shared.store.entry(id).await.ok()??;
        // The writer reads it in the order of its changes: what is deleted in memory and not in
        // the store yet does not come back.
        let (answer, found) = oneshot::channel();
        self.requests.send(Request::Find { id: id.to_owned(), answer }).ok()?;
        found.await.ok()?
    }

    /// All entries as they are kept, in the order of their ids; open questions too.
    pub fn entries(&self) -> Vec<Arc<Entry>> {
        let state = self.shared.state();
        let mut entries: Vec<_> = state.iter().cloned().collect();
        entries.sort_by(|a, b| a.id.cmp(&b.id));
        entries
    }

    /// The state as it was last published.
    pub(super) fn state(&self) -> Arc<State> {
        self.shared.state()
    }
}
