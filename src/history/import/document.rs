//! A line's document as what the store keeps.
//!
//! What this service wrote is read as it is; a document of the old orchestrator, which lacks
//! fields, becomes the nearest thing that can be kept.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{
    alerts::fingerprint,
    model::{
        Alert, Collection, EntryDocument, Sample, Status, Time, consolidation_from_json,
        is_web_url, pattern_id,
    },
    store::Stored,
};

/// Keys of `system_state` that belong to a database and not to its data.
const OWN_KEYS: [&str; 5] =
    ["schema_version", "last_retention", "retention_batch", "severity_words", "heartbeat"];
const OWN_PREFIXES: [&str; 2] = ["migration:", "lease:"];

/// What is to be stored; `None` for what the target database has of its own.
///
/// # Errors
/// A sentence, if the document cannot be one of this collection.
pub fn document(of: Collection, text: &str) -> Result<Option<Stored>, String> {
    match of {
        Collection::Alerts => alert(text).map(|alert| Some(Stored::Alert(alert))),
        Collection::Metrics => sample(text).map(|sample| Some(Stored::Sample(sample))),
        Collection::KnowledgeBase => {
            let document = EntryDocument::parse(&value(text)?);
            Ok(Some(match document.ok_or("has neither an id nor a title")? {
                EntryDocument::Current(mut entry) => {
                    // The numbers of batches are the database's own.
                    entry.summed_up.batch = 0;
                    Stored::Entry(entry)
                }
                EntryDocument::Old(entry) => Stored::OldEntry(entry),
            }))
        }
        Collection::Consolidations => {
            let day = consolidation_from_json(&value(text)?).ok_or("does not say its date")?;
            Ok(Some(Stored::Consolidation(Box::new(day))))
        }
        Collection::SystemState => state(text),
    }
}

/// Whether an import could put the document back, whole.
///
/// # Errors
/// A sentence, if it could not.
pub fn check(of: Collection, text: &str) -> Result<(), String> {
    document(of, text)?;
    match of {
        Collection::SystemState if !fields(text)?.contains_key("key") => {
            Err("has no key".to_owned())
        }
        _ => Ok(()),
    }
}

fn value(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn fields(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn state(text: &str) -> Result<Option<Stored>, String> {
    let fields = fields(text)?;
    // The old orchestrator has records without a key; nothing finds them.
    let Some(key) = fields.get("key").and_then(Value::as_str).map(str::to_owned) else {
        return Ok(None);
    };
    let own = OWN_KEYS.contains(&key.as_str())
        || OWN_PREFIXES.iter().any(|prefix| key.starts_with(prefix));
    Ok((!own).then_some(Stored::State(key, fields)))
}

fn alert(text: &str) -> Result<Alert, String> {
    let alert: Alert = serde_json::from_str(text).or_else(|_| lenient_alert(&fields(text)?))?;
    // As at the webhook: people follow it.
    let generator_url = alert.generator_url.filter(|url| is_web_url(url));
    Ok(Alert { generator_url, ..alert })
}

fn lenient_alert(fields: &Map<String, Value>) -> Result<Alert, String> {
    let time = |name: &str| fields.get(name).and_then(as_time);
    let timestamp = time("timestamp").ok_or("has no timestamp")?;
    let labels = texts(fields.get("labels"));
    let annotations = texts(fields.get("annotations"));
    let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
    let labelled = |name: &str| labels.get(name).cloned();
    let name = text("name").or_else(|| labelled("alertname")).unwrap_or_else(|| "unnamed".into());
    let cause = text("cause").or_else(|| labelled("cause")).filter(|cause| !cause.is_empty());
    let status = text("status").and_then(|status| Status::parse(&status));
    let status = status.unwrap_or(Status::Firing);
    let resolved = status == Status::Resolved;
    let first_received = time("firstReceived").unwrap_or(timestamp);
    let starts_at = time("startsAt").unwrap_or(timestamp);
    let resolved_at = resolved.then(|| time("resolvedAt").unwrap_or(timestamp).max(starts_at));
    Ok(Alert {
        fingerprint: text("fingerprint").unwrap_or_else(|| fingerprint::of(&labels)),
        starts_at,
        severity: text("severity").or_else(|| labelled("severity")).unwrap_or("none".into()),
        status,
        message: text("message").unwrap_or_else(|| name.clone()),
        timestamp,
        first_received,
        changed_at: time("changedAt").unwrap_or(first_received),
        resolved_at,
        duration: resolved_at.map(|end| end.since(starts_at)),
        generator_url: text("generatorURL"),
        receiver: text("receiver"),
        carried: None,
        entry_id: pattern_id(&name, cause.as_deref().unwrap_or_default()),
        cause,
        name,
        labels: labels.into(),
        annotations: annotations.into(),
    })
}

fn sample(text: &str) -> Result<Sample, String> {
    serde_json::from_str(text).or_else(|_| {
        let fields = fields(text)?;
        let value = fields.get("value").and_then(Value::as_f64).ok_or("has no value")?;
        let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(Sample {
            name: text("name").ok_or("has no name")?,
            value,
            unit: text("unit").unwrap_or_default(),
            timestamp: fields.get("timestamp").and_then(as_time).ok_or("has no timestamp")?,
            labels: texts(fields.get("labels")),
        })
    })
}

fn as_time(value: &Value) -> Option<Time> {
    match value {
        Value::String(text) => Time::parse(text),
        other => other.as_i64().map(Time::from_millis),
    }
}

fn texts(value: Option<&Value>) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let map = value.and_then(Value::as_object);
    map.into_iter().flatten().map(|(name, value)| (name.clone(), text(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_of_the_old_orchestrator_is_read() {
        let text = r#"{"name":"Disk","timestamp":"2026-11-24T10:00:00Z","labels":{"a":1},
            "status":"resolved"}"#;
        let Ok(Some(Stored::Alert(alert))) = document(Collection::Alerts, text) else { panic!() };
        assert_eq!((alert.name.as_str(), alert.severity.as_str()), ("Disk", "none"));
        assert_eq!(alert.labels["a"], "1");
        assert_eq!((alert.first_received, alert.duration), (alert.timestamp, Some(0)));
        assert_eq!(alert.fingerprint, fingerprint::of(&alert.labels));
    }

    #[test]
    fn what_cannot_be_kept_is_told() {
        for (of, text) in [
            (Collection::Alerts, r#"{"name":"Disk"}"#),
            (Collection::Metrics, r#"{"name":"m","timestamp":"2026-11-24T10:00:00Z"}"#),
            (Collection::KnowledgeBase, r#"{"severity":"low"}"#),
            (Collection::Consolidations, r#"{"alerts":{}}"#),
            (Collection::Alerts, "[]"),
        ] {
            assert!(document(of, text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_a_database_has_of_its_own_is_left_out() {
        let of = |text| document(Collection::SystemState, text).unwrap();
        assert_eq!(of(r#"{"key":"schema_version","value":9}"#), None);
        assert_eq!(of(r#"{"key":"migration:0001","number":1}"#), None);
        assert_eq!(of(r#"{"value":1}"#), None);
        assert!(of(r#"{"key":"lastReport","value":1}"#).is_some());
    }
}
