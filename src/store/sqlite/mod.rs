//! The embedded store: one SQLite file of this machine.
//!
//! WAL with `synchronous=FULL`: a commit is on the disk when it returns. One thread owns the
//! connection that writes (`writer`); reads have connections of their own (`readers`) and
//! see the last commit.

mod alerts;
mod backup;
mod checkpointer;
mod columns;
mod commit;
mod connection;
mod embeddings;
mod export;
mod figures;
mod functions;
mod history;
mod hours;
mod json;
mod knowledge;
mod listing;
mod log;
#[cfg(test)]
mod plans;
mod put;
mod readers;
mod retention;
mod schema;
mod series;
mod severities;
mod state;
mod writer;

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use rusqlite::{Connection, Transaction};

pub use self::backup::backup;
use self::{commit::commit, connection::DatabaseFile, readers::Readers, writer::Writer};
use super::{
    AlertBucket, AlertCounts, AlertFilter, AlertPage, Backend, Bucket, Buckets, Changed, Committed,
    Expired, ExpiryBatch, Export, ExportScope, Fence, Followed, Gathering, Issue, ListPosition,
    Loaded, Looked, Position, Result, SEVERITY_WORDS, Store, Stored, StoredEmbedding, migrate,
};
use crate::model::{
    Clock, Collection, Consolidation, Entry, Figures, FiringAlert, MetricDay, Sample, SystemClock,
    Time,
};

/// How often it is asked whether a command beside the service changed the file.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A store in one file.
#[derive(Clone)]
pub struct SqliteStore {
    file: Arc<DatabaseFile>,
    writer: Arc<Writer>,
    readers: Arc<Readers>,
    clock: Arc<dyn Clock>,
    /// The lease that this handle works under.
    fence: Option<Fence>,
}

impl SqliteStore {
    /// Opens the file, or makes it with its folder.
    ///
    /// A file that is no database, or cannot be read, is an error and stays as it is.
    pub async fn open(path: &Path) -> Result<Self> {
        Self::open_with_clock(path, Arc::new(SystemClock)).await
    }

    /// As [`open`](Self::open); the clock judges leases.
    pub async fn open_with_clock(path: &Path, clock: Arc<dyn Clock>) -> Result<Self> {
        let path = path.to_owned();
        let opened = tokio::task::spawn_blocking(move || -> Result<_> {
            let (file, connection) = DatabaseFile::open(&path)?;
            let file = Arc::new(file);
            let writer = Writer::start(Arc::clone(&file), connection)?;
            Ok((file, writer))
        });
        let (file, writer) = opened.await.map_err(super::StoreError::refused)??;
        let readers = Arc::new(Readers::new(Arc::clone(&file)));
        Ok(Self { readers, file, writer: Arc::new(writer), clock, fence: None })
    }

    /// Runs `work` in a transaction, which first makes sure of the lease that this handle works
    /// under.
    async fn write_fenced<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        Ok(self.writer.write(state::fenced(self.fence, work)).await??)
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn backend(&self) -> Backend {
        Backend::Sqlite
    }

    async fn ping(&self) -> Result<()> {
        self.file.check()?;
        self.writer.ping().await?;
        self.readers.read(connection::look).await
    }

    async fn beat(&self) -> Result<()> {
        self.writer.beat().await?;
        self.readers.read(connection::look).await
    }

    async fn schema_version(&self) -> Result<u32> {
        self.readers.read(state::schema_version).await
    }

    async fn collection_counts(&self) -> Result<Vec<(Collection, u64)>> {
        self.readers.read(history::collection_counts).await
    }

    /// The version of the data is asked for first: what is committed in between is then read
    /// twice rather than never.
    async fn load(&self) -> Result<Loaded> {
        let position = Position(self.writer.data_version().await?);
        self.readers
            .read(move |connection| {
                let entries = knowledge::entries(connection)?;
                Ok(Loaded { entries, figures: figures::all(connection)?, position })
            })
            .await
    }

    async fn changed(&self, _: Position) -> Changed {
        tokio::time::sleep(LOOK_EVERY).await;
        Changed::Perhaps(None)
    }

    async fn follow(&self, position: Position, _: Option<Looked>) -> Result<Followed> {
        if self.writer.data_version().await? == position.0 {
            return Ok(Followed::Nothing);
        }
        self.load().await.map(Followed::Everything)
    }

    async fn commit(&self, group: Arc<Gathering>) -> Result<Committed> {
        self.writer.write(move |tx| commit(tx, group.close())).await
    }

    fn queues(&self) -> bool {
        true
    }

    async fn figures(&self, entry_ids: Vec<String>) -> Result<HashMap<String, Figures>> {
        self.readers.read(move |connection| figures::of(connection, &entry_ids)).await
    }

    async fn entry(&self, id: &str) -> Result<Option<Entry>> {
        let id = id.to_owned();
        self.readers.read(move |connection| knowledge::get(connection, &id)).await
    }

    async fn entries(&self) -> Result<Vec<Entry>> {
        self.readers.read(knowledge::entries).await
    }

    async fn received_since(&self, since: Time) -> Result<u64> {
        self.readers.read(move |connection| history::received_since(connection, since)).await
    }

    async fn firing_alerts(&self) -> Result<u64> {
        self.readers.read(history::firing_alerts).await
    }

    async fn firing_of(&self, entries: Vec<(String, usize)>) -> Result<Vec<FiringAlert>> {
        self.readers.read(move |connection| alerts::firing_of(connection, &entries)).await
    }

    async fn list_alerts(
        &self,
        filter: AlertFilter,
        after: Option<ListPosition>,
        limit: usize,
    ) -> Result<Option<AlertPage>> {
        self.readers
            .read(move |connection| listing::alerts(connection, &filter, after.as_ref(), limit))
            .await
    }

    async fn sample_counts(&self, from: Time, until: Time) -> Result<BTreeMap<String, u64>> {
        self.readers.read(move |connection| history::sample_counts(connection, from, until)).await
    }

    async fn received_counts(&self, from: Time, until: Time) -> Result<AlertCounts> {
        self.readers.read(move |connection| history::received_counts(connection, from, until)).await
    }

    async fn received_counts_of(&self, name: &str, from: Time, until: Time) -> Result<AlertCounts> {
        let name = name.to_owned();
        let count = move |connection: &_| history::counts_of(connection, &name, from, until);
        self.readers.read(count).await
    }

    async fn alert_buckets(
        &self,
        name: &str,
        buckets: Buckets,
        limit: usize,
    ) -> Result<Vec<AlertBucket>> {
        let name = name.to_owned();
        let count = move |connection: &_| series::alerts(connection, &name, buckets, limit);
        self.readers.read(count).await
    }

    async fn issues(&self, from: Time, until: Time) -> Result<Vec<Issue>> {
        self.readers.read(move |connection| history::issues(connection, from, until)).await
    }

    async fn sample_days(&self, from: Time, until: Time) -> Result<BTreeMap<String, MetricDay>> {
        self.readers.read(move |connection| history::sample_days(connection, from, until)).await
    }

    async fn samples(
        &self,
        name: &str,
        from: Time,
        until: Time,
        limit: usize,
    ) -> Result<Vec<Sample>> {
        let name = name.to_owned();
        self.readers
            .read(move |connection| series::samples(connection, &name, from, until, limit))
            .await
    }

    async fn sample_buckets(&self, name: &str, buckets: Buckets) -> Result<Vec<Bucket>> {
        let name = name.to_owned();
        self.readers.read(move |connection| series::buckets(connection, &name, buckets)).await
    }

    async fn consolidations_after(&self, time: Time) -> Result<Vec<Consolidation>> {
        self.readers.read(move |connection| history::consolidations_after(connection, time)).await
    }

    async fn newest_data(&self, until: Time) -> Result<Option<Time>> {
        self.readers.read(move |connection| history::newest_data(connection, until)).await
    }

    async fn clock(&self) -> Result<Option<Time>> {
        Ok(None)
    }

    async fn history_start(&self) -> Result<Option<Time>> {
        self.readers.read(history::history_start).await
    }

    async fn sent_severities(&self) -> Result<Vec<(String, String)>> {
        self.readers.read(severities::sent).await
    }

    async fn severity_words(&self) -> Result<Option<String>> {
        self.readers.read(|connection| state::get(connection, SEVERITY_WORDS)).await
    }

    async fn note_severity_words(&self, signature: &str) -> Result<()> {
        let signature = signature.to_owned();
        self.writer.write(move |tx| state::put(tx, SEVERITY_WORDS, &signature)).await
    }

    async fn put(&self, documents: Vec<Stored>) -> Result<()> {
        // Whoever sums up days sums up those that nobody has summed up.
        let insert_days = self.fence.is_some();
        self.write_fenced(move |tx| put::put_all(tx, documents, insert_days)).await
    }

    async fn expired_counts(&self, alerts: Time, samples: Time) -> Result<(u64, u64)> {
        self.readers
            .read(move |connection| retention::expired_counts(connection, alerts, samples))
            .await
    }

    async fn expire_alerts(&self, batch: ExpiryBatch) -> Result<Expired> {
        self.write_fenced(move |tx| retention::expire_alerts(tx, batch)).await
    }

    async fn forget_alerts(&self, before: Time, limit: u32) -> Result<u64> {
        self.write_fenced(move |tx| retention::forget_alerts(tx, before, limit)).await
    }

    async fn expire_samples(&self, before: Time, limit: u32) -> Result<u64> {
        self.write_fenced(move |tx| retention::expire_samples(tx, before, limit)).await
    }

    async fn last_retention(&self) -> Result<Option<Time>> {
        self.readers.read(retention::last).await
    }

    async fn note_retention(&self, at: Time) -> Result<()> {
        self.write_fenced(move |tx| retention::note(tx, at)).await
    }

    async fn export(&self, scope: ExportScope) -> Result<Export> {
        export::export(&self.file, scope).await
    }

    async fn acquire_lease(&self, name: &str, holder: &str, ttl: Duration) -> Result<Option<i64>> {
        let (name, holder, now) = (name.to_owned(), holder.to_owned(), self.clock.now());
        self.writer.write(move |tx| state::acquire_lease(tx, &name, &holder, now, ttl)).await
    }

    async fn release_lease(&self, name: &str, holder: &str) -> Result<()> {
        let (name, holder) = (name.to_owned(), holder.to_owned());
        self.writer.write(move |tx| state::release_lease(tx, &name, &holder)).await
    }

    fn under(&self, fence: Fence) -> Arc<dyn Store> {
        Arc::new(Self { fence: Some(fence), ..self.clone() })
    }

    fn schema(&self) -> &dyn migrate::Schema {
        self
    }

    async fn embeddings(&self, hashes: Vec<String>, now: Time) -> Result<Vec<StoredEmbedding>> {
        let read = move |connection: &Connection| embeddings::of(connection, &hashes, now);
        let (found, old) = self.readers.read(read).await?;
        if !old.is_empty() {
            self.writer.write(move |tx| embeddings::mark(tx, &old, now)).await?;
        }
        Ok(found)
    }

    async fn keep_embeddings(&self, embeddings: Vec<StoredEmbedding>, now: Time) -> Result<()> {
        self.writer.write(move |tx| embeddings::keep(tx, &embeddings, now)).await
    }

    async fn close(&self) {
        self.readers.close();
        self.writer.close().await;
    }
}
