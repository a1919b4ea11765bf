//! What `knowledge::export` wrote, read back: several entries in one file, and in the front
//! matter what no heading tells.

use serde_json::{Map, Value};

use crate::model::{Entry, Time, entry_from_json};

/// How each exported entry begins; nothing that people write begins so.
const BEGINNING: &str = "---\nid: \"";

/// Whether an export wrote it. Other tools write an `id`, too, but none of these beside it.
pub(super) fn is_export(markdown: &str) -> bool {
    let head = markdown.split("\n---\n").next().unwrap_or_default();
    let has = |name: &str| head.lines().any(|line| line.starts_with(name));
    markdown.starts_with(BEGINNING) && has("category: \"") && has("severity: \"")
}

/// The entries of an export.
pub(super) fn split(markdown: &str) -> Vec<&str> {
    let boundary = format!("\n\n{BEGINNING}");
    let mut parts = Vec::new();
    let mut rest = markdown;
    while let Some(at) = rest.find(&boundary) {
        parts.push(&rest[..at + 1]);
        rest = &rest[at + 2..];
    }
    parts.push(rest);
    parts
}

/// Puts what the front matter of an export tells over what the file looked like without it.
pub(super) fn restore(
    entry: Entry,
    mut fields: Map<String, Value>,
    warnings: &mut Vec<String>,
) -> Entry {
    let (resolutions, resolve_ms) = (number(&fields, "resolutions"), number(&fields, "resolveMs"));
    for name in ["firstSeen", "lastUpdated"] {
        let written = fields.get(name).and_then(Value::as_str).and_then(Time::parse);
        if let Some(time) = written {
            fields.insert(name.to_owned(), time.millis().into());
        }
    }
    let Ok(Value::Object(mut whole)) = serde_json::to_value(&entry) else { return entry };
    // What an export does not mention is not there, whatever the file's name suggests.
    for name in ["tags", "provenance"] {
        whole.remove(name);
    }
    whole.extend(fields);
    let whole = Value::Object(whole);
    let mut restored = match serde_json::from_value::<Entry>(whole.clone()) {
        Ok(restored) => restored,
        Err(error) => {
            warnings.push(format!("the front matter is not as it was exported ({error})"));
            entry_from_json(&whole).unwrap_or(entry)
        }
    };
    restored.resolutions = resolutions;
    restored.resolve_ms = resolve_ms;
    restored
}

fn number(fields: &Map<String, Value>, name: &str) -> i64 {
    fields.get(name).and_then(Value::as_i64).unwrap_or(0)
}
