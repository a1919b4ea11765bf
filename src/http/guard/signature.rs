//! Webhooks: a signature over the bytes as received, or the webhook token.
//!
//! A request with a signature header is judged by the signature alone. The token is checked
//! before the body is read, and then counted; of a signature only its form can be, so that the
//! body of a stranger is held, up to the smaller limit, and the request is counted once the
//! signature is good. Nothing is parsed before either.

use axum::http::HeaderValue;
use serde_json::json;

use super::{
    bearer::presented,
    body::{self, Sender},
    rate_limit::{self, Holder},
};
use crate::{
    http::{
        Error,
        extract::{GuardedRequest, RequestContext, VerifiedBody},
        state::App,
    },
    security::{Event, SignatureRefusal},
};

const SIGNATURE: &str = "x-webhook-signature";
const TIMESTAMP: &str = "x-webhook-timestamp";

/// Proves who sent a webhook, counts it, and reads its body.
pub async fn prove(app: &App, request: &mut GuardedRequest) -> Result<VerifiedBody, Error> {
    match request.parts.headers.contains_key(SIGNATURE) {
        true => by_signature(app, request).await,
        false => by_token(app, request).await,
    }
}

async fn by_token(app: &App, request: &mut GuardedRequest) -> Result<VerifiedBody, Error> {
    if let Err((reason, message)) = check_token(app, request) {
        return Err(refuse(app, &request.context, "bearer", reason, message.to_owned()).await);
    }
    rate_limit::admit(app, &request.context, request.bucket, &Holder::Token).await?;
    let held = app.bodies.proven();
    let body =
        body::read_within(app, request, app.webhook_body_limit, held, Sender::Proven).await?;
    count(app, "bearer", "accepted");
    Ok(VerifiedBody::proven(body))
}

fn check_token(app: &App, request: &GuardedRequest) -> Result<(), (&'static str, &'static str)> {
    let token = presented(&request.parts.headers).map_err(|error| {
        (error.reason(), "a webhook needs X-Webhook-Signature or the webhook token")
    })?;
    if app.webhook_token.matches(token) {
        return Ok(());
    }
    Err(match app.webhook_token.is_configured() {
        true => ("mismatch", "this is not the webhook token"),
        false => ("not_configured", "no webhook token is configured"),
    })
}

async fn by_signature(app: &App, request: &mut GuardedRequest) -> Result<VerifiedBody, Error> {
    if let Err(refusal) = judge(app, request, None) {
        return Err(refuse_signature(app, &request.context, refusal).await);
    }
    let held = app.bodies.unproven();
    let body = body::read_within(app, request, app.body_limit, held, Sender::Unproven).await?;
    if let Err(refusal) = judge(app, request, Some(&body)) {
        return Err(refuse_signature(app, &request.context, refusal).await);
    }
    rate_limit::admit(app, &request.context, request.bucket, &Holder::Signature).await?;
    count(app, "signature", "accepted");
    Ok(VerifiedBody::proven(body))
}

/// Judges the head alone, or the head with the body.
fn judge(app: &App, request: &GuardedRequest, body: Option<&[u8]>) -> Result<(), SignatureRefusal> {
    let header = |name| request.parts.headers.get(name).map(HeaderValue::as_bytes);
    let (signature, timestamp) = (header(SIGNATURE).unwrap_or_default(), header(TIMESTAMP));
    let now = app.clock.now();
    match body {
        None => app.verifier.check_head(signature, timestamp, now),
        Some(body) => app.verifier.verify(signature, timestamp, body, now),
    }
}

async fn refuse_signature(app: &App, context: &RequestContext, refusal: SignatureRefusal) -> Error {
    refuse(app, context, "signature", refusal.reason(), refusal.to_string()).await
}

async fn refuse(
    app: &App,
    context: &RequestContext,
    method: &'static str,
    reason: &'static str,
    message: String,
) -> Error {
    count(app, method, reason);
    let details = json!({ "method": method, "reason": reason });
    context.audit(app, Event::WebhookAuthFailure, details);
    rate_limit::failed(app, context, Error::Unauthorized(message.into())).await
}

fn count(app: &App, method: &str, outcome: &str) {
    app.metrics.webhook_auth_total.with_label_values(&[method, outcome]).inc();
}
