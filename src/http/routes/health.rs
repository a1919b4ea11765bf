//! Is it alive, and does it take work?

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{http::StatusCode, response::Response};
use serde::Serialize;

use crate::http::{Error, extract::GuardedRequest, json, json_with, state::App};

/// How long the store may take no write before the service says that it is not ready.
const UNREADY_AFTER: Duration = Duration::from_secs(5);

/// Liveness.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// `healthy`, `degraded` (the store is away now) or `draining`.
    status: &'static str,
    /// Now, RFC 3339.
    timestamp: String,
    /// The program's version.
    version: &'static str,
    /// How long it has been serving.
    uptime_seconds: u64,
    /// Where its metrics are; empty if they are off.
    #[schema(value_type = String)]
    metrics: Arc<str>,
    /// Where its knowledge is summed up.
    #[schema(value_type = String)]
    knowledge: Arc<str>,
    /// Where its persistence is probed.
    #[schema(value_type = String)]
    persistence: Arc<str>,
}

/// Where else the service can be asked; the same for as long as it runs.
#[derive(Clone, Debug)]
pub struct Links {
    metrics: Arc<str>,
    knowledge: Arc<str>,
    persistence: Arc<str>,
}

impl Links {
    /// Of a service that listens at `address`, and for scrapers at `metrics`.
    pub fn new(scheme: &str, address: SocketAddr, metrics: Option<SocketAddr>) -> Self {
        let at = |address: SocketAddr, path: &str| {
            let address = SocketAddr::new(reachable(address.ip()), address.port());
            format!("{scheme}://{address}{path}").into()
        };
        Self {
            metrics: metrics.map_or_else(Arc::default, |metrics| at(metrics, "/metrics")),
            knowledge: at(address, "/api/knowledge/summary"),
            persistence: at(address, "/api/persistence/health"),
        }
    }
}

/// Where a listener on `host` can be reached from this machine.
pub fn reachable(host: IpAddr) -> IpAddr {
    match host {
        IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host => host,
    }
}

/// Readiness.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Ready {
    /// `ready`.
    status: &'static str,
}

/// `GET /health`: 200 as long as the process serves; touches no store.
#[utoipa::path(get, path = "/health", operation_id = "getHealth",
    responses((status = 200, description = "It serves", body = Health)))]
pub async fn health(app: App, _: GuardedRequest) -> Result<Response, Error> {
    let status = match (app.phase.is_draining(), app.store_health.is_up()) {
        (true, _) => "draining",
        (false, true) => "healthy",
        (false, false) => "degraded",
    };
    let Links { metrics, knowledge, persistence } = app.links.clone();
    json(&Health {
        status,
        timestamp: app.clock.now().to_string(),
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: app.started.elapsed().as_secs(),
        metrics,
        knowledge,
        persistence,
    })
}

/// `GET /ready`: 503 while starting or draining, or when the store has taken no write for 5 s.
#[utoipa::path(get, path = "/ready", operation_id = "getReadiness",
    responses((status = 200, description = "It takes work", body = Ready)))]
pub async fn ready(app: App, _: GuardedRequest) -> Result<Response, Error> {
    if app.phase.is_draining() {
        return Err(Error::unavailable("The service is draining"));
    }
    if !app.phase.is_serving() {
        return Err(Error::unavailable("The service is starting"));
    }
    if !app.store_health.written_within(UNREADY_AFTER) {
        return Err(Error::unavailable("The store takes no writes"));
    }
    json_with(StatusCode::OK, &Ready { status: "ready" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_address_is_asked_on_this_machine() {
        assert_eq!(reachable("0.0.0.0".parse().unwrap()), Ipv4Addr::LOCALHOST);
        assert_eq!(reachable("::".parse().unwrap()), Ipv6Addr::LOCALHOST);
        assert_eq!(reachable("10.1.2.3".parse().unwrap()), Ipv4Addr::new(10, 1, 2, 3));
    }
}
