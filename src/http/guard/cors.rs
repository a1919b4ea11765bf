//! Pages of other origins: denied unless listed.

use axum::http::{HeaderMap, HeaderValue, header};
use serde_json::json;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::{
    config::CorsSettings,
    http::{extract::About, state::App},
    security::Event,
};

/// The layer that answers preflights and lets listed origins read answers; with none listed it
/// adds nothing, and browsers deny.
pub fn layer(
    settings: &CorsSettings,
) -> tower::util::Either<CorsLayer, tower::layer::util::Identity> {
    if settings.origins.is_empty() {
        return tower::util::Either::Right(tower::layer::util::Identity::new());
    }
    let origins = if any(settings) {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(settings.origins.iter().cloned())
    };
    let mut layer = CorsLayer::new()
        .allow_origin(origins)
        .allow_methods(settings.methods.clone())
        .allow_headers(settings.headers.clone())
        .expose_headers(settings.exposed.clone())
        .allow_credentials(settings.credentials);
    if let Some(age) = settings.max_age {
        layer = layer.max_age(age);
    }
    tower::util::Either::Left(layer)
}

fn any(settings: &CorsSettings) -> bool {
    settings.origins.iter().any(|origin| origin == "*")
}

/// Tells the audit log of a page that may not read what it asked for.
pub fn note_denied(app: &App, about: &About, headers: &HeaderMap) {
    let Some(origin) = headers.get(header::ORIGIN) else { return };
    let allowed = any(&app.cors) || app.cors.origins.contains(origin) || own(origin, headers);
    if !allowed {
        let origin = String::from_utf8_lossy(origin.as_bytes());
        about.audit(
            app,
            Event::CorsDenied,
            json!({ "origin": origin.get(..200).unwrap_or(&origin) }),
        );
    }
}

/// A page that this very service served, as far as the browser tells.
fn own(origin: &HeaderValue, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    matches!((origin, host), (Some((_, origin)), Some(host)) if origin == host)
}
