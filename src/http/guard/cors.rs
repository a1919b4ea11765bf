//! Pages of other origins: denied unless listed.

use std::convert::Infallible;

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use serde_json::json;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::{Guarded, only_counted};
use crate::{
    config::CorsSettings,
    http::{extract::RequestContext, state::App},
    security::Event,
    telemetry::ClientText,
};

/// Lets listed origins read answers, and has `preflights` answer what browsers ask before they
/// call; with no origin listed nothing is added, and browsers deny.
pub fn around<S>(router: Router, settings: &CorsSettings, preflights: S) -> Router
where
    S: Service<Request, Response: IntoResponse, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
{
    if settings.origins.is_empty() {
        return router;
    }
    let apart = move |request: Request, next: Next| {
        let preflights = preflights.clone();
        async move {
            match request.method() == Method::OPTIONS {
                true => preflights.oneshot(request).await.map(IntoResponse::into_response),
                false => Ok(next.run(request).await),
            }
        }
    };
    router.layer(layer(settings)).layer(middleware::from_fn(apart))
}

/// The answer to a preflight. It stands behind the guards, like every other.
pub fn preflight(settings: &CorsSettings) -> Guarded {
    let nothing = service_fn(async |_| Ok::<_, Infallible>(Response::new(Body::empty())));
    let answers = layer(settings).layer(nothing);
    only_counted(move |request| {
        let answers = answers.clone();
        async move {
            let request = Request::from_parts(request.parts, request.body);
            answers.oneshot(request).await.map_err(|never| match never {})
        }
    })
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
