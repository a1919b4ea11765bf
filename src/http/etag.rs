//! Validators: does the caller have it already?

use axum::http::{HeaderMap, HeaderValue, header};

/// Whether `If-None-Match` names the tag, quotes included.
pub fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    headers.get_all(header::IF_NONE_MATCH).iter().any(|value| names(value, etag))
}

/// Whether an `If-None-Match` value names the tag; a weak form of it counts (RFC 9110, 13.1.2).
fn names(value: &HeaderValue, etag: &str) -> bool {
    let Ok(list) = value.to_str() else { return false };
    list.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}
