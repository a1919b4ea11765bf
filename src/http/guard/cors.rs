//! Pages of other origins: denied unless listed.

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, header},
    middleware::{self, Next},
    response::Response,
};
use serde_json::json;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::{
    config::CorsSettings,
    http::{extract::RequestContext, state::App},
    security::Event,
    telemetry::ClientText,
};

/// Answers preflights and lets listed origins read answers; with none listed nothing is added,
/// and browsers deny.
pub fn around(router: Router, settings: &CorsSettings) -> Router {
    if settings.origins.is_empty() {
        return router;
    }
    router.layer(layer(settings)).layer(middleware::from_fn(finish_preflight))
}

fn layer(settings: &CorsSettings) -> CorsLayer {
    let origins = if any(settings) {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(settings.origins.iter().cloned())
    };
    let layer = CorsLayer::new()
        .allow_origin(origins)
        .allow_methods(settings.methods.clone())
        .allow_headers(settings.headers.clone())
        .expose_headers(settings.exposed.clone())
        .allow_credentials(settings.credentials);
    match settings.max_age {
        Some(age) => layer.max_age(age),
        None => layer,
    }
}

/// A preflight never comes to the guards, and is an answer like every other all the same.
async fn finish_preflight(request: Request, next: Next) -> Response {
    let preflight = request.method() == Method::OPTIONS;
    let mut response = next.run(request).await;
    if preflight {
        let headers = response.headers_mut();
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    response
}

fn any(settings: &CorsSettings) -> bool {
    settings.origins.iter().any(|origin| origin == "*")
}

/// The page that sends the request, if its origin is not one that may.
pub fn denied<'a>(app: &App, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    let allowed = any(&app.cors) || app.cors.origins.contains(origin) || own(origin, headers);
    (!allowed).then_some(origin)
}

/// Audits that a page asked for what it may not read.
pub fn note_denied(app: &App, context: &RequestContext, headers: &HeaderMap) {
    if let Some(origin) = denied(app, headers) {
        let origin = ClientText::of_bytes(origin.as_bytes());
        context.audit(app, Event::CorsDenied, json!({ "origin": origin }));
    }
}

/// A page that this very service served, as far as the browser tells.
fn own(origin: &HeaderValue, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    matches!((origin, host), (Some((_, origin)), Some(host)) if origin == host)
}
