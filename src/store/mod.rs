//! What the service keeps, and the one door to it.
//!
//! [`Store`] speaks in whole operations of the domain; each backend is a folder beside this file,
//! and what they share is written once: [`recording`] decides what a group of alerts changes,
//! [`migrate`] brings the schema up to date, [`observed`] counts and times every operation.
//! The promise: when a call that changes something returns `Ok`, the change survives a power cut.

pub mod changes;
pub mod embeddings;
pub mod error;
pub mod history;
pub mod lease;
pub mod listing;
pub mod migrate;
pub mod mongodb;
pub mod observed;
pub mod recording;
pub mod sqlite;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use futures::stream::BoxStream;

pub use self::{
    changes::{
        Changed, Committed, Edit, Edited, Expired, ExpiryBatch, Followed, Gathering, Group, Learn,
        Loaded, Looked, Pattern, Position,
    },
    embeddings::StoredEmbedding,
    error::{LeaseLost, Result, StoreError},
    history::{AlertBucket, AlertCounts, Bucket, Buckets, ExportScope, Issue, Stored},
    lease::{Fence, Lease},
    listing::{AlertFilter, AlertPage, ListPosition},
    recording::AssignedAlert,
};
use crate::model::{
    Collection, Consolidation, Entry, Figures, FiringAlert, MetricDay, Sample, Time,
};

/// Which backend a store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// MongoDB, or what speaks its protocol.
    Mongodb,
    /// A file of this machine.
    Sqlite,
}

impl Backend {
    /// The name in answers and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mongodb => "mongodb",
            Self::Sqlite => "sqlite",
        }
    }
}

/// The key in `system_state` of the meanings that severities were last read with.
const SEVERITY_WORDS: &str = "severity_words";

/// Everything of some collections at one moment.
pub struct Export {
    /// How many documents each collection holds in this snapshot.
    pub counts: Vec<(Collection, u64)>,
    /// The size of the whole database on disk, in bytes.
    pub database_bytes: u64,
    /// The documents as JSON texts, collection after collection in the order of `counts`, in
    /// pieces of bounded size. An error ends it.
    pub documents: BoxStream<'static, Result<(Collection, Vec<String>)>>,
}

/// Where alerts, knowledge and history are kept.
///
/// Every call may fail with [`StoreError::Unavailable`]: then trying again later is right, and all
/// changes are safe to repeat.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Which backend this is.
    fn backend(&self) -> Backend;

    /// Is it there and does it answer?
    async fn ping(&self) -> Result<()>;

    /// Can it take a write, and read it back? Writes and commits a heartbeat.
    async fn beat(&self) -> Result<()>;

    /// The number of the newest applied migration; 0 for an empty database.
    async fn schema_version(&self) -> Result<u32>;

    /// How many documents each collection holds, for the metrics.
    async fn collection_counts(&self) -> Result<Vec<(Collection, u64)>>;

    /// All entries and figures at one moment.
    async fn load(&self) -> Result<Loaded>;

    /// Ends when another process may have changed something since `position`: at once, where the
    /// store says so, else some time after it was asked. Groups may be written meanwhile.
    async fn changed(&self, position: Position) -> Changed;

    /// What other processes changed since `position`; what was `looked` at is not read again.
    async fn follow(&self, position: Position, looked: Option<Looked>) -> Result<Followed>;

    /// Writes a group; durable when it returns. It is closed when it begins to be written.
    async fn commit(&self, group: Arc<Gathering>) -> Result<Committed>;

    /// Whether a group that is handed over while another is written waits for its turn, so that
    /// it is decided on top of that one.
    fn queues(&self) -> bool;

    /// What the stored instances of these entries say; entries without any are left out.
    async fn figures(&self, entry_ids: Vec<String>) -> Result<HashMap<String, Figures>>;

    /// The entry of this id, without figures.
    async fn entry(&self, id: &str) -> Result<Option<Entry>>;

    /// All entries, without figures.
    async fn entries(&self) -> Result<Vec<Entry>>;

    /// How many alerts were first received at or after `since`.
    async fn received_since(&self, since: Time) -> Result<u64>;

    /// How many alerts fire now.
    async fn firing_alerts(&self) -> Result<u64>;

    /// Alerts of these entries that fire now, so many of each at most, the newest first; of more, some
    /// of the newest.
    async fn firing_of(&self, entries: Vec<(String, usize)>) -> Result<Vec<FiringAlert>>;

    /// Up to `limit` alerts that the filter admits, the newest first, after a position; `None`
    /// if that is no position of such a list.
    async fn list_alerts(
        &self,
        filter: AlertFilter,
        after: Option<ListPosition>,
        limit: usize,
    ) -> Result<Option<AlertPage>>;

    /// Metric samples taken in `from..until`, by name.
    async fn sample_counts(&self, from: Time, until: Time) -> Result<BTreeMap<String, u64>>;

    /// Alerts first received in `from..until`.
    async fn received_counts(&self, from: Time, until: Time) -> Result<AlertCounts>;

    /// The same of one name.
    async fn received_counts_of(&self, name: &str, from: Time, until: Time) -> Result<AlertCounts>;

    /// Alerts of one name in buckets, the latest `limit` of them, the latest first; empty ones
    /// are left out.
    async fn alert_buckets(
        &self,
        name: &str,
        buckets: Buckets,
        limit: usize,
    ) -> Result<Vec<AlertBucket>>;

    /// Alerts first received in `from..until` by name, cause and severity, in no order.
    async fn issues(&self, from: Time, until: Time) -> Result<Vec<Issue>>;

    /// Samples taken in `from..until`, summed up by name.
    async fn sample_days(&self, from: Time, until: Time) -> Result<BTreeMap<String, MetricDay>>;

    /// The latest `limit` samples of a metric taken in `from..until`, the earliest first.
    async fn samples(
        &self,
        name: &str,
        from: Time,
        until: Time,
        limit: usize,
    ) -> Result<Vec<Sample>>;

    /// The samples of a metric in buckets, the earliest first; empty ones are left out.
    async fn sample_buckets(&self, name: &str, buckets: Buckets) -> Result<Vec<Bucket>>;

    /// Consolidations of days that ended after `time`, the earliest first.
    async fn consolidations_after(&self, time: Time) -> Result<Vec<Consolidation>>;

    /// When the first alert that is kept was first received, or the first sample taken.
    async fn history_start(&self) -> Result<Option<Time>>;

    /// When the last alert was first received, or the last sample taken, of those until `until`.
    async fn newest_data(&self, until: Time) -> Result<Option<Time>>;

    /// What the store's own clock shows; `None` where it has none but this machine's.
    async fn clock(&self) -> Result<Option<Time>>;

    /// Which severities were sent by the stored alerts of each entry, as pairs; those without a
    /// severity by their labels `priority` or `level`.
    async fn sent_severities(&self) -> Result<Vec<(String, String)>>;

    /// The meanings of severity words that entries were last read with.
    async fn severity_words(&self) -> Result<Option<String>>;

    /// Notes them; an empty text if entries came from elsewhere.
    async fn note_severity_words(&self, signature: &str) -> Result<()>;

    /// Writes documents, each whole over the one with the same natural key; all in one
    /// transaction on SQLite, in any order on MongoDB.
    async fn put(&self, documents: Vec<Stored>) -> Result<()>;

    /// How many alerts were last received, and how many samples taken, before these times.
    async fn expired_counts(&self, alerts: Time, samples: Time) -> Result<(u64, u64)>;

    /// Deletes a batch of old alerts: what they say is added to the sums of their entries, and
    /// who they were is remembered for some time. A batch that a crash has cut is made whole by
    /// the next call.
    async fn expire_alerts(&self, batch: ExpiryBatch) -> Result<Expired>;

    /// Forgets who the alerts were that were deleted before this; how many.
    async fn forget_alerts(&self, before: Time, limit: u32) -> Result<u64>;

    /// Deletes up to `limit` samples taken before `before`, the oldest first.
    async fn expire_samples(&self, before: Time, limit: u32) -> Result<u64>;

    /// Those embeddings that are kept of these hashes.
    async fn embeddings(&self, hashes: Vec<String>, now: Time) -> Result<Vec<StoredEmbedding>>;

    /// Keeps embeddings; those that nobody asked for in three months are forgotten.
    async fn keep_embeddings(&self, embeddings: Vec<StoredEmbedding>, now: Time) -> Result<()>;

    /// When retention last ran to its end, as [`note_retention`](Store::note_retention) was told.
    async fn last_retention(&self) -> Result<Option<Time>>;

    /// Notes that retention ran to its end.
    async fn note_retention(&self, at: Time) -> Result<()>;

    /// A snapshot of these collections, to be streamed.
    async fn export(&self, scope: ExportScope) -> Result<Export>;

    /// Takes the lease `name` for `holder` until `ttl` from now, or prolongs it; `None` if
    /// another holder has it and it has not run out. The number says which taking this is:
    /// it rises whenever the lease is taken, and stays while it is prolonged.
    async fn acquire_lease(&self, name: &str, holder: &str, ttl: Duration) -> Result<Option<i64>>;

    /// Gives the lease back if `holder` has it.
    async fn release_lease(&self, name: &str, holder: &str) -> Result<()>;

    /// The same store for work under a lease: what changes something fails with
    /// [`StoreError::LeaseLost`], and changes nothing, once the lease has another number.
    fn under(&self, fence: Fence) -> Arc<dyn Store>;

    /// The side of the store that migrations work on.
    fn schema(&self) -> &dyn migrate::Schema;

    /// Finishes what is under way and closes.
    async fn close(&self);
}
