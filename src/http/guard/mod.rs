//! What stands before every handler, one guard a file, always in this order: request id →
//! client address → rate limit → authentication → role → body.
//!
//! So a flood is turned away before it costs a signature check, and nothing is parsed for a
//! stranger.

pub mod bearer;
pub mod body;
pub mod client_ip;
pub mod cors;
pub mod host;
pub mod rate_limit;
mod reads;
pub mod request_id;
pub mod signature;

use std::{
    convert::Infallible,
    future::Future,
    net::{IpAddr, SocketAddr},
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
};

use axum::{
    body::Body,
    extract::ConnectInfo,
    http::{HeaderValue, Request, header},
    response::Response,
};
use futures::FutureExt;
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt, service_fn, util::BoxCloneSyncService};
use tracing::Instrument;

use self::{rate_limit::Bucket, request_id::RequestId};
use super::{
    Error,
    error::LoggedCause,
    extract::{About, Call, Caller, ProvenBody, RoleLevel},
    server::Deadline,
    state::App,
};
use crate::{
    security::{Key, Role},
    telemetry::RouteMetrics,
};

type Answering = Pin<Box<dyn Future<Output = Result<Response, Error>> + Send>>;

/// A handler with its guard, whatever types they have.
pub type Handler = Arc<dyn Fn(App, Call) -> Answering + Send + Sync>;

/// What a finished stack of guards looks like to the router.
pub type Stack = BoxCloneSyncService<Request<Body>, Response, Infallible>;

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anyone.
    Anyone,
    /// Whoever proves to be a sender of webhooks.
    WebhookSender,
    /// A key of at least this role.
    Role(Role),
}

/// A handler behind its guard.
pub struct Guarded {
    /// Who may call, for the document and the tests.
    pub access: Access,
    /// Guard and handler.
    pub handler: Handler,
}

/// A handler that anyone may call.
pub fn without_guard<F, A>(handler: F) -> Guarded
where
    F: Fn(App, Call) -> A + Send + Sync + 'static,
    A: Future<Output = Result<Response, Error>> + Send + 'static,
{
    let handler: Handler = Arc::new(move |app, call: Call| {
        Box::pin(body::in_time(call.about.deadline, handler(app, call)))
    });
    Guarded { access: Access::Anyone, handler }
}

/// A handler for callers with a key of at least the role `R`.
pub fn with_role<R, F, A>(handler: F) -> Guarded
where
    R: RoleLevel,
    F: Fn(Caller<R>, App, Call) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Result<Response, Error>> + Send + 'static,
{
    let guarded: Handler = Arc::new(move |app: App, call| {
        let handler = handler.clone();
        Box::pin(async move {
            let caller = bearer::authenticate::<R>(&app, &call)?;
            let (key, request_id) = (Arc::clone(&caller.key), call.about.request_id.clone());
            reads::note(&app, &key, &call);
            let answer = body::in_time(call.about.deadline, handler(caller, app, call)).await;
            let mut response =
                answer.unwrap_or_else(|error| error.into_response(request_id.as_str()));
            tell_of_expiry(&key, &mut response);
            Ok(response)
        })
    });
    Guarded { access: Access::Role(R::ROLE), handler: guarded }
}

/// A handler for webhooks that prove who sent them.
pub fn with_webhook_proof<F, A>(handler: F) -> Guarded
where
    F: Fn(ProvenBody, App, About) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Result<Response, Error>> + Send + 'static,
{
    let guarded: Handler = Arc::new(move |app: App, call| {
        let handler = handler.clone();
        Box::pin(async move {
            let about = call.about.clone();
            let proven = signature::prove(&app, call).await?;
            body::in_time(about.deadline, handler(proven, app, about)).await
        })
    });
    Guarded { access: Access::WebhookSender, handler: guarded }
}

/// A handler that always fails, for what is no route.
pub fn failing(error: fn() -> Error) -> Guarded {
    without_guard(move |_, _| async move { Err(error()) })
}

/// Every answer to a key that ends says when, failures too.
fn tell_of_expiry(key: &Key, response: &mut Response) {
    if let Some(expires_at) = key.expires_at
        && let Ok(value) = HeaderValue::from_str(&expires_at.to_string())
    {
        response.headers_mut().insert("x-api-key-expires", value);
    }
}

/// All guards of one route around its handler.
pub fn stack(
    app: &App,
    bucket: Option<Bucket>,
    metrics: Arc<RouteMetrics>,
    Guarded { access, handler }: Guarded,
) -> Stack {
    let inner = service_fn({
        let app = app.clone();
        move |request: Request<Body>| answer(app.clone(), Arc::clone(&handler), request)
    });
    let limited = match bucket.and_then(|bucket| app.limits.layer(bucket)) {
        Some(limit) => BoxCloneSyncService::new(limit.layer(inner)),
        None => BoxCloneSyncService::new(inner),
    };
    let app = app.clone();
    BoxCloneSyncService::new(service_fn(move |request: Request<Body>| {
        let entered = enter(app.clone(), bucket, Arc::clone(&metrics), limited.clone(), request);
        async move {
            let mut response = entered.await?;
            if access != Access::Anyone {
                let cached = response.headers_mut().entry(header::CACHE_CONTROL);
                cached.or_insert(HeaderValue::from_static("no-store"));
            }
            Ok(response)
        }
    }))
}

/// The outermost guard: names the request, finds its client, counts, and finishes the answer.
async fn enter(
    app: App,
    bucket: Option<Bucket>,
    metrics: Arc<RouteMetrics>,
    limited: Stack,
    mut request: Request<Body>,
) -> Result<Response, Infallible> {
    let started = Instant::now();
    let in_flight = metrics.begin();
    let request_id = RequestId::of(request.headers());
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or(IpAddr::from([0, 0, 0, 0]), |ConnectInfo(peer)| peer.ip());
    let client = client_ip::client_ip(peer, request.headers(), &app.trusted_proxies);
    let deadline = request.extensions().get::<Deadline>();
    let deadline = deadline.map_or_else(|| started + app.request_timeout, |Deadline(at)| *at);
    let about =
        About { request_id: request_id.clone(), client, deadline, metrics: Arc::clone(&metrics) };
    cors::note_denied(&app, &about, request.headers());
    let limited_call = rate_limit::Presented::of(bucket, &request);
    request.extensions_mut().insert(about.clone());

    let span = tracing::info_span!("request", requestId = request_id.as_str());
    let mut limited = limited;
    let response = async {
        let Ok(ready) = limited.ready().await;
        let Ok(response) = ready.call(request).await;
        response
    };
    let response = response.instrument(span.clone()).await;
    let mut response = rate_limit::finish(&app, &about, limited_call, response);
    let headers = response.headers_mut();
    headers.insert(request_id::X_REQUEST_ID, request_id.header_value());
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    drop(in_flight);
    let elapsed = started.elapsed();
    metrics.observe(response.status().as_u16(), elapsed);
    span.in_scope(|| log(&response, &metrics, client, elapsed));
    Ok(response)
}

/// The guard and handler of the route itself.
async fn answer(
    app: App,
    handler: Handler,
    request: Request<Body>,
) -> Result<Response, Infallible> {
    let (mut parts, body) = request.into_parts();
    // Inserted by the outermost guard, around this one by construction.
    let Some(about) = parts.extensions.remove::<About>() else {
        return Ok(Error::unavailable("The service is starting").into_response("unknown"));
    };
    let request_id = about.request_id.clone();
    if let Err(error) = host::check(parts.version, &parts.uri, &parts.headers) {
        return Ok(error.into_response(request_id.as_str()));
    }
    // A defect in one handler is that request's failure, not its connection's.
    let answering = AssertUnwindSafe(handler(app, Call { parts, body, about })).catch_unwind();
    let answered = answering.await.unwrap_or_else(|_| Err(Error::Internal(Arc::new(Panicked))));
    Ok(answered.unwrap_or_else(|error| error.into_response(request_id.as_str())))
}

/// A handler panicked; the panic itself is logged where it happens.
#[derive(Debug, thiserror::Error)]
#[error("the handler panicked")]
struct Panicked;

/// The request's own line: what failed here is an error, what the client did wrong is worth
/// knowing, and what went well is for who looks closely.
fn log(response: &Response, metrics: &RouteMetrics, client: IpAddr, elapsed: std::time::Duration) {
    let status = response.status().as_u16();
    let (route, ms) = (metrics.route(), elapsed.as_secs_f64() * 1e3);
    let cause = response.extensions().get::<LoggedCause>();
    let cause = cause.map(|LoggedCause(cause)| tracing::field::display(cause.clone()));
    match status {
        500.. => tracing::error!(route, status, ms, %client, cause, "failed"),
        400.. => tracing::info!(route, status, ms, %client, "refused"),
        _ => tracing::debug!(route, status, ms, %client, "answered"),
    }
}
