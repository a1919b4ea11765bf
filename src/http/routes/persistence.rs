//! What is kept: is it well, what happened, and all of it.

use std::time::{Duration, Instant};

use axum::response::Response;
use serde::Serialize;
use serde_json::json;
use tokio::sync::Mutex;

use super::super::extract::{Admin, Caller, GuardedRequest, Viewer};
use crate::{
    coordination::CoordinationStatus,
    history::{
        Aggregation, Historical,
        export::{Format, open_export},
    },
    http::{Error, export, json, state::App},
    model::Collection,
    security::Event,
};

/// How long a probe's result is told again, whatever the traffic.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// Is what is kept well?
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersistenceHealth {
    /// `healthy`; `degraded` if only Redis is away; `unhealthy` if the store is.
    status: &'static str,
    /// Whether the store answers.
    database: bool,
    /// `mongodb` or `sqlite`.
    backend: &'static str,
    /// The number of the newest applied migration, 0 if the store is away.
    schema_version: u32,
    /// How many collections are kept.
    collections: usize,
    /// Where replicas meet.
    coordination: CoordinationStatus,
}

/// The last probe.
#[derive(Default)]
pub struct ProbeCache(Mutex<Option<(Instant, PersistenceHealth)>>);

/// `GET /api/persistence/health`: probed at most once a second.
#[utoipa::path(get, path = "/api/persistence/health",
    responses((status = 200, body = PersistenceHealth)))]
pub async fn health(app: App, _: GuardedRequest) -> Result<Response, Error> {
    let mut cached = app.probe.0.lock().await;
    if let Some((at, health)) = cached.as_ref()
        && at.elapsed() < PROBE_EVERY
    {
        return json(health);
    }
    let health = probe(&app).await;
    let answer = json(&health);
    *cached = Some((Instant::now(), health));
    answer
}

async fn probe(app: &App) -> PersistenceHealth {
    let database = app.store.ping().await.is_ok();
    let coordination = app.coordination.status();
    let schema_version = match database {
        true => app.store.schema_version().await.unwrap_or(0),
        false => 0,
    };
    let status = match (database, coordination.status) {
        (false, _) => "unhealthy",
        (true, "healthy") => "healthy",
        (true, _) => "degraded",
    };
    PersistenceHealth {
        status,
        database,
        backend: app.store.backend().as_str(),
        schema_version,
        collections: Collection::ALL.len(),
        coordination,
    }
}

/// `GET /api/persistence/historical`: what happened in the last `days` days.
#[utoipa::path(get, path = "/api/persistence/historical",
    params(("days" = Option<u32>, Query, description = "1 to 365, 30 if not given"),
        ("metric" = Option<String>, Query, description = "up to 255 characters"),
        ("aggregation" = Option<String>, Query, description = "raw, hourly or daily")),
    responses((status = 200, body = Historical)))]
pub async fn historical(
    _: Caller<Viewer>,
    app: App,
    request: GuardedRequest,
) -> Result<Response, Error> {
    let mut parameters = request.parameters();
    let days = parameters.number("days", 1..=365).unwrap_or(30);
    let metric = parameters.text("metric", 255);
    let aggregation = parameters.one_of("aggregation", &Aggregation::NAMES).unwrap_or("raw");
    parameters.check().map_err(|rejection| request.context.invalid(&app, rejection))?;
    let metric = metric.as_deref().map(|name| (name, Aggregation::named(aggregation)));
    json(&app.totals.of_last(days, metric).await?)
}

/// `GET /api/persistence/export`: the data itself, streamed from one snapshot.
#[utoipa::path(get, path = "/api/persistence/export",
    params(("format" = Option<String>, Query, description = "json, ndjson or csv; json if not given"),
        ("collection" = Option<Vec<String>>, Query,
            description = "may repeat; all if not given; exactly one for csv")),
    responses((status = 200, description = "The data, as a file"),
        (status = 503, description = "Two exports are under way")))]
pub async fn export(
    caller: Caller<Admin>,
    app: App,
    request: GuardedRequest,
) -> Result<Response, Error> {
    let mut parameters = request.parameters();
    let format = parameters.one_of("format", &Format::NAMES).and_then(Format::named);
    let format = format.unwrap_or(Format::Json);
    let collections = parameters.collections("collection");
    if format == Format::Csv && collections.len() != 1 {
        parameters.wrong("collection", "csv is a table of exactly one collection".into());
    }
    parameters.check().map_err(|rejection| request.context.invalid(&app, rejection))?;
    let permit = app.exports.acquire()?;
    let names: Vec<_> = collections.iter().map(|collection| collection.name()).collect();
    let opened = open_export(app.store.as_ref(), app.clock.as_ref(), format, collections).await?;
    let details =
        json!({ "key": caller.key.label, "format": format.as_str(), "collections": names });
    request.context.audit_confirmed(&app, Event::DataExport, details).await?;
    Ok(export::response(opened, format, permit))
}
