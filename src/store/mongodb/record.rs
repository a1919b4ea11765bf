//! Recording a group of alerts, and what is learned from it.
//!
//! Both in one transaction where the topology has transactions. A lone server has none: there
//! the alerts come first, so that a crash between the two costs at worst one group's counters.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use futures::TryStreamExt;
use mongodb::{
    ClientSession,
    bson::{Document, doc},
};

use super::{
    MongoStore,
    command::{self, Updated, upsert},
    fault::Fault,
    knowledge,
    transaction::{Work, transact},
    wire::{ALERT_OPTIONAL, alert, alert_fields, alert_id, date, missing},
};
use crate::{
    model::{Alert, AlertKey, Collection, Learning, Outcome, ReceivedAlert, Recorded},
    store::{
        Learn, Recording,
        recording::{Write, fold, keys, open_wanted},
    },
};

/// Tries of statements that lost a race for making a document, and of groups that were overtaken.
const TRIES: usize = 3;

/// A group on its way.
pub(super) struct Group {
    pub(super) alerts: Arc<[ReceivedAlert]>,
    pub(super) learn: Learn,
}

pub(super) async fn record(store: &MongoStore, group: Group) -> Result<Recording, Fault> {
    if store.transactions {
        return transact(store, &group).await;
    }
    let (outcomes, learnings) = record_alone(store, &group).await?;
    let learned = match knowledge::learn(&store.db, None, &learnings).await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(%error, "alerts are stored, what they teach is not yet");
            false
        }
    };
    Ok(Recording { outcomes, learnings, learned })
}

#[async_trait]
impl Work for Group {
    type Done = Recording;

    async fn run(
        &self,
        store: &MongoStore,
        session: &mut ClientSession,
    ) -> Result<Recording, Fault> {
        let stored = stored(store, Some(&mut *session), &self.alerts).await?;
        let fold = fold(stored, &self.alerts);
        let statements: Vec<_> = fold.writes.iter().map(statement).collect();
        let updated =
            command::update(&store.db, Some(&mut *session), Collection::Alerts, &statements, false)
                .await?;
        if updated.hit != statements.len() {
            return Err(Fault::Overtaken);
        }
        let outcomes = not_new(&self.alerts, fold.outcomes, &fold.writes, &updated);
        let learnings = (self.learn)(&self.alerts, &outcomes);
        knowledge::learn(&store.db, Some(session), &learnings).await?;
        Ok(Recording { outcomes, learnings, learned: true })
    }
}

/// The alerts only, without a transaction.
async fn record_alone(
    store: &MongoStore,
    group: &Group,
) -> Result<(Vec<Recorded>, Vec<Learning>), Fault> {
    let mut outcomes = None;
    for _ in 0..TRIES {
        let fold = fold(stored(store, None, &group.alerts).await?, &group.alerts);
        let updated = write_racing(store, &fold.writes).await?;
        // What the first try did stays done: a later one would find it stored and call it known.
        let outcomes = outcomes
            .get_or_insert_with(|| not_new(&group.alerts, fold.outcomes, &fold.writes, &updated));
        if updated.hit == fold.writes.len() {
            let learnings = (group.learn)(&group.alerts, outcomes);
            return Ok((std::mem::take(outcomes), learnings));
        }
    }
    Err(Fault::Overtaken)
}

/// Writes in any order; a statement that loses a race for making its document finds it made.
async fn write_racing(store: &MongoStore, writes: &[Write]) -> Result<Updated, Fault> {
    let mut done = Updated::default();
    let mut left: Vec<usize> = (0..writes.len()).collect();
    for _ in 0..TRIES {
        let statements: Vec<_> = left.iter().map(|&place| statement(&writes[place])).collect();
        let updated =
            command::update(&store.db, None, Collection::Alerts, &statements, false).await?;
        done.hit += updated.hit;
        done.made.extend(updated.made.into_iter().map(|place| left[place]));
        left = updated.raced.into_iter().map(|place| left[place]).collect();
        if left.is_empty() {
            return Ok(done);
        }
    }
    Err(Fault::Overtaken)
}

/// What is stored of the instances that the group names or may join.
async fn stored(
    store: &MongoStore,
    session: Option<&mut ClientSession>,
    group: &[ReceivedAlert],
) -> Result<Vec<Alert>, Fault> {
    let ids: Vec<String> = keys(group).iter().map(alert_id).collect();
    let open: Vec<&str> = open_wanted(group).into_iter().collect();
    let mut query = doc! { "_id": { "$in": ids } };
    if !open.is_empty() {
        query = doc! { "$or": [query, { "fingerprint": { "$in": open }, "status": "firing" }] };
    }
    let alerts = store.documents(Collection::Alerts);
    let find = alerts.find(query).batch_size(group.len() as u32 + 1);
    let found: Vec<Document> = match session {
        Some(session) => {
            let mut cursor = find.session(&mut *session).await?;
            cursor.stream(session).try_collect().await?
        }
        None => find.await?.try_collect().await?,
    };
    Ok(found.iter().filter_map(alert).collect())
}

/// The statement that does a write; whatever happens in between, it never moves `timestamp` back.
fn statement(write: &Write) -> Document {
    match write {
        Write::Insert(alert) | Write::Replace(alert) => {
            let fields = alert_fields(alert);
            let missing = missing(&fields, &ALERT_OPTIONAL);
            let mut update = doc! {
                "$set": fields,
                "$max": { "timestamp": date(alert.timestamp) },
                "$min": { "firstReceived": date(alert.first_received) },
            };
            if !missing.is_empty() {
                update.insert("$unset", missing);
            }
            upsert(doc! { "_id": alert_id(&alert.key()) }, update)
        }
        Write::Touch(key, at) => {
            doc! { "q": { "_id": alert_id(key) }, "u": { "$max": { "timestamp": date(*at) } } }
        }
    }
}

/// Corrects the outcomes by what the server says: an instance that was to be new and was not
/// made by its statement has been recorded by another replica in between.
fn not_new(
    group: &[ReceivedAlert],
    mut outcomes: Vec<Recorded>,
    writes: &[Write],
    updated: &Updated,
) -> Vec<Recorded> {
    let made: HashMap<AlertKey, bool> = writes
        .iter()
        .enumerate()
        .filter_map(|(place, write)| match write {
            Write::Insert(alert) => Some((alert.key(), updated.made.contains(&place))),
            Write::Replace(_) | Write::Touch(..) => None,
        })
        .collect();
    for (received, recorded) in group.iter().zip(&mut outcomes) {
        let starts_at = received.starts_at.unwrap_or(received.received_at);
        let key = AlertKey { fingerprint: received.fingerprint.clone(), starts_at };
        if recorded.outcome == Outcome::New && made.get(&key) == Some(&false) {
            recorded.outcome = Outcome::Duplicate;
            recorded.before = Some(recorded.after);
        }
    }
    outcomes
}
