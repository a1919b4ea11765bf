//! What a handler gets: the request after the guards, and proofs that only they can make.
//!
//! A handler that takes a [`Caller`] or a [`VerifiedBody`] cannot be put into the route table
//! without the guard that makes one: it would not compile.

use std::{marker::PhantomData, net::IpAddr, sync::Arc};

use axum::{
    body::Body,
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    Error,
    guard::{
        body_budget::{Held, HeldBody},
        rate_limit::{Bucket, Decision},
        request_id::RequestId,
    },
    parameters::{Parameter, Parameters},
    state::App,
};
use crate::{
    security::{AuditContext, Event, Key, Role},
    telemetry::RouteMetrics,
};

/// A request behind the guards.
pub struct GuardedRequest {
    /// Method, path, headers.
    pub parts: Parts,
    /// Not read yet.
    pub body: Body,
    /// Who and what it is, for logs.
    pub context: RequestContext,
    /// Which limit it counts against.
    pub bucket: Bucket,
    /// The query parameters that its route knows.
    pub known: &'static [Parameter],
    /// Set where another route hands it on.
    pub(super) forwarded: Option<Forwarded>,
}

/// What a route that hands a request on has settled already: the caller is proven and counted.
#[derive(Clone)]
pub(super) struct Forwarded {
    /// Who calls.
    pub key: Arc<Key>,
    /// The `{id}` of the path.
    pub id: Option<String>,
}

impl GuardedRequest {
    /// Its query parameters, to be read and then checked.
    pub fn parameters(&self) -> Parameters {
        Parameters::of(&self.parts.uri, self.known)
    }

    /// The `{id}` of the path.
    ///
    /// # Errors
    /// 404: an id that is no UTF-8 names nothing.
    pub async fn id(&mut self) -> Result<String, Error> {
        if let Some(forwarded) = &self.forwarded {
            return forwarded.id.clone().ok_or(Error::NotFound);
        }
        let id = Path::<String>::from_request_parts(&mut self.parts, &()).await;
        id.map(|Path(id)| id).map_err(|_| Error::NotFound)
    }
}

/// What is known of a request before anything of it is trusted.
#[derive(Clone)]
pub struct RequestContext {
    /// Its id.
    pub request_id: RequestId,
    /// The client's address.
    pub client: IpAddr,
    /// When it must have been answered.
    pub deadline: Instant,
    /// The metrics of its route.
    pub metrics: Arc<RouteMetrics>,
    /// What counting it came to, for the headers of its answer.
    limit: Arc<Mutex<Option<Decision>>>,
}

impl RequestContext {
    /// Of a request that nothing has been counted of yet.
    pub fn new(
        request_id: RequestId,
        client: IpAddr,
        deadline: Instant,
        metrics: Arc<RouteMetrics>,
    ) -> Self {
        Self { request_id, client, deadline, metrics, limit: Arc::default() }
    }

    /// Of the same request at another route.
    pub fn at_route(&self, metrics: Arc<RouteMetrics>) -> Self {
        Self { metrics, ..self.clone() }
    }

    /// Its answer is to tell of this limit, unless it meets another.
    pub fn note_limit(&self, decision: Decision) {
        *self.limit.lock() = Some(decision);
    }

    /// What its answer is to tell of a limit.
    pub fn limit(&self) -> Option<Decision> {
        *self.limit.lock()
    }

    /// Writes an audit event about this request.
    pub fn audit(&self, app: &App, event: Event, details: serde_json::Value) {
        let request_id = Some(self.request_id.as_str());
        app.audit.record(event, AuditContext { request_id, client_ip: Some(self.client) }, details);
    }

    /// Writes an audit event about what must not happen unseen.
    ///
    /// # Errors
    /// 503: it cannot be written, so it should not happen.
    pub async fn audit_confirmed(
        &self,
        app: &App,
        event: Event,
        details: serde_json::Value,
    ) -> Result<(), Error> {
        let request_id = Some(self.request_id.as_str());
        let context = AuditContext { request_id, client_ip: Some(self.client) };
        Ok(app.audit.record_confirmed(event, context, details).await?)
    }

    /// Counts and audits what a caller's input had wrong; the error to answer with.
    pub fn invalid(&self, app: &App, error: impl Into<Error>) -> Error {
        let error = error.into();
        self.metrics.validation_failed();
        let problems: Vec<_> = match &error {
            Error::Invalid(problems) => problems.iter().take(5).map(|p| p.path.clone()).collect(),
            _ => Vec::new(),
        };
        self.audit(app, Event::ValidationFailure, serde_json::json!({ "problems": problems }));
        error
    }
}

/// A role as a type.
pub trait RoleLevel: Send + 'static {
    /// The role.
    const ROLE: Role;
}

/// [`Role::Viewer`] as a type.
pub enum Viewer {}
/// [`Role::Operator`] as a type.
pub enum Operator {}
/// [`Role::Admin`] as a type.
pub enum Admin {}

impl RoleLevel for Viewer {
    const ROLE: Role = Role::Viewer;
}

impl RoleLevel for Operator {
    const ROLE: Role = Role::Operator;
}

impl RoleLevel for Admin {
    const ROLE: Role = Role::Admin;
}

/// Proof that the caller presented a key whose role is at least `R`.
pub struct Caller<R> {
    /// The key, by its label.
    pub key: Arc<Key>,
    role: PhantomData<fn() -> R>,
}

impl<R> Caller<R> {
    /// Only the guard that checked the key makes one.
    pub(super) fn proven(key: Arc<Key>) -> Self {
        Self { key, role: PhantomData }
    }
}

/// Proof that a webhook's body comes from who may send it; the bytes as received.
pub struct VerifiedBody(HeldBody);

impl VerifiedBody {
    /// Only the guard that checked signature or token makes one.
    pub(super) fn proven(body: HeldBody) -> Self {
        Self(body)
    }

    /// The body.
    pub fn bytes(&self) -> &Bytes {
        self.0.bytes()
    }

    /// The bytes are not needed any more; what was made of them goes on taking the room.
    pub fn parsed(self) -> Held {
        self.0.parsed()
    }
}
