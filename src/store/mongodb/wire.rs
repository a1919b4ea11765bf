//! Documents as BSON, and any BSON document as plain JSON.
//!
//! Times are BSON dates. Names with a NUL, which BSON cannot hold, get U+FFFD in its place.

mod alerts;
mod entries;

use std::collections::BTreeMap;

use mongodb::bson::{Bson, DateTime, Document, doc};
use serde::Serialize;
use serde_json::{Map, Value};

pub(super) use self::{
    alerts::{
        ALERT_OPTIONAL, StoredAlert, alert, alert_fields, alert_id, carried, carried_fields,
        firing_alert, is_old, is_ours, of_fingerprint, one_of,
    },
    entries::{ENTRY_OPTIONAL, entry, entry_document, entry_fields, summed_up_fields},
};
use crate::model::{Sample, Time};

pub(super) fn date(time: Time) -> DateTime {
    DateTime::from_millis(time.millis())
}

fn time(date: DateTime) -> Time {
    Time::from_millis(date.timestamp_millis())
}

/// Texts that begin with this stem and this character: a range, which an index has in one piece, and
/// which costs a server less than a pattern.
pub(super) fn beginning_with(stem: &str, separator: u8) -> Document {
    let [first, end] = [separator, separator + 1].map(char::from);
    doc! { "$gte": format!("{stem}{first}"), "$lt": format!("{stem}{end}") }
}

/// The time in a field of a document.
pub(super) fn time_in(document: &Document, name: &str) -> Option<Time> {
    document.get_datetime(name).ok().copied().map(time)
}

fn set(fields: &mut Document, name: &str, value: Option<impl Into<Bson>>) {
    if let Some(value) = value {
        fields.insert(name, value);
    }
}

/// A name that BSON can hold.
fn safe(name: &str) -> String {
    name.replace('\0', "\u{FFFD}")
}

fn texts(map: &BTreeMap<String, String>) -> Document {
    map.iter().map(|(name, value)| (safe(name), Bson::from(value))).collect()
}

/// Anything that has a JSON form, as BSON: with names that BSON can hold, and whole numbers beyond
/// its 64 bits as floating ones.
pub(super) fn bson(value: &impl Serialize) -> Bson {
    serde_json::to_value(value).map_or(Bson::Null, bson_of)
}

fn bson_of(value: Value) -> Bson {
    match value {
        Value::Null => Bson::Null,
        Value::Bool(truth) => truth.into(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole.into(),
            (None, Some(number)) => number.into(),
            (None, None) => Bson::Null,
        },
        Value::String(text) => text.into(),
        Value::Array(items) => Bson::Array(items.into_iter().map(bson_of).collect()),
        Value::Object(fields) => Bson::Document(
            fields.into_iter().map(|(name, value)| (safe(&name), bson_of(value))).collect(),
        ),
    }
}

/// As [`bson`], for what is an object.
pub(super) fn bson_document(value: &impl Serialize) -> Document {
    match bson(value) {
        Bson::Document(document) => document,
        _ => Document::new(),
    }
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

    #[test]
    fn names_with_a_nul_and_numbers_beyond_64_bits_can_be_written() {
        let written = bson_document(&json!({"a\0b": {"c\0": 1}, "n": u64::MAX}));
        assert!(written.get_document("a\u{FFFD}b").unwrap().contains_key("c\u{FFFD}"));
        assert_eq!(written.get_f64("n").unwrap(), u64::MAX as f64);
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
