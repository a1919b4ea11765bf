//! The embedded store: one SQLite file of this machine.
//!
//! WAL with `synchronous=FULL`: a commit is on the disk when it returns. One thread owns the
//! connection that writes (`writer`); reads have connections of their own (`readers`) and
//! see the last commit.

mod alerts;
mod backup;
mod connection;
mod export;
mod history;
mod json;
mod knowledge;
#[cfg(test)]
mod plans;
mod put;
mod readers;
mod retention;
mod schema;
mod series;
mod state;
mod writer;

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;

pub use self::backup::backup;
use self::{connection::DatabaseFile, readers::Readers, writer::Writer};
use super::{
    AlertCounts, Backend, Bucket, Buckets, Expired, Export, Issue, Learn, PatternOf, Recording,
    Result, Store, Stored, migrate,
};
use crate::model::{
    Clock, Collection, Consolidation, Entry, EntryChange, MetricDay, ReceivedAlert, Sample,
    SystemClock, Time,
};

/// A store in one file.
pub struct SqliteStore {
    file: Arc<DatabaseFile>,
    writer: Writer,
    readers: Readers,
    clock: Arc<dyn Clock>,
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
        Ok(Self { readers: Readers::new(Arc::clone(&file)), file, writer, clock })
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

    async fn schema_version(&self) -> Result<u32> {
        self.readers.read(state::schema_version).await
    }

    async fn collection_counts(&self) -> Result<Vec<(Collection, u64)>> {
        self.readers.read(history::collection_counts).await
    }

    async fn record(&self, group: Arc<[ReceivedAlert]>, learn: Learn) -> Result<Recording> {
        self.writer.write(move |tx| alerts::record(tx, &group, &learn)).await
    }

    async fn entries(&self, since: Option<Time>) -> Result<Vec<Entry>> {
        self.readers.read(move |connection| knowledge::entries(connection, since)).await
    }

    async fn apply(&self, changes: Vec<EntryChange>) -> Result<()> {
        self.writer.write(move |tx| changes.iter().try_for_each(|c| knowledge::apply(tx, c))).await
    }

    async fn alert_counts(&self, since: Time) -> Result<AlertCounts> {
        self.readers.read(move |connection| history::alert_counts(connection, since)).await
    }

    async fn firing_alerts(&self) -> Result<u64> {
        self.readers.read(history::firing_alerts).await
    }

    async fn sample_counts(&self, since: Time) -> Result<BTreeMap<String, u64>> {
        self.readers.read(move |connection| history::sample_counts(connection, since)).await
    }

    async fn received_counts(&self, from: Time, until: Time) -> Result<AlertCounts> {
        self.readers.read(move |connection| history::received_counts(connection, from, until)).await
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

    async fn history_start(&self) -> Result<Option<Time>> {
        self.readers.read(history::history_start).await
    }

    async fn put(&self, documents: Vec<Stored>) -> Result<()> {
        self.writer.write(move |tx| put::put_all(tx, documents)).await
    }

    async fn expired_counts(&self, alerts: Time, samples: Time) -> Result<(u64, u64)> {
        self.readers
            .read(move |connection| retention::expired_counts(connection, alerts, samples))
            .await
    }

    async fn expire_alerts(
        &self,
        before: Time,
        limit: u32,
        pattern_of: PatternOf,
    ) -> Result<Expired> {
        self.writer.write(move |tx| retention::expire_alerts(tx, before, limit, pattern_of)).await
    }

    async fn expire_samples(&self, before: Time, limit: u32) -> Result<u64> {
        self.writer.write(move |tx| retention::expire_samples(tx, before, limit)).await
    }

    async fn last_retention(&self) -> Result<Option<Time>> {
        self.readers.read(retention::last).await
    }

    async fn note_retention(&self, at: Time) -> Result<()> {
        self.writer.write(move |tx| retention::note(tx, at)).await
    }

    async fn export(&self, collections: Vec<Collection>) -> Result<Export> {
        export::export(&self.file, collections).await
    }

    async fn acquire_lease(&self, name: &str, holder: &str, ttl: Duration) -> Result<bool> {
        let (name, holder, now) = (name.to_owned(), holder.to_owned(), self.clock.now());
        self.writer.write(move |tx| state::acquire_lease(tx, &name, &holder, now, ttl)).await
    }

    async fn release_lease(&self, name: &str, holder: &str) -> Result<()> {
        let (name, holder) = (name.to_owned(), holder.to_owned());
        self.writer.write(move |tx| state::release_lease(tx, &name, &holder)).await
    }

    fn schema(&self) -> &dyn migrate::Schema {
        self
    }

    async fn close(&self) {
        self.readers.close();
        self.writer.close().await;
    }
}
