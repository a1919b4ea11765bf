//! Alerts and entries as BSON documents, and any document as plain JSON.
//!
//! Times are BSON dates. Names with a NUL, which BSON cannot hold, get U+FFFD in its place.

use std::collections::BTreeMap;

use mongodb::bson::{Bson, DateTime, Document, doc};
use serde_json::{Map, Value};

use crate::model::{Alert, AlertKey, Entry, Sample, Status, Time, entry_from_json};

pub(super) fn date(time: Time) -> DateTime {
    DateTime::from_millis(time.millis())
}

fn time(date: DateTime) -> Time {
    Time::from_millis(date.timestamp_millis())
}

/// The `_id` of an alert: its key, so that no second one can be made.
pub(super) fn alert_id(key: &AlertKey) -> String {
    format!("{}:{}", key.fingerprint, key.starts_at.millis())
}

/// What every write of an alert sets. `timestamp` and `firstReceived` are not among it, because
/// the one only moves on and the other only back.
pub(super) fn alert_fields(alert: &Alert) -> Document {
    let mut fields = doc! {
        "fingerprint": &alert.fingerprint,
        "startsAt": date(alert.starts_at),
        "name": &alert.name,
        "severity": &alert.severity,
        "status": alert.status.as_str(),
        "message": &alert.message,
        "labels": texts(&alert.labels),
        "annotations": texts(&alert.annotations),
    };
    set(&mut fields, "resolvedAt", alert.resolved_at.map(date));
    set(&mut fields, "duration", alert.duration);
    set(&mut fields, "generatorURL", alert.generator_url.as_deref());
    set(&mut fields, "receiver", alert.receiver.as_deref());
    fields
}

/// The fields of an alert that it may lack.
pub(super) const ALERT_OPTIONAL: [&str; 4] = ["resolvedAt", "duration", "generatorURL", "receiver"];

fn set(fields: &mut Document, name: &str, value: Option<impl Into<Bson>>) {
    if let Some(value) = value {
        fields.insert(name, value);
    }
}

fn texts(map: &BTreeMap<String, String>) -> Document {
    map.iter().map(|(name, value)| (name.replace('\0', "\u{FFFD}"), Bson::from(value))).collect()
}

/// The alert in a document that this service wrote; `None` for any other.
pub(super) fn alert(document: &Document) -> Option<Alert> {
    let text = |name: &str| document.get_str(name).ok().map(str::to_owned);
    let at = |name: &str| document.get_datetime(name).ok().copied().map(time);
    let alert = Alert {
        fingerprint: text("fingerprint")?,
        starts_at: at("startsAt")?,
        name: text("name")?,
        severity: text("severity")?,
        status: match document.get_str("status").ok()? {
            "firing" => Status::Firing,
            "resolved" => Status::Resolved,
            _ => return None,
        },
        message: text("message")?,
        timestamp: at("timestamp")?,
        // Alerts from before migration 3 have none.
        first_received: at("firstReceived").or_else(|| at("timestamp"))?,
        resolved_at: at("resolvedAt"),
        duration: document.get("duration").and_then(integer),
        labels: text_map(document.get_document("labels").ok()?),
        annotations: text_map(document.get_document("annotations").ok()?),
        generator_url: text("generatorURL"),
        receiver: text("receiver"),
    };
    (document.get_str("_id").ok()? == alert_id(&alert.key())).then_some(alert)
}

/// What to unset of the optional fields when a document is written whole.
pub(super) fn missing(fields: &Document, optional: &[&str]) -> Document {
    let missing = optional.iter().filter(|name| !fields.contains_key(name));
    missing.map(|name| ((*name).to_owned(), "".into())).collect()
}

/// The `_id` of a sample: its name, time and labels, so that it is written once.
pub(super) fn sample_id(sample: &Sample) -> String {
    let labels = sample.labels.iter().map(|(name, value)| format!(":{name}={value}"));
    format!("{}:{}{}", sample.name, sample.timestamp.millis(), labels.collect::<String>())
}

/// All fields of a sample.
pub(super) fn sample_fields(sample: &Sample) -> Document {
    doc! {
        "name": &sample.name,
        "value": sample.value,
        "unit": &sample.unit,
        "timestamp": date(sample.timestamp),
        "labels": texts(&sample.labels),
    }
}

/// The sample in a document, whoever wrote it; `None` without a name, a time and a number.
pub(super) fn sample(document: &Document) -> Option<Sample> {
    let text = |name: &str| document.get_str(name).map(str::to_owned);
    Some(Sample {
        name: text("name").ok()?,
        value: document.get("value").and_then(number).filter(|value| value.is_finite())?,
        unit: text("unit").unwrap_or_default(),
        timestamp: time(*document.get_datetime("timestamp").ok()?),
        labels: document.get_document("labels").map(text_map).unwrap_or_default(),
    })
}

fn text_map(document: &Document) -> BTreeMap<String, String> {
    let text = |value: &Bson| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    document.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

/// A whole number, however the database holds it.
pub(super) fn integer(value: &Bson) -> Option<i64> {
    match value {
        Bson::Int32(n) => Some(i64::from(*n)),
        Bson::Int64(n) => Some(*n),
        Bson::Double(n) => Some(*n as i64),
        Bson::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A number, however the database holds it.
pub(super) fn number(value: &Bson) -> Option<f64> {
    match value {
        Bson::Double(n) => Some(*n),
        other => integer(other).map(|n| n as f64),
    }
}

/// All fields of an entry.
pub(super) fn entry_fields(entry: &Entry) -> Document {
    let mut fields = doc! {
        "id": &entry.id,
        "title": &entry.title,
        "category": entry.category.as_str(),
        "severity": entry.severity.as_str(),
        "description": &entry.description,
        "solution": &entry.solution,
        "prerequisites": &entry.prerequisites,
        "steps": &entry.steps,
        "expectedOutcome": &entry.expected_outcome,
        "tags": &entry.tags,
        "relatedEntries": &entry.related_entries,
        "firstSeen": date(entry.first_seen),
        "lastUpdated": date(entry.last_updated),
        "occurrences": entry.occurrences,
        "resolutions": entry.resolutions,
        "resolveMs": entry.resolve_ms,
    };
    let mut provenance = doc! {
        "sourceType": entry.provenance.source_type.as_str(),
        "sourceModel": &entry.provenance.source_model,
        "derivedFrom": &entry.provenance.derived_from,
    };
    set(&mut provenance, "evidenceDate", entry.provenance.evidence_date.as_deref());
    fields.insert("provenance", provenance);
    set(&mut fields, "rootCause", entry.root_cause.as_deref());
    set(&mut fields, "successRate", entry.success_rate);
    set(&mut fields, "runbookUrl", entry.runbook_url.as_deref());
    set(&mut fields, "meanTimeToResolveMs", entry.mean_time_to_resolve_ms);
    set(&mut fields, "firing", entry.firing);
    fields
}

/// The fields of an entry that it may lack.
pub(super) const ENTRY_OPTIONAL: [&str; 5] =
    ["rootCause", "successRate", "runbookUrl", "meanTimeToResolveMs", "firing"];

/// The entry in a document, whoever wrote it.
pub(super) fn entry(document: Document) -> Option<Entry> {
    entry_from_json(&json(Bson::Document(document)))
}

/// A value as plain JSON: dates as RFC 3339, object ids in hex, numbers as numbers.
pub(super) fn json(value: Bson) -> Value {
    match value {
        Bson::Double(n) => n.into(),
        Bson::String(text) | Bson::Symbol(text) | Bson::JavaScriptCode(text) => text.into(),
        Bson::Array(items) => items.into_iter().map(json).collect(),
        Bson::Document(document) => Value::Object(json_object(document)),
        Bson::Boolean(truth) => truth.into(),
        Bson::Int32(n) => n.into(),
        Bson::Int64(n) => n.into(),
        Bson::ObjectId(id) => id.to_hex().into(),
        Bson::DateTime(date) => time(date).to_string().into(),
        Bson::Timestamp(at) => Time::from_millis(i64::from(at.time) * 1000).to_string().into(),
        Bson::Binary(binary) => hex::encode(binary.bytes).into(),
        Bson::Decimal128(number) => {
            let text = number.to_string();
            text.parse::<f64>().ok().map_or(Value::String(text), Value::from)
        }
        Bson::Null | Bson::Undefined | Bson::MinKey | Bson::MaxKey => Value::Null,
        other => other.to_string().into(),
    }
}

/// As [`json`], for a document.
pub(super) fn json_object(document: Document) -> Map<String, Value> {
    document.into_iter().map(|(name, value)| (name, json(value))).collect()
}

#[cfg(test)]
mod tests {
    use mongodb::bson::oid::ObjectId;
    use serde_json::json;

    use super::*;

    fn stored() -> Alert {
        serde_json::from_value(json!({
            "fingerprint": "f", "startsAt": "2026-11-24T10:00:00.123Z", "name": "Disk",
            "severity": "page", "status": "resolved", "message": "voll ü", "labels": {"a.b": "$c"},
            "timestamp": "2026-11-24T11:00:00Z", "firstReceived": "2026-11-24T10:01:00Z", "resolvedAt": "2026-11-24T10:30:00Z",
            "duration": 1_799_877, "annotations": {}, "generatorURL": "http://p", "receiver": "r",
        }))
        .unwrap()
    }

    fn document(alert: &Alert) -> Document {
        let mut document = alert_fields(alert);
        document.insert("_id", alert_id(&alert.key()));
        document.insert("timestamp", date(alert.timestamp));
        document.insert("firstReceived", date(alert.first_received));
        document
    }

    #[test]
    fn an_alert_comes_back_as_it_went() {
        assert_eq!(alert(&document(&stored())), Some(stored()));
        let firing =
            Alert { status: Status::Firing, resolved_at: None, duration: None, ..stored() };
        assert_eq!(alert(&document(&firing)), Some(firing));
    }

    #[test]
    fn an_alert_of_another_program_is_not_taken_for_ours() {
        let mut foreign = document(&stored());
        foreign.insert("_id", ObjectId::new());
        assert_eq!(alert(&foreign), None);
    }

    #[test]
    fn any_document_becomes_plain_json() {
        let id = ObjectId::new();
        let document = doc! {
            "_id": id, "at": DateTime::from_millis(1), "n": 5_i64, "x": 1.5, "nan": f64::NAN,
            "list": [1, null, { "deep": true }],
        };
        assert_eq!(
            Value::Object(json_object(document)),
            json!({"_id": id.to_hex(), "at": "1970-01-01T00:00:00.001Z", "n": 5, "x": 1.5,
                   "nan": null, "list": [1, null, {"deep": true}]})
        );
    }
}
