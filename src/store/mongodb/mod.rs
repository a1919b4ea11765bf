//! MongoDB: the production store, and the one that replicas share.
//!
//! One file a concern; each speaks in `Fault`s, which become [`StoreError`]s here, and
//! here every operation gets its time limit. Every write waits until it is on disk at a majority.
//!
//! On a replica set or a cluster what belongs together is one transaction. On a lone server,
//! which has none, alerts are durable before what they teach, and two replicas that record the
//! same change of an alert at the same moment may both learn from it.

mod command;
mod connect;
mod export;
mod fault;
mod history;
mod knowledge;
mod lease;
mod put;
mod record;
mod retention;
mod schema;
mod series;
mod transaction;
mod wire;

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use mongodb::{Client, Database, bson::Document, bson::doc};
use secrecy::SecretString;
use tokio::sync::Mutex;

use self::fault::Fault;
use super::{
    AlertCounts, Backend, Bucket, Buckets, Expired, Export, Issue, Learn, PatternOf, Recording,
    Result, Store, StoreError, Stored, migrate::Schema,
};
use crate::model::{
    Collection, Consolidation, Entry, EntryChange, MetricDay, ReceivedAlert, Sample, Time,
};

// The driver waits for a server that has stopped answering as long as the socket is open, so every
// operation has a limit here: for a few documents, for a group, and for a whole collection.
const SHORT: Duration = Duration::from_secs(4);
const LONG: Duration = Duration::from_secs(10);
const WHOLE: Duration = Duration::from_secs(60);
/// How long closing waits for operations under way.
const CLOSE: Duration = Duration::from_secs(5);

/// A MongoDB database.
#[derive(Clone, Debug)]
pub struct MongoStore {
    client: Client,
    db: Database,
    transactions: bool,
    /// Transactions of one process take turns: side by side they could only run into each other,
    /// over the entries that every group of alerts teaches.
    turn: Arc<Mutex<()>>,
}

impl MongoStore {
    /// Connects to the server and makes sure that it answers and lets us in.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for a connection string that cannot be read, else
    /// [`StoreError::Unavailable`], after about 3 s.
    pub async fn open(uri: &SecretString, database: &str) -> Result<Self> {
        match tokio::time::timeout(2 * SHORT, connect::open(uri, database)).await {
            Ok(opened) => opened,
            Err(_) => Err(Fault::Silent(2 * SHORT).into()),
        }
    }

    fn documents(&self, collection: Collection) -> mongodb::Collection<Document> {
        self.db.collection(collection.name())
    }
}

/// The operation, or `Unavailable` when its time is over.
async fn within<T>(
    limit: Duration,
    operation: impl Future<Output = Result<T, Fault>>,
) -> Result<T, StoreError> {
    let in_time = tokio::time::timeout(limit, operation).await;
    Ok(in_time.unwrap_or(Err(Fault::Silent(limit)))?)
}

#[async_trait]
impl Store for MongoStore {
    fn backend(&self) -> Backend {
        Backend::Mongodb
    }

    async fn ping(&self) -> Result<()> {
        within(SHORT, async {
            self.db.run_command(doc! { "ping": 1 }).await?;
            Ok(())
        })
        .await
    }

    async fn schema_version(&self) -> Result<u32> {
        within(SHORT, schema::version(self)).await
    }

    async fn collection_counts(&self) -> Result<Vec<(Collection, u64)>> {
        within(SHORT, history::collection_counts(self)).await
    }

    async fn record(&self, group: Arc<[ReceivedAlert]>, learn: Learn) -> Result<Recording> {
        within(LONG, record::record(self, record::Group { alerts: group, learn })).await
    }

    async fn entries(&self, since: Option<Time>) -> Result<Vec<Entry>> {
        within(WHOLE, knowledge::entries(self, since)).await
    }

    async fn apply(&self, changes: Vec<EntryChange>) -> Result<()> {
        within(LONG, knowledge::apply(self, knowledge::Changes(changes))).await
    }

    async fn alert_counts(&self, since: Time) -> Result<AlertCounts> {
        within(LONG, history::alert_counts(self, since)).await
    }

    async fn firing_alerts(&self) -> Result<u64> {
        within(LONG, history::firing_alerts(self)).await
    }

    async fn sample_counts(&self, since: Time) -> Result<BTreeMap<String, u64>> {
        within(LONG, history::sample_counts(self, since)).await
    }

    async fn received_counts(&self, from: Time, until: Time) -> Result<AlertCounts> {
        within(LONG, history::received_counts(self, from, until)).await
    }

    async fn issues(&self, from: Time, until: Time) -> Result<Vec<Issue>> {
        within(WHOLE, history::issues(self, from, until)).await
    }

    async fn sample_days(&self, from: Time, until: Time) -> Result<BTreeMap<String, MetricDay>> {
        within(WHOLE, history::sample_days(self, from, until)).await
    }

    async fn samples(
        &self,
        name: &str,
        from: Time,
        until: Time,
        limit: usize,
    ) -> Result<Vec<Sample>> {
        within(LONG, series::samples(self, name, from, until, limit)).await
    }

    async fn sample_buckets(&self, name: &str, buckets: Buckets) -> Result<Vec<Bucket>> {
        within(LONG, series::buckets(self, name, buckets)).await
    }

    async fn consolidations_after(&self, time: Time) -> Result<Vec<Consolidation>> {
        within(LONG, history::consolidations_after(self, time)).await
    }

    async fn history_start(&self) -> Result<Option<Time>> {
        within(LONG, history::history_start(self)).await
    }

    async fn put(&self, documents: Vec<Stored>) -> Result<()> {
        put::put(self, documents).await
    }

    async fn expired_counts(&self, alerts: Time, samples: Time) -> Result<(u64, u64)> {
        within(WHOLE, retention::expired_counts(self, alerts, samples)).await
    }

    async fn expire_alerts(
        &self,
        before: Time,
        limit: u32,
        pattern_of: PatternOf,
    ) -> Result<Expired> {
        let batch = retention::Batch { before, limit, pattern_of };
        within(WHOLE, retention::expire_alerts(self, batch)).await
    }

    async fn expire_samples(&self, before: Time, limit: u32) -> Result<u64> {
        within(WHOLE, retention::expire_samples(self, before, limit)).await
    }

    async fn last_retention(&self) -> Result<Option<Time>> {
        within(SHORT, retention::last(self)).await
    }

    async fn note_retention(&self, at: Time) -> Result<()> {
        within(SHORT, retention::note(self, at)).await
    }

    async fn export(&self, collections: Vec<Collection>) -> Result<Export> {
        within(WHOLE, export::export(self, collections)).await
    }

    async fn acquire_lease(&self, name: &str, holder: &str, ttl: Duration) -> Result<bool> {
        within(SHORT, lease::acquire(self, name, holder, ttl)).await
    }

    async fn release_lease(&self, name: &str, holder: &str) -> Result<()> {
        within(SHORT, lease::release(self, name, holder)).await
    }

    fn schema(&self) -> &dyn Schema {
        self
    }

    async fn close(&self) {
        let shutdown = self.client.clone().shutdown();
        drop(tokio::time::timeout(CLOSE, async { shutdown.await }).await);
    }
}
