//! What handlers and guards share: the domain behind the routes, and who may call.

use std::{net::SocketAddr, ops::Deref, sync::Arc, time::Instant};

use ipnet::IpNet;

use super::guard::{body_budget::BodyBudget, rate_limit::Limits};
use crate::{
    config::{AuditReads, CorsSettings},
    history::Totals,
    knowledge::Base,
    model::{Clock, SeverityWords},
    security::{AuditLog, KeyRing, Verifier, WebhookToken},
    shutdown::Phase,
    store::{Store, observed::StoreHealth},
    telemetry::Metrics,
};

/// Everything behind the routes; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<AppParts>);

/// The parts, put together by the composition root.
pub struct AppParts {
    /// What severity words mean.
    pub severity_words: SeverityWords,
    /// Knows, answers, and takes every change.
    pub base: Base,
    /// Counts over the history.
    pub totals: Totals,
    /// For exports and probes.
    pub store: Arc<dyn Store>,
    /// Whether the store is there.
    pub store_health: Arc<StoreHealth>,
    /// Where replicas meet.
    pub coordination: crate::coordination::Coordination,
    /// Bearer keys.
    pub keys: KeyRing,
    /// Webhook signatures.
    pub verifier: Verifier,
    /// The webhook token.
    pub webhook_token: WebhookToken,
    /// Who did what.
    pub audit: Arc<AuditLog>,
    /// Whether reads are audited, too.
    pub audit_reads: AuditReads,
    /// Figures.
    pub metrics: Arc<Metrics>,
    /// Requests per client and minute.
    pub limits: Limits,
    /// Whose `X-Forwarded-For` is read.
    pub trusted_proxies: Vec<IpNet>,
    /// Which other origins' pages may call.
    pub cors: CorsSettings,
    /// Largest body in bytes.
    pub body_limit: usize,
    /// Largest body of a webhook whose token is proven, in bytes.
    pub webhook_body_limit: usize,
    /// Room for all bodies together.
    pub bodies: BodyBudget,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Starting, serving or draining.
    pub phase: Phase,
    /// When the process began to serve.
    pub started: Instant,
    /// Where the metrics are, if anywhere.
    pub metrics_address: Option<SocketAddr>,
    /// Where this listens.
    pub address: SocketAddr,
    /// What `/health` leads to.
    pub links: super::routes::health::Links,
    /// The last probe of `/api/persistence/health`.
    pub probe: super::routes::persistence::ProbeCache,
    /// The right to export, for few at a time.
    pub exports: super::export::ExportPermits,
}

impl App {
    /// Shares the parts.
    pub fn new(parts: AppParts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for App {
    type Target = AppParts;

    fn deref(&self) -> &AppParts {
        &self.0
    }
}
