//! Questions and the summary.

use std::{convert::Infallible, iter::once, sync::Arc, time::Instant};

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use futures::stream;
use serde::Serialize;

use crate::{
    http::{
        Error, etag, export,
        extract::{Admin, Caller, GuardedRequest, Operator},
        guard::body,
        json, json_response, not_modified,
        state::App,
    },
    knowledge::{self, Freshness, Gap, Question, ScoredEntry},
    model::{Entry, ExportedEntry, Time},
    security::Event,
};

/// The answer to a question.
#[derive(Serialize, utoipa::ToSchema)]
pub struct QueryAnswer<'a> {
    success: bool,
    results: QueryResults<'a>,
    /// Ids of the entries.
    sources: Vec<&'a str>,
    meta: QueryMeta<'a>,
    /// The open question that this became, if nothing is known for sure.
    gap: Option<&'a Gap>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct QueryResults<'a> {
    query: &'a str,
    /// The best first.
    entries: &'a [ScoredEntry],
    solutions: Vec<&'a str>,
    concepts: Vec<&'a str>,
    meta: ResultsMeta,
}

#[derive(Serialize, utoipa::ToSchema)]
struct ResultsMeta {
    limit: usize,
    returned: usize,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct QueryMeta<'a> {
    matched_entries: usize,
    took_ms: f64,
    freshness: &'a Freshness,
}

/// The body of a query.
#[derive(utoipa::ToSchema)]
#[allow(dead_code)] // why: the form for the document; `Question::parse` reads it
pub struct QueryRequest {
    /// 1 to 5000 characters: letters, digits, white space and ``- . ( ) _ : / , ' " ? ! % @ # + = &``.
    query: Option<String>,
    /// Instead of `query`, what people paste: 1 to 20,000 characters of any kind, but no control
    /// characters other than tab and newline.
    text: Option<String>,
    /// 1 to 100, 10 if not given.
    limit: Option<u8>,
    filter: Option<QueryFilter>,
}

#[derive(utoipa::ToSchema)]
#[allow(dead_code)] // why: as above
struct QueryFilter {
    category: Option<String>,
    severity: Option<String>,
    tag: Option<String>,
}

/// `POST /api/knowledge/query`: what is known; what is not, or not for sure, is remembered as an open question.
#[utoipa::path(post, path = "/api/knowledge/query", request_body = QueryRequest,
    responses((status = 200, body = QueryAnswer)))]
pub async fn query(
    _: Caller<Operator>,
    app: App,
    request: GuardedRequest,
) -> Result<Response, Error> {
    let started = Instant::now();
    let context = request.context.clone();
    let body = body::read(&app, request).await?;
    let question = Question::parse(&body).map_err(|rejection| context.invalid(&app, rejection))?;
    let answer = app.base.ask(question).await?;
    let question = &answer.question;
    let took_ms = (started.elapsed().as_secs_f64() * 1e6).round() / 1e3;
    json(&QueryAnswer {
        success: true,
        results: QueryResults {
            query: &question.text,
            entries: &answer.entries,
            solutions: answer.solutions(),
            concepts: answer.concepts(),
            meta: ResultsMeta { limit: question.limit, returned: answer.entries.len() },
        },
        sources: answer.entries.iter().map(|scored| scored.entry.id.as_str()).collect(),
        meta: QueryMeta {
            matched_entries: answer.entries.len(),
            took_ms,
            freshness: &answer.freshness,
        },
        gap: answer.gap.as_ref(),
    })
}

/// `GET /api/knowledge/summary`: the page that dashboards poll, from memory.
#[utoipa::path(get, path = "/api/knowledge/summary", responses(
    (status = 200, description = "The summary, with an ETag"),
    (status = 304, description = "Unchanged")
))]
pub async fn summary(app: App, request: GuardedRequest) -> Result<Response, Error> {
    let page = app.base.summary()?;
    let mut response = match etag::is_known(&request.parts.headers, &page.etag) {
        true => not_modified(),
        false => json_response(StatusCode::OK, page.body),
    };
    let headers = response.headers_mut();
    // Caches may keep it, but must ask whether it is still true.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(etag) = HeaderValue::from_str(&page.etag) {
        headers.insert(header::ETAG, etag);
    }
    Ok(response)
}

/// `GET /api/knowledge/export`: all entries as they are kept, open questions too.
///
/// The Markdown is one file that `orchestrator knowledge import` reads back to equal entries.
#[utoipa::path(get, path = "/api/knowledge/export",
    params(("format" = Option<String>, Query, description = "markdown or json (if not given)")),
    responses((status = 200, description = "The entries")))]
pub async fn export(
    caller: Caller<Admin>,
    app: App,
    request: GuardedRequest,
) -> Result<Response, Error> {
    let mut parameters = request.parameters();
    let format = parameters.one_of("format", &["json", "markdown"]).unwrap_or("json");
    parameters.check().map_err(|rejection| request.context.invalid(&app, rejection))?;
    let entries = app.base.entries();
    let details = serde_json::json!({
        "key": caller.key.label, "format": format, "entries": entries.len(),
    });
    request.context.audit_confirmed(&app, Event::DataExport, details).await?;
    Ok(match format {
        "markdown" => streamed("text/markdown; charset=utf-8", markdown(entries)),
        _ => streamed("application/json", listed(entries, app.clock.now())),
    })
}

fn streamed(kind: &'static str, pieces: impl Iterator<Item = String> + Send + 'static) -> Response {
    let pieces = stream::iter(pieces.map(Ok::<_, Infallible>));
    let mut response = Response::new(Body::from_stream(pieces));
    response.extensions_mut().insert(export::answer_by());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn markdown(entries: Vec<Arc<Entry>>) -> impl Iterator<Item = String> {
    entries.into_iter().map(|entry| knowledge::export::markdown(&entry))
}

fn listed(entries: Vec<Arc<Entry>>, now: Time) -> impl Iterator<Item = String> {
    let opening = format!("{{\"exportDate\":\"{now}\",\"total\":{},\"entries\":[", entries.len());
    let entries = entries.into_iter().enumerate().map(|(place, entry)| {
        let comma = if place == 0 { "" } else { "," };
        // Strings and numbers always serialise.
        let entry = entry.without_instances();
        let exported = ExportedEntry::from(&entry);
        format!("{comma}{}", serde_json::to_string(&exported).unwrap_or_default())
    });
    once(opening).chain(entries).chain(once("]}".to_owned()))
}
