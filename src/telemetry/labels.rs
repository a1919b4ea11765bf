//! Label values out of what clients send: a fixed set of words, so that no client can make the
//! number of time series grow.

use axum::http::Method;

/// What becomes of every severity that is not a known word.
pub(super) const OTHER: &str = "other";

/// Every value that [`severity_label`] gives.
pub(super) const SEVERITIES: [&str; 8] =
    ["critical", "error", "high", "page", "warning", "info", "none", OTHER];

/// The label value for an alert's severity, read in either case; empty is `none`.
pub fn severity_label(severity: &str) -> &'static str {
    if severity.is_empty() {
        return "none";
    }
    SEVERITIES.into_iter().find(|known| known.eq_ignore_ascii_case(severity)).unwrap_or(OTHER)
}

/// The label value for a request's method: HTTP's own words, and `other`.
pub fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::OPTIONS => "OPTIONS",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_severities_keep_their_word_and_all_else_is_other() {
        for known in SEVERITIES {
            assert_eq!(severity_label(&known.to_uppercase()), known);
        }
        assert_eq!(severity_label(""), "none");
        for unknown in ["sev1", "critical ", "ünknown", "warn"] {
            assert_eq!(severity_label(unknown), OTHER);
        }
    }

    #[test]
    fn a_method_of_the_clients_own_is_other() {
        assert_eq!(method_label(&Method::DELETE), "DELETE");
        assert_eq!(method_label(&Method::from_bytes(b"BREW").unwrap()), OTHER);
        assert_eq!(method_label(&Method::from_bytes(b"get").unwrap()), OTHER);
    }
}
