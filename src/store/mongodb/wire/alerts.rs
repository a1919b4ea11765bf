//! Alerts as documents.

use std::collections::BTreeMap;

use mongodb::bson::{Bson, Document, doc};

use super::{beginning_with, date, integer, set, text_map, texts, time_in};
use crate::model::{Alert, AlertKey, Carried, FiringAlert, Status, pattern_id};

/// The `_id` of an alert: its key, so that no second one can be made.
pub(in super::super) fn alert_id(key: &AlertKey) -> String {
    format!("{}:{}", key.fingerprint, key.starts_at.millis())
}

/// The stored instances of a fingerprint, from the index on `_id`.
pub(in super::super) fn of_fingerprint(fingerprint: &str) -> Document {
    doc! { "_id": beginning_with(fingerprint, b':'), "fingerprint": fingerprint }
}

/// These statuses. All of them stand where an index has the status before what is looked for: the
/// server merges their stretches.
pub(in super::super) fn one_of(statuses: &[Status]) -> Document {
    doc! { "$in": statuses.iter().copied().map(Status::as_str).collect::<Vec<_>>() }
}

/// An alert, and what its document says besides.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct StoredAlert {
    /// The alert.
    pub(in super::super) alert: Alert,
    /// Counts the changes of the document, from 1; `None` in documents from before migration 4.
    pub(in super::super) revision: Option<i64>,
    /// The mark of the process that last changed it.
    pub(in super::super) changed_by: Option<String>,
    /// Entries that it belonged to before, the latest last.
    pub(in super::super) moved_from: Vec<String>,
}

/// What every write of an alert sets. `timestamp` and `firstReceived` are not among it, because
/// the one only moves on and the other only back, and what is carried is not, because only
/// retention changes it.
pub(in super::super) fn alert_fields(alert: &Alert) -> Document {
    let mut fields = doc! {
        "fingerprint": &alert.fingerprint,
        "startsAt": date(alert.starts_at),
        "name": &alert.name,
        "entryId": &alert.entry_id,
        "severity": &alert.severity,
        "status": alert.status.as_str(),
        "message": &alert.message,
        "changedAt": date(alert.changed_at),
        "labels": texts(&alert.labels),
        "annotations": texts(&alert.annotations),
    };
    set(&mut fields, "cause", alert.cause.as_deref());
    set(&mut fields, "resolvedAt", alert.resolved_at.map(date));
    set(&mut fields, "duration", alert.duration);
    set(&mut fields, "generatorURL", alert.generator_url.as_deref());
    set(&mut fields, "receiver", alert.receiver.as_deref());
    fields
}

/// The fields of an alert that it may lack.
pub(in super::super) const ALERT_OPTIONAL: [&str; 5] =
    ["cause", "resolvedAt", "duration", "generatorURL", "receiver"];

/// What an alert carries, noted by this batch of retention.
pub(in super::super) fn carried_fields(carried: &Carried, batch: i64) -> Document {
    let mut fields = doc! {
        "entryId": &carried.entry_id,
        "status": carried.status.as_str(),
        "batch": batch,
    };
    set(&mut fields, "duration", carried.duration);
    fields
}

/// What a document carries, and the batch that noted it.
pub(in super::super) fn carried(document: &Document) -> Option<(Carried, i64)> {
    let fields = document.get_document("carried").ok()?;
    let carried = Carried {
        entry_id: fields.get_str("entryId").ok()?.to_owned(),
        status: Status::parse(fields.get_str("status").ok()?)?,
        duration: fields.get("duration").and_then(integer),
    };
    Some((carried, fields.get("batch").and_then(integer).unwrap_or(0)))
}

/// Whether this service wrote the document: the old orchestrator's alerts have object ids.
pub(in super::super) fn is_ours(document: &Document) -> bool {
    document.get_str("_id").is_ok()
}

/// Whether this service wrote it before migration 4.
pub(in super::super) fn is_old(document: &Document) -> bool {
    !document.contains_key("entryId") || !document.contains_key("revision")
}

/// The alert in a document that this service wrote; `None` for any other, and for one that cannot
/// be read, which is logged.
///
/// Alerts from before migration 4 have no entry and no cause of their own, those from before
/// migration 3 no first receipt.
pub(in super::super) fn alert(document: &Document) -> Option<StoredAlert> {
    if !is_ours(document) {
        return None;
    }
    let alert = read(document);
    if alert.is_none() {
        let id = document.get_str("_id").unwrap_or_default();
        tracing::error!(id, "a stored alert cannot be read and is left out");
    }
    alert
}

/// The alert in a document that has what [`FiringAlert`] has; `None` for one that cannot be read.
pub(in super::super) fn firing_alert(document: &Document) -> Option<FiringAlert> {
    let text = |name: &str| document.get_str(name).ok().map(str::to_owned);
    Some(FiringAlert {
        entry_id: text("entryId")?,
        fingerprint: text("fingerprint")?,
        starts_at: time_in(document, "startsAt")?,
        labels: text_map(document.get_document("labels").ok()?).into(),
    })
}

fn read(document: &Document) -> Option<StoredAlert> {
    let text = |name: &str| document.get_str(name).ok().map(str::to_owned);
    let at = |name: &str| time_in(document, name);
    let map = |name: &str| document.get_document(name).ok().map(text_map);
    let (name, labels) = (text("name")?, map("labels")?);
    let first_received = at("firstReceived").or_else(|| at("timestamp"))?;
    let entry_id = text("entryId");
    let cause = match &entry_id {
        Some(_) => text("cause"),
        None => cause_label(&labels),
    };
    let alert = Alert {
        fingerprint: text("fingerprint")?,
        starts_at: at("startsAt")?,
        entry_id: entry_id
            .unwrap_or_else(|| pattern_id(&name, cause.as_deref().unwrap_or_default())),
        name,
        cause,
        severity: text("severity")?,
        status: Status::parse(document.get_str("status").ok()?)?,
        message: text("message")?,
        timestamp: at("timestamp")?,
        first_received,
        changed_at: at("changedAt").unwrap_or(first_received),
        resolved_at: at("resolvedAt"),
        duration: document.get("duration").and_then(integer),
        labels: labels.into(),
        annotations: map("annotations")?.into(),
        generator_url: text("generatorURL"),
        receiver: text("receiver"),
        carried: carried(document).map(|(carried, _)| carried),
    };
    let moved_from = document.get_array("movedFrom").into_iter().flatten();
    let moved_from = moved_from.filter_map(Bson::as_str).map(str::to_owned).collect();
    let revision = document.get("revision").and_then(integer);
    (document.get_str("_id").ok()? == alert_id(&alert.key())).then_some(StoredAlert {
        alert,
        revision,
        changed_by: text("changedBy"),
        moved_from,
    })
}

fn cause_label(labels: &BTreeMap<String, String>) -> Option<String> {
    labels.get("cause").filter(|cause| !cause.is_empty()).cloned()
}

#[cfg(test)]
mod tests {
    use mongodb::bson::oid::ObjectId;
    use serde_json::json;

    use super::*;

    fn stored() -> Alert {
        serde_json::from_value(json!({
            "fingerprint": "f", "startsAt": "2026-11-24T10:00:00.123Z", "name": "Disk",
            "cause": "logs", "entryId": "kb-alert-1", "severity": "page", "status": "resolved",
            "message": "voll ü", "labels": {"a.b": "$c"}, "annotations": {},
            "timestamp": "2026-11-24T11:00:00Z", "firstReceived": "2026-11-24T10:01:00Z",
            "changedAt": "2026-11-24T10:31:00Z", "resolvedAt": "2026-11-24T10:30:00Z",
            "duration": 1_799_877, "generatorURL": "http://p", "receiver": "r",
            "carried": {"entryId": "kb-alert-1", "status": "resolved", "duration": 5},
        }))
        .unwrap()
    }

    fn document(alert: &Alert) -> Document {
        let mut document = alert_fields(alert);
        document.insert("_id", alert_id(&alert.key()));
        document.insert("timestamp", date(alert.timestamp));
        document.insert("firstReceived", date(alert.first_received));
        document.insert("carried", carried_fields(alert.carried.as_ref().unwrap(), 7));
        document
    }

    fn read_back(document: &Document) -> Option<Alert> {
        alert(document).map(|stored| stored.alert)
    }

    #[test]
    fn an_alert_comes_back_as_it_went() {
        assert_eq!(read_back(&document(&stored())), Some(stored()));
        let superseded =
            Alert { status: Status::Superseded, resolved_at: None, duration: None, ..stored() };
        assert_eq!(read_back(&document(&superseded)), Some(superseded));
    }

    #[test]
    fn an_alert_from_before_migration_4_belongs_to_the_entry_of_its_labels() {
        let mut old = document(&stored());
        for field in ["entryId", "cause", "changedAt", "carried"] {
            old.remove(field);
        }
        old.insert("labels", doc! { "cause": "disk" });
        let read = read_back(&old).unwrap();
        assert_eq!(read.entry_id, pattern_id("Disk", "disk"));
        assert_eq!((read.cause.as_deref(), read.changed_at), (Some("disk"), read.first_received));
    }

    #[test]
    fn an_alert_of_another_program_is_not_taken_for_ours() {
        let mut foreign = document(&stored());
        foreign.insert("_id", ObjectId::new());
        assert_eq!(read_back(&foreign), None);
    }
}
