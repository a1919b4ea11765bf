//! The document of the interface, made from the handlers and the route table.

use std::sync::OnceLock;

use axum::{http::StatusCode, response::Response};
use bytes::Bytes;
use utoipa::{
    OpenApi,
    openapi::{
        RefOr, Response as DocumentedResponse,
        security::{
            ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
        },
    },
};

use super::{alerts, auth, entries, health, knowledge, page, persistence, webhook};
use crate::http::{
    Error, extract::GuardedRequest, guard::Access, json_response, routes, state::App,
};

#[derive(OpenApi)]
#[openapi(
    info(title = "orchestrator", description = "Alert intake and operations knowledge"),
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
#[utoipa::path(get, path = "/api/openapi.json",
    responses((status = 200, description = "The OpenAPI document")))]
pub async fn document(_: App, _: GuardedRequest) -> Result<Response, Error> {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    let text = DOCUMENT.get_or_init(|| build().to_json().unwrap_or_default().into());
    Ok(json_response(StatusCode::OK, text.clone()))
}

fn build() -> utoipa::openapi::OpenApi {
    let mut document = Handlers::openapi();
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    let components = document.components.get_or_insert_default();
    let bearer = |what: &str| {
        let mut scheme = Http::new(HttpAuthScheme::Bearer);
        scheme.description = Some(what.to_owned());
        SecurityScheme::Http(scheme)
    };
    components.add_security_scheme("apiKey", bearer("An API key"));
    components.add_security_scheme("webhookToken", bearer("WEBHOOK_TOKEN, for Alertmanager"));
    let signature = ApiKeyValue::with_description(
        "X-Webhook-Signature",
        "HMAC-SHA256 with WEBHOOK_SECRET over the body, in hex",
    );
    components
        .add_security_scheme("webhookSignature", SecurityScheme::ApiKey(ApiKey::Header(signature)));
    for route in routes() {
        let Some(item) = document.paths.paths.get_mut(route.path) else { continue };
        let operation = match route.method.as_str() {
            "GET" => item.get.as_mut(),
            "POST" => item.post.as_mut(),
            "PUT" => item.put.as_mut(),
            "PATCH" => item.patch.as_mut(),
            _ => item.delete.as_mut(),
        };
        let Some(operation) = operation else { continue };
        let mut describe = |status: &str, what: String| {
            let response = DocumentedResponse::new(what);
            operation.responses.responses.entry(status.into()).or_insert(RefOr::T(response));
        };
        describe("400", "Malformed, or with problems, all listed".into());
        describe("429", format!("Over the limit of the bucket {}", route.bucket.as_str()));
        let schemes: &[&str] = match route.guarded.access {
            Access::Anyone => &[],
            Access::WebhookSender => {
                describe("401", "Neither signature nor token is good".into());
                describe("503", "Not stored: try again".into());
                &["webhookSignature", "webhookToken"]
            }
            Access::Role(role) => {
                describe("401", "No good key".into());
                describe("403", format!("The key's role is below {}", role.as_str()));
                &["apiKey"]
            }
        };
        if route.method != axum::http::Method::GET {
            describe("413", "Over the body limit".into());
            describe("503", "Not now: try again".into());
        }
        let none: [&str; 0] = [];
        let needed = schemes.iter().map(|scheme| SecurityRequirement::new(*scheme, none));
        operation.security = Some(needed.collect());
    }
    document
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_document_and_the_route_table_name_the_same_routes() {
        let table: BTreeSet<_> = routes()
            .into_iter()
            .map(|route| (route.path.to_owned(), route.method.as_str().to_lowercase()))
            .collect();
        let document = serde_json::to_value(build()).unwrap();
        let mut documented = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                documented.insert((path.clone(), method.clone()));
            }
        }
        assert_eq!(documented, table);
    }

    #[test]
    fn each_route_documents_the_query_parameters_that_it_knows() {
        let document = serde_json::to_value(build()).unwrap();
        for route in routes() {
            let operation = &document["paths"][route.path][route.method.as_str().to_lowercase()];
            let documented = operation["parameters"].as_array().into_iter().flatten();
            let documented: BTreeSet<_> = documented
                .filter(|parameter| parameter["in"] == "query")
                .map(|parameter| parameter["name"].as_str().unwrap().to_owned())
                .collect();
            let known = route.parameters.iter().map(|parameter| parameter.name().to_owned());
            assert_eq!(documented, known.collect(), "{} {}", route.method, route.path);
        }
    }
}
