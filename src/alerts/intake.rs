//! Group commit: requests hand their alerts to one task, which writes whatever has gathered as
//! one operation of the store and then answers them all.
//!
//! There is no timer: while one write is under way the next group gathers, so a lone request
//! waits for nothing and a flood is written in large groups. The promise: a [`Receipt`] is
//! given only for alerts that are durable.

use std::{collections::VecDeque, sync::Arc};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::AlertBatch;
use crate::{
    knowledge::Base,
    model::{Outcome, ReceivedAlert, Recorded},
    store::{Recording, Result, StoreError},
    telemetry::Metrics,
};

/// Requests that may wait for the write under way; more are turned away as overload.
const QUEUE: usize = 4_096;
/// A group is written once it holds this many alerts, though more may wait.
const GROUP_ALERTS: usize = 5_000;

/// What became of the alerts of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Instances that were not known.
    pub new: usize,
    /// Known instances that changed.
    pub updated: usize,
    /// Known instances, unchanged.
    pub duplicates: usize,
}

impl Receipt {
    fn of(outcomes: &[Recorded]) -> Self {
        let count = |outcome| outcomes.iter().filter(|r| r.outcome == outcome).count();
        Self {
            new: count(Outcome::New),
            updated: count(Outcome::Updated),
            duplicates: count(Outcome::Duplicate),
        }
    }
}

/// Why alerts were not taken.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// More requests wait than can be borne. Answered with 503.
    #[error("too many webhooks wait to be stored")]
    Overloaded,
    /// The service is stopping. Answered with 503.
    #[error("the intake is closed")]
    Closed,
    /// The store failed; all requests of the group share the cause.
    #[error(transparent)]
    Store(#[from] Arc<StoreError>),
}

struct Request {
    alerts: Vec<ReceivedAlert>,
    answer: oneshot::Sender<Result<Receipt, Arc<StoreError>>>,
}

/// The door to the task that writes.
#[derive(Clone)]
pub struct Intake {
    requests: mpsc::Sender<Request>,
    closing: CancellationToken,
}

/// The task's side.
pub struct IntakeTask {
    requests: mpsc::Receiver<Request>,
    closing: CancellationToken,
    base: Arc<Base>,
    metrics: Arc<Metrics>,
}

impl Intake {
    /// The door, and the task to be run behind it.
    pub fn new(base: Arc<Base>, metrics: Arc<Metrics>) -> (Self, IntakeTask) {
        let (door, requests) = mpsc::channel(QUEUE);
        let closing = CancellationToken::new();
        let intake = Self { requests: door, closing: closing.clone() };
        (intake, IntakeTask { requests, closing, base, metrics })
    }

    /// Takes nothing more; the task finishes what it has.
    pub fn close(&self) {
        self.closing.cancel();
    }

    /// Takes a batch; returns when it is durable.
    pub async fn take(&self, batch: AlertBatch) -> Result<Receipt, IntakeError> {
        if batch.alerts.is_empty() {
            return Ok(Receipt::default());
        }
        let (answer, receipt) = oneshot::channel();
        self.requests.try_send(Request { alerts: batch.alerts, answer }).map_err(|error| {
            match error {
                mpsc::error::TrySendError::Full(_) => IntakeError::Overloaded,
                mpsc::error::TrySendError::Closed(_) => IntakeError::Closed,
            }
        })?;
        Ok(receipt.await.map_err(|_| IntakeError::Closed)??)
    }
}

impl IntakeTask {
    /// Writes group after group until it is closed and nothing waits.
    pub async fn run(mut self) {
        loop {
            let first = tokio::select! {
                first = self.requests.recv() => first,
                () = self.closing.cancelled(), if !self.requests.is_closed() => {
                    self.requests.close();
                    continue;
                }
            };
            let Some(first) = first else { return };
            let group = self.gather(first);
            self.write(group).await;
        }
    }

    fn gather(&mut self, first: Request) -> VecDeque<Request> {
        let mut alerts = first.alerts.len();
        let mut group = VecDeque::from([first]);
        while alerts < GROUP_ALERTS {
            let Ok(request) = self.requests.try_recv() else { break };
            alerts += request.alerts.len();
            group.push_back(request);
        }
        group
    }

    async fn write(&self, mut group: VecDeque<Request>) {
        let alone = group.len() == 1;
        match self.record(&mut group).await {
            Ok((recording, sizes)) => answer(group, &recording.outcomes, &sizes),
            // One alert that the store refuses must not take the others down with it.
            Err((StoreError::Refused(cause), parts)) if !alone => {
                tracing::warn!(%cause, "a group was refused: its requests are written one by one");
                for (mut request, alerts) in group.into_iter().zip(parts) {
                    request.alerts = alerts;
                    let mut single = VecDeque::from([request]);
                    match self.record(&mut single).await {
                        Ok((recording, sizes)) => answer(single, &recording.outcomes, &sizes),
                        Err((error, _)) => refuse(single, error),
                    }
                }
            }
            Err((error, _)) => refuse(group, error),
        }
    }

    /// Records the alerts of all requests; on failure gives them back, request by request.
    async fn record(
        &self,
        group: &mut VecDeque<Request>,
    ) -> Result<(Recording, Vec<usize>), (StoreError, Vec<Vec<ReceivedAlert>>)> {
        let sizes: Vec<usize> = group.iter().map(|request| request.alerts.len()).collect();
        let alerts: Arc<[ReceivedAlert]> =
            group.iter_mut().flat_map(|request| std::mem::take(&mut request.alerts)).collect();
        match self.base.record(Arc::clone(&alerts)).await {
            Ok(recording) => {
                for recorded in &recording.outcomes {
                    let outcome = recorded.outcome.as_str();
                    self.metrics.alerts_stored_total.with_label_values(&[outcome]).inc();
                }
                Ok((recording, sizes))
            }
            Err(error) => {
                let mut rest = alerts.iter().cloned();
                let parts = sizes.iter().map(|size| rest.by_ref().take(*size).collect()).collect();
                Err((error, parts))
            }
        }
    }
}

fn answer(group: VecDeque<Request>, outcomes: &[Recorded], sizes: &[usize]) {
    let mut rest = outcomes;
    for (request, size) in group.into_iter().zip(sizes) {
        let (own, others) = rest.split_at((*size).min(rest.len()));
        rest = others;
        // Whoever asked may have gone; its alerts are stored all the same.
        let _ = request.answer.send(Ok(Receipt::of(own)));
    }
}

fn refuse(group: VecDeque<Request>, error: StoreError) {
    let error = Arc::new(error);
    for request in group {
        let _ = request.answer.send(Err(Arc::clone(&error)));
    }
}
