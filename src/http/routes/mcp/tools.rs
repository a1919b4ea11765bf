//! The tools: each is a route, by its operation in the OpenAPI document, from which its arguments
//! are taken; so a tool can be asked for exactly what its route can.

use axum::http::{Method, Uri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use crate::{
    http::{
        guard::{Access, forward::Call},
        routes,
        routes::openapi,
    },
    security::Role,
};

/// A tool and its route.
struct Known {
    name: &'static str,
    title: &'static str,
    description: &'static str,
    method: Method,
    route: &'static str,
    /// Whether it changes nothing that anybody wrote.
    reads: bool,
}

const TOOLS: [Known; 5] = [
    Known {
        name: "ask",
        title: "Ask the knowledge base",
        description: "What is known about an alert, a symptom or a log line: entries and runbooks, the \
            best first, with what to do, how sure it is, and which alerts fire. Give exactly one of \
            query (a question) and text (a pasted log, PromQL, JSON). What is not known is remembered as \
            an open question.",
        method: Method::POST,
        route: "/api/knowledge/query",
        reads: true,
    },
    Known {
        name: "list_alerts",
        title: "List alerts",
        description: "Stored alerts, the newest first. status=firing for what fires now.",
        method: Method::GET,
        route: "/api/alerts",
        reads: true,
    },
    Known {
        name: "get_entry",
        title: "Read an entry",
        description: "One entry of the knowledge base, whole, by the id that ask or list_alerts \
            (entryId) gave.",
        method: Method::GET,
        route: "/api/knowledge/entries/{id}",
        reads: true,
    },
    Known {
        name: "history",
        title: "Count what happened",
        description: "Alerts of a period by severity, the series of one alert (alertname) or of one of \
            the service's own metrics (metric), by sample, hour or day.",
        method: Method::GET,
        route: "/api/persistence/historical",
        reads: true,
    },
    Known {
        name: "add_note",
        title: "Add a note",
        description: "Adds a note for the next person to an entry, under the label of the key: what was \
            seen, what helped. Only if the person whom you work for wants it.",
        method: Method::POST,
        route: "/api/knowledge/entries/{id}/notes",
        reads: false,
    },
];

/// The tools that a role may use.
pub fn of(role: Role) -> Vec<Tool> {
    let table = routes();
    let may = |known: &&Known| {
        let route =
            table.iter().find(|route| route.path == known.route && route.method == known.method);
        route.is_some_and(|route| match route.guarded.access {
            Access::Role(needed) => role >= needed,
            _ => false,
        })
    };
    TOOLS.iter().filter(may).map(tool).collect()
}

fn tool(known: &Known) -> Tool {
    let annotations = ToolAnnotations::with_title(known.title)
        .read_only(known.reads)
        .destructive(false)
        .open_world(false);
    Tool::new(known.name, known.description, arguments(operation(known)))
        .with_title(known.title)
        .with_annotations(annotations)
}

/// What the route says of itself.
fn operation(known: &Known) -> &'static Value {
    &openapi::built()["paths"][known.route][known.method.as_str().to_lowercase()]
}

/// The parameters of a path or query.
fn parameters(operation: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let all = operation["parameters"].as_array().into_iter().flatten();
    let outside_headers = all.filter(|parameter| parameter["in"] != "header");
    outside_headers.filter_map(|parameter| Some((parameter["name"].as_str()?, parameter)))
}

fn body(operation: &Value) -> &Value {
    &operation["requestBody"]["content"]["application/json"]["schema"]
}

/// Parameters and fields of the body as one object's schema.
fn arguments(operation: &Value) -> JsonObject {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, parameter) in parameters(operation) {
        let mut schema = plain(&parameter["schema"]);
        schema["description"] = parameter["description"].clone();
        properties.insert(name.to_owned(), schema);
        if parameter["required"] == true {
            required.push(json!(name));
        }
    }
    let form = plain(body(operation));
    properties.extend(form["properties"].as_object().cloned().unwrap_or_default());
    required.extend(form["required"].as_array().cloned().unwrap_or_default());
    let schema = [
        ("type", json!("object")),
        ("properties", Value::Object(properties)),
        ("required", Value::Array(required)),
    ];
    schema.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A schema without references, and without the patterns and examples that not every assistant
/// can read; the route judges what comes all the same.
fn plain(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let target = fields.get("$ref").and_then(Value::as_str);
            let target = target.and_then(|name| openapi::built().pointer(name.strip_prefix('#')?));
            // What may be null may be left out, which is simpler to say.
            let null = json!({ "type": "null" });
            let one_of = fields.get("oneOf").and_then(Value::as_array);
            let not_null = one_of.filter(|forms| forms.len() == 2 && forms[1] == null);
            if let Some(simpler) = target.or(not_null.map(|forms| &forms[0])) {
                return plain(simpler);
            }
            let kept = |name: &str| !matches!(name, "pattern" | "examples" | "example");
            let fields = fields.iter().filter(|(name, value)| kept(name) || value.is_object());
            fields.map(|(name, value)| (name.clone(), plain(value))).collect::<Map<_, _>>().into()
        }
        Value::Array(items) => items.iter().map(plain).collect(),
        other => other.clone(),
    }
}

/// What is asked of the route of a tool.
///
/// # Errors
/// A sentence, if there is no such tool, or no such call.
pub fn call(name: &str, mut arguments: JsonObject) -> Result<Call, String> {
    let known = TOOLS.iter().find(|tool| tool.name == name);
    let known = known.ok_or_else(|| "there is no such tool".to_owned())?;
    let operation = operation(known);
    let id = match known.route.contains("{id}") {
        true => match arguments.remove("id") {
            Some(Value::String(id)) => Some(id),
            _ => return Err("id must be given, as a string".to_owned()),
        },
        false => None,
    };
    let path = match &id {
        Some(id) => {
            let id = utf8_percent_encode(id, NON_ALPHANUMERIC).to_string();
            known.route.replace("{id}", &id)
        }
        None => known.route.to_owned(),
    };
    let (uri, body) = match body(operation).is_null() {
        true => (format!("{path}{}", query(&arguments)), Vec::new()),
        false => (path, Value::Object(arguments).to_string().into_bytes()),
    };
    let uri = uri.parse::<Uri>().map_err(|_| "the arguments are too long".to_owned())?;
    Ok(Call { method: known.method.clone(), route: known.route, uri, id, body })
}

/// The arguments as a query string; a list is a parameter that repeats.
fn query(arguments: &JsonObject) -> String {
    if arguments.is_empty() {
        return String::new();
    }
    let mut query = form_urlencoded::Serializer::for_suffix(String::from("?"), 1);
    for (name, value) in arguments {
        let values = match value {
            Value::Null => &[],
            Value::Array(items) => &items[..],
            single => std::slice::from_ref(single),
        };
        for value in values {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            query.append_pair(name, &text);
        }
    }
    query.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(role: Role) -> Vec<String> {
        of(role).into_iter().map(|tool| tool.name.into_owned()).collect()
    }

    #[test]
    fn a_role_has_the_tools_of_its_routes() {
        assert_eq!(names(Role::Viewer), ["list_alerts", "get_entry", "history"]);
        let all = ["ask", "list_alerts", "get_entry", "history", "add_note"];
        assert_eq!(names(Role::Operator), all);
        assert_eq!(names(Role::Admin), all);
    }

    #[test]
    fn arguments_are_those_of_the_route_without_references() {
        for tool in of(Role::Admin) {
            let schema = Value::Object((*tool.input_schema).clone());
            let text = schema.to_string();
            assert!(!text.contains("$ref") && !text.contains("oneOf\":[{\"req"), "{text}");
            for (name, property) in schema["properties"].as_object().unwrap() {
                assert!(property["description"].is_string(), "{} {name}: {property}", tool.name);
            }
        }
    }

    #[test]
    fn arguments_become_path_query_or_body() {
        let arguments = |value: Value| value.as_object().cloned().unwrap();
        let of = |name, value| call(name, arguments(value)).unwrap();
        let listed =
            of("list_alerts", json!({ "label": ["a=b&c", "d=e"], "limit": 5, "to": null }));
        assert_eq!(listed.uri, "/api/alerts?label=a%3Db%26c&label=d%3De&limit=5");
        let read = of("get_entry", json!({ "id": "a/../b ?" }));
        assert_eq!(read.uri, "/api/knowledge/entries/a%2F%2E%2E%2Fb%20%3F");
        assert_eq!(read.id.as_deref(), Some("a/../b ?"));
        let noted = of("add_note", json!({ "id": "x", "text": "y" }));
        assert_eq!(noted.body, br#"{"text":"y"}"#);
        assert!(call("get_entry", JsonObject::new()).is_err());
        assert!(call("nothing", JsonObject::new()).is_err());
    }
}
