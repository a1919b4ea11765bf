//! Entries: listed, read, and changed by hand.

use axum::{
    body::Body,
    http::{HeaderValue, Response as HttpResponse, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use validator::Validate;

use crate::{
    http::{
        Error,
        extract::{Caller, GuardedRequest, Operator, RequestContext, Viewer},
        guard::body,
        json_with,
        parameters::no_cursor,
        routes::{openapi::EntryPatch, precondition::Precondition},
        state::App,
    },
    knowledge::{
        Change, ChangeError, EditDone, EntryDraft, EntryFilter, EntryOrder, QuestionFilter,
    },
    model::{Category, Entry, EntryJson, Severity},
    security::Event,
    validation::{self, Field, Rejection, problem},
};

const MAX_NOTE_CHARS: usize = 5_000;

/// The body of a create or a replace; of a patch, with every field optional. Lists hold at most
/// 50,000 characters in all.
#[derive(utoipa::ToSchema)]
#[allow(dead_code)] // why: the form for the document; `EntryDraft::parse` reads it
#[schema(rename_all = "camelCase")]
pub struct EntryRequest {
    /// 1 to 500 characters after trimming.
    #[schema(min_length = 1, max_length = 500, pattern = r"\S")]
    title: String,
    /// If not given, `troubleshooting` for a new entry, and what it was for another.
    #[schema(value_type = Option<String>)]
    category: Option<Category>,
    /// If not given, `medium` for a new entry, and what it was for another.
    severity: Option<Severity>,
    /// What it is about.
    #[schema(max_length = 50000)]
    description: Option<String>,
    /// Why it happens.
    #[schema(max_length = 50000)]
    root_cause: Option<String>,
    /// What to do.
    #[schema(max_length = 50000)]
    solution: Option<String>,
    /// What must be so before the steps.
    #[schema(max_items = 200)]
    prerequisites: Option<Vec<String>>,
    /// What to do, one by one.
    #[schema(max_items = 200)]
    steps: Option<Vec<String>>,
    /// How it is when all is well again.
    #[schema(max_length = 50000)]
    expected_outcome: Option<String>,
    /// Of 1 to 50 characters each after trimming.
    #[schema(max_items = 20)]
    tags: Option<Vec<String>>,
    /// Ids of other entries.
    #[schema(max_items = 200)]
    related_entries: Option<Vec<String>>,
    /// Of http or https, at most 2000 bytes; empty for none.
    #[schema(max_length = 2000, pattern = "^(https?://[\\s\\S]*)?$")]
    runbook_url: Option<String>,
}

/// The body of a note.
#[derive(Deserialize, Default, Validate, utoipa::ToSchema)]
#[serde(default)]
pub struct NoteRequest {
    /// 1 to 5000 characters after trimming.
    #[validate(custom(function = "is_note"))]
    #[schema(value_type = String, min_length = 1, max_length = 5000, pattern = r"\S")]
    text: Field<String>,
}

/// The body of feedback.
#[derive(Deserialize, Default, Validate, utoipa::ToSchema)]
#[serde(default)]
pub struct FeedbackRequest {
    /// Whether the entry helped.
    #[validate(custom(function = "is_given"))]
    #[schema(value_type = bool)]
    helped: Field<bool>,
}

fn is_note(text: &Field<String>) -> Result<(), validator::ValidationError> {
    match text {
        Field::Missing | Field::Null => Err(problem("is required")),
        Field::Given(text) if (1..=MAX_NOTE_CHARS).contains(&text.trim().chars().count()) => Ok(()),
        _ => Err(problem(format!("must be a string of 1 to {MAX_NOTE_CHARS} characters"))),
    }
}

fn is_given(truth: &Field<bool>) -> Result<(), validator::ValidationError> {
    match truth {
        Field::Given(_) => Ok(()),
        Field::Missing | Field::Null => Err(problem("is required")),
        Field::Mistyped => Err(problem("must be true or false")),
    }
}

/// A page of entries.
#[derive(Serialize, utoipa::ToSchema)]
pub struct EntryList<'a> {
    #[schema(value_type = Vec<EntryJson>)]
    entries: &'a [Entry],
    /// To be given as `cursor` for the next page.
    next: Option<String>,
}

/// `POST /api/knowledge/entries`: 201 once the entry is stored.
#[utoipa::path(post, path = "/api/knowledge/entries", operation_id = "createEntry",
    request_body = EntryRequest,
    responses((status = 201, description = "Stored", body = EntryJson)))]
pub async fn create(
    caller: Caller<Operator>,
    app: App,
    request: GuardedRequest,
) -> Result<Response, Error> {
    let context = request.context.clone();
    let body = body::read(&app, request).await?;
    let draft = EntryDraft::parse(&body).map_err(|rejection| context.invalid(&app, rejection))?;
    let entry = app.base.create(draft, &caller.key.label).await?;
    let details = json!({ "key": caller.key.label, "action": "create", "entry": entry.id });
    context.audit(&app, Event::KnowledgeChanged, details);
    let mut response = shown(StatusCode::CREATED, &entry)?;
    if let Ok(place) = HeaderValue::from_str(&format!("/api/knowledge/entries/{}", entry.id)) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// `GET /api/knowledge/entries`: pages of entries, without open questions unless asked for.
#[utoipa::path(get, path = "/api/knowledge/entries", operation_id = "listEntries",
    params(("category" = Option<Category>, Query, description = "Only entries of this category"),
        ("severity" = Option<Severity>, Query, description = "Only entries of this severity"),
        ("tag" = Option<String>, Query, min_length = 1, max_length = 200,
            description = "Only entries with this tag, whatever its case"),
        ("alertname" = Option<String>, Query, min_length = 1, max_length = 4096,
            description = "Only entries learned from alerts of this name or written for them"),
        ("firing" = Option<bool>, Query, description = "Only entries of which instances fire, or none"),
        ("sort" = Option<String>, Query, description = "In which order; lastUpdated if not given"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000,
            description = "How many at most, 100 if not given"),
        ("cursor" = Option<String>, Query, min_length = 1, max_length = 4096,
            description = "`next` of the page before")),
    responses((status = 200, description = "A page of entries", body = EntryList)))]
pub async fn list(_: Caller<Viewer>, app: App, request: GuardedRequest) -> Result<Response, Error> {
    let mut parameters = request.parameters();
    let category = parameters.one_of("category", &Category::ALL.map(Category::as_str));
    let severity = parameters.one_of("severity", &Severity::ALL.map(Severity::as_str));
    let filter = EntryFilter {
        text: QuestionFilter {
            category: category.and_then(Category::parse),
            severity: severity.and_then(Severity::parse),
            tag: parameters.text("tag", 200),
        },
        alertname: parameters.text("alertname", 4096),
        firing: parameters.one_of("firing", &["false", "true"]).map(|word| word == "true"),
    };
    let orders = EntryOrder::NAMES.map(|(name, _)| name);
    let order = parameters.one_of("sort", &orders).unwrap_or(orders[0]);
    let order = EntryOrder::NAMES.into_iter().find(|(name, _)| *name == order);
    let (limit, cursor) = parameters.page();
    parameters.check().map_err(|rejection| request.context.invalid(&app, rejection))?;
    let order = order.map(|(_, order)| order).unwrap_or_default();
    let page = app.base.list(&filter, order, limit, cursor.as_deref());
    let page = page.ok_or_else(|| request.context.invalid(&app, no_cursor()))?;
    crate::http::json(&EntryList { entries: &page.entries, next: page.next })
}

/// `GET /api/knowledge/entries/{id}`: one entry, whole.
#[utoipa::path(get, path = "/api/knowledge/entries/{id}", operation_id = "getEntry",
    params(("id" = String, Path, description = "The entry's id")),
    responses((status = 200, description = "The entry", body = EntryJson), (status = 404)))]
pub async fn read(
    _: Caller<Viewer>,
    app: App,
    mut request: GuardedRequest,
) -> Result<Response, Error> {
    let id = request.id().await?;
    shown(StatusCode::OK, &app.base.entry(&id).await.ok_or(Error::NotFound)?)
}

/// `PUT /api/knowledge/entries/{id}`: replaces the text; what was learned stays.
#[utoipa::path(put, path = "/api/knowledge/entries/{id}", operation_id = "replaceEntry",
    params(("id" = String, Path, description = "The entry's id"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the entry that was seen, or *")),
    request_body = EntryRequest,
    responses((status = 200, description = "The entry as it is now", body = EntryJson),
        (status = 404), (status = 409), (status = 412)))]
pub async fn replace(
    caller: Caller<Operator>,
    app: App,
    request: GuardedRequest,
) -> Result<Response, Error> {
    change(caller, app, request, "replace", |body| {
        Ok(Change::Replace(Box::new(EntryDraft::parse(body)?)))
    })
    .await
}

/// `PATCH /api/knowledge/entries/{id}`: replaces some fields of the text (RFC 7396).
#[utoipa::path(patch, path = "/api/knowledge/entries/{id}", operation_id = "patchEntry",
    params(("id" = String, Path, description = "The entry's id"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the entry that was seen, or *")),
    request_body = EntryPatch,
    responses((status = 200, description = "The entry as it is now", body = EntryJson),
        (status = 404), (status = 409), (status = 412)))]
pub async fn patch(
    caller: Caller<Operator>,
    app: App,
    request: GuardedRequest,
) -> Result<Response, Error> {
    change(caller, app, request, "patch", |body| {
        let patch: Value = serde_json::from_slice(body)
            .map_err(|error| Rejection::Malformed(error.to_string()))?;
        match patch {
            Value::Object(_) => Ok(Change::Patch(patch)),
            _ => Err(Rejection::of("", problem("must be an object"))),
        }
    })
    .await
}

/// `DELETE /api/knowledge/entries/{id}`: 204 once it is deleted from the store.
#[utoipa::path(delete, path = "/api/knowledge/entries/{id}", operation_id = "deleteEntry",
    params(("id" = String, Path, description = "The entry's id"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the entry that was seen, or *")),
    responses((status = 204, description = "Deleted"), (status = 404), (status = 409), (status = 412)))]
pub async fn delete(
    caller: Caller<Operator>,
    app: App,
    request: GuardedRequest,
) -> Result<Response, Error> {
    change(caller, app, request, "delete", |_| Ok(Change::Delete)).await
}

/// `POST /api/knowledge/entries/{id}/notes`: adds a note; 200 with the entry once it is stored.
#[utoipa::path(post, path = "/api/knowledge/entries/{id}/notes", operation_id = "addNote",
    params(("id" = String, Path, description = "The entry's id"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the entry that was seen, or *")),
    request_body = NoteRequest,
    responses((status = 200, description = "The entry as it is now", body = EntryJson),
        (status = 404), (status = 412)))]
pub async fn note(
    caller: Caller<Operator>,
    app: App,
    request: GuardedRequest,
) -> Result<Response, Error> {
    change(caller, app, request, "note", |body| {
        let note: NoteRequest = validation::parse(body)?;
        Ok(Change::Note(note.text.given().unwrap_or_default().trim().to_owned()))
    })
    .await
}

/// `POST /api/knowledge/entries/{id}/feedback`: counts whether it helped.
#[utoipa::path(post, path = "/api/knowledge/entries/{id}/feedback", operation_id = "giveFeedback",
    params(("id" = String, Path, description = "The entry's id"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the entry that was seen, or *")),
    request_body = FeedbackRequest,
    responses((status = 200, description = "The entry as it is now", body = EntryJson),
        (status = 404), (status = 412)))]
pub async fn feedback(
    caller: Caller<Operator>,
    app: App,
    request: GuardedRequest,
) -> Result<Response, Error> {
    change(caller, app, request, "feedback", |body| {
        let feedback: FeedbackRequest = validation::parse(body)?;
        Ok(Change::Feedback { helped: feedback.helped.given().unwrap_or_default() })
    })
    .await
}

/// Makes a change that the body tells of, audits it, and answers with the entry as it is now.
async fn change(
    caller: Caller<Operator>,
    app: App,
    mut request: GuardedRequest,
    action: &'static str,
    read: impl FnOnce(&Bytes) -> Result<Change, Rejection> + Send,
) -> Result<Response, Error> {
    let (id, context) = (request.id().await?, request.context.clone());
    let precondition =
        Precondition::of(&request).map_err(|rejection| context.invalid(&app, rejection))?;
    let body = body::read(&app, request).await?;
    let change = read(body.bytes()).map_err(|rejection| context.invalid(&app, rejection))?;
    // Notes and feedback are right whatever the version; what is replaced must have been seen.
    let depends = !matches!(change, Change::Note(_) | Change::Feedback { .. });
    let known = app.base.entry(&id).await.ok_or(Error::NotFound)?;
    if !precondition.admits(known.version) {
        return Err(Error::PreconditionFailed(Box::new(known)));
    }
    let seen = (depends || precondition.is_given()).then_some(known.version);
    let done =
        app.base.edit(&id, seen, change, &caller.key.label).await.map_err(|error| match error {
            ChangeError::Edit(crate::knowledge::EditError::Conflict(entry))
                if precondition.is_given() =>
            {
                Error::PreconditionFailed(entry)
            }
            ChangeError::Edit(crate::knowledge::EditError::Invalid(rejection)) => {
                context.invalid(&app, rejection)
            }
            error => error.into(),
        })?;
    audit(&app, &context, &caller.key.label, action, &done);
    match &done.after {
        Some(entry) => shown(StatusCode::OK, entry),
        None => {
            let mut response = HttpResponse::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            Ok(response)
        }
    }
}

/// With a hash of the entry before, so that it can be found out what was overwritten.
fn audit(app: &App, context: &RequestContext, key: &str, action: &str, done: &EditDone) {
    let before = serde_json::to_vec(&EntryJson::from(&done.before)).unwrap_or_default();
    let details = json!({
        "key": key,
        "action": action,
        "entry": done.before.id,
        "version": done.after.as_ref().map(|after| after.version),
        "sha256Before": hex::encode(Sha256::digest(&before)),
    });
    context.audit(app, Event::KnowledgeChanged, details);
}

/// An answer with the entry and its version.
fn shown(status: StatusCode, entry: &Entry) -> Result<Response, Error> {
    let mut response = json_with(status, entry)?;
    if let Ok(etag) = HeaderValue::from_str(&entry.etag()) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    Ok(response)
}
