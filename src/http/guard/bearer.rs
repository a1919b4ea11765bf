//! Bearer keys: who calls, and is the role high enough?

use axum::http::header;
use serde_json::json;

use super::rate_limit::AuthFailure;
use crate::{
    http::{
        Error,
        extract::{Call, Caller, RoleLevel},
        state::App,
    },
    security::{Event, bearer},
};

/// Who calls with a role of at least `R`.
pub fn authenticate<R: RoleLevel>(app: &App, call: &Call) -> Result<Caller<R>, Error> {
    let headers = call.parts.headers.get_all(header::AUTHORIZATION);
    let values = headers.iter().map(axum::http::HeaderValue::as_bytes);
    let refuse = |reason: &'static str, label: Option<&str>, message: String| {
        app.metrics.auth_failures_total.with_label_values(&[reason]).inc();
        let details = json!({ "reason": reason, "key": label, "path": call.parts.uri.path() });
        call.about.audit(app, Event::AuthFailure, details);
        AuthFailure::note(app, &call.about, Error::Unauthorized(message.into()))
    };
    let token =
        bearer::token(values).map_err(|error| refuse(error.reason(), None, error.to_string()))?;
    let key = app
        .keys
        .identify(token, app.clock.now())
        .map_err(|refusal| refuse(refusal.reason(), refusal.label(), refusal.to_string()))?;
    if key.role < R::ROLE {
        let details = json!({
            "key": key.label, "role": key.role, "requiredRole": R::ROLE,
            "path": call.parts.uri.path(),
        });
        call.about.audit(app, Event::RoleDenied, details);
        return Err(Error::Forbidden { required: R::ROLE });
    }
    Ok(Caller::proven(key))
}
