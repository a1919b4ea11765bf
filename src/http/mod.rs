//! The outside world: the route table, guards, and wire formats.
//!
//! [`routes()`] is the one list of what can be called: path → bucket → guard → handler → query
//! parameters. The router, the metrics' labels, the OpenAPI document and the test that walks every route as a
//! stranger all read it.

pub mod error;
pub mod etag;
pub mod export;
pub mod extract;
pub mod guard;
pub mod parameters;
pub mod routes;
pub mod server;
pub mod state;
pub mod web;

use std::{future::ready, sync::Arc};

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Method, StatusCode, header},
    response::Response,
    routing::{MethodFilter, on_service},
};
use serde::Serialize;
use tower::ServiceExt;
use tower_http::{
    CompressionLevel,
    compression::{CompressionLayer, predicate::SizeAbove},
};

pub use self::error::Error;
use self::{
    extract::{Admin, Operator, Viewer},
    guard::{
        Guarded, GuardedRoute, only_counted, rate_limit::Bucket, with_role, with_webhook_proof,
        without_guard,
    },
    parameters::Parameter::{self, Many, Once},
    routes::{alerts, auth, entries, health, knowledge, mcp, openapi, page, persistence, webhook},
    state::App,
};

/// One line of the table.
pub struct Route {
    /// How it is called.
    pub method: Method,
    /// Where; also the label of its metrics.
    pub path: &'static str,
    /// Which limit it counts against.
    pub bucket: Bucket,
    /// The query parameters that it knows; any other is a 400.
    pub parameters: &'static [Parameter],
    /// Who may call it, and what then happens.
    pub guarded: Guarded,
}

/// Every route of the main listener.
#[rustfmt::skip]
pub fn routes() -> Vec<Route> {
    use Bucket::{Api, Export, Health, Public, Webhook};
    vec![
        get ("/health",                     Health,  without_guard(health::health)),
        get ("/ready",                      Health,  without_guard(health::ready)),
        get ("/",                           Public,  without_guard(page::page)),
        get ("/assets/{edition}/{file}",    Public,  without_guard(page::asset)),
        get ("/api/openapi.json",           Public,  without_guard(openapi::document)),
        get ("/api/knowledge/summary",      Public,  without_guard(knowledge::summary)),
        get ("/api/persistence/health",     Health,  without_guard(persistence::health)),
        post("/webhook/alerts",             Webhook, with_webhook_proof(webhook::alerts)),
        get ("/api/alerts",                 Api,     with_role::<Viewer, _, _>(alerts::list))
            .query(&[
                Once("status"), Once("alertname"), Once("severity"), Many("label"),
                Once("fingerprint"), Once("from"), Once("to"), Once("limit"), Once("cursor"),
            ]),
        post("/api/knowledge/query",        Api,     with_role::<Operator, _, _>(knowledge::query)),
        post("/api/knowledge/entries",      Api,     with_role::<Operator, _, _>(entries::create)),
        get ("/api/knowledge/entries",      Api,     with_role::<Viewer, _, _>(entries::list))
            .query(&[
                Once("category"), Once("severity"), Once("tag"), Once("alertname"),
                Once("firing"), Once("sort"), Once("limit"), Once("cursor"),
            ]),
        get ("/api/knowledge/entries/{id}", Api,     with_role::<Viewer, _, _>(entries::read)),
        put ("/api/knowledge/entries/{id}", Api,     with_role::<Operator, _, _>(entries::replace)),
        patch("/api/knowledge/entries/{id}", Api,    with_role::<Operator, _, _>(entries::patch)),
        delete("/api/knowledge/entries/{id}", Api,   with_role::<Operator, _, _>(entries::delete)),
        post("/api/knowledge/entries/{id}/notes", Api, with_role::<Operator, _, _>(entries::note)),
        post("/api/knowledge/entries/{id}/feedback", Api, with_role::<Operator, _, _>(entries::feedback)),
        get ("/api/knowledge/export",       Export,  with_role::<Admin, _, _>(knowledge::export))
            .query(&[Once("format")]),
        get ("/api/persistence/historical", Api,     with_role::<Viewer, _, _>(persistence::historical))
            .query(&[
                Once("days"), Once("from"), Once("to"), Once("alertname"), Once("metric"),
                Once("aggregation"), Once("breakdown"),
            ]),
        get ("/api/persistence/export",     Export,  with_role::<Admin, _, _>(persistence::export))
            .query(&[Once("format"), Many("collection"), Once("from"), Once("to")]),
        get ("/api/auth/me",                Api,     with_role::<Viewer, _, _>(auth::me)),
        // Its tools are routes of this table, under their own roles.
        post("/mcp",                        Api,     with_role::<Viewer, _, _>(mcp::message)),
    ]
}

impl Route {
    fn new(method: Method, path: &'static str, bucket: Bucket, guarded: Guarded) -> Self {
        Self { method, path, bucket, parameters: &[], guarded }
    }

    /// The same, with query parameters.
    fn query(self, parameters: &'static [Parameter]) -> Self {
        Self { parameters, ..self }
    }
}

fn get(path: &'static str, bucket: Bucket, guarded: Guarded) -> Route {
    Route::new(Method::GET, path, bucket, guarded)
}

fn post(path: &'static str, bucket: Bucket, guarded: Guarded) -> Route {
    Route::new(Method::POST, path, bucket, guarded)
}

fn put(path: &'static str, bucket: Bucket, guarded: Guarded) -> Route {
    Route::new(Method::PUT, path, bucket, guarded)
}

fn patch(path: &'static str, bucket: Bucket, guarded: Guarded) -> Route {
    Route::new(Method::PATCH, path, bucket, guarded)
}

fn delete(path: &'static str, bucket: Bucket, guarded: Guarded) -> Route {
    Route::new(Method::DELETE, path, bucket, guarded)
}

/// The router of the main listener.
pub fn router(app: &App) -> Router {
    let mut router = Router::new();
    for Route { method, path, bucket, parameters, guarded } in routes() {
        let metrics = app.metrics.route(path, &method);
        let filter = MethodFilter::try_from(method).unwrap_or(MethodFilter::GET);
        let service = guard::stack(app, GuardedRoute { bucket, parameters, metrics, guarded });
        router = router.route(path, on_service(filter, service));
    }
    // What matches no route is counted all the same, or it would be the cheapest way to flood.
    let unmatched = |method: Method, guarded: Guarded| {
        let metrics = app.metrics.route("unmatched", &method);
        let bucket = Bucket::Public;
        guard::stack(app, GuardedRoute { bucket, parameters: &[], metrics, guarded })
    };
    let not_allowed = unmatched(Method::GET, only_counted(|_| ready(Err(Error::MethodNotAllowed))));
    let router = router
        .method_not_allowed_fallback(move |request| not_allowed.clone().oneshot(request))
        .fallback_service(unmatched(Method::GET, only_counted(|_| ready(Err(Error::NotFound)))));
    let preflights = unmatched(Method::OPTIONS, guard::cors::preflight(&app.cors));
    guard::cors::around(router, &app.cors, preflights)
}

/// The router of the metrics' own listener.
pub fn metrics_router(metrics: Arc<crate::telemetry::Metrics>) -> Router {
    let render = move || {
        let text = metrics.render();
        async move {
            let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            ([(header::CONTENT_TYPE, kind)], text)
        }
    };
    Router::new().route("/metrics", axum::routing::get(render)).layer(compression())
}

/// gzip, for who takes it, from this many bytes on.
pub fn compression() -> CompressionLayer<SizeAbove> {
    CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(SizeAbove::new(1025))
}

/// Headers that an answer has, about.
const HEADERS: usize = 12;

/// An answer of JSON text.
pub fn json_response(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    // Room for what guards and layers add.
    response.headers_mut().reserve(HEADERS);
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// An answer of 304: the caller has it already.
pub fn not_modified() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response
}

/// An answer of 200 with `value` as JSON.
pub fn json<T: Serialize>(value: &T) -> Result<Response, Error> {
    json_with(StatusCode::OK, value)
}

/// An answer with `value` as JSON.
pub fn json_with<T: Serialize>(status: StatusCode, value: &T) -> Result<Response, Error> {
    let body = serde_json::to_vec(value).map_err(|error| Error::Internal(Arc::new(error)))?;
    Ok(json_response(status, body))
}
