//! Webhooks: a signature over the bytes as received, or the webhook token.
//!
//! A request with a signature header is judged by the signature alone. The token is checked
//! before the body is read, the signature right after; nothing is parsed before either.

use axum::http::{HeaderMap, header};
use serde_json::json;

use super::{body, rate_limit::AuthFailure};
use crate::{
    http::{
        Error,
        extract::{About, Call, ProvenBody},
        state::App,
    },
    security::{Event, SignatureRefusal, bearer},
};

const SIGNATURE: &str = "x-webhook-signature";
const TIMESTAMP: &str = "x-webhook-timestamp";

/// Reads a webhook's body and proves who sent it.
pub async fn prove(app: &App, call: Call) -> Result<ProvenBody, Error> {
    let Call { parts, body, about } = call;
    let headers = &parts.headers;
    let Some(signature) = headers.get(SIGNATURE) else {
        by_token(app, &about, headers)?;
        let body = body::read_parts(app, &about, headers, body).await?;
        count(app, "bearer", "accepted");
        return Ok(ProvenBody::proven(body));
    };
    if !app.verifier.is_configured() {
        let refusal = SignatureRefusal::NotConfigured;
        return Err(refuse(app, &about, "signature", refusal.reason(), refusal.to_string()));
    }
    let body = body::read_parts(app, &about, headers, body).await?;
    let timestamp = headers.get(TIMESTAMP).map(axum::http::HeaderValue::as_bytes);
    app.verifier.verify(signature.as_bytes(), timestamp, &body, app.clock.now()).map_err(
        |refusal| refuse(app, &about, "signature", refusal.reason(), refusal.to_string()),
    )?;
    count(app, "signature", "accepted");
    Ok(ProvenBody::proven(body))
}

fn by_token(app: &App, about: &About, headers: &HeaderMap) -> Result<(), Error> {
    let values = headers.get_all(header::AUTHORIZATION);
    let token = bearer::token(values.iter().map(axum::http::HeaderValue::as_bytes));
    let token = token.map_err(|error| {
        let message = "a webhook needs X-Webhook-Signature or the webhook token";
        refuse(app, about, "bearer", error.reason(), message.into())
    })?;
    if app.webhook_token.matches(token) {
        return Ok(());
    }
    let (reason, message) = match app.webhook_token.is_configured() {
        true => ("mismatch", "this is not the webhook token"),
        false => ("not_configured", "no webhook token is configured"),
    };
    Err(refuse(app, about, "bearer", reason, message.into()))
}

fn refuse(
    app: &App,
    about: &About,
    method: &'static str,
    reason: &'static str,
    message: String,
) -> Error {
    count(app, method, reason);
    about.audit(app, Event::WebhookAuthFailure, json!({ "method": method, "reason": reason }));
    AuthFailure::note(app, about, Error::Unauthorized(message.into()))
}

fn count(app: &App, method: &str, outcome: &str) {
    app.metrics.webhook_auth_total.with_label_values(&[method, outcome]).inc();
}
