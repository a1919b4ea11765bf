//! What stands before every handler, one guard a file, always in this order: request id → client
//! address → authentication by header → rate limit → body limit and (where it is signed)
//! signature → role → query parameters → handler.
//!
//! So a caller with a good key is counted apart from strangers at the same address, and nothing
//! is parsed for a stranger.

pub mod bearer;
pub mod body;
pub mod body_budget;
pub mod client_ip;
pub mod cors;
pub mod forward;
pub mod host;
pub mod rate_limit;
mod reads;
pub mod request_id;
pub mod signature;

use std::{
    convert::Infallible,
    future::Future,
    net::IpAddr,
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    sync::Arc,
};

use axum::{
    body::Body,
    http::{HeaderValue, Request, header, request::Parts},
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use tokio::time::Instant;
use tower::{Layer, Service, service_fn};
use tracing::Instrument;

use self::{
    rate_limit::{Bucket, Holder},
    request_id::RequestId,
};
use super::{
    Error, compression,
    error::LoggedCause,
    extract::{Caller, GuardedRequest, RequestContext, RoleLevel, VerifiedBody},
    parameters::Parameter,
    server::Arrival,
    state::App,
};
use crate::{
    security::{Key, Role},
    telemetry::RouteMetrics,
};

type Answering = Pin<Box<dyn Future<Output = Result<Response, Error>> + Send>>;

/// A handler with its guard, whatever types they have.
pub type Handler = Arc<dyn Fn(App, GuardedRequest) -> Answering + Send + Sync>;

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
    F: Fn(App, GuardedRequest) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Result<Response, Error>> + Send + 'static,
{
    let guarded: Handler = Arc::new(move |app: App, request| {
        let handler = handler.clone();
        Box::pin(async move {
            admit_anyone(&app, &request.context, &request.parts, request.bucket).await?;
            check_parameters(&app, &request)?;
            body::in_time(request.context.deadline, pin!(handler(app, request))).await
        })
    });
    Guarded { access: Access::Anyone, handler: guarded }
}

/// A handler that is counted like a route's, and of which nothing else is asked: for what is no
/// route.
pub fn only_counted<F, A>(handler: F) -> Guarded
where
    F: Fn(GuardedRequest) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Result<Response, Error>> + Send + 'static,
{
    let guarded: Handler = Arc::new(move |app: App, request| {
        let handler = handler.clone();
        Box::pin(async move {
            admit_anyone(&app, &request.context, &request.parts, request.bucket).await?;
            handler(request).await
        })
    });
    Guarded { access: Access::Anyone, handler: guarded }
}

/// A handler for callers with a key of at least the role `R`.
pub fn with_role<R, F, A>(handler: F) -> Guarded
where
    R: RoleLevel,
    F: Fn(Caller<R>, App, GuardedRequest) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Result<Response, Error>> + Send + 'static,
{
    let guarded: Handler = Arc::new(move |app: App, request| {
        let handler = handler.clone();
        Box::pin(async move {
            let key = match &request.forwarded {
                Some(forwarded) => Arc::clone(&forwarded.key),
                None => bearer::authenticate(&app, &request.context, &request.parts).await?,
            };
            let request_id = request.context.request_id.clone();
            let answer = answer_key(app, request, Arc::clone(&key), handler).await;
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
    F: Fn(VerifiedBody, App, RequestContext) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Result<Response, Error>> + Send + 'static,
{
    let guarded: Handler = Arc::new(move |app: App, mut request| {
        let handler = handler.clone();
        Box::pin(async move {
            let proven = signature::prove(&app, &mut request).await?;
            check_parameters(&app, &request)?;
            body::in_time(request.context.deadline, pin!(handler(proven, app, request.context)))
                .await
        })
    });
    Guarded { access: Access::WebhookSender, handler: guarded }
}

/// Counts a request that needs no proof.
async fn admit_anyone(
    app: &App,
    context: &RequestContext,
    parts: &Parts,
    bucket: Bucket,
) -> Result<(), Error> {
    let holder = bearer::recognise(app, context, parts).await?;
    rate_limit::admit(app, context, bucket, &holder).await
}

/// What follows once the key is known: its limit, the body's, its role, then the handler.
async fn answer_key<R, F, A>(
    app: App,
    request: GuardedRequest,
    key: Arc<Key>,
    handler: F,
) -> Result<Response, Error>
where
    R: RoleLevel,
    F: Fn(Caller<R>, App, GuardedRequest) -> A,
    A: Future<Output = Result<Response, Error>>,
{
    if request.forwarded.is_none() {
        let holder = Holder::Key(Arc::clone(&key));
        rate_limit::admit(&app, &request.context, request.bucket, &holder).await?;
    }
    body::check_announced(&app, &request.context, &request.parts.headers, app.body_limit)?;
    let caller = bearer::authorize::<R>(&app, &request, key)?;
    check_parameters(&app, &request)?;
    reads::note(&app, &caller.key, &request);
    body::in_time(request.context.deadline, pin!(handler(caller, app, request))).await
}

/// Refuses every query parameter at a route that knows none; what a route knows its handler
/// reads, and checks together with the others.
fn check_parameters(app: &App, request: &GuardedRequest) -> Result<(), Error> {
    if !request.known.is_empty() {
        return Ok(());
    }
    request.parameters().check().map_err(|rejection| request.context.invalid(app, rejection))
}

/// Every answer to a key that ends says when, failures too.
fn tell_of_expiry(key: &Key, response: &mut Response) {
    if let Some(expires_at) = key.expires_at
        && let Ok(value) = HeaderValue::from_str(&expires_at.to_string())
    {
        response.headers_mut().insert("x-api-key-expires", value);
    }
}

/// A route as its guards know it.
pub struct GuardedRoute {
    /// Which limit it counts against.
    pub bucket: Bucket,
    /// The query parameters that it knows.
    pub parameters: &'static [Parameter],
    /// Its figures.
    pub metrics: Arc<RouteMetrics>,
    /// Who may call it, and what then happens.
    pub guarded: Guarded,
}

/// All guards of one route around its handler. What the router itself would be layered with stands
/// here, too: it boxes each request once more for that.
pub fn stack(
    app: &App,
    route: GuardedRoute,
) -> impl Service<Request<Body>, Response: IntoResponse, Error = Infallible, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static
+ use<> {
    let (app, route) = (app.clone(), Arc::new(route));
    let entered =
        service_fn(move |request| enter(app.clone(), Arc::clone(&route), request).map(Ok));
    (request_id::layer(), compression()).layer(entered)
}

/// The outermost guard: names the request, finds its client, counts, and finishes the answer.
async fn enter(app: App, route: Arc<GuardedRoute>, request: Request<Body>) -> Response {
    let started = Instant::now();
    let metrics = &route.metrics;
    let in_flight = metrics.begin();
    let request_id = RequestId::given(&request);
    let span = tracing::info_span!("request", requestId = request_id.as_str());
    let arrival = Arrival::of(&request).map_err(|error| Error::Internal(Arc::new(error)));
    let (mut response, client) = match arrival {
        Ok(Arrival { peer, deadline }) => {
            let client = client_ip::client_ip(peer.ip(), request.headers(), &app.trusted_proxies);
            let context = RequestContext::new(request_id, client, deadline, Arc::clone(metrics));
            let answering = span.in_scope(|| answering(app, &route, context.clone(), request));
            let mut response = answered(answering, &context).instrument(span.clone()).await;
            if let Some(decision) = context.limit() {
                decision.announce(response.headers_mut());
            }
            (response, Some(client))
        }
        Err(error) => (error.into_response(request_id.as_str()), None),
    };
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if route.guarded.access != Access::Anyone {
        let cached = headers.entry(header::CACHE_CONTROL);
        cached.or_insert(HeaderValue::from_static("no-store"));
    }
    drop(in_flight);
    let elapsed = started.elapsed();
    metrics.observe(response.status().as_u16(), elapsed);
    span.in_scope(|| log(&response, metrics, client, elapsed));
    response
}

/// The guard and handler of the route itself, not begun.
fn answering(
    app: App,
    route: &GuardedRoute,
    context: RequestContext,
    request: Request<Body>,
) -> Answering {
    cors::note_denied(&app, &context, request.headers());
    let (parts, body) = request.into_parts();
    let (bucket, known) = (route.bucket, route.parameters);
    match host::check(parts.version, &parts.uri, &parts.headers) {
        Ok(()) => {
            let request = GuardedRequest { parts, body, context, bucket, known, forwarded: None };
            (route.guarded.handler)(app, request)
        }
        // Whoever sends it, it is counted like a stranger's.
        Err(error) => Box::pin(async move {
            rate_limit::admit(&app, &context, bucket, &Holder::Stranger).await.and(Err(error))
        }),
    }
}

/// Its answer, whatever happens.
async fn answered(answering: Answering, context: &RequestContext) -> Response {
    // A defect in one handler is that request's failure, not its connection's.
    let answer = AssertUnwindSafe(answering).catch_unwind().await;
    let answer = answer.unwrap_or_else(|_| Err(Error::Internal(Arc::new(Panicked))));
    answer.unwrap_or_else(|error| error.into_response(context.request_id.as_str()))
}

/// A handler panicked; the panic itself is logged where it happens.
#[derive(Debug, thiserror::Error)]
#[error("the handler panicked")]
struct Panicked;

/// The request's own line: what failed here is an error, what the client did wrong is worth
/// knowing, and what went well is for who looks closely.
fn log(
    response: &Response,
    metrics: &RouteMetrics,
    client: Option<IpAddr>,
    elapsed: std::time::Duration,
) {
    let client = client.map(tracing::field::display);
    let status = response.status().as_u16();
    let (route, ms) = (metrics.route(), elapsed.as_secs_f64() * 1e3);
    let cause = response.extensions().get::<LoggedCause>();
    let cause = cause.map(|LoggedCause(cause)| tracing::field::display(cause.clone()));
    match status {
        500.. => tracing::error!(route, status, ms, client, cause, "failed"),
        400.. => tracing::info!(route, status, ms, client, "refused"),
        _ => tracing::debug!(route, status, ms, client, "answered"),
    }
}
