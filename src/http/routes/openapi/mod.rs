//! The document of the interface, made from the handlers, the route table and the bounds of the
//! code itself.
//!
//! What each handler says of itself is put together by `utoipa`. What all routes share (errors,
//! headers, who may call) is in `shared.rs`, and what only the code can say of a value (its words,
//! its form) in `values.rs`; both work on the document as JSON.

mod examples;
mod forms;
mod shared;
mod values;

use std::sync::OnceLock;

use axum::{http::StatusCode, response::Response};
use bytes::Bytes;
use serde_json::{Value, json};
use utoipa::OpenApi;

pub use self::forms::{EntryPatch, JsonRpcAnswer, JsonRpcMessage, Moment, WebhookPayload};
use super::{alerts, auth, entries, health, knowledge, mcp, page, persistence, webhook};
use crate::http::{Error, error::ErrorBody, extract::GuardedRequest, json_response, state::App};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "orchestrator",
        description = "Alert intake and operations knowledge: takes Alertmanager's webhooks, learns \
            from them, answers questions, and keeps and hands out the history."
    ),
    servers((url = "/", description = "Where this document is from")),
    tags(
        (name = "alerts", description = "Stored alerts"),
        (name = "auth", description = "Keys"),
        (name = "entries", description = "Entries of the knowledge base"),
        (name = "health", description = "Liveness and readiness"),
        (name = "knowledge", description = "Questions, and what is known in all"),
        (name = "mcp", description = "For assistants: the Model Context Protocol"),
        (name = "openapi", description = "This document"),
        (name = "page", description = "The page for people"),
        (name = "persistence", description = "What is kept"),
        (name = "webhook", description = "Alerts coming in"),
    ),
    components(schemas(ErrorBody, Moment)),
    paths(
        document,
        health::health,
        health::ready,
        webhook::alerts,
        alerts::list,
        knowledge::query,
        knowledge::summary,
        knowledge::export,
        persistence::health,
        persistence::historical,
        persistence::export,
        auth::me,
        page::page,
        page::asset,
        mcp::message,
        entries::create,
        entries::list,
        entries::read,
        entries::replace,
        entries::patch,
        entries::note,
        entries::feedback,
        entries::delete,
    )
)]
struct Handlers;

/// `GET /api/openapi.json`: this document.
#[utoipa::path(get, path = "/api/openapi.json", operation_id = "getOpenApi", tag = "openapi",
    responses((status = 200, description = "The OpenAPI document", body = Object)))]
pub async fn document(_: App, _: GuardedRequest) -> Result<Response, Error> {
    static TEXT: OnceLock<Bytes> = OnceLock::new();
    let text = TEXT.get_or_init(|| built().to_string().into());
    Ok(json_response(StatusCode::OK, text.clone()))
}

/// The document, built once.
pub fn built() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(build)
}

fn build() -> Value {
    let mut document = serde_json::to_value(Handlers::openapi()).unwrap_or_default();
    document["info"]["version"] = json!(env!("CARGO_PKG_VERSION"));
    values::refine(&mut document);
    shared::complete(&mut document);
    examples::add(&mut document);
    // The same text whatever features of serde_json a build has.
    document.sort_all_objects();
    document
}

#[cfg(test)]
mod tests;
