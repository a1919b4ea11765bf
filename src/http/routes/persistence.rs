//! What is kept: is it well, what happened, and all of it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use axum::response::Response;
use serde::Serialize;
use serde_json::json;
use tokio::sync::Mutex;

use super::super::extract::{Admin, Caller, GuardedRequest, Viewer};
use crate::{
    coordination::CoordinationStatus,
    history::{
        Aggregation, Historical, HistoryFilter, Period,
        export::{Format, open_export},
    },
    http::{Error, export, json, parameters::Parameters, routes::openapi::Moment, state::App},
    model::{Collection, Time},
    security::Event,
    store::ExportScope,
};

/// The longest period of history, in days, and the usual one.
const DAYS_MOST: u32 = 365;
const DAYS_USUAL: u32 = 30;

/// How the alerts of a period may be broken down.
pub const BREAKDOWNS: [&str; 1] = ["daily"];

/// How long a probe's result is reused, whatever the traffic.
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
#[utoipa::path(get, path = "/api/persistence/health", operation_id = "getPersistenceHealth",
    responses((status = 200, description = "As the last probe found it", body = PersistenceHealth)))]
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
    let database = app.store.ping().await.is_ok() && app.store_health.is_up();
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

/// `GET /api/persistence/historical`: what happened in the last days, or in a period.
#[utoipa::path(get, path = "/api/persistence/historical", operation_id = "getHistory",
    params(("days" = Option<u32>, Query, minimum = 1, maximum = 365,
            description = "The last so many days, 30 if not given; not beside from and to"),
        ("from" = Option<Moment>, Query, description = "Instead of days; if not given, 30 days before to"),
        ("to" = Option<Moment>, Query,
            description = "Later than from, by at most 365 days; now if not given"),
        ("alertname" = Option<String>, Query, min_length = 1, max_length = 4096,
            description = "Counts alerts of this name and adds alertSeries"),
        ("metric" = Option<String>, Query, min_length = 1, max_length = 255,
            description = "Adds the series of this metric"),
        ("aggregation" = Option<String>, Query, description = "How series are put together; raw if not given. By hour and day, what is counted adds up over labels and replicas at each moment"),
        ("breakdown" = Option<String>, Query,
            description = "daily: adds alertDays, by severity, and topAlerts")),
    responses((status = 200, description = "Counts, and the series that were asked for", body = Historical)))]
pub async fn historical(
    _: Caller<Viewer>,
    app: App,
    request: GuardedRequest,
) -> Result<Response, Error> {
    let mut parameters = request.parameters();
    let period = period(&mut parameters, app.clock.now());
    let alertname = parameters.text("alertname", 4096);
    let metric = parameters.text("metric", 255);
    let aggregation = parameters.one_of("aggregation", &Aggregation::NAMES).unwrap_or("raw");
    let breakdown = parameters.one_of("breakdown", &BREAKDOWNS).is_some();
    parameters.check().map_err(|rejection| request.context.invalid(&app, rejection))?;
    let filter = HistoryFilter {
        breakdown,
        alertname: alertname.as_deref(),
        metric: metric.as_deref(),
        aggregation: Aggregation::named(aggregation),
    };
    let found = match period {
        Ok(period) => app.totals.of(period, filter).await,
        Err(days) => app.totals.of_last(days, filter).await,
    };
    json(&found?)
}

/// A period by its ends, or how many days until now.
fn period(parameters: &mut Parameters, now: Time) -> Result<Period, u32> {
    let days = parameters.number("days", 1..=DAYS_MOST);
    let (from, until) = parameters.period();
    if from.is_none() && until.is_none() {
        return Err(days.unwrap_or(DAYS_USUAL));
    }
    if days.is_some() {
        parameters.wrong("days", "excludes from and to".to_owned());
    }
    let period = match (from, until.unwrap_or(now)) {
        (Some(from), until) => Period::between(from, until),
        (None, until) => Period::before(until, DAYS_USUAL),
    };
    if period.start_date >= period.end_date {
        parameters.wrong("from", "must be before to, which is now if it is not given".to_owned());
    }
    if period.days > DAYS_MOST {
        parameters.wrong("from", format!("must be at most {DAYS_MOST} days before to"));
    }
    Ok(period)
}

/// All data, as JSON.
#[derive(utoipa::ToSchema)]
#[allow(dead_code)] // why: the form for the document; `open_export` writes it
#[schema(rename_all = "camelCase")]
pub struct ExportedData {
    /// When.
    export_date: String,
    /// The number of the newest applied migration.
    schema_version: u32,
    /// `mongodb` or `sqlite`.
    backend: String,
    /// How many documents each collection holds.
    collections: BTreeMap<String, u64>,
    /// How large the store is, in bytes.
    database_size_bytes: u64,
    /// The same in MB.
    #[schema(rename = "databaseSizeMB")]
    database_size_mb: String,
    /// The documents of each collection, as they are stored.
    data: BTreeMap<String, Vec<serde_json::Value>>,
}

/// `GET /api/persistence/export`: the data itself, streamed from one snapshot.
#[utoipa::path(get, path = "/api/persistence/export", operation_id = "exportData",
    params(("format" = Option<String>, Query, description = "As what; json if not given"),
        ("collection" = Option<Vec<String>>, Query,
            description = "May repeat; all if not given; exactly one for csv"),
        ("from" = Option<Moment>, Query, description = "Alerts first received and samples taken at or after"),
        ("to" = Option<Moment>, Query, description = "The same before; later than from")),
    responses((status = 200, description = "The data, as a file", content(
        (ExportedData = "application/json"), (String = "application/x-ndjson"),
        (String = "text/csv; charset=utf-8; header=present")))))]
pub async fn export(
    caller: Caller<Admin>,
    app: App,
    request: GuardedRequest,
) -> Result<Response, Error> {
    let mut parameters = request.parameters();
    let format = parameters.one_of("format", &Format::NAMES).and_then(Format::named);
    let format = format.unwrap_or(Format::Json);
    let collections = parameters.collections("collection");
    let (from, until) = parameters.period();
    if format == Format::Csv && collections.len() != 1 {
        parameters.wrong("collection", "csv is a table of exactly one collection".into());
    }
    parameters.check().map_err(|rejection| request.context.invalid(&app, rejection))?;
    let permit = app.exports.acquire().await?;
    let names: Vec<_> = collections.iter().map(|collection| collection.name()).collect();
    let mut details =
        json!({ "key": caller.key.label, "format": format.as_str(), "collections": names });
    for (name, time) in [("from", from), ("to", until)] {
        if let Some(time) = time {
            details[name] = time.to_string().into();
        }
    }
    let scope = ExportScope { collections, from, until };
    let opened = open_export(app.store.as_ref(), app.clock.as_ref(), format, scope).await?;
    request.context.audit_confirmed(&app, Event::DataExport, details).await?;
    Ok(export::response(opened, format, permit))
}
