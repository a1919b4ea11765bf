//! Deleting what is old, a batch at a time: one transaction where the topology has them.
//!
//! A lone server deletes first, so that a crash between the two leaves `firing` of some entries
//! too high rather than taking off twice.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures::TryStreamExt;
use mongodb::{
    ClientSession, Database,
    bson::{Bson, Document, doc},
};

use super::{
    MongoStore, command,
    fault::Fault,
    transaction::{Work, transact},
    wire::date,
};
use crate::{
    model::{Collection, Time},
    store::{Expired, PatternOf},
};

const LAST_RETENTION: &str = "last_retention";

/// Documents last received, or taken, before these times.
pub(super) async fn expired_counts(
    store: &MongoStore,
    alerts: Time,
    samples: Time,
) -> Result<(u64, u64), Fault> {
    let count = |collection, time| async move {
        let counted = store.documents(collection).count_documents(before(time)).await;
        Ok::<_, Fault>(counted?)
    };
    futures::try_join!(count(Collection::Alerts, alerts), count(Collection::Metrics, samples))
}

fn before(time: Time) -> Document {
    doc! { "timestamp": { "$lt": date(time) } }
}

/// A batch of alerts to be deleted.
pub(super) struct Batch {
    pub(super) before: Time,
    pub(super) limit: u32,
    pub(super) pattern_of: PatternOf,
}

pub(super) async fn expire_alerts(store: &MongoStore, batch: Batch) -> Result<Expired, Fault> {
    if store.transactions {
        return transact(store, &batch).await;
    }
    batch.expire(store, None).await
}

#[async_trait]
impl Work for Batch {
    type Done = Expired;

    async fn run(&self, store: &MongoStore, session: &mut ClientSession) -> Result<Expired, Fault> {
        self.expire(store, Some(session)).await
    }
}

impl Batch {
    async fn expire(
        &self,
        store: &MongoStore,
        mut session: Option<&mut ClientSession>,
    ) -> Result<Expired, Fault> {
        let projection = doc! { "name": 1, "status": 1, "labels.cause": 1 };
        let (limit, old) = (self.limit, before(self.before));
        let documents = oldest(
            store,
            Collection::Alerts,
            old.clone(),
            limit,
            projection,
            session.as_deref_mut(),
        );
        let documents = documents.await?;
        if documents.is_empty() {
            return Ok(Expired::default());
        }
        let mut query = doc! { "_id": { "$in": ids(&documents) } };
        query.extend(old);
        let deleted =
            command::delete(&store.db, session.as_deref_mut(), Collection::Alerts, query).await?;
        let fired = self.fired(&documents);
        take_off(&store.db, session, &fired).await?;
        Ok(Expired { deleted, fired })
    }

    fn fired(&self, documents: &[Document]) -> BTreeMap<String, i64> {
        let mut fired = BTreeMap::new();
        for document in
            documents.iter().filter(|d| d.get_str("status").is_ok_and(|s| s == "firing"))
        {
            let cause = document.get_document("labels").and_then(|labels| labels.get_str("cause"));
            let name = document.get_str("name").unwrap_or_default();
            let id = (self.pattern_of)(name, cause.unwrap_or_default());
            *fired.entry(id).or_default() += 1;
        }
        fired
    }
}

async fn take_off(
    db: &Database,
    session: Option<&mut ClientSession>,
    fired: &BTreeMap<String, i64>,
) -> Result<(), Fault> {
    let statements: Vec<_> = fired
        .iter()
        .map(|(id, count)| {
            let firing = doc! { "id": id, "firing": { "$gte": *count } };
            doc! { "q": firing, "u": { "$inc": { "firing": -*count } } }
        })
        .collect();
    if !statements.is_empty() {
        command::update(db, session, Collection::KnowledgeBase, &statements, true).await?;
    }
    Ok(())
}

pub(super) async fn expire_samples(
    store: &MongoStore,
    before_time: Time,
    limit: u32,
) -> Result<u64, Fault> {
    let old = before(before_time);
    let found = oldest(store, Collection::Metrics, old, limit, doc! { "_id": 1 }, None).await?;
    if found.is_empty() {
        return Ok(0);
    }
    let query = doc! { "_id": { "$in": ids(&found) } };
    command::delete(&store.db, None, Collection::Metrics, query).await
}

async fn oldest(
    store: &MongoStore,
    collection: Collection,
    query: Document,
    limit: u32,
    projection: Document,
    session: Option<&mut ClientSession>,
) -> Result<Vec<Document>, Fault> {
    let documents = store.documents(collection);
    let find = documents
        .find(query)
        .sort(doc! { "timestamp": 1 })
        .limit(i64::from(limit))
        .projection(projection);
    Ok(match session {
        Some(session) => {
            let mut cursor = find.session(&mut *session).await?;
            cursor.stream(session).try_collect().await?
        }
        None => find.await?.try_collect().await?,
    })
}

fn ids(documents: &[Document]) -> Vec<Bson> {
    documents.iter().filter_map(|document| document.get("_id").cloned()).collect()
}

/// When retention last ran to its end.
pub(super) async fn last(store: &MongoStore) -> Result<Option<Time>, Fault> {
    let state = store.documents(Collection::SystemState);
    let last = state.find_one(doc! { "_id": LAST_RETENTION }).await?;
    let at = last.as_ref().and_then(|last| last.get_datetime("at").ok());
    Ok(at.map(|at| Time::from_millis(at.timestamp_millis())))
}

/// Notes that it did.
pub(super) async fn note(store: &MongoStore, at: Time) -> Result<(), Fault> {
    let set = doc! { "$set": { "key": LAST_RETENTION, "at": date(at) } };
    let state = store.documents(Collection::SystemState);
    state.update_one(doc! { "_id": LAST_RETENTION }, set).upsert(true).await?;
    Ok(())
}
