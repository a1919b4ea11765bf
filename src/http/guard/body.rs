//! Bodies: how large, and how long they and what is done with them may take.
//!
//! `tower-http`'s layers for limits and timeouts answer in a form of their own; here the refusal
//! is the contract's, and it is audited.

use std::future::Future;

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use crate::{
    http::{
        Error,
        extract::{About, Call},
        state::App,
    },
    security::Event,
};

/// Reads the body of a call whose caller is known.
pub async fn read(app: &App, call: Call) -> Result<Bytes, Error> {
    let Call { parts, body, about } = call;
    read_parts(app, &about, &parts.headers, body).await
}

/// Reads a body, up to the limit and within the request's time.
pub async fn read_parts(
    app: &App,
    about: &About,
    headers: &HeaderMap,
    body: Body,
) -> Result<Bytes, Error> {
    let limit = app.body_limit;
    let announced = headers.get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let collected = match announced {
        Some(length) if length > limit as u64 => Err(Error::TooLarge { limit }),
        _ => timeout_at(about.deadline, collect(body, limit))
            .await
            .unwrap_or(Err(Error::BodyTimeout)),
    };
    if let Err(Error::TooLarge { .. }) = &collected {
        about.audit(app, Event::PayloadTooLarge, json!({ "limit": limit, "announced": announced }));
    }
    collected
}

async fn collect(body: Body, limit: usize) -> Result<Bytes, Error> {
    match Limited::new(body, limit).collect().await {
        // Most bodies are one frame, which is taken as it is.
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Error::TooLarge { limit }),
        Err(error) => Err(Error::BodyBroken(error)),
    }
}

/// Gives a handler until the request's deadline.
pub async fn in_time<T>(
    deadline: Instant,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let late = Err(Error::unavailable("The service did not answer in time"));
    timeout_at(deadline, work).await.unwrap_or(late)
}
