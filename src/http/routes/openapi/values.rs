//! What values may be, as only the code can say: its own words and forms, so that the document
//! cannot say other ones.

use serde_json::{Value, json};

use crate::{
    history::{Aggregation, export::Format},
    http::routes::persistence::BREAKDOWNS,
    knowledge::EntryOrder,
    model::{Category, Collection},
};

/// An ETag or a list of them, or `*`.
const ETAGS: &str = r#"^(\*|(W/)?"[^",]*"(, ?(W/)?"[^",]*")*)$"#;
/// A label and its value.
const LABEL: &str = "^[^=]+=";
/// What no question may hold. Letters, digits and marks of any script cannot be said in a pattern
/// that every program reads: that other symbols are refused, too, the description says.
const QUESTION: &str =
    r"^[^<>;{}$|\\`~^*\[\]\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$";
/// Anything, without control characters other than tab and line ends.
const PASTED: &str = r"^(?:[^\u0000-\u0008\u000b-\u001f\u007f-\u009f]|\r\n)*$";
/// The `next` of a page.
const CURSOR: &str = "^([0-9a-f]{2})+$";

/// Writes the forms of values into the document that the handlers gave.
pub fn refine(document: &mut Value) {
    let schemas = &mut document["components"]["schemas"];
    bodies(schemas);
    answers(schemas);
    messages(schemas);
    if let Some(paths) = document["paths"].as_object_mut() {
        let operations = paths.values_mut().filter_map(Value::as_object_mut).flatten();
        for (_, operation) in operations {
            let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
            let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
            for parameter in parameters.into_iter().flatten() {
                refine_parameter(&id, parameter);
            }
        }
    }
}

fn refine_parameter(operation: &str, parameter: &mut Value) {
    let name = parameter["name"].as_str().unwrap_or_default().to_owned();
    let schema = &mut parameter["schema"];
    // A parameter may be left out, but it cannot be null.
    if let Some(kind) = schema["type"].as_array().and_then(|kinds| kinds.first()).cloned() {
        schema["type"] = kind;
    }
    let words = |words: &[&str]| json!({ "type": "string", "enum": words, "default": words[0] });
    match (operation, name.as_str()) {
        ("listAlerts", "status") => {
            *schema = json!({ "type": "string", "enum": ["firing", "resolved"] });
        }
        ("listAlerts", "label") => schema["items"]["pattern"] = json!(LABEL),
        ("listEntries", "sort") => *schema = words(&EntryOrder::NAMES.map(|(name, _)| name)),
        ("exportKnowledge", "format") => *schema = words(&["json", "markdown"]),
        ("exportData", "format") => *schema = words(&Format::NAMES),
        ("exportData", "collection") => {
            schema["items"]["enum"] = json!(Collection::ALL.map(Collection::name));
        }
        ("getHistory", "aggregation") => *schema = words(&Aggregation::NAMES),
        ("getHistory", "breakdown") => {
            *schema = json!({ "type": "string", "enum": BREAKDOWNS });
        }
        ("getHistory", "days") => schema["default"] = json!(30),
        (_, "limit") => schema["default"] = json!(100),
        (_, "cursor") => schema["pattern"] = json!(CURSOR),
        (_, "If-Match") => {
            schema["pattern"] = json!(ETAGS);
            schema["minLength"] = json!(1);
            schema["examples"] = json!(["*", "\"1\""]);
        }
        _ => {}
    }
}

fn bodies(schemas: &mut Value) {
    let described = |schemas: &Value, name: &str| schemas[name]["description"].clone();
    schemas["Moment"] = json!({
        "description": described(schemas, "Moment"),
        "anyOf": [
            { "type": "string", "format": "date-time" },
            { "type": "integer", "minimum": i64::MIN, "maximum": i64::MAX },
        ],
        "examples": ["2026-11-25T08:00:00Z", 1_795_593_600],
    });

    let entry = &mut schemas["EntryRequest"]["properties"];
    let mut categories: Vec<Option<&str>> = Category::ALL
        .into_iter()
        .filter(|category| *category != Category::Question)
        .map(|category| Some(category.as_str()))
        .collect();
    categories.push(None);
    entry["category"]["enum"] = json!(categories);
    let tag = json!({ "type": "string", "minLength": 1, "maxLength": 50, "pattern": r"\S" });
    entry["tags"]["items"] = tag;
    let fields = entry.clone();
    schemas["EntryPatch"] = json!({
        "description": described(schemas, "EntryPatch"), "type": "object", "properties": fields,
    });

    for (form, field) in [("NoteRequest", "text"), ("FeedbackRequest", "helped")] {
        schemas[form]["required"] = json!([field]);
        if let Some(field) = schemas[form]["properties"][field].as_object_mut() {
            // A missing one is a problem that is listed like others, so it has one for serde only.
            field.remove("default");
        }
    }

    let query = &mut schemas["QueryRequest"];
    query["properties"]["query"]["pattern"] = json!(QUESTION);
    query["properties"]["text"]["pattern"] = json!(PASTED);
    // One of them, and beside it the other at most as null. Not as `oneOf`, of which generated
    // clients would make two types.
    query["if"] = json!({ "required": ["query"], "properties": { "query": { "type": "string" } } });
    query["then"] = json!({
        "properties": { "query": { "pattern": r"\S" }, "text": { "type": "null" } },
    });
    query["else"] = json!({
        "required": ["text"], "properties": { "text": { "type": "string", "pattern": r"\S" } },
    });
    query["properties"]["limit"]["default"] = json!(10);

    // One good alert is enough, and none at all is no fault.
    let alert = json!({ "$ref": "#/components/schemas/WebhookAlert" });
    let alerts = &mut schemas["WebhookPayload"]["properties"]["alerts"];
    let refused = json!({ "description": "Whatever else: refused alone" });
    alerts["items"] = json!({ "anyOf": [alert, refused] });
    alerts["anyOf"] = json!([{ "maxItems": 0 }, { "contains": alert }]);
    let left_out = &mut schemas["WebhookPayload"]["properties"]["truncatedAlerts"];
    (left_out["minimum"], left_out["maximum"]) = (json!(i64::MIN), json!(i64::MAX));
    for free in ["groupLabels", "commonLabels"] {
        let field = &mut schemas["WebhookPayload"]["properties"][free];
        *field = json!({ "description": field["description"] });
    }

    let alert = &mut schemas["WebhookAlert"]["properties"];
    alert["labels"] = json!({
        "description": "At most 50, names of 1 to 256 bytes, values of at most 4 KiB",
        "type": "object",
        "maxProperties": 50,
        "propertyNames": { "minLength": 1, "maxLength": 256 },
        "additionalProperties": { "type": "string", "maxLength": 4096 },
    });
    alert["annotations"] = json!({
        "description": "Texts for people; those beyond 50 are left out, values beyond 16 KiB are cut",
        "type": ["object", "null"],
        "additionalProperties": { "type": "string" },
    });
    alert["status"]["enum"] = json!(["firing", "resolved"]);
    for time in ["startsAt", "endsAt"] {
        alert[time] = json!({
            "description": alert[time]["description"],
            "anyOf": [
                { "type": "string", "format": "date-time" },
                { "type": "string", "pattern": r"^\s*$" },
                { "type": "null" },
            ],
        });
    }
}

/// The part of JSON-RPC 2.0 that every message has; what else it has is the protocol's.
fn messages(schemas: &mut Value) {
    for form in ["JsonRpcMessage", "JsonRpcAnswer"] {
        let message = &mut schemas[form]["properties"];
        message["jsonrpc"]["const"] = json!("2.0");
        message["id"] = json!({
            "description": message["id"]["description"],
            "anyOf": [
                { "type": "string" },
                { "type": "integer", "minimum": i64::MIN, "maximum": i64::MAX },
            ],
        });
    }
    schemas["JsonRpcMessage"]["properties"]["params"]["type"] = json!(["object", "null"]);
}

/// Words that answers hold, where the code has them as texts, and times.
fn answers(schemas: &mut Value) {
    for (place, name) in ["SamplePoint", "BucketPoint"].into_iter().enumerate() {
        let reference = json!({ "$ref": format!("#/components/schemas/{name}") });
        schemas[name] = schemas["Point"]["oneOf"][place].take();
        schemas["Point"]["oneOf"][place] = reference;
        schemas[name]["properties"]["timestamp"]["format"] = json!("date-time");
    }
    const WORDS: [(&str, &str, &[&str]); 9] = [
        ("Health", "status", &["healthy", "degraded", "draining"]),
        ("Ready", "status", &["ready"]),
        ("PersistenceHealth", "status", &["healthy", "degraded", "unhealthy"]),
        ("PersistenceHealth", "backend", &["mongodb", "sqlite"]),
        ("CoordinationStatus", "status", &["healthy", "degraded"]),
        ("CoordinationStatus", "store", &["redis", "memory"]),
        ("WebhookAnswer", "status", &["ok", "partial"]),
        ("Freshness", "status", &["empty", "fresh", "aging", "stale"]),
        ("ExportedData", "backend", &["mongodb", "sqlite"]),
    ];
    for (schema, property, words) in WORDS {
        schemas[schema]["properties"][property]["enum"] = json!(words);
    }
    const TIMES: [(&str, &[&str]); 9] = [
        ("Alert", &["startsAt", "timestamp", "firstReceived", "changedAt", "resolvedAt"]),
        ("Health", &["timestamp"]),
        ("Me", &["expiresAt"]),
        ("Period", &["startDate", "endDate"]),
        ("AlertPoint", &["timestamp"]),
        ("Summary", &["lastUpdated"]),
        ("OpenQuestion", &["lastAsked"]),
        ("Freshness", &["latestEntryUpdatedAt", "oldestEntryUpdatedAt"]),
        ("ExportedData", &["exportDate"]),
    ];
    for (schema, properties) in TIMES {
        for property in properties {
            schemas[schema]["properties"][property]["format"] = json!("date-time");
        }
    }
}
