//! MongoDB: the production store, and the one that replicas share.
//!
//! One file a concern; each speaks in `MongoError`s, which become [`StoreError`]s here, and
//! here every operation gets its time limit. Every write waits until it is on disk at a majority.
//!
//! There are no transactions: each document is written by itself, compare-and-set, in an order in
//! which every step may be repeated. So a lone server is as exact as a replica set.

mod alerts;
mod command;
mod commit;
mod connect;
mod edits;
mod embeddings;
mod error;
mod expiry;
mod export;
mod figures;
mod follow;
mod history;
mod knowledge;
mod lease;
mod listing;
mod open;
mod pace;
mod patterns;
mod presence;
mod put;
mod record;
mod retention;
mod schema;
mod series;
mod severities;
mod upgrade;
mod watch;
mod wire;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use mongodb::{Client, Database, bson::Document, bson::doc};
use parking_lot::{Mutex, MutexGuard};
use secrecy::SecretString;
use tokio::time::Instant;

use self::{
    error::MongoError,
    follow::KnownEntries,
    open::Suspects,
    pace::Pace,
    presence::Presence,
    watch::{News, Watch},
};
use super::{
    AlertBucket, AlertCounts, AlertFilter, AlertPage, Backend, Bucket, Buckets, Changed, Committed,
    Expired, ExpiryBatch, Export, ExportScope, Fence, Followed, Gathering, Issue, ListPosition,
    Loaded, Looked, Position, Result, Store, StoreError, Stored, StoredEmbedding, migrate::Schema,
};
use crate::model::{
    Collection, Consolidation, Entry, Figures, FiringAlert, MetricDay, Sample, Time,
};

// The driver waits for a server that has stopped answering as long as the socket is open, so every
// operation has a limit here: for a few documents, for a group, and for a whole collection.
const SHORT: Duration = Duration::from_secs(4);
const LONG: Duration = Duration::from_secs(10);
/// What a group may take longer for each of its alerts.
const PER_ALERT: Duration = Duration::from_millis(10);
const WHOLE: Duration = Duration::from_secs(60);
/// How long closing waits for operations under way.
const CLOSE: Duration = Duration::from_secs(5);

/// A MongoDB database.
#[derive(Clone, Debug)]
pub struct MongoStore {
    client: Client,
    db: Database,
    /// The same with a connection of its own, so that probes wait behind nobody.
    probes: Database,
    /// Whether the topology can show one moment to several reads.
    snapshots: bool,
    /// Who this process is to the others, and how often it has left its mark.
    id: String,
    marks: Arc<AtomicU64>,
    /// What the server's clock showed, and when it was asked.
    clock: Arc<Mutex<(Time, Instant)>>,
    /// Times that inserts bear which ended long after them, or of which it is not known.
    late: Arc<Mutex<Vec<Time>>>,
    /// Who writes to a lone server.
    presence: Arc<Mutex<Presence>>,
    /// Entries that this process knows of.
    followed: Arc<Mutex<KnownEntries>>,
    /// Entries that this process changed, or did not: the answer was lost.
    unsettled: Arc<Mutex<HashSet<String>>>,
    /// Entries with an edit that the server has not answered.
    unanswered: Arc<Mutex<HashSet<String>>>,
    /// Of which fingerprints several instances may be open.
    suspects: Arc<Mutex<Suspects>>,
    /// Hears of changes of others, where the server says so.
    watch: Arc<Watch>,
    /// When a group is full enough.
    pace: Arc<Pace>,
    /// The lease that this handle works under.
    fence: Option<Fence>,
}

/// Who the alerts were that retention deleted: not a collection of the contract's.
const IDENTITIES: &str = "alert_identities";

impl MongoStore {
    /// Connects to the server and makes sure that it answers and lets us in.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for a connection string that cannot be read, else
    /// [`StoreError::Unavailable`], after about 3 s.
    pub async fn open(uri: &SecretString, database: &str) -> Result<Self> {
        match tokio::time::timeout(2 * SHORT, connect::open(uri, database)).await {
            Ok(opened) => opened,
            Err(_) => Err(MongoError::Silent(2 * SHORT).into()),
        }
    }

    /// What a document says of who changed it last (`changedBy`). No two are alike, so that each change
    /// shows in the change stream whose it is.
    fn mark(&self) -> String {
        format!("{}.{}", self.id, self.marks.fetch_add(1, Ordering::Relaxed))
    }

    /// Whether a mark is this process'.
    fn is_own(&self, mark: &str) -> bool {
        mark.starts_with(&self.id)
    }

    fn followed(&self) -> MutexGuard<'_, KnownEntries> {
        self.followed.lock()
    }

    fn unsettled(&self) -> MutexGuard<'_, HashSet<String>> {
        self.unsettled.lock()
    }

    fn unanswered(&self) -> MutexGuard<'_, HashSet<String>> {
        self.unanswered.lock()
    }

    fn documents(&self, collection: Collection) -> mongodb::Collection<Document> {
        self.db.collection(collection.name())
    }
}

/// The operation, or `Unavailable` when its time is over.
async fn within<T>(
    limit: Duration,
    operation: impl Future<Output = Result<T, MongoError>>,
) -> Result<T, StoreError> {
    let in_time = tokio::time::timeout(limit, operation).await;
    Ok(in_time.unwrap_or(Err(MongoError::Silent(limit)))?)
}

#[async_trait]
impl Store for MongoStore {
    fn backend(&self) -> Backend {
        Backend::Mongodb
    }

    async fn ping(&self) -> Result<()> {
        within(SHORT, async {
            self.probes.run_command(doc! { "ping": 1 }).await?;
            Ok(())
        })
        .await
    }

    async fn beat(&self) -> Result<()> {
        within(SHORT, retention::beat(self)).await
    }

    async fn schema_version(&self) -> Result<u32> {
        within(SHORT, schema::version(self)).await
    }

    async fn collection_counts(&self) -> Result<Vec<(Collection, u64)>> {
        within(SHORT, history::collection_counts(self)).await
    }

    async fn load(&self) -> Result<Loaded> {
        within(WHOLE, knowledge::load(self)).await
    }

    async fn changed(&self, position: Position) -> Changed {
        if watch::news(self).await == News::Lost {
            return Changed::Everything;
        }
        // What fails here fails again where it is followed.
        Changed::Perhaps(within(LONG, follow::look(self, position)).await.ok())
    }

    async fn follow(&self, position: Position, looked: Option<Looked>) -> Result<Followed> {
        within(LONG, follow::follow(self, position, looked)).await
    }

    async fn commit(&self, group: Arc<Gathering>) -> Result<Committed> {
        self.pace.gather().await;
        let group = group.close();
        let alerts = group.alerts.len();
        let large = PER_ALERT.saturating_mul(u32::try_from(alerts).unwrap_or(u32::MAX));
        self.pace.of(alerts, within(LONG + large, commit::commit(self, group))).await
    }

    fn queues(&self) -> bool {
        false
    }

    async fn figures(&self, entry_ids: Vec<String>) -> Result<HashMap<String, Figures>> {
        within(LONG, figures::of(self, Some(&entry_ids))).await
    }

    async fn entry(&self, id: &str) -> Result<Option<Entry>> {
        within(SHORT, knowledge::entry(self, id)).await
    }

    async fn entries(&self) -> Result<Vec<Entry>> {
        within(WHOLE, knowledge::entries(self)).await
    }

    async fn received_since(&self, since: Time) -> Result<u64> {
        within(LONG, history::received_since(self, since)).await
    }

    async fn firing_alerts(&self) -> Result<u64> {
        within(LONG, history::firing_alerts(self)).await
    }

    async fn firing_of(&self, entries: Vec<(String, usize)>) -> Result<Vec<FiringAlert>> {
        within(SHORT, history::firing_of(self, &entries)).await
    }

    async fn list_alerts(
        &self,
        filter: AlertFilter,
        after: Option<ListPosition>,
        limit: usize,
    ) -> Result<Option<AlertPage>> {
        within(LONG, listing::alerts(self, &filter, after.as_ref(), limit)).await
    }

    async fn sample_counts(&self, from: Time, until: Time) -> Result<BTreeMap<String, u64>> {
        within(LONG, history::sample_counts(self, from, until)).await
    }

    async fn received_counts(&self, from: Time, until: Time) -> Result<AlertCounts> {
        within(LONG, history::received_counts(self, from, until)).await
    }

    async fn received_counts_of(&self, name: &str, from: Time, until: Time) -> Result<AlertCounts> {
        within(LONG, history::counts_of(self, name, from, until)).await
    }

    async fn alert_buckets(
        &self,
        name: &str,
        buckets: Buckets,
        limit: usize,
    ) -> Result<Vec<AlertBucket>> {
        within(LONG, series::alerts(self, name, buckets, limit)).await
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

    async fn newest_data(&self, until: Time) -> Result<Option<Time>> {
        within(LONG, history::newest_data(self, until)).await
    }

    async fn clock(&self) -> Result<Option<Time>> {
        within(SHORT, history::clock(self)).await
    }

    async fn history_start(&self) -> Result<Option<Time>> {
        within(LONG, history::history_start(self)).await
    }

    async fn sent_severities(&self) -> Result<Vec<(String, String)>> {
        within(WHOLE, severities::sent(self)).await
    }

    async fn severity_words(&self) -> Result<Option<String>> {
        within(SHORT, severities::words(self)).await
    }

    async fn note_severity_words(&self, signature: &str) -> Result<()> {
        within(SHORT, severities::note_words(self, signature)).await
    }

    async fn put(&self, documents: Vec<Stored>) -> Result<()> {
        put::put(self, documents).await
    }

    async fn expired_counts(&self, alerts: Time, samples: Time) -> Result<(u64, u64)> {
        within(WHOLE, retention::expired_counts(self, alerts, samples)).await
    }

    async fn expire_alerts(&self, batch: ExpiryBatch) -> Result<Expired> {
        within(WHOLE, expiry::expire_alerts(self, batch)).await
    }

    async fn forget_alerts(&self, before: Time, limit: u32) -> Result<u64> {
        within(WHOLE, retention::forget_alerts(self, before, limit)).await
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

    async fn export(&self, scope: ExportScope) -> Result<Export> {
        within(WHOLE, export::export(self, scope)).await
    }

    async fn acquire_lease(&self, name: &str, holder: &str, ttl: Duration) -> Result<Option<i64>> {
        within(SHORT, lease::acquire(self, name, holder, ttl)).await
    }

    async fn release_lease(&self, name: &str, holder: &str) -> Result<()> {
        within(SHORT, lease::release(self, name, holder)).await
    }

    fn under(&self, fence: Fence) -> Arc<dyn Store> {
        Arc::new(Self { fence: Some(fence), ..self.clone() })
    }

    fn schema(&self) -> &dyn Schema {
        self
    }

    async fn embeddings(&self, hashes: Vec<String>, now: Time) -> Result<Vec<StoredEmbedding>> {
        within(SHORT, embeddings::of(self, &hashes, now)).await
    }

    async fn keep_embeddings(&self, embeddings: Vec<StoredEmbedding>, now: Time) -> Result<()> {
        within(LONG, embeddings::keep(self, &embeddings, now)).await
    }

    async fn close(&self) {
        self.watch.end();
        let clients = [self.client.clone(), self.probes.client().clone()];
        let shutdown = clients.map(|client| async { client.shutdown().await });
        drop(tokio::time::timeout(CLOSE, futures::future::join_all(shutdown)).await);
    }
}
