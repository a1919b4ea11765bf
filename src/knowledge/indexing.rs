//! How changes of text get into the index: a task that takes what has gathered and commits it as
//! one, away from the writer, and then asks open questions of what is new.
//!
//! A reader waits until what was changed before it asked is committed, which is a moment, and not
//! for texts that alerts keep changing: of each pattern one such change a minute is committed.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use prometheus::IntCounter;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use super::{
    search::{Hit, Index, IndexChange, Prefilter, Query, SearchError},
    shared::Shared,
};
use crate::{
    model::{Category, Entry},
    shutdown::Phase,
};

/// The least time between two commits of a text that alerts change.
const SELDOM: Duration = Duration::from_secs(60);
/// How long open questions are asked of new entries before it is somebody else's turn.
const ASK_BUDGET: Duration = Duration::from_millis(50);
/// How long a reader waits for changes to be committed before it does without them.
const READER_PATIENCE: Duration = Duration::from_secs(2);

/// How soon a change is to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// By the next search.
    Now,
    /// Within a minute, if the same entry changed so lately.
    Seldom,
}

/// Changes on their way into the index.
pub struct Indexer {
    index: Index,
    queue: Mutex<Queue>,
    wake: Notify,
    committed: watch::Sender<u64>,
    indexed: IntCounter,
}

#[derive(Default)]
struct Queue {
    now: Vec<IndexChange>,
    /// The latest text of each entry that waits for its minute.
    seldom: HashMap<String, IndexChange>,
    /// When the text of a pattern was last left to be committed.
    committed_at: HashMap<String, Instant>,
    /// Counts the changes to be committed now.
    enqueued: u64,
}

impl Indexer {
    /// `indexed` counts the texts that are committed.
    pub(super) fn new(index: Index, indexed: IntCounter) -> Self {
        let committed = watch::Sender::new(0);
        Self { index, queue: Mutex::default(), wake: Notify::new(), committed, indexed }
    }

    /// The index, as it was last committed.
    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    /// Indexes all that is known at a start.
    pub(super) fn load(
        &self,
        entries: impl IntoIterator<Item = Arc<Entry>>,
    ) -> Result<(), SearchError> {
        self.index.apply(entries.into_iter().map(IndexChange::Upsert))?;
        self.indexed.inc_by(self.index.len() as u64);
        Ok(())
    }

    /// Leaves a change to be committed.
    pub(super) fn enqueue(&self, change: IndexChange, urgency: Urgency) {
        let mut queue = self.queue.lock();
        let (id, is_pattern) = match &change {
            IndexChange::Upsert(entry) if entry.category == Category::Question => return,
            IndexChange::Upsert(entry) => {
                (entry.id.as_str(), entry.category == Category::AlertPattern)
            }
            IndexChange::Remove(id) => (id.as_str(), false),
        };
        let lately = queue.committed_at.get(id).is_some_and(|at| at.elapsed() < SELDOM);
        if urgency == Urgency::Seldom && lately {
            queue.seldom.insert(id.to_owned(), change);
            return;
        }
        let id = id.to_owned();
        queue.seldom.remove(&id);
        if is_pattern {
            queue.committed_at.insert(id, Instant::now());
        }
        queue.enqueued += 1;
        queue.now.push(change);
        drop(queue);
        self.wake.notify_one();
    }

    /// Returns when what was enqueued before is committed.
    pub(super) async fn settled(&self) {
        let enqueued = self.queue.lock().enqueued;
        if *self.committed.borrow() >= enqueued {
            return;
        }
        let mut committed = self.committed.subscribe();
        let settled = committed.wait_for(|committed| *committed >= enqueued);
        if tokio::time::timeout(READER_PATIENCE, settled).await.is_err() {
            tracing::warn!("the index is behind; a question is answered without the latest texts");
        }
    }

    /// Commits what waits; the ids of entries that are new or changed.
    pub(super) fn commit(&self) -> Result<HashSet<String>, SearchError> {
        let (changes, enqueued) = {
            let mut queue = self.queue.lock();
            queue.take_due();
            (std::mem::take(&mut queue.now), queue.enqueued)
        };
        self.index.apply(&changes)?;
        self.indexed.inc_by(changes.len() as u64);
        self.committed.send_replace(enqueued);
        let upserted = changes.into_iter().filter_map(|change| match change {
            IndexChange::Upsert(entry) => Some(entry.id.clone()),
            IndexChange::Remove(_) => None,
        });
        Ok(upserted.collect())
    }
}

impl Queue {
    /// Moves texts whose minute is over to those that are committed.
    fn take_due(&mut self) {
        self.committed_at.retain(|_, at| at.elapsed() < SELDOM);
        let (due, later) = std::mem::take(&mut self.seldom)
            .into_iter()
            .partition(|(id, _)| !self.committed_at.contains_key(id));
        self.seldom = later;
        let due: HashMap<String, IndexChange> = due;
        for (id, change) in due {
            self.committed_at.insert(id, Instant::now());
            self.now.push(change);
        }
    }
}

/// Open questions that are being asked of new entries.
#[derive(Default)]
struct Asking(VecDeque<Batch>);

/// Entries that are new, and the questions that were open before they could be found: who asks
/// later has been answered from them already, or has excluded them.
struct Batch {
    of: HashSet<String>,
    /// Made when its first question is asked.
    filter: Option<Prefilter>,
    left: VecDeque<String>,
}

/// Commits changes and asks questions until the phase turns to draining.
pub(super) async fn run(shared: Arc<Shared>, phase: Phase) {
    let mut asking = Asking::default();
    loop {
        if asking.0.is_empty() {
            tokio::select! {
                () = shared.indexer.wake.notified() => {}
                () = tokio::time::sleep(SELDOM / 4) => {}
                () = phase.draining() => return,
            }
        }
        let step = Arc::clone(&shared);
        let stepped = tokio::task::spawn_blocking(move || {
            let committed = asking.commit(&step).map(|()| asking.go_on(&step));
            (asking, committed)
        });
        match stepped.await {
            Ok((left, Ok(answered))) => {
                asking = left;
                if !answered.is_empty() {
                    shared.close_questions(answered);
                }
            }
            Ok((left, Err(error))) => {
                asking = left;
                tracing::error!(%error, "changes could not be committed to the index");
            }
            Err(error) => {
                asking = Asking::default();
                tracing::error!(%error, "committing to the index broke down");
            }
        }
        if phase.is_draining() {
            return;
        }
    }
}

impl Asking {
    /// Commits what waits; what is new is to be asked about.
    fn commit(&mut self, shared: &Shared) -> Result<(), SearchError> {
        let open: VecDeque<_> = shared.state().stats.questions().map(str::to_owned).collect();
        let new = shared.indexer.commit()?;
        if new.is_empty() || open.is_empty() {
            return Ok(());
        }
        match self.0.back_mut() {
            Some(last) if last.filter.is_none() && last.left == open => last.of.extend(new),
            _ => self.0.push_back(Batch { of: new, filter: None, left: open }),
        }
        Ok(())
    }

    /// Asks for a while; the questions that are answered, by the entries that answer them.
    fn go_on(&mut self, shared: &Shared) -> Vec<(String, String)> {
        let (state, begun) = (shared.state(), Instant::now());
        let mut answered = Vec::new();
        while begun.elapsed() < ASK_BUDGET {
            let Some(batch) = self.0.front_mut() else { break };
            let of = &batch.of;
            let filter = batch.filter.get_or_insert_with(|| {
                Prefilter::new(of.iter().filter_map(|id| state.get(id)).map(AsRef::as_ref))
            });
            let Some(id) = batch.left.pop_front() else {
                self.0.pop_front();
                continue;
            };
            let Some(question) = state.get(&id) else { continue };
            if !filter.may_answer(&question.description) {
                continue;
            }
            let admits = |id: &str| of.contains(id);
            let query = Query { text: &question.description, limit: 1, admits: &admits };
            let hit = shared.indexer.index().search(&query).into_iter().next();
            // A weak hit closes no question.
            answered.extend(hit.filter(Hit::is_sure).map(|hit| (id, hit.id)));
        }
        answered
    }
}

/// Commits what waits, and asks all open questions of it.
pub(super) fn ask_all(shared: &Shared) -> Result<(), SearchError> {
    let mut asking = Asking::default();
    asking.commit(shared)?;
    while !asking.0.is_empty() {
        let answered = asking.go_on(shared);
        if !answered.is_empty() {
            shared.close_questions(answered);
        }
    }
    Ok(())
}
