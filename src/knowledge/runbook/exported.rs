//! What `knowledge::export` wrote, read back: several entries in one file, and in the front
//! matter what no heading says.

use serde_json::{Map, Value};

use crate::model::{Entry, EntryDocument, ExportedEntry, Figures, Time};

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

/// Puts what the front matter of an export says over what the file looked like without it.
pub(super) fn restore(
    entry: Entry,
    mut fields: Map<String, Value>,
    warnings: &mut Vec<String>,
) -> Entry {
    for name in ["firstSeen", "lastUpdated"] {
        let written = fields.get(name).and_then(Value::as_str).and_then(Time::parse);
        if let Some(time) = written {
            fields.insert(name.to_owned(), time.millis().into());
            if name == "lastUpdated" && !fields.contains_key("written") {
                fields.insert("written".to_owned(), time.millis().into());
            }
        }
    }
    let exported = serde_json::to_value(ExportedEntry::from(&entry));
    let Ok(Value::Object(mut whole)) = exported else { return entry };
    // What an export does not mention is not there, whatever the file's name suggests.
    for name in ["tags", "provenance", "version", "written", "pattern", "summedUp"] {
        whole.remove(name);
    }
    whole.extend(fields);
    match EntryDocument::parse(&Value::Object(whole)) {
        Some(document) => document.into_entry(&Figures::default()),
        None => {
            warnings.push("the front matter is not as it was exported".to_owned());
            entry
        }
    }
}
