//! Bodies: how large, and how long they and what is done with them may take.
//!
//! `tower-http`'s layers for limits and timeouts answer in a form of their own; here the refusal
//! is the contract's, and it is audited.

use std::{future::Future, pin::Pin, task::Poll};

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, poll};
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::body_budget::{Held, HeldBody, overloaded};
use crate::{
    http::{
        Error,
        extract::{GuardedRequest, RequestContext},
        state::App,
    },
    security::Event,
};

/// Reads the body of a call whose caller is known.
pub async fn read(app: &App, mut request: GuardedRequest) -> Result<HeldBody, Error> {
    read_within(app, &mut request, app.body_limit, app.bodies.proven(), Sender::Proven).await
}

/// Who sends a body, as far as its head tells.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// Who may: what it announces is reserved at once.
    Proven,
    /// Perhaps nobody who may: only what came counts.
    Unproven,
}

/// Reads a body of at most `limit` bytes, within the request's time.
pub async fn read_within(
    app: &App,
    request: &mut GuardedRequest,
    limit: usize,
    mut held: Held,
    sender: Sender,
) -> Result<HeldBody, Error> {
    check_announced(app, &request.context, &request.parts.headers, limit)?;
    let announced = announced(&request.parts.headers).filter(|_| sender == Sender::Proven);
    let body = std::mem::take(&mut request.body);
    let collected = timeout_at(request.context.deadline, async {
        let announced = announced.and_then(|length| usize::try_from(length).ok());
        if let Some(length) = announced {
            held.cover(length, true).await?;
        }
        collect(body, limit, announced.unwrap_or(0), &mut held).await
    });
    match collected.await.unwrap_or(Err(Error::BodyTimeout)) {
        Ok(bytes) => Ok(held.complete(bytes)),
        Err(error) => {
            note_too_large(app, &request.context, &error, announced);
            Err(error)
        }
    }
}

/// Refuses a body that says itself that it is too large.
///
/// # Errors
/// 413.
pub fn check_announced(
    app: &App,
    context: &RequestContext,
    headers: &HeaderMap,
    limit: usize,
) -> Result<(), Error> {
    let announced = announced(headers);
    if announced.is_some_and(|length| length > limit as u64) {
        let error = Error::TooLarge { limit };
        note_too_large(app, context, &error, announced);
        return Err(error);
    }
    Ok(())
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn note_too_large(app: &App, context: &RequestContext, error: &Error, announced: Option<u64>) {
    if let Error::TooLarge { limit } = error {
        context.audit(
            app,
            Event::PayloadTooLarge,
            json!({ "limit": limit, "announced": announced }),
        );
    }
}

/// Copies what comes into one place, made as large as was announced: a body costs its size, and
/// what the connection read it into is free again at once.
async fn collect(
    body: Body,
    limit: usize,
    announced: usize,
    held: &mut Held,
) -> Result<Bytes, Error> {
    let mut frames = body.into_data_stream();
    let mut whole = BytesMut::with_capacity(announced);
    loop {
        let frame = tokio::select! {
            frame = frames.next() => frame,
            () = held.given_way() => return Err(overloaded()),
        };
        let Some(frame) = frame else { return Ok(whole.freeze()) };
        let frame = frame.map_err(|error| Error::BodyBroken(error.into()))?;
        let total = whole.len() + frame.len();
        if total > limit {
            return Err(Error::TooLarge { limit });
        }
        held.cover(total, false).await?;
        whole.extend_from_slice(&frame);
    }
}

/// Gives a handler until the request's deadline.
pub async fn in_time<T>(
    deadline: Instant,
    mut work: Pin<&mut impl Future<Output = Result<T, Error>>>,
) -> Result<T, Error> {
    // Most answers are there at once, and need no timer.
    if let Poll::Ready(done) = poll!(work.as_mut()) {
        return done;
    }
    let late = Err(Error::unavailable("The service did not answer in time"));
    timeout_at(deadline, work).await.unwrap_or(late)
}
