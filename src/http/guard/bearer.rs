//! Bearer keys: who calls, and is the role high enough?

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, header, request::Parts};
use serde_json::json;

use super::rate_limit::{self, Holder};
use crate::{
    http::{
        Error,
        extract::{Caller, GuardedRequest, RequestContext, RoleLevel},
        state::App,
    },
    security::{BearerError, Event, Key, bearer},
};

/// Whose key is presented.
///
/// # Errors
/// 401, or 429 once the address has failed too often; each failure is counted and audited.
pub async fn authenticate(
    app: &App,
    context: &RequestContext,
    parts: &Parts,
) -> Result<Arc<Key>, Error> {
    let token = match presented(&parts.headers) {
        Ok(token) => token,
        Err(error) => {
            return Err(refuse(app, context, parts, error.reason(), None, error.to_string()).await);
        }
    };
    match app.keys.identify(token, app.clock.now()) {
        Ok(key) => Ok(key),
        Err(refusal) => {
            let (reason, label) = (refusal.reason(), refusal.label());
            Err(refuse(app, context, parts, reason, label, refusal.to_string()).await)
        }
    }
}

/// Whom a request counts for where no key is needed: a good key or the webhook token, if one is
/// presented. A guess is a failed authentication here as anywhere, or the page that needs no key
/// would be the place to try keys at.
///
/// # Errors
/// 429 once the address has failed too often.
pub async fn recognise(
    app: &App,
    context: &RequestContext,
    parts: &Parts,
) -> Result<Holder, Error> {
    let Ok(token) = presented(&parts.headers) else { return Ok(Holder::Stranger) };
    let refusal = match app.keys.identify(token, app.clock.now()) {
        Ok(key) => return Ok(Holder::Key(key)),
        Err(refusal) => refusal,
    };
    if app.webhook_token.matches(token) {
        return Ok(Holder::Token);
    }
    let (reason, label) = (refusal.reason(), refusal.label());
    match refuse(app, context, parts, reason, label, refusal.to_string()).await {
        limited @ Error::RateLimited { .. } => Err(limited),
        _ => Ok(Holder::Stranger),
    }
}

/// The proof that the key's role is at least `R`.
///
/// # Errors
/// 403.
pub fn authorize<R: RoleLevel>(
    app: &App,
    request: &GuardedRequest,
    key: Arc<Key>,
) -> Result<Caller<R>, Error> {
    if key.role < R::ROLE {
        let details = json!({
            "key": key.label, "role": key.role, "requiredRole": R::ROLE,
            "path": request.parts.uri.path(),
        });
        request.context.audit(app, Event::RoleDenied, details);
        return Err(Error::Forbidden { required: R::ROLE });
    }
    Ok(Caller::proven(key))
}

/// The token of the `Authorization` header.
pub fn presented(headers: &HeaderMap) -> Result<&[u8], BearerError> {
    bearer::token(headers.get_all(header::AUTHORIZATION).iter().map(HeaderValue::as_bytes))
}

async fn refuse(
    app: &App,
    context: &RequestContext,
    parts: &Parts,
    reason: &'static str,
    label: Option<&str>,
    message: String,
) -> Error {
    app.metrics.auth_failures_total.with_label_values(&[reason]).inc();
    let details = json!({ "reason": reason, "key": label, "path": parts.uri.path() });
    context.audit(app, Event::AuthFailure, details);
    rate_limit::failed(app, context, Error::Unauthorized(message.into())).await
}
