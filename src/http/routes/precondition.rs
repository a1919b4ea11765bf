//! `If-Match`: which version of an entry its caller has seen (RFC 9110, 13.1.1).

use axum::http::header;

use crate::{
    http::extract::GuardedRequest,
    validation::{Problem, Rejection},
};

/// The versions that `If-Match` names.
pub(super) enum Precondition {
    /// None: whatever the caller saw.
    Absent,
    /// `*`: any version.
    Any,
    /// One of these.
    Versions(Vec<u64>),
}

impl Precondition {
    pub(super) fn of(request: &GuardedRequest) -> Result<Self, Rejection> {
        let mut values = request.parts.headers.get_all(header::IF_MATCH).iter().peekable();
        if values.peek().is_none() {
            return Ok(Self::Absent);
        }
        let wrong = || {
            let message = "must be *, or ETags as an entry was answered with: \"<version>\"".into();
            Rejection::Invalid(vec![Problem { path: "If-Match".into(), message }])
        };
        let mut versions = Vec::new();
        for value in values {
            for tag in value.to_str().map_err(|_| wrong())?.split(',').map(str::trim) {
                if tag == "*" {
                    return Ok(Self::Any);
                }
                let strong = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
                // A tag that is none of ours, or weak, matches no version (RFC 9110, 13.1.1).
                let version = strong.and_then(|tag| tag.parse().ok()).unwrap_or(0);
                if strong.is_none() && !tag.starts_with("W/\"") {
                    return Err(wrong());
                }
                versions.push(version);
            }
        }
        Ok(Self::Versions(versions))
    }

    pub(super) fn is_given(&self) -> bool {
        !matches!(self, Self::Absent)
    }

    pub(super) fn admits(&self, version: u64) -> bool {
        match self {
            Self::Absent | Self::Any => true,
            Self::Versions(versions) => versions.contains(&version),
        }
    }
}
