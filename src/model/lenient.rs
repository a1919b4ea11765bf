//! Reads an entry out of whatever JSON holds it.
//!
//! A database of the old orchestrator must open: its documents lack fields, name categories and
//! severities of their own, and write times as numbers, strings or BSON dates. Nothing of that
//! stops the load; what cannot be understood becomes the nearest thing that can.

use serde_json::{Map, Value};

use super::{Category, Entry, Provenance, Severity, SourceType, Time};

/// The entry in `document`, or `None` if it has neither an id nor a title to be found by.
///
/// Understands extended JSON's `$date`, `$numberLong`, `$numberDouble` and `$oid`.
pub fn entry_from_json(document: &Value) -> Option<Entry> {
    let fields = document.as_object()?;
    let text = |name: &str| fields.get(name).and_then(as_text).unwrap_or_default();
    let list = |name: &str| fields.get(name).map(as_texts).unwrap_or_default();
    let time = |names: &[&str]| names.iter().find_map(|name| fields.get(*name).and_then(as_time));
    let count = |name: &str| fields.get(name).and_then(as_number).map(|n| n as i64);

    let title = Some(text("title")).filter(|t| !t.is_empty()).unwrap_or_else(|| text("name"));
    let id = [text("id"), fields.get("_id").and_then(as_text).unwrap_or_default(), title.clone()]
        .into_iter()
        .find(|id| !id.is_empty())?;
    let last = time(&["lastUpdated", "updatedAt", "lastSeen"]);
    let first = time(&["firstSeen", "createdAt"]).or(last).unwrap_or_default();
    let category = category(&text("category"), &id);
    let mut entry = Entry {
        title: if title.is_empty() { id.clone() } else { title },
        id,
        category,
        severity: severity(&text("severity")),
        description: text("description"),
        root_cause: Some(text("rootCause")).filter(|cause| !cause.is_empty()),
        solution: text("solution"),
        prerequisites: list("prerequisites"),
        steps: list("steps"),
        expected_outcome: text("expectedOutcome"),
        tags: list("tags"),
        related_entries: list("relatedEntries"),
        first_seen: first,
        last_updated: last.unwrap_or(first),
        occurrences: count("occurrences").unwrap_or(1).max(0),
        success_rate: fields.get("successRate").and_then(as_number).map(|r| r.clamp(0.0, 1.0)),
        provenance: fields.get("provenance").map(provenance).unwrap_or_default(),
        runbook_url: Some(text("runbookUrl")).filter(|url| !url.is_empty()),
        mean_time_to_resolve_ms: count("meanTimeToResolveMs"),
        firing: count("firing").map(|n| n.max(0)),
        resolutions: count("resolutions").unwrap_or(0),
        resolve_ms: count("resolveMs").unwrap_or(0),
    };
    entry.derive_rates();
    Some(entry)
}

fn category(name: &str, id: &str) -> Category {
    let known = Category::parse(&name.to_ascii_lowercase().replace('-', "_"));
    known.unwrap_or(if id.starts_with("kb-alert-") {
        Category::AlertPattern
    } else {
        Category::Troubleshooting
    })
}

fn severity(name: &str) -> Severity {
    let name = name.to_ascii_lowercase();
    Severity::parse(&name).unwrap_or_else(|| Severity::of_alert(&name))
}

fn provenance(value: &Value) -> Provenance {
    let empty = Map::new();
    let fields = value.as_object().unwrap_or(&empty);
    let text = |name: &str| fields.get(name).and_then(as_text).unwrap_or_default();
    Provenance {
        source_type: SourceType::parse(&text("sourceType")),
        source_model: text("sourceModel"),
        derived_from: fields.get("derivedFrom").map(as_texts).unwrap_or_default(),
        evidence_date: Some(text("evidenceDate")).filter(|date| !date.is_empty()),
    }
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Object(fields) => {
            fields.get("$oid").or_else(|| fields.get("$numberLong")).and_then(as_text)
        }
        Value::Array(parts) => {
            let lines: Vec<_> = parts.iter().filter_map(as_text).collect();
            Some(lines.join("\n"))
        }
        Value::Null => None,
    }
}

fn as_texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().filter_map(as_text).filter(|t| !t.is_empty()).collect(),
        other => as_text(other).filter(|text| !text.is_empty()).into_iter().collect(),
    }
}

fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok().filter(|n: &f64| n.is_finite()),
        Value::Object(fields) => ["$numberLong", "$numberDouble", "$numberInt", "$numberDecimal"]
            .iter()
            .find_map(|name| fields.get(*name).and_then(as_number)),
        _ => None,
    }
}

fn as_time(value: &Value) -> Option<Time> {
    match value {
        Value::String(text) => Time::parse(text)
            .or_else(|| Time::parse(&format!("{}T00:00:00Z", text.trim())))
            .or_else(|| text.trim().parse().ok().map(Time::from_millis)),
        Value::Object(fields) => match fields.get("$date") {
            Some(inner) => as_time(inner),
            None => as_number(value).map(|ms| Time::from_millis(ms as i64)),
        },
        _ => as_number(value).map(|ms| Time::from_millis(ms as i64)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_of_the_old_orchestrator_is_read() {
        let entry = entry_from_json(&json!({
            "_id": {"$oid": "65f0c0ffee0123456789abcd"}, "id": "kb-1", "title": "Disk full",
            "category": "incident", "severity": "urgent", "tags": "disk",
            "firstSeen": {"$date": "2026-02-01T10:00:00Z"}, "lastSeen": "2026-02-03T10:00:00.5Z",
            "occurrences": {"$numberLong": "7"}, "successRate": "0.5", "steps": ["a", 2, null],
        }))
        .unwrap();
        assert_eq!(entry.category, Category::Troubleshooting);
        assert_eq!(entry.severity, Severity::High);
        assert_eq!(entry.first_seen, Time::parse("2026-02-01T10:00:00Z").unwrap());
        assert_eq!(entry.last_updated, Time::parse("2026-02-03T10:00:00.500Z").unwrap());
        assert_eq!((entry.occurrences, entry.success_rate), (7, Some(0.5)));
        assert_eq!(entry.steps, ["a", "2"]);
        assert_eq!(entry.tags, ["disk"]);
    }

    #[test]
    fn an_entry_with_nothing_but_an_object_id_is_read() {
        let entry = entry_from_json(&json!({"_id": {"$oid": "65f0"}})).unwrap();
        assert_eq!((entry.id.as_str(), entry.title.as_str()), ("65f0", "65f0"));
    }

    #[test]
    fn what_has_no_name_at_all_is_no_entry() {
        assert!(entry_from_json(&json!({"severity": "low"})).is_none());
        assert!(entry_from_json(&json!([1])).is_none());
    }

    proptest::proptest! {
        #[test]
        fn no_json_stops_the_load(text in r#"\{("(id|title|category|severity|tags|firstSeen|provenance|occurrences)":("[^"\\]{0,8}"|-?[0-9]{1,18}|null|\[1,"a"\]|\{"\$date":"x"\}),?){0,6}"_id":1\}"#) {
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                entry_from_json(&value);
            }
        }
    }
}
