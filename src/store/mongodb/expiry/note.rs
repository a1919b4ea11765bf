//! The note of a batch of retention: what is to be deleted, and what it adds to which entry's sums.

use std::collections::HashMap;

use mongodb::bson::{self, Bson, Document, doc};

use super::super::{
    MongoStore,
    command::{self, upsert},
    error::MongoError,
    knowledge, lease,
    wire::{StoredAlert, alert_id, bson_document, carried, carried_fields, date, integer, time_in},
};
use crate::{
    model::{BatchSums, Carried, Collection, Time},
    store::{ExpiryBatch, changes::sums_of},
};

/// The key of the note in `system_state`.
pub(in super::super) const NOTE: &str = "retention_batch";

/// A batch, as it is noted.
#[derive(Debug, Default)]
pub(super) struct Note {
    pub(super) number: i64,
    pub(super) is_done: bool,
    pub(super) before: Time,
    pub(super) at: Time,
    pub(super) alerts: Vec<NotedAlert>,
    pub(super) sums: HashMap<String, BatchSums>,
}

/// An alert that is to be deleted, as it was when it was noted.
#[derive(Debug)]
pub(super) struct NotedAlert {
    pub(super) id: String,
    pub(super) revision: Option<i64>,
    pub(super) carried: Carried,
    pub(super) first_received: Time,
}

fn noted(stored: &StoredAlert) -> NotedAlert {
    let alert = &stored.alert;
    NotedAlert {
        id: alert_id(&alert.key()),
        revision: stored.revision,
        carried: Carried {
            entry_id: alert.entry_id.clone(),
            status: alert.status,
            duration: alert.duration,
        },
        first_received: alert.first_received,
    }
}

/// Notes a batch of these alerts, unless another process has noted one since `last_number`.
pub(super) async fn write(
    store: &MongoStore,
    batch: ExpiryBatch,
    last_number: Option<i64>,
    alerts: Vec<StoredAlert>,
) -> Result<Note, MongoError> {
    let sums = sums_of(alerts.iter().map(|stored| &stored.alert));
    let ids: Vec<String> = sums.keys().cloned().collect();
    // Entries may come from another database, with batches of its own.
    let taken = knowledge::of(store, &ids).await?;
    let taken = taken.values().map(|entry| entry.summed_up.batch).max().unwrap_or(0);
    let number = last_number.unwrap_or(0).max(taken).saturating_add(1);
    let note = Note {
        number,
        is_done: false,
        before: batch.before,
        at: batch.now,
        alerts: alerts.iter().map(noted).collect(),
        sums,
    };
    lease::check(store).await?;
    let query = doc! { "_id": NOTE, "number": last_number };
    let statement = upsert(query, doc! { "$set": fields(&note) });
    let written = command::update(store, Collection::SystemState.name(), &[statement]).await?;
    match written.duplicate_keys.is_empty() {
        true => Ok(note),
        false => Err(MongoError::Overtaken),
    }
}

fn fields(note: &Note) -> Document {
    let alerts = note.alerts.iter().map(|alert| {
        doc! {
            "_id": &alert.id,
            "revision": alert.revision,
            "carried": carried_fields(&alert.carried, note.number),
            "firstReceived": date(alert.first_received),
        }
    });
    let sums = note.sums.iter().map(|(entry_id, sums)| {
        let mut fields = bson_document(sums);
        fields.insert("entryId", entry_id);
        fields
    });
    doc! {
        "key": NOTE,
        "number": note.number,
        "done": false,
        "before": date(note.before),
        "at": date(note.at),
        "alerts": alerts.collect::<Vec<_>>(),
        "sums": sums.collect::<Vec<_>>(),
    }
}

/// The note that was written last.
pub(super) async fn read(store: &MongoStore) -> Result<Option<Note>, MongoError> {
    let state = store.documents(Collection::SystemState);
    let Some(document) = state.find_one(doc! { "_id": NOTE }).await? else { return Ok(None) };
    let documents = |name: &str| {
        let items = document.get_array(name).cloned().unwrap_or_default();
        items.into_iter().filter_map(|item| match item {
            Bson::Document(item) => Some(item),
            _ => None,
        })
    };
    let noted = |alert: Document| {
        Some(NotedAlert {
            id: alert.get_str("_id").ok()?.to_owned(),
            revision: alert.get("revision").and_then(integer),
            carried: carried(&alert)?.0,
            first_received: time_in(&alert, "firstReceived")?,
        })
    };
    let summed = |mut sums: Document| {
        let entry_id = match sums.remove("entryId") {
            Some(Bson::String(entry_id)) => entry_id,
            _ => return None,
        };
        Some((entry_id, bson::deserialize_from_document(sums).ok()?))
    };
    Ok(Some(Note {
        number: document.get("number").and_then(integer).unwrap_or(0),
        is_done: document.get_bool("done").unwrap_or(true),
        before: time_in(&document, "before").unwrap_or_default(),
        at: time_in(&document, "at").unwrap_or_default(),
        alerts: documents("alerts").filter_map(noted).collect(),
        sums: documents("sums").filter_map(summed).collect(),
    }))
}
