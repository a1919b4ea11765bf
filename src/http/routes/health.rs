//! Is it alive, and does it take work?

use std::time::Duration;

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
    metrics: String,
    /// Where its knowledge is summed up.
    knowledge: String,
    /// Where its persistence is probed.
    persistence: String,
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
    let address = App::reachable(app.address);
    let metrics = app.metrics_address.map(App::reachable);
    let scheme = app.scheme;
    json(&Health {
        status,
        timestamp: app.clock.now().to_string(),
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: app.started.elapsed().as_secs(),
        metrics: metrics
            .map_or_else(String::new, |address| format!("{scheme}://{address}/metrics")),
        knowledge: format!("{scheme}://{address}/api/knowledge/summary"),
        persistence: format!("{scheme}://{address}/api/persistence/health"),
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
