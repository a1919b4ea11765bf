//! The one door for changes: a task that takes every change from one queue, writes groups of them
//! to the store, applies them to memory, publishes the new state and answers.
//!
//! There is no timer between a request and the writer: while one group is written the next one
//! gathers. What people and alerts change is answered once it is durable; what queries taught is
//! in memory at once and waits in [`pending`] for the next group. As the state has one owner,
//! nothing here is locked.

mod apply;
mod group;
mod operations;
pub(super) mod patterns;
mod pending;
mod questions;
mod recent;
pub(super) mod request;

use std::{collections::VecDeque, pin::Pin, sync::Arc, time::Duration};

use futures::{StreamExt, stream::FuturesOrdered};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use self::{
    group::{Batch, Part, WantedEdit, refuse},
    operations::{Alone, Done, Running},
    patterns::PatternLimits,
    pending::Pending,
    recent::Recent,
    request::{ChangeError, Request},
};
use super::{shared::Shared, state::State};
use crate::store::{Changed, Position};

/// Requests that are held, waiting or on their way to the store; more are turned away as overload.
const MAX_HELD: usize = 4_096;
/// How often what waits is offered to a store that was away.
const TICK: Duration = Duration::from_secs(1);
/// How long others' changes may gather before they are taken over: twice what it took last, so
/// that it takes at most a third of the time, and never so long that a second passes.
const GATHER_LEAST: Duration = Duration::from_millis(50);
const GATHER_MOST: Duration = Duration::from_millis(400);
/// Records of questions that are written with one group.
const FLUSH_AT_ONCE: usize = 1_000;

/// The task.
pub struct Writer {
    shared: Arc<Shared>,
    requests: mpsc::UnboundedReceiver<Request>,
    /// The state as it will be published next.
    state: State,
    /// Requests that wait for the store.
    waiting: VecDeque<Part>,
    /// Groups that are handed over to the store, in the order in which it writes them.
    batches: VecDeque<Batch>,
    /// Operations of the store that are not part of a group.
    alone: VecDeque<Alone>,
    /// How many parts are written one by one, because a group with them was refused.
    singly: usize,
    pending: Pending,
    position: Position,
    limits: PatternLimits,
    max_questions: usize,
    /// An operation failed, so that memory and store may differ until all is read again.
    stale: bool,
    /// How many records of `pending` are written at once; one, while one of them is refused.
    flush_limit: usize,
    /// What waits could not be written while finishing.
    gave_up: bool,
    recent: Recent,
    /// When the last taking over of others' changes began.
    follow_began: Instant,
    /// Since when there may be changes of others that are not in memory.
    behind_since: Option<Instant>,
    finishing: Option<oneshot::Sender<usize>>,
}

type News = Pin<Box<dyn Future<Output = Changed> + Send>>;

/// What a future ends with; nothing ever, if there is none.
async fn ended<T>(future: &mut Option<Pin<Box<dyn Future<Output = T> + Send>>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

impl Writer {
    /// The task over what was loaded.
    pub(super) fn new(
        shared: Arc<Shared>,
        requests: mpsc::UnboundedReceiver<Request>,
        state: State,
        position: Position,
        (limits, max_questions): (PatternLimits, usize),
    ) -> Self {
        Self {
            shared,
            requests,
            state,
            waiting: VecDeque::new(),
            batches: VecDeque::new(),
            alone: VecDeque::new(),
            singly: 0,
            pending: Pending::default(),
            position,
            limits,
            max_questions,
            stale: false,
            flush_limit: FLUSH_AT_ONCE,
            gave_up: false,
            recent: Recent::default(),
            follow_began: Instant::now(),
            behind_since: None,
            finishing: None,
        }
    }

    /// Takes and makes changes until it is told to finish.
    pub async fn run(mut self) {
        let mut running: FuturesOrdered<Running> = FuturesOrdered::new();
        let mut news = Some(self.news());
        let mut counting = None;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            if running.is_empty() {
                running.extend(self.next());
            }
            if running.len() == 1 {
                running.extend(self.next_but_one());
            }
            if running.is_empty()
                && let Some(answer) = self.finishing.take()
            {
                self.shared.metrics.knowledge_unpersisted_entries.set(self.pending.len() as i64);
                let _ = answer.send(self.pending.len());
                return;
            }
            tokio::select! {
                biased;
                Some(done) = running.next() => {
                    let followed = matches!(done, Done::Followed(..) | Done::Reloaded(..));
                    self.end(done);
                    if followed && news.is_none() {
                        news = Some(self.news());
                    }
                }
                changed = ended(&mut news) => {
                    news = None;
                    self.heard(changed);
                }
                settled = ended(&mut counting) => {
                    counting = None;
                    self.settled(settled);
                }
                request = self.requests.recv() => match request {
                    Some(request) => self.take(request),
                    // Whoever could ask is gone, and nobody waits for what is left.
                    None => return,
                },
                _ = tick.tick() => {
                    self.tick();
                    counting = counting.or_else(|| self.count_recent());
                }
            }
        }
    }

    /// Ends when others may have changed something.
    fn news(&self) -> News {
        let (store, position) = (Arc::clone(&self.shared.store), self.position);
        let gather = (self.follow_began.elapsed() * 2).clamp(GATHER_LEAST, GATHER_MOST);
        Box::pin(async move {
            tokio::time::sleep(gather).await;
            store.changed(position).await
        })
    }

    fn heard(&mut self, changed: Changed) {
        let mut since = Instant::now();
        if let Changed::Perhaps(Some(looked)) = &changed {
            since = looked.began;
            self.shared.metrics.alerts_superseded_total.inc_by(looked.superseded);
        }
        self.behind_since.get_or_insert(since);
        self.alone.push_back(match changed {
            Changed::Perhaps(looked) if !self.stale => Alone::Follow { looked, answer: None },
            _ => Alone::Reload { answer: None },
        });
    }

    fn tick(&mut self) {
        self.show_lag();
        if self.stale && self.alone.is_empty() && self.finishing.is_none() {
            self.alone.push_back(Alone::Reload { answer: None });
        }
    }

    fn show_lag(&mut self) {
        if self.stale {
            self.behind_since.get_or_insert_with(Instant::now);
        }
        let behind = self.behind_since.map_or(Duration::ZERO, |since| since.elapsed());
        self.shared.metrics.replication_lag_seconds.set(behind.as_secs_f64());
    }

    /// What others changed until the last look began is in memory now.
    fn is_in_step(&mut self) {
        self.behind_since = None;
        self.show_lag();
    }

    fn take(&mut self, request: Request) {
        match request {
            Request::Alerts { alerts, answer } => self.wait(Part::Alerts { alerts, answer }),
            Request::Create { entry, answer } => self.wait(Part::Create { entry, answer }),
            Request::Edit { id, seen, change, editor, answer } => {
                let edit = WantedEdit { id, seen, change, editor, tries: 0 };
                self.wait(Part::Edit { edit, answer });
            }
            Request::Import { entries, answer } => {
                let done = vec![None; entries.len()];
                self.wait(Part::Import { entries, done, tries: 0, answer });
            }
            Request::Ask { text, answer } => {
                let gap = self.ask(&text);
                self.publish();
                let _ = answer.send(gap);
            }
            Request::Close(answered) => {
                self.close(answered);
                self.publish();
            }
            Request::Find { id, answer } => self.alone.push_back(Alone::Find { id, answer }),
            Request::Expire { batch, store, answer } => {
                self.alone.push_back(Alone::Expire { batch, store, answer });
            }
            Request::Reload { answer } => {
                self.alone.push_back(Alone::Reload { answer: Some(answer) });
            }
            Request::Follow { answer } => {
                self.alone.push_back(Alone::Follow { looked: None, answer })
            }
            Request::Finish { answer } => self.finishing = Some(answer),
        }
    }

    fn wait(&mut self, part: Part) {
        if self.finishing.is_some() {
            return refuse(part, || ChangeError::Closed);
        }
        let handed_over: usize = self.batches.iter().map(|batch| batch.sent.len()).sum();
        if self.waiting.len() + handed_over >= MAX_HELD {
            return refuse(part, || ChangeError::Overloaded);
        }
        // Those that wait are before it.
        let left = match self.batches.back_mut() {
            Some(batch) if self.waiting.is_empty() => batch.join(&self.state, part),
            _ => Some(part),
        };
        self.waiting.extend(left);
    }
}
