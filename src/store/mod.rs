//! What the service keeps, and the one door to it.
//!
//! [`Store`] speaks in whole operations of the domain; each backend is a folder beside this file,
//! and what they share is written once: [`recording`] decides what a group of alerts changes,
//! [`migrate`] brings the schema up to date, [`observed`] counts and times every operation.
//! The promise: when a call that changes something returns `Ok`, the change survives a power cut.

pub mod error;
pub mod migrate;
pub mod mongodb;
pub mod observed;
pub mod recording;
pub mod sqlite;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::stream::BoxStream;

pub use self::error::{Result, StoreError};
use crate::model::{Collection, Entry, EntryChange, Learning, ReceivedAlert, Recorded, Time};

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

/// Turns what recording a group of alerts did into what is learned from it. Called inside the
/// write, so that both happen together; a pure function, because a store may call it again.
pub type Learn = Arc<dyn Fn(&[ReceivedAlert], &[Recorded]) -> Vec<Learning> + Send + Sync>;

/// What came of recording a group of alerts.
#[derive(Debug)]
pub struct Recording {
    /// One for each alert of the group, in its order.
    pub outcomes: Vec<Recorded>,
    /// What was learned from them.
    pub learnings: Vec<Learning>,
    /// False if the alerts are durable but the learnings are not (a MongoDB without
    /// transactions that failed between the two): they are to be applied again later.
    pub learned: bool,
}

/// Alerts counted by when they were last received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertCounts {
    /// All of the period.
    pub total: u64,
    /// The same by the severity label.
    pub by_severity: BTreeMap<String, u64>,
}

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
/// Every call may fail with [`StoreError::Unavailable`]: then nothing is known to have changed,
/// and trying again later is right; all changes are safe to repeat except
/// [`apply`](Store::apply) of [`EntryChange::Learn`].
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Which backend this is.
    fn backend(&self) -> Backend;

    /// Is it there and does it answer?
    async fn ping(&self) -> Result<()>;

    /// The number of the newest applied migration; 0 for an empty database.
    async fn schema_version(&self) -> Result<u32>;

    /// How many documents each collection holds, for the metrics.
    async fn collection_counts(&self) -> Result<Vec<(Collection, u64)>>;

    /// Records a group of alerts and what is learned from them as one operation.
    async fn record(&self, group: Arc<[ReceivedAlert]>, learn: Learn) -> Result<Recording>;

    /// Entries of the knowledge base that changed at or after `since`; all if `None`.
    async fn entries(&self, since: Option<Time>) -> Result<Vec<Entry>>;

    /// Applies changes to the knowledge base, all or (on a MongoDB without transactions) in order.
    async fn apply(&self, changes: Vec<EntryChange>) -> Result<()>;

    /// Alerts last received at or after `since`.
    async fn alert_counts(&self, since: Time) -> Result<AlertCounts>;

    /// How many alerts fire now.
    async fn firing_alerts(&self) -> Result<u64>;

    /// Metric samples taken at or after `since`, by name.
    async fn sample_counts(&self, since: Time) -> Result<BTreeMap<String, u64>>;

    /// Consolidations of days at or after `since`.
    async fn consolidation_count(&self, since: Time) -> Result<u64>;

    /// A snapshot of these collections, to be streamed.
    async fn export(&self, collections: Vec<Collection>) -> Result<Export>;

    /// Takes the lease `name` for `holder` until `ttl` from now, or prolongs it; false if
    /// another holder has it and it has not run out.
    async fn acquire_lease(&self, name: &str, holder: &str, ttl: Duration) -> Result<bool>;

    /// Gives the lease back if `holder` has it.
    async fn release_lease(&self, name: &str, holder: &str) -> Result<()>;

    /// The side of the store that migrations work on.
    fn schema(&self) -> &dyn migrate::Schema;

    /// Finishes what is under way and closes.
    async fn close(&self);
}
