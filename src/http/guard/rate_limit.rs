//! Requests per client and minute, by `tower_governor`'s generic cell rate algorithm.
//!
//! A bucket of N is a burst of N that refills evenly over a minute. Its headers are translated
//! into the contract's, and its refusal into our error form.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Request, StatusCode, header},
    response::Response,
};
use governor::middleware::StateInformationMiddleware;
use serde_json::json;
use tower_governor::{
    GovernorError, GovernorLayer,
    governor::{GovernorConfig, GovernorConfigBuilder},
    key_extractor::KeyExtractor,
};

use super::client_ip::client_key;
use crate::{
    config::LimitSettings,
    http::{Error, extract::About, state::App},
    security::{Event, bearer},
};

const MINUTE: Duration = Duration::from_secs(60);

/// What a route counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bucket {
    /// Alerts coming in.
    Webhook,
    /// Questions and figures.
    Api,
    /// Taking everything out.
    Export,
    /// The public pages.
    Public,
    /// Liveness and readiness.
    Health,
    /// Failed authentications.
    AuthFailure,
}

impl Bucket {
    /// All buckets.
    pub const ALL: [Self; 6] =
        [Self::Webhook, Self::Api, Self::Export, Self::Public, Self::Health, Self::AuthFailure];

    /// The name in metrics and the audit log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Api => "api",
            Self::Export => "export",
            Self::Public => "public",
            Self::Health => "health",
            Self::AuthFailure => "auth_failure",
        }
    }

    fn per_minute(self, settings: &LimitSettings) -> u32 {
        match self {
            Self::Webhook => settings.webhook,
            Self::Api => settings.api,
            Self::Export => settings.export,
            Self::Public => settings.public,
            Self::Health => settings.health,
            Self::AuthFailure => settings.auth_failure,
        }
    }
}

/// Finds whom a request counts against: the client that the guard before has found.
#[derive(Clone, Copy, Debug)]
pub struct ByClient;

impl KeyExtractor for ByClient {
    type Key = std::net::IpAddr;

    fn extract<T>(&self, request: &Request<T>) -> Result<Self::Key, GovernorError> {
        let about = request.extensions().get::<About>();
        about.map(|about| client_key(about.client)).ok_or(GovernorError::UnableToExtractKey)
    }
}

type Config = Arc<GovernorConfig<ByClient, StateInformationMiddleware>>;
type Layer = GovernorLayer<ByClient, StateInformationMiddleware, Body>;

/// All buckets that are switched on.
pub struct Limits(Vec<(Bucket, u32, Config)>);

impl Limits {
    /// Buckets as set; 0 switches one off.
    pub fn new(settings: &LimitSettings) -> Self {
        let on = Bucket::ALL.into_iter().filter_map(|bucket| {
            let limit = bucket.per_minute(settings);
            // `per_second(n)` would mean one request every n seconds.
            let period = MINUTE.checked_div(limit)?;
            let config = GovernorConfigBuilder::default()
                .key_extractor(ByClient)
                .period(period)
                .burst_size(limit)
                .use_headers()
                .finish()?;
            Some((bucket, limit, Arc::new(config)))
        });
        Self(on.collect())
    }

    fn get(&self, bucket: Bucket) -> Option<(u32, &Config)> {
        let found = self.0.iter().find(|(known, ..)| *known == bucket);
        found.map(|(_, limit, config)| (*limit, config))
    }

    /// The layer that counts against a bucket, if it is switched on.
    pub fn layer(&self, bucket: Bucket) -> Option<Layer> {
        let (_, config) = self.get(bucket)?;
        Some(GovernorLayer::new(Arc::clone(config)).error_handler(refusal))
    }

    /// Forgets clients whose buckets are full again, so that memory stays bounded.
    pub fn forget_rested_clients(&self) {
        for (_, _, config) in &self.0 {
            config.limiter().retain_recent();
            config.limiter().shrink_to_fit();
        }
    }

    /// How many clients are remembered.
    pub fn clients(&self) -> usize {
        self.0.iter().map(|(_, _, config)| config.limiter().len()).sum()
    }
}

/// Marks a refusal of the limiter on its way out to [`finish`].
#[derive(Clone, Copy)]
struct Refused {
    wait_seconds: u64,
}

fn refusal(error: GovernorError) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    match error {
        GovernorError::TooManyRequests { wait_time, headers } => {
            *response.headers_mut() = headers.unwrap_or_default();
            // The limiter cuts the fraction; waiting that long would be too short.
            response.extensions_mut().insert(Refused { wait_seconds: wait_time + 1 });
        }
        _ => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
    }
    response
}

/// What a request presents that decides how it is refused; kept while the request is consumed.
pub struct Presented {
    bucket: Option<Bucket>,
    authorization: Option<HeaderValue>,
    signed: bool,
}

impl Presented {
    /// Of this request.
    pub fn of(bucket: Option<Bucket>, request: &Request<Body>) -> Self {
        let headers = request.headers();
        let webhook = bucket == Some(Bucket::Webhook);
        let authorization = headers.get(header::AUTHORIZATION).filter(|_| webhook).cloned();
        Self { bucket, authorization, signed: headers.contains_key("x-webhook-signature") }
    }

    /// Alertmanager retries 5xx, but drops the notification on 429.
    fn is_alertmanager(&self, app: &App) -> bool {
        let token = bearer::token(self.authorization.iter().map(HeaderValue::as_bytes));
        !self.signed && token.is_ok_and(|token| app.webhook_token.matches(token))
    }
}

/// Gives the limiter's answer the contract's form.
pub fn finish(app: &App, about: &About, presented: Presented, response: Response) -> Response {
    let Some((bucket, (limit, _))) =
        presented.bucket.and_then(|bucket| Some((bucket, app.limits.get(bucket)?)))
    else {
        return response;
    };
    let Some(Refused { wait_seconds }) = response.extensions().get::<Refused>().copied() else {
        let mut response = response;
        let remaining = take_number(response.headers_mut(), "x-ratelimit-remaining");
        response.headers_mut().remove("x-ratelimit-limit");
        let remaining = remaining.unwrap_or(0);
        let used = u64::from(limit).saturating_sub(remaining);
        let reset = (used * MINUTE.as_secs()).div_ceil(u64::from(limit).max(1));
        announce(response.headers_mut(), limit, remaining, reset);
        return response;
    };
    note_limited(app, about, bucket);
    let as_unavailable = presented.is_alertmanager(app);
    let error = Error::RateLimited { retry_after: wait_seconds, as_unavailable };
    let mut response = error.into_response(about.request_id.as_str());
    announce(response.headers_mut(), limit, 0, wait_seconds);
    response
}

fn announce(headers: &mut HeaderMap, limit: u32, remaining: u64, reset: u64) {
    headers.insert("ratelimit-limit", HeaderValue::from(limit));
    headers.insert("ratelimit-remaining", HeaderValue::from(remaining));
    headers.insert("ratelimit-reset", HeaderValue::from(reset));
}

fn take_number(headers: &mut HeaderMap, name: &str) -> Option<u64> {
    headers.remove(name)?.to_str().ok()?.parse().ok()
}

fn note_limited(app: &App, about: &About, bucket: Bucket) {
    app.metrics.rate_limited_total.with_label_values(&[bucket.as_str()]).inc();
    about.audit(app, Event::RateLimited, json!({ "bucket": bucket.as_str() }));
}

/// Failed authentications have a bucket of their own.
pub struct AuthFailure;

impl AuthFailure {
    /// Counts a failure against its client; beyond the limit the answer is 429 instead of
    /// `error`.
    pub fn note(app: &App, about: &About, error: Error) -> Error {
        let Some((_, config)) = app.limits.get(Bucket::AuthFailure) else { return error };
        let Err(refused) = config.limiter().check_key(&client_key(about.client)) else {
            return error;
        };
        use governor::clock::Clock as _;
        let now = governor::clock::DefaultClock::default().now();
        note_limited(app, about, Bucket::AuthFailure);
        let retry_after = refused.wait_time_from(now).as_secs() + 1;
        Error::RateLimited { retry_after, as_unavailable: false }
    }
}
