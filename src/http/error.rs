//! How a request fails: a status, a sentence for the client, and the cause for the log.
//!
//! No answer carries a cause; the request's own log line does, once.

use std::{borrow::Cow, error::Error as Cause, sync::Arc};

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use serde::Serialize;

use crate::{
    knowledge::{BaseError, ChangeError, EditError},
    model::{Entry, EntryJson},
    security::{NotAudited, Role},
    store::StoreError,
    validation::{Problem, Rejection},
};

/// Problems that one answer lists at most.
pub(super) const MAX_PROBLEMS: usize = 20;
/// Seconds after which a client may try an unavailable service again.
const RETRY_AFTER_SECONDS: u64 = 5;

/// Why a request was not done.
#[derive(Debug)]
pub enum Error {
    /// 400: the request is not one that HTTP allows, or that this route can read.
    BadRequest(Cow<'static, str>),
    /// 400: the body is no JSON.
    Malformed(String),
    /// 400: the input has these problems.
    Invalid(Vec<Problem>),
    /// 401: nobody known calls.
    Unauthorized(Cow<'static, str>),
    /// 403: the caller's role is too low.
    Forbidden {
        /// The role that it takes.
        required: Role,
    },
    /// 403: the page that calls is of an origin that may not.
    ForeignOrigin,
    /// 404: there is no such thing.
    NotFound,
    /// 409: the entry was changed by another meanwhile; as it is now.
    Conflict(Box<Entry>),
    /// 412: the entry is not of the version that `If-Match` names; as it is now.
    PreconditionFailed(Box<Entry>),
    /// 405: there is, but not with this method.
    MethodNotAllowed,
    /// 408: the body did not arrive in time.
    BodyTimeout,
    /// 400: the body broke off.
    BodyBroken(Box<dyn Cause + Send + Sync>),
    /// 413: the body is over the limit.
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// 429, or 503 for Alertmanager, which drops a notification on 429.
    RateLimited {
        /// Seconds until the next request is taken.
        retry_after: u64,
        /// Whether to say 503.
        as_unavailable: bool,
    },
    /// 503: the store is away, or the service is overloaded, starting or draining.
    Unavailable {
        /// The sentence for the client.
        message: &'static str,
        /// The cause for the log.
        cause: Option<Arc<dyn Cause + Send + Sync>>,
    },
    /// 500: a defect.
    Internal(Arc<dyn Cause + Send + Sync>),
}

/// Why a request was not done.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Error)]
pub(super) struct ErrorBody<'a> {
    /// What is wrong, for a person.
    #[schema(value_type = String)]
    error: Cow<'a, str>,
    /// The problems of the input, up to 20.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<Problem>, required = false, max_items = 20)]
    details: Option<&'a [Problem]>,
    /// The role that it takes, where the key's is too low.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Role, required = false)]
    required_role: Option<Role>,
    /// Seconds until the next request is taken, over a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64, required = false)]
    retry_after_seconds: Option<u64>,
    /// The entry as it is now, after a conflict.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = EntryJson, required = false)]
    entry: Option<&'a Entry>,
    /// The id of this request, also in the log.
    request_id: &'a str,
}

/// Why an answer is what it is, for the request's log line.
#[derive(Clone)]
pub struct LoggedCause(pub Arc<dyn Cause + Send + Sync>);

impl Error {
    /// The answer's status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) | Self::Malformed(_) | Self::Invalid(_) | Self::BodyBroken(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden { .. } | Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::PreconditionFailed(_) => StatusCode::PRECONDITION_FAILED,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RateLimited { as_unavailable: false, .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::RateLimited { .. } | Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The sentence for the client.
    fn message(&self) -> Cow<'_, str> {
        match self {
            Self::BadRequest(what) => Cow::Borrowed(what),
            Self::Malformed(place) => format!("Malformed JSON: {place}").into(),
            Self::Invalid(_) => "Validation failed".into(),
            Self::Unauthorized(why) => format!("Unauthorized: {why}").into(),
            Self::Forbidden { required } => {
                format!("Forbidden: this needs the role {}", required.as_str()).into()
            }
            Self::ForeignOrigin => "Forbidden: pages of this origin may not call".into(),
            Self::NotFound => "Not found".into(),
            Self::Conflict(_) => "The entry was changed by another meanwhile".into(),
            Self::PreconditionFailed(_) => "The entry is of another version".into(),
            Self::MethodNotAllowed => "Method not allowed".into(),
            Self::BodyTimeout => "The request's body did not arrive in time".into(),
            Self::BodyBroken(_) => "The request's body broke off".into(),
            Self::TooLarge { limit } => {
                format!("The request's body is larger than {limit} bytes").into()
            }
            Self::RateLimited { .. } => "Too many requests, please retry after a minute".into(),
            Self::Unavailable { message, .. } => (*message).into(),
            Self::Internal(_) => "Internal error".into(),
        }
    }

    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::RateLimited { retry_after, .. } => Some(*retry_after),
            Self::Unavailable { .. } => Some(RETRY_AFTER_SECONDS),
            _ => None,
        }
    }

    /// The answer, under the request's id.
    pub fn into_response(self, request_id: &str) -> Response {
        let details = match &self {
            Self::Invalid(problems) => Some(&problems[..problems.len().min(MAX_PROBLEMS)]),
            _ => None,
        };
        let required_role = match &self {
            Self::Forbidden { required } => Some(*required),
            _ => None,
        };
        let retry_after = self.retry_after();
        let retry_after_seconds = retry_after.filter(|_| matches!(self, Self::RateLimited { .. }));
        let entry = match &self {
            Self::Conflict(entry) | Self::PreconditionFailed(entry) => Some(&**entry),
            _ => None,
        };
        let body = ErrorBody {
            entry,
            error: self.message(),
            details,
            required_role,
            retry_after_seconds,
            request_id,
        };
        // Strings and numbers always serialise.
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = super::json_response(self.status(), Body::from(body));
        let headers = response.headers_mut();
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(entry) = entry
            && let Ok(etag) = HeaderValue::from_str(&entry.etag())
        {
            headers.insert(header::ETAG, etag);
        }
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Self::Unavailable { cause: Some(cause), .. } | Self::Internal(cause) = self {
            response.extensions_mut().insert(LoggedCause(cause));
        }
        response
    }

    /// 503 without a cause to log.
    pub fn unavailable(message: &'static str) -> Self {
        Self::Unavailable { message, cause: None }
    }
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::Malformed(place) => Self::Malformed(place),
            Rejection::Invalid(problems) => Self::Invalid(problems),
        }
    }
}

impl From<Arc<StoreError>> for Error {
    fn from(error: Arc<StoreError>) -> Self {
        if error.is_unavailable() {
            Self::Unavailable { message: "The store is unavailable", cause: Some(error) }
        } else {
            Self::Internal(error)
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Arc::new(error).into()
    }
}

impl From<NotAudited> for Error {
    fn from(error: NotAudited) -> Self {
        let cause = Some(Arc::new(error) as _);
        Self::Unavailable { message: "The audit log cannot be written", cause }
    }
}

impl From<ChangeError> for Error {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Store(error) => error.into(),
            ChangeError::Overloaded => Self::unavailable("The service is overloaded"),
            ChangeError::Closed => Self::unavailable("The service is stopping"),
            ChangeError::Edit(EditError::Missing) => Self::NotFound,
            ChangeError::Edit(EditError::Invalid(rejection)) => rejection.into(),
            ChangeError::Edit(EditError::Conflict(entry)) => Self::Conflict(entry),
        }
    }
}

impl From<BaseError> for Error {
    fn from(error: BaseError) -> Self {
        match error {
            BaseError::Store(error) => error.into(),
            BaseError::Change(error) => error.into(),
            other => Self::Internal(Arc::new(other)),
        }
    }
}
