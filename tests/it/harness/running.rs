//! The service in this process.

use std::{net::SocketAddr, sync::Arc};

use orchestrator::{
    config::Settings,
    model::Clock,
    service::{Service, ServiceError},
    shutdown::Phase,
};
use serde_json::Value;
use tokio::task::JoinHandle;

use super::{
    actor::{Actor, Actors},
    eventually,
};

/// A service that runs until it is stopped or its test ends.
pub struct Running {
    address: SocketAddr,
    metrics: SocketAddr,
    phase: Phase,
    actors: Actors,
    run: JoinHandle<Result<(), ServiceError>>,
}

impl Running {
    pub async fn start(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, ServiceError> {
        let phase = Phase::default();
        let service = Service::start(settings, clock, phase.clone()).await?;
        let address = service.address();
        let metrics = service.metrics_address().expect("metrics listen");
        let run = tokio::spawn(service.run());
        Ok(Self { address, metrics, phase, actors: Actors::of(address), run })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its metrics are.
    pub fn metrics_address(&self) -> SocketAddr {
        self.metrics
    }

    /// Stops it and waits for its end.
    pub async fn stop(self) -> Result<(), ServiceError> {
        self.phase.drain();
        self.run.await.expect("the service does not panic")
    }

    /// The metrics as scraped.
    pub async fn scrape(&self) -> String {
        let answer = self.actors.at(self.metrics).get("/metrics").await;
        assert_eq!(answer.status, 200);
        answer.text()
    }

    /// One sample of the metrics: `name{labels}` as written there; 0 if it is not there.
    pub async fn sample(&self, series: &str) -> f64 {
        let text = self.scrape().await;
        let found = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        found.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Waits until what was asked is in the store.
    pub async fn written(&self) {
        eventually("nothing waits", async || {
            (self.sample("knowledge_unpersisted_entries").await == 0.0).then_some(())
        })
        .await;
    }

    /// Everything of one collection, as an admin exports it.
    pub async fn stored(&self, collection: &str) -> Vec<Value> {
        self.admin().stored(collection).await
    }

    /// The public page.
    pub async fn summary(&self) -> Value {
        self.anonymous().get("/api/knowledge/summary").await.json()
    }
}

/// The people who call it.
impl Running {
    pub fn anonymous(&self) -> Actor {
        self.actors.anonymous()
    }

    pub fn viewer(&self) -> Actor {
        self.actors.viewer()
    }

    pub fn operator(&self) -> Actor {
        self.actors.operator()
    }

    pub fn admin(&self) -> Actor {
        self.actors.admin()
    }

    pub fn alertmanager(&self) -> Actor {
        self.actors.alertmanager()
    }

    pub fn signer(&self) -> Actor {
        self.actors.signer()
    }

    pub fn bearer(&self, token: &str) -> Actor {
        self.actors.bearer(token)
    }
}
