//! Bodies: how large, and how long they and what is done with them may take.

use std::{future::Future, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use serde_json::json;

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

/// Reads a body, up to the limit and within the time.
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
        _ => tokio::time::timeout(app.request_timeout, collect(body, limit))
            .await
            .unwrap_or(Err(Error::BodyTimeout)),
    };
    if let Err(Error::TooLarge { .. }) = &collected {
        about.audit(app, Event::PayloadTooLarge, json!({ "limit": limit, "announced": announced }));
    }
    collected
}

async fn collect(body: Body, limit: usize) -> Result<Bytes, Error> {
    let mut frames = body.into_data_stream();
    let mut first: Option<Bytes> = None;
    let mut whole = BytesMut::new();
    while let Some(frame) = frames.next().await {
        let frame = frame.map_err(|error| Error::BodyBroken(error.into()))?;
        let so_far = first.as_ref().map_or(whole.len(), Bytes::len);
        if so_far + frame.len() > limit {
            return Err(Error::TooLarge { limit });
        }
        // Most bodies are one frame, which is taken as it is.
        match first.take() {
            None if whole.is_empty() => first = Some(frame),
            None => whole.extend_from_slice(&frame),
            Some(earlier) => {
                whole.extend_from_slice(&earlier);
                whole.extend_from_slice(&frame);
            }
        }
    }
    Ok(first.unwrap_or_else(|| whole.freeze()))
}

/// Gives a handler no longer than a request may take.
pub async fn in_time<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let late = Err(Error::unavailable("The service did not answer in time"));
    tokio::time::timeout(limit.saturating_mul(2), work).await.unwrap_or(late)
}
