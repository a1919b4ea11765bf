//! One route hands a request on to another one of the table: the caller, who is proven and counted,
//! passes all other guards of that route, and its handler answers.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Method, Request, Uri},
    response::Response,
};

use crate::http::{
    Error,
    extract::{Caller, Forwarded, GuardedRequest, RequestContext},
    routes,
    state::App,
};

/// What is asked of the other route.
pub struct Call {
    /// How it is called.
    pub method: Method,
    /// Its path in the table.
    pub route: &'static str,
    /// The path and query as if it had been called.
    pub uri: Uri,
    /// The `{id}` of the path.
    pub id: Option<String>,
    /// The body; empty for none.
    pub body: Vec<u8>,
}

/// Has another route answer.
///
/// # Errors
/// As that route; 404 if there is none.
pub async fn call<R>(
    app: &App,
    caller: &Caller<R>,
    from: &RequestContext,
    call: Call,
) -> Result<Response, Error> {
    let mut table = routes().into_iter();
    let route = table.find(|route| route.path == call.route && route.method == call.method);
    let route = route.ok_or(Error::NotFound)?;
    let (mut parts, ()) = Request::new(()).into_parts();
    (parts.method, parts.uri) = (call.method, call.uri);
    let request = GuardedRequest {
        parts,
        body: Body::from(call.body),
        context: from.at_route(app.metrics.route(route.path, &route.method)),
        bucket: route.bucket,
        known: route.parameters,
        forwarded: Some(Forwarded { key: Arc::clone(&caller.key), id: call.id }),
    };
    (route.guarded.handler)(app.clone(), request).await
}
