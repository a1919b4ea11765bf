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
    model::{Category, Entry, EntryJson, ExportedEntry, Severity, Time},
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

/// What is known.
#[derive(Serialize, utoipa::ToSchema)]
struct QueryResults<'a> {
    query: &'a str,
    /// The best first.
    entries: &'a [ScoredEntry],
    solutions: Vec<&'a str>,
    concepts: Vec<&'a str>,
    meta: ResultsMeta,
}

/// How many entries were asked for and are given.
#[derive(Serialize, utoipa::ToSchema)]
struct ResultsMeta {
    limit: usize,
    returned: usize,
}

/// How it was answered.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct QueryMeta<'a> {
    matched_entries: usize,
    took_ms: f64,
    freshness: &'a Freshness,
}

/// The body of a query: exactly one of `query` and `text`.
#[derive(utoipa::ToSchema)]
#[allow(dead_code)] // why: the form for the document; `Question::parse` reads it
pub struct QueryRequest {
    /// A question: 1 to 5000 characters after trimming, letters, digits and marks of any script,
    /// white space and ``- . ( ) _ : / , ' " ? ! % @ # + = &``.
    #[schema(min_length = 1, max_length = 5000)]
    query: Option<String>,
    /// Instead of `query`, what people paste: 1 to 20,000 characters of any kind, but no control
    /// characters other than tab and newline.
    #[schema(min_length = 1, max_length = 20000)]
    text: Option<String>,
    /// How many entries at most, 10 if not given.
    #[schema(minimum = 1, maximum = 100)]
    limit: Option<u8>,
    /// Which entries to look among.
    filter: Option<QueryFilter>,
}

/// Which entries to look among; what is not given does not matter.
#[derive(utoipa::ToSchema)]
#[allow(dead_code)] // why: as above
struct QueryFilter {
    category: Option<Category>,
    severity: Option<Severity>,
    /// Whatever its case.
    #[schema(min_length = 1, max_length = 200)]
    tag: Option<String>,
}

/// All entries, as JSON.
#[derive(utoipa::ToSchema)]
#[allow(dead_code)] // why: the form for the document; `listed` writes it
#[schema(rename_all = "camelCase")]
pub struct ExportedKnowledge<'a> {
    /// When.
    export_date: String,
    /// How many.
    total: usize,
    /// As they are shown, and with what it takes to restore them.
    entries: Vec<EntryJson<'a>>,
}

/// `POST /api/knowledge/query`: what is known; what is not, or not for sure, is remembered as an open question.
#[utoipa::path(post, path = "/api/knowledge/query", operation_id = "queryKnowledge",
    request_body = QueryRequest,
    responses((status = 200, description = "What is known about it", body = QueryAnswer)))]
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
#[utoipa::path(get, path = "/api/knowledge/summary", operation_id = "getKnowledgeSummary",
    params(("If-None-Match" = Option<String>, Header, description = "The ETag of the page as it is known")),
    responses((status = 200, description = "The summary", body = knowledge::Summary),
        (status = 304, description = "Unchanged")))]
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
#[utoipa::path(get, path = "/api/knowledge/export", operation_id = "exportKnowledge",
    params(("format" = Option<String>, Query, description = "As what; json if not given")),
    responses((status = 200, description = "The entries", content(
        (ExportedKnowledge = "application/json"), (String = "text/markdown; charset=utf-8")))))]
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
