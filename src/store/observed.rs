//! Times and counts every operation of a store, and knows whether the store is there.
//!
//! An outage is logged once when it begins, with its cause, and once when it is over; in between
//! `store_errors_total` counts.

mod health;

use std::{
    collections::{BTreeMap, HashMap},
    future::Future,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use tokio::time::Instant;

pub use self::health::StoreHealth;
use super::{
    AlertBucket, AlertCounts, AlertFilter, AlertPage, Backend, Bucket, Buckets, Changed, Committed,
    Expired, ExpiryBatch, Export, ExportScope, Fence, Followed, Gathering, Issue, ListPosition,
    Loaded, Looked, Position, Result, Store, StoreError, Stored, StoredEmbedding, migrate::Schema,
};
use crate::{
    model::{Collection, Consolidation, Entry, Figures, FiringAlert, MetricDay, Sample, Time},
    telemetry::Metrics,
};

/// A store whose operations are instrumented.
pub struct InstrumentedStore {
    inner: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    health: Arc<StoreHealth>,
}

impl InstrumentedStore {
    /// Observes `inner`, which is taken to be up: it has just been opened.
    pub fn new(inner: Arc<dyn Store>, metrics: Arc<Metrics>) -> Self {
        metrics.store_up.set(1);
        Self { inner, metrics, health: Arc::new(StoreHealth::default()) }
    }

    /// Whether the store is there, as its last operation found it.
    pub fn health(&self) -> Arc<StoreHealth> {
        self.health.clone()
    }

    /// What is written ends an outage. What is read does not: a full disk can be read.
    fn show_health(&self) {
        self.metrics.store_up.set(self.health.is_up().into());
    }

    async fn observe<T>(
        &self,
        operation: &str,
        running: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let started = Instant::now();
        let result = running.await;
        let seconds = started.elapsed().as_secs_f64();
        self.metrics
            .store_operation_duration_seconds
            .with_label_values(&[operation])
            .observe(seconds);
        if let Err(error) = &result {
            note(&self.metrics, &self.health, operation, error);
        }
        result
    }
}

/// How long a write vouches for the store.
const BEAT_EVERY: Duration = Duration::from_millis(1500);

/// Counts a failure and keeps the health. A store that refuses is there.
fn note(metrics: &Metrics, health: &StoreHealth, operation: &str, error: &StoreError) {
    metrics.store_errors_total.with_label_values(&[operation]).inc();
    if error.is_unavailable() {
        health.went_down(error);
        metrics.store_up.set(0);
    }
}

#[async_trait]
impl Store for InstrumentedStore {
    fn backend(&self) -> Backend {
        self.inner.backend()
    }

    async fn ping(&self) -> Result<()> {
        self.observe("ping", self.inner.ping()).await
    }

    /// Only if nothing else was written lately: what was written vouches for the next moment.
    async fn beat(&self) -> Result<()> {
        if self.health.written_within(BEAT_EVERY) {
            return Ok(());
        }
        let begun = Instant::now();
        self.observe("beat", self.inner.beat()).await?;
        self.health.beat(begun);
        self.show_health();
        Ok(())
    }

    async fn schema_version(&self) -> Result<u32> {
        self.observe("schema_version", self.inner.schema_version()).await
    }

    async fn collection_counts(&self) -> Result<Vec<(Collection, u64)>> {
        self.observe("collection_counts", self.inner.collection_counts()).await
    }

    async fn load(&self) -> Result<Loaded> {
        self.observe("load", self.inner.load()).await
    }

    async fn follow(&self, position: Position, looked: Option<Looked>) -> Result<Followed> {
        self.observe("follow", self.inner.follow(position, looked)).await
    }

    async fn commit(&self, group: Arc<Gathering>) -> Result<Committed> {
        let begun = Instant::now();
        let result = self.observe("commit", self.inner.commit(group)).await;
        match &result {
            Ok(_) => self.health.committed(begun, true),
            Err(error) if error.is_unavailable() => self.health.committed(begun, false),
            // It is there, and what it takes is not told by what it refuses.
            Err(_) => {}
        }
        self.show_health();
        result
    }

    fn queues(&self) -> bool {
        self.inner.queues()
    }

    async fn figures(&self, entry_ids: Vec<String>) -> Result<HashMap<String, Figures>> {
        self.observe("figures", self.inner.figures(entry_ids)).await
    }

    async fn entry(&self, id: &str) -> Result<Option<Entry>> {
        self.observe("entry", self.inner.entry(id)).await
    }

    async fn entries(&self) -> Result<Vec<Entry>> {
        self.observe("entries", self.inner.entries()).await
    }

    async fn received_since(&self, since: Time) -> Result<u64> {
        self.observe("received_since", self.inner.received_since(since)).await
    }

    async fn firing_alerts(&self) -> Result<u64> {
        self.observe("firing_alerts", self.inner.firing_alerts()).await
    }

    async fn firing_of(&self, entries: Vec<(String, usize)>) -> Result<Vec<FiringAlert>> {
        self.observe("firing_of", self.inner.firing_of(entries)).await
    }

    async fn list_alerts(
        &self,
        filter: AlertFilter,
        after: Option<ListPosition>,
        limit: usize,
    ) -> Result<Option<AlertPage>> {
        self.observe("list_alerts", self.inner.list_alerts(filter, after, limit)).await
    }

    async fn sample_counts(&self, from: Time, until: Time) -> Result<BTreeMap<String, u64>> {
        self.observe("sample_counts", self.inner.sample_counts(from, until)).await
    }

    async fn received_counts(&self, from: Time, until: Time) -> Result<AlertCounts> {
        self.observe("received_counts", self.inner.received_counts(from, until)).await
    }

    async fn received_counts_of(&self, name: &str, from: Time, until: Time) -> Result<AlertCounts> {
        self.observe("received_counts_of", self.inner.received_counts_of(name, from, until)).await
    }

    async fn alert_buckets(
        &self,
        name: &str,
        buckets: Buckets,
        limit: usize,
    ) -> Result<Vec<AlertBucket>> {
        self.observe("alert_buckets", self.inner.alert_buckets(name, buckets, limit)).await
    }

    async fn issues(&self, from: Time, until: Time) -> Result<Vec<Issue>> {
        self.observe("issues", self.inner.issues(from, until)).await
    }

    async fn sample_days(&self, from: Time, until: Time) -> Result<BTreeMap<String, MetricDay>> {
        self.observe("sample_days", self.inner.sample_days(from, until)).await
    }

    async fn samples(
        &self,
        name: &str,
        from: Time,
        until: Time,
        limit: usize,
    ) -> Result<Vec<Sample>> {
        self.observe("samples", self.inner.samples(name, from, until, limit)).await
    }

    async fn sample_buckets(&self, name: &str, buckets: Buckets) -> Result<Vec<Bucket>> {
        self.observe("sample_buckets", self.inner.sample_buckets(name, buckets)).await
    }

    async fn consolidations_after(&self, time: Time) -> Result<Vec<Consolidation>> {
        self.observe("consolidations_after", self.inner.consolidations_after(time)).await
    }

    async fn newest_data(&self, until: Time) -> Result<Option<Time>> {
        self.observe("newest_data", self.inner.newest_data(until)).await
    }

    async fn clock(&self) -> Result<Option<Time>> {
        self.observe("clock", self.inner.clock()).await
    }

    async fn history_start(&self) -> Result<Option<Time>> {
        self.observe("history_start", self.inner.history_start()).await
    }

    async fn sent_severities(&self) -> Result<Vec<(String, String)>> {
        self.observe("sent_severities", self.inner.sent_severities()).await
    }

    async fn severity_words(&self) -> Result<Option<String>> {
        self.observe("severity_words", self.inner.severity_words()).await
    }

    async fn note_severity_words(&self, signature: &str) -> Result<()> {
        self.observe("note_severity_words", self.inner.note_severity_words(signature)).await
    }

    async fn put(&self, documents: Vec<Stored>) -> Result<()> {
        self.observe("put", self.inner.put(documents)).await
    }

    async fn expired_counts(&self, alerts: Time, samples: Time) -> Result<(u64, u64)> {
        self.observe("expired_counts", self.inner.expired_counts(alerts, samples)).await
    }

    async fn expire_alerts(&self, batch: ExpiryBatch) -> Result<Expired> {
        self.observe("expire_alerts", self.inner.expire_alerts(batch)).await
    }

    async fn forget_alerts(&self, before: Time, limit: u32) -> Result<u64> {
        self.observe("forget_alerts", self.inner.forget_alerts(before, limit)).await
    }

    async fn expire_samples(&self, before: Time, limit: u32) -> Result<u64> {
        self.observe("expire_samples", self.inner.expire_samples(before, limit)).await
    }

    async fn last_retention(&self) -> Result<Option<Time>> {
        self.observe("last_retention", self.inner.last_retention()).await
    }

    async fn note_retention(&self, at: Time) -> Result<()> {
        self.observe("note_retention", self.inner.note_retention(at)).await
    }

    async fn changed(&self, position: Position) -> Changed {
        self.inner.changed(position).await
    }

    /// The time is that to the first document; a failure on the way counts too.
    async fn export(&self, scope: ExportScope) -> Result<Export> {
        let export = self.observe("export", self.inner.export(scope)).await?;
        let (metrics, health) = (self.metrics.clone(), self.health.clone());
        let documents = export.documents.inspect_err(move |e| note(&metrics, &health, "export", e));
        Ok(Export { documents: documents.boxed(), ..export })
    }

    async fn acquire_lease(&self, name: &str, holder: &str, ttl: Duration) -> Result<Option<i64>> {
        self.observe("acquire_lease", self.inner.acquire_lease(name, holder, ttl)).await
    }

    async fn release_lease(&self, name: &str, holder: &str) -> Result<()> {
        self.observe("release_lease", self.inner.release_lease(name, holder)).await
    }

    fn under(&self, fence: Fence) -> Arc<dyn Store> {
        let (metrics, health) = (Arc::clone(&self.metrics), Arc::clone(&self.health));
        Arc::new(Self { inner: self.inner.under(fence), metrics, health })
    }

    fn schema(&self) -> &dyn Schema {
        self.inner.schema()
    }

    async fn embeddings(&self, hashes: Vec<String>, now: Time) -> Result<Vec<StoredEmbedding>> {
        self.observe("embeddings", self.inner.embeddings(hashes, now)).await
    }

    async fn keep_embeddings(&self, embeddings: Vec<StoredEmbedding>, now: Time) -> Result<()> {
        self.observe("keep_embeddings", self.inner.keep_embeddings(embeddings, now)).await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_store_that_is_away_is_down_and_every_failure_is_counted() {
        let (metrics, health) = (Metrics::new().unwrap(), StoreHealth::default());
        let errors = || metrics.store_errors_total.with_label_values(&["ping"]).get();
        note(&metrics, &health, "ping", &StoreError::refused("no"));
        assert_eq!((errors(), health.is_up()), (1, true));
        note(&metrics, &health, "ping", &StoreError::unavailable("away"));
        note(&metrics, &health, "ping", &StoreError::refused("no"));
        assert_eq!((errors(), metrics.store_up.get(), health.is_up()), (3, 0, false));
    }
}
