//! What the stored instances say about their entries: a fold by the server, over an index.

use std::collections::HashMap;

use futures::TryStreamExt;
use mongodb::{
    ClientSession,
    bson::{Document, doc},
};

use super::{
    MongoStore,
    error::MongoError,
    wire::{carried, integer, number, time_in},
};
use crate::model::{Collection, Figures, Status, Tally};

/// The figures of these entries, or of all.
pub(super) async fn of(
    store: &MongoStore,
    entry_ids: Option<&[String]>,
) -> Result<HashMap<String, Figures>, MongoError> {
    if entry_ids.is_some_and(<[String]>::is_empty) {
        return Ok(HashMap::new());
    }
    let alerts = store.documents(Collection::Alerts);
    let mut figures = HashMap::new();
    let mut groups = alerts.aggregate(fold(entry_ids)).await?;
    while let Some(group) = groups.try_next().await? {
        add(&group, &mut figures);
    }
    let mut documents = alerts.find(carrying(entry_ids)).projection(doc! { "carried": 1 }).await?;
    while let Some(document) = documents.try_next().await? {
        take_off(&document, &mut figures);
    }
    Ok(figures)
}

/// The figures of all entries, as a session sees them.
pub(super) async fn in_session(
    store: &MongoStore,
    session: &mut ClientSession,
) -> Result<HashMap<String, Figures>, MongoError> {
    let alerts = store.documents(Collection::Alerts);
    let mut figures = HashMap::new();
    let mut groups = alerts.aggregate(fold(None)).session(&mut *session).await?;
    while let Some(group) = groups.next(&mut *session).await {
        add(&group?, &mut figures);
    }
    let find = alerts.find(carrying(None)).projection(doc! { "carried": 1 });
    let mut documents = find.session(&mut *session).await?;
    while let Some(document) = documents.next(&mut *session).await {
        take_off(&document?, &mut figures);
    }
    Ok(figures)
}

/// Durations are added up as floating numbers, whose sum does not overflow.
fn fold(entry_ids: Option<&[String]>) -> [Document; 2] {
    [
        doc! { "$match": { "entryId": among(entry_ids) } },
        doc! { "$group": {
            "_id": { "entryId": "$entryId", "status": "$status" },
            "instances": { "$sum": 1 },
            "resolveMs": { "$sum": { "$toDouble": "$duration" } },
            "lastFired": { "$max": "$startsAt" },
            "lastChanged": { "$max": "$changedAt" },
        } },
    ]
}

/// An instance may carry sums of an entry that it no longer belongs to.
fn carrying(entry_ids: Option<&[String]>) -> Document {
    doc! { "carried.entryId": among(entry_ids) }
}

fn among(entry_ids: Option<&[String]>) -> Document {
    match entry_ids {
        Some(ids) => doc! { "$in": ids },
        None => doc! { "$gte": "" },
    }
}

fn add(group: &Document, figures: &mut HashMap<String, Figures>) {
    let Ok(of) = group.get_document("_id") else { return };
    let status = of.get_str("status").ok().and_then(Status::parse);
    let (Ok(entry_id), Some(status)) = (of.get_str("entryId"), status) else { return };
    let instances = group.get("instances").and_then(integer).unwrap_or(0);
    let one = Tally::of(status, None);
    let resolve_ms = group.get("resolveMs").and_then(number).unwrap_or(0.0).max(0.0) as i64;
    let of = figures.entry(entry_id.to_owned()).or_default();
    of.tally = of.tally.plus(Tally {
        occurrences: instances,
        resolved: one.resolved * instances,
        superseded: one.superseded * instances,
        resolve_ms: if status == Status::Resolved { resolve_ms } else { 0 },
    });
    if status == Status::Firing {
        of.firing += instances;
    }
    of.last_fired = of.last_fired.max(time_in(group, "lastFired"));
    of.last_changed = of.last_changed.max(time_in(group, "lastChanged"));
}

fn take_off(document: &Document, figures: &mut HashMap<String, Figures>) {
    let Some((carried, _)) = carried(document) else { return };
    let tally = carried.tally();
    let of = figures.entry(carried.entry_id).or_default();
    of.tally = of.tally.minus(tally);
}
