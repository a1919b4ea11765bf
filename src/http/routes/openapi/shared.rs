//! What all routes share: how they fail, their headers, and who may call.

use serde_json::{Map, Value, json};

use crate::http::{Route, guard::Access, guard::rate_limit::Bucket, routes};

/// How requests fail: status, name among the components, and what it means.
const FAILURES: [(&str, &str, &str); 12] = [
    ("400", "BadRequest", "Malformed, or with problems, of which up to 20 are listed"),
    ("401", "Unauthorized", "No good key, token or signature"),
    ("403", "Forbidden", "The key's role is too low; `requiredRole` says which it takes"),
    ("404", "NotFound", "There is no such entry"),
    ("405", "MethodNotAllowed", "Not with this method; `Allow` names those that there are"),
    ("408", "RequestTimeout", "The body did not arrive in time"),
    ("409", "Conflict", "The entry was changed by another meanwhile; `entry` is what it is now"),
    ("412", "PreconditionFailed", "The entry is of another version; `entry` is what it is now"),
    ("413", "PayloadTooLarge", "The body is over the limit"),
    ("429", "TooManyRequests", "Over a limit of requests per client and minute"),
    ("500", "InternalError", "A defect; the log has the cause under the `requestId`"),
    ("503", "Unavailable", "Not now: the store is away, or the service is overloaded or draining"),
];

/// Completes the document by what the route table says of each route.
pub fn complete(document: &mut Value) {
    let components = &mut document["components"];
    components["headers"] = headers();
    components["responses"] = responses();
    components["securitySchemes"] = security_schemes();
    for route in routes() {
        let operation = &mut document["paths"][route.path][route.method.as_str().to_lowercase()];
        if let Some(operation) = operation.as_object_mut() {
            describe(&route, operation);
        }
    }
}

fn describe(route: &Route, operation: &mut Map<String, Value>) {
    // "`GET /health`: alive?" says twice what path and method say.
    for text in ["summary", "description"] {
        let told = operation.get(text).and_then(Value::as_str).map(without_address);
        if let Some(told) = told {
            operation.insert(text.into(), told.into());
        }
    }
    let (schemes, mut statuses) = match route.guarded.access {
        Access::Anyone => (json!([]), vec!["400", "429", "500", "503"]),
        Access::WebhookSender => (
            json!([{ "webhookSignature": [] }, { "webhookToken": [] }]),
            vec!["400", "401", "429", "500", "503"],
        ),
        Access::Role(_) => {
            (json!([{ "apiKey": [] }]), vec!["400", "401", "403", "429", "500", "503"])
        }
    };
    operation.insert("security".into(), schemes);
    if let Access::Role(role) = route.guarded.access {
        operation.insert("x-required-role".into(), role.as_str().into());
    }
    operation.insert("x-rate-limit-bucket".into(), route.bucket.as_str().into());
    if operation.contains_key("requestBody") {
        statuses.extend(["408", "413"]);
    }
    let Some(answers) = operation["responses"].as_object_mut() else { return };
    for (_, answer) in answers.iter_mut().filter(|(status, _)| status.as_str() < "400") {
        answer["headers"] = headers_of(route, answer);
    }
    let told = answers.keys().filter(|status| status.as_str() >= "400").cloned();
    let statuses: Vec<String> = told.chain(statuses.into_iter().map(str::to_owned)).collect();
    // Of what is no message that it can answer, the protocol says so in its own form.
    let protocol = route.path == "/mcp";
    for status in statuses {
        if protocol && status == "400" {
            answers.insert(status, bad_message());
            continue;
        }
        if let Some((_, name, _)) = FAILURES.iter().find(|(known, ..)| *known == status) {
            answers.insert(status, json!({ "$ref": format!("#/components/responses/{name}") }));
        }
    }
}

fn bad_message() -> Value {
    let forms = ["Error", "JsonRpcAnswer"]
        .map(|form| json!({ "$ref": format!("#/components/schemas/{form}") }));
    json!({
        "description": "Malformed, or no message that can be answered",
        "headers": references(&["X-Request-Id"]),
        "content": { "application/json": { "schema": { "anyOf": forms } } },
    })
}

fn without_address(text: &str) -> String {
    let told = match text.split_once("`: ") {
        Some((_, told)) if text.starts_with('`') => told,
        _ => text,
    };
    let mut letters = told.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The headers of an answer that is no failure.
fn headers_of(route: &Route, answer: &Value) -> Value {
    let mut names =
        vec!["X-Request-Id", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"];
    if matches!(route.guarded.access, Access::Role(_)) {
        names.push("X-API-Key-Expires");
    }
    let of_entry = answer["content"]["application/json"]["schema"]["$ref"]
        .as_str()
        .is_some_and(|name| name.ends_with("/Entry"));
    if of_entry || route.path.ends_with("/summary") {
        names.push("ETag");
    }
    if of_entry && route.method == axum::http::Method::POST && route.path.ends_with("/entries") {
        names.push("Location");
    }
    if route.bucket == Bucket::Export && route.path.ends_with("persistence/export") {
        names.push("Content-Disposition");
    }
    references(&names)
}

fn references(names: &[&str]) -> Value {
    let reference = |name: &&str| {
        ((*name).to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }))
    };
    names.iter().map(reference).collect::<Map<_, _>>().into()
}

fn headers() -> Value {
    let text = |what: &str| json!({ "description": what, "schema": { "type": "string" } });
    let count =
        |what: &str| json!({ "description": what, "schema": { "type": "integer", "minimum": 0 } });
    json!({
        "X-Request-Id": {
            "description": "The caller's own, if it sent one of 1-128 visible ASCII characters, else a \
                UUID; also in the log and the audit log",
            "required": true,
            "schema": { "type": "string", "minLength": 1, "maxLength": 128 },
        },
        "RateLimit-Limit": count("Requests a minute; missing where the limit is switched off"),
        "RateLimit-Remaining": count("How many more are taken right now"),
        "RateLimit-Reset": count("Seconds until all are"),
        "X-API-Key-Expires": {
            "description": "When the key ends, if it does",
            "schema": { "type": "string", "format": "date-time" },
        },
        "ETag": text("The version, for If-Match and If-None-Match"),
        "Location": text("Where the new entry is"),
        "Content-Disposition": text("The name of the file"),
        "Retry-After": count("Seconds after which to try again"),
        "WWW-Authenticate": text("Bearer"),
        "Allow": text("The methods that there are"),
    })
}

fn responses() -> Value {
    let response = |(status, name, what): (&str, &str, &str)| {
        let mut names = vec!["X-Request-Id"];
        names.extend(match status {
            "401" => vec!["WWW-Authenticate"],
            "405" => vec!["Allow"],
            "409" | "412" => vec!["ETag"],
            "429" | "503" => vec!["Retry-After"],
            _ => vec![],
        });
        let schema = json!({ "$ref": "#/components/schemas/Error" });
        let content = json!({ "application/json": { "schema": schema } });
        let headers = references(&names);
        (name.to_owned(), json!({ "description": what, "headers": headers, "content": content }))
    };
    FAILURES.into_iter().map(response).collect::<Map<_, _>>().into()
}

fn security_schemes() -> Value {
    json!({
        "apiKey": {
            "type": "http", "scheme": "bearer",
            "description": "An API key: API_KEY, or one of API_KEY_ROTATION, which has a role. \
                `x-required-role` says which role a route takes; a higher one may do all that a lower may.",
        },
        "webhookToken": {
            "type": "http", "scheme": "bearer",
            "description": "WEBHOOK_TOKEN, for Alertmanager, which cannot sign",
        },
        "webhookSignature": {
            "type": "apiKey", "in": "header", "name": "X-Webhook-Signature",
            "description": "HMAC-SHA256 with WEBHOOK_SECRET over the body as it is sent, in hex, or \
                sha256= and hex; with X-Webhook-Timestamp over the timestamp, a colon and the body",
        },
    })
}
