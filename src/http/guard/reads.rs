//! Who read what: audited where `AUDIT_READS` says so.

use axum::http::Method;
use serde_json::json;

use crate::{
    config::AuditReads,
    http::{extract::GuardedRequest, state::App},
    security::{Event, Key},
};

/// Notes that a caller whose key is good enough reads something.
pub fn note(app: &App, key: &Key, request: &GuardedRequest) {
    let (method, route) = (&request.parts.method, request.context.metrics.route());
    if app.audit_reads == AuditReads::All && is_read(method, route) {
        let details = json!({
            "key": key.label, "method": method.as_str(), "path": request.parts.uri.path(),
        });
        request.context.audit(app, Event::DataRead, details);
    }
}

/// Questions read, whatever their method; exports have an event of their own.
fn is_read(method: &Method, route: &str) -> bool {
    let read = matches!(*method, Method::GET | Method::HEAD) || route.ends_with("/query");
    read && !route.ends_with("/export")
}
