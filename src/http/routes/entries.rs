//! Entries by hand.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use serde_json::json;

use crate::{
    http::{
        Error,
        extract::{Call, Caller, Operator, Viewer},
        guard::body,
        json, json_with,
        state::App,
    },
    knowledge::EntryDraft,
    model::{Category, Entry, Severity},
    security::Event,
};

/// The body of a create or a replace.
#[derive(utoipa::ToSchema)]
#[allow(dead_code)] // why: the form for the document; `EntryDraft::parse` reads it
#[schema(rename_all = "camelCase")]
pub struct EntryRequest {
    /// 1 to 500 characters.
    title: String,
    /// If not given, `troubleshooting` for a new entry, and what it was for another; not
    /// `question`.
    category: Option<Category>,
    /// If not given, `medium` for a new entry, and what it was for another.
    severity: Option<Severity>,
    /// At most 50,000 characters, as the other texts.
    description: Option<String>,
    root_cause: Option<String>,
    solution: Option<String>,
    prerequisites: Option<Vec<String>>,
    steps: Option<Vec<String>>,
    expected_outcome: Option<String>,
    /// At most 20 of at most 50 characters.
    tags: Option<Vec<String>>,
    related_entries: Option<Vec<String>>,
    runbook_url: Option<String>,
}

/// `POST /api/knowledge/entries`: 201 once the entry is stored and searchable.
#[utoipa::path(post, path = "/api/knowledge/entries", request_body = EntryRequest,
    responses((status = 201, body = Entry)))]
pub async fn create(caller: Caller<Operator>, app: App, call: Call) -> Result<Response, Error> {
    let about = call.about.clone();
    let body = body::read(&app, call).await?;
    let draft = EntryDraft::parse(&body).map_err(|rejection| about.invalid(&app, rejection))?;
    let entry = app.base.create(draft, &caller.key.label).await?;
    let details = json!({ "key": caller.key.label, "action": "create", "entry": entry.id });
    about.audit(&app, Event::KnowledgeChanged, details);
    let mut response = json_with(StatusCode::CREATED, &entry)?;
    if let Ok(place) = HeaderValue::from_str(&format!("/api/knowledge/entries/{}", entry.id)) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// `GET /api/knowledge/entries/{id}`
#[utoipa::path(get, path = "/api/knowledge/entries/{id}",
    params(("id" = String, Path, description = "The entry's id")),
    responses((status = 200, body = Entry), (status = 404, description = "No such entry")))]
pub async fn read(_: Caller<Viewer>, app: App, mut call: Call) -> Result<Response, Error> {
    let id = call.id().await?;
    json(&app.base.entry(&id).ok_or(Error::NotFound)?)
}

/// `PUT /api/knowledge/entries/{id}`: replaces the text; what was learned stays.
#[utoipa::path(put, path = "/api/knowledge/entries/{id}", request_body = EntryRequest,
    params(("id" = String, Path, description = "The entry's id")),
    responses((status = 200, body = Entry), (status = 404, description = "No such entry")))]
pub async fn replace(
    caller: Caller<Operator>,
    app: App,
    mut call: Call,
) -> Result<Response, Error> {
    let (id, about) = (call.id().await?, call.about.clone());
    let body = body::read(&app, call).await?;
    let draft = EntryDraft::parse(&body).map_err(|rejection| about.invalid(&app, rejection))?;
    let entry = app.base.replace(&id, draft).await?.ok_or(Error::NotFound)?;
    let details = json!({ "key": caller.key.label, "action": "replace", "entry": id });
    about.audit(&app, Event::KnowledgeChanged, details);
    json(&entry)
}

/// `DELETE /api/knowledge/entries/{id}`: 204 once it is gone from the store.
#[utoipa::path(delete, path = "/api/knowledge/entries/{id}",
    params(("id" = String, Path, description = "The entry's id")),
    responses((status = 204, description = "Gone"), (status = 404, description = "No such entry")))]
pub async fn delete(caller: Caller<Operator>, app: App, mut call: Call) -> Result<Response, Error> {
    let id = call.id().await?;
    if !app.base.delete(&id).await? {
        return Err(Error::NotFound);
    }
    let details = json!({ "key": caller.key.label, "action": "delete", "entry": id });
    call.about.audit(&app, Event::KnowledgeChanged, details);
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}
