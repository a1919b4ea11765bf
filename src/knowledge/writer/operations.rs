//! What the writer has the store do, one operation after the other: how the next is chosen, and what
//! follows when it ends.

use std::{collections::HashMap, pin::Pin, sync::Arc};

use tokio::{sync::oneshot, time::Instant};

use super::{
    Writer,
    apply::tell,
    group::{Batch, Take, build, gather},
    recent::Settled,
    request::Answer,
};
use crate::{
    model::{Entry, Figures},
    store::{Committed, Expired, ExpiryBatch, Followed, Loaded, Looked, Result, Store},
};

/// An operation of the store that has the store for itself.
pub(super) enum Alone {
    Expire { batch: ExpiryBatch, store: Arc<dyn Store>, answer: Answer<Expired> },
    Follow { looked: Option<Looked>, answer: Option<Answer<()>> },
    Reload { answer: Option<Answer<()>> },
    Figures(Vec<String>),
    Find { id: String, answer: oneshot::Sender<Option<Entry>> },
    Count(Settled),
}

/// An operation of the store that has ended.
pub(super) enum Done {
    Group(Result<Committed>),
    Figures(Result<HashMap<String, Figures>>, Vec<String>),
    Expired(Result<Expired>, Answer<Expired>),
    Followed(Result<Followed>, Option<Answer<()>>),
    Reloaded(Result<Loaded>, Option<Answer<()>>),
    Found(Result<Option<Entry>>, oneshot::Sender<Option<Entry>>),
    Counted(Result<u64>),
}

pub(super) type Running = Pin<Box<dyn Future<Output = Done> + Send>>;
impl Writer {
    /// Begins the next operation of the store. What is read anew comes first, as what follows
    /// is decided by it.
    pub(super) fn next(&mut self) -> Option<Running> {
        let store = Arc::clone(&self.shared.store);
        if let Some(alone) = self.alone.pop_front() {
            return Some(match alone {
                Alone::Expire { batch, store, answer } => {
                    Box::pin(async move { Done::Expired(store.expire_alerts(batch).await, answer) })
                }
                Alone::Follow { looked, answer } => {
                    self.follow_began = Instant::now();
                    let position = self.position;
                    Box::pin(
                        async move { Done::Followed(store.follow(position, looked).await, answer) },
                    )
                }
                Alone::Reload { answer } => {
                    self.follow_began = Instant::now();
                    Box::pin(async move { Done::Reloaded(store.load().await, answer) })
                }
                Alone::Figures(ids) => {
                    Box::pin(async move { Done::Figures(store.figures(ids.clone()).await, ids) })
                }
                Alone::Find { id, answer } => {
                    Box::pin(async move { Done::Found(find(store.as_ref(), id).await, answer) })
                }
                Alone::Count(settled) => {
                    Box::pin(async move { Done::Counted(settled.complete(store.as_ref()).await) })
                }
            });
        }
        let flushes = self.pending.len() > 0 && (!self.stale || self.finishing.is_some());
        if self.gave_up || self.waiting.is_empty() && !flushes {
            return None;
        }
        if self.stale && self.finishing.is_none() {
            self.alone.push_back(Alone::Reload { answer: None });
            return self.next();
        }
        // A part that is written by itself has no company of questions either.
        let (take, flush) = match self.singly {
            0 => (Take::All, self.flush_limit),
            _ => (Take::Single, 0),
        };
        let batch = self.build(take, flush);
        self.singly = self.singly.saturating_sub(1);
        if batch.is_empty() {
            self.answer_without_store(batch);
            return self.next();
        }
        Some(self.hand_over(batch))
    }

    /// Hands over a group of alerts while another is written, so that the store goes on with it
    /// at once. It is decided by the state as it will be after that one, so nothing else may be
    /// about to change it.
    pub(super) fn next_but_one(&mut self) -> Option<Running> {
        let quiet = self.alone.is_empty() && self.pending.len() == 0 && self.finishing.is_none();
        let calm = !self.stale && self.singly == 0 && self.shared.store.queues();
        let foreseeable = self.batches.len() == 1 && self.batches[0].is_foreseeable();
        let wanted = self.waiting.front().is_some_and(|part| part.alerts() > 0);
        if !(quiet && calm && foreseeable && wanted) {
            return None;
        }
        let batch = self.build(Take::Alerts, 0);
        Some(self.hand_over(batch))
    }

    fn build(&mut self, take: Take, flush: usize) -> Batch {
        let parts = gather(&mut self.waiting, take);
        let now = self.shared.clock.now();
        let before = (self.limits, self.batches.back());
        build((parts, take), &self.state, before, (&mut self.pending, flush), now)
    }

    fn hand_over(&mut self, batch: Batch) -> Running {
        let (store, group) = (Arc::clone(&self.shared.store), Arc::clone(&batch.group));
        self.batches.push_back(batch);
        Box::pin(async move { Done::Group(store.commit(group).await) })
    }

    pub(super) fn end(&mut self, done: Done) {
        match done {
            Done::Group(result) => {
                let Some(batch) = self.batches.pop_front() else { return };
                match result {
                    Ok(committed) => self.committed(batch, committed),
                    Err(error) => self.failed(batch, error),
                }
            }
            Done::Figures(Ok(figures), ids) => {
                for id in ids {
                    let figures = figures.get(&id).copied().unwrap_or_default();
                    self.state.set_figures(&id, figures);
                }
                self.publish();
            }
            Done::Figures(Err(_), _) => self.stale = true,
            Done::Expired(expired, answer) => {
                if let Ok(expired) = &expired {
                    self.expired(expired);
                    self.publish();
                } else {
                    self.stale = true;
                }
                let _ = answer.send(expired.map_err(|error| Arc::new(error).into()));
            }
            Done::Followed(Ok(followed), answer) => {
                self.followed(followed);
                self.is_in_step();
                tell(answer, Ok(()));
            }
            Done::Followed(Err(error), answer) => {
                tracing::debug!(%error, "changes of other processes could not be read");
                self.stale |= error.is_unavailable();
                tell(answer, Err(Arc::new(error)));
            }
            Done::Reloaded(Ok(loaded), answer) => {
                self.reloaded(loaded);
                self.is_in_step();
                tell(answer, Ok(()));
            }
            Done::Reloaded(Err(error), answer) => {
                tracing::debug!(%error, "the store could not be read again yet");
                let error = Arc::new(error);
                self.give_up_waiting(&error);
                tell(answer, Err(error));
            }
            Done::Counted(counted) => self.counted(counted),
            Done::Found(found, answer) => {
                let _ = answer.send(found.ok().flatten().and_then(|found| self.found(found)));
            }
        }
    }
}

/// An entry and its figures.
async fn find(store: &dyn Store, id: String) -> Result<Option<Entry>> {
    let Some(entry) = store.entry(&id).await? else { return Ok(None) };
    let figures = store.figures(vec![id.clone()]).await?;
    Ok(Some(Entry { figures: figures.get(&id).copied().unwrap_or_default(), ..entry }))
}
