//! Who read what: audited where `AUDIT_READS` says so.

use axum::http::Method;
use serde_json::json;

use crate::{
    config::AuditReads,
    http::{extract::Call, state::App},
    security::{Event, Key},
};

/// Notes that a caller whose key is good enough reads something.
pub fn note(app: &App, key: &Key, call: &Call) {
    let (method, route) = (&call.parts.method, call.about.metrics.route());
    if app.audit_reads == AuditReads::All && is_read(method, route) {
        let details = json!({
            "key": key.label, "method": method.as_str(), "path": call.parts.uri.path(),
        });
        call.about.audit(app, Event::DataRead, details);
    }
}

/// Questions read, whatever their method; exports have an event of their own.
fn is_read(method: &Method, route: &str) -> bool {
    let read = matches!(*method, Method::GET | Method::HEAD) || route.ends_with("/query");
    read && !route.ends_with("/export")
}
