//! Which other origins' pages may call.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, Uri};

use super::reader::Reader;

/// Which other origins' pages may call; empty: none.
#[derive(Clone, Debug, Default)]
pub struct CorsSettings {
    /// `ORCHESTRATOR_CORS_ALLOWED_ORIGINS`.
    pub origins: Vec<HeaderValue>,
    /// `ORCHESTRATOR_CORS_ALLOWED_METHODS`.
    pub methods: Vec<Method>,
    /// `ORCHESTRATOR_CORS_ALLOWED_HEADERS`.
    pub headers: Vec<HeaderName>,
    /// `ORCHESTRATOR_CORS_EXPOSED_HEADERS`.
    pub exposed: Vec<HeaderName>,
    /// `ORCHESTRATOR_CORS_ALLOW_CREDENTIALS`.
    pub credentials: bool,
    /// `ORCHESTRATOR_CORS_MAX_AGE_SECONDS`.
    pub max_age: Option<Duration>,
}

const ORIGINS: &str = "ORCHESTRATOR_CORS_ALLOWED_ORIGINS";
const METHODS: &str = "ORCHESTRATOR_CORS_ALLOWED_METHODS";
const HEADERS: &str = "ORCHESTRATOR_CORS_ALLOWED_HEADERS";
const EXPOSED: &str = "ORCHESTRATOR_CORS_EXPOSED_HEADERS";

pub(super) fn read(reader: &mut Reader<'_>) -> CorsSettings {
    let header = |text: &str| text.parse::<HeaderName>().ok();
    let cors = CorsSettings {
        origins: reader.list(ORIGINS, "`*` or an origin such as `https://ops.example.org`", origin),
        methods: reader
            .list(METHODS, "an HTTP method", |text| text.to_ascii_uppercase().parse().ok()),
        headers: reader.list(HEADERS, "a header's name", header),
        exposed: reader.list(EXPOSED, "a header's name", header),
        credentials: reader.flag("ORCHESTRATOR_CORS_ALLOW_CREDENTIALS").unwrap_or_default(),
        max_age: reader
            .number("ORCHESTRATOR_CORS_MAX_AGE_SECONDS", 0..=86_400)
            .map(Duration::from_secs),
    };
    let wildcards = [
        (ORIGINS, cors.origins.iter().any(|origin| origin == "*")),
        (METHODS, cors.methods.iter().any(|method| method == "*")),
        (HEADERS, cors.headers.iter().any(|header| header == "*")),
        (EXPOSED, cors.exposed.iter().any(|header| header == "*")),
    ];
    for (name, _) in wildcards.iter().filter(|(_, wildcard)| *wildcard && cors.credentials) {
        reader.problem(name, "`*` cannot go together with ORCHESTRATOR_CORS_ALLOW_CREDENTIALS");
    }
    if cors.origins.len() > 1 && wildcards[0].1 {
        reader.problem(ORIGINS, "`*` must stand alone");
    }
    cors
}

/// Scheme, host and port exactly as browsers send them, or `*`.
fn origin(text: &str) -> Option<HeaderValue> {
    if text == "*" {
        return Some(HeaderValue::from_static("*"));
    }
    let uri: Uri = text.parse().ok()?;
    let (scheme, authority) = (uri.scheme()?, uri.authority()?);
    let exact = format!("{scheme}://{authority}").to_ascii_lowercase();
    let whole = text.eq_ignore_ascii_case(&exact) && !authority.as_str().contains('@');
    whole.then(|| HeaderValue::from_str(&exact).ok()).flatten()
}
