//! The part of migration 4 that is code: alerts say which entry they belong to, a fingerprint has
//! at most one open instance, and entries keep sums in place of counters.
//!
//! Every step leaves out what is done, so that it may be cut and repeated. Documents of alerts of
//! the old orchestrator stay as they are.

use std::collections::HashMap;

use futures::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};

use super::{
    MongoStore, command,
    error::MongoError,
    figures, knowledge, open,
    wire::{ALERT_OPTIONAL, alert, alert_fields, date, entry, entry_document, is_old, missing},
};
use crate::model::{Collection, EntryDocument};

const PIECE: usize = 1_000;
/// Counters of before, and what their documents had besides.
const COUNTERS: [&str; 6] =
    ["occurrences", "successRate", "meanTimeToResolveMs", "firing", "resolutions", "resolveMs"];

/// Does it all.
pub(super) async fn upgrade(store: &MongoStore) -> Result<(), MongoError> {
    alerts(store).await?;
    open::settle_all(store).await?;
    entries(store).await
}

/// Alerts learn which entry they belong to.
async fn alerts(store: &MongoStore) -> Result<(), MongoError> {
    let old = doc! { "$or": [{ "entryId": null }, { "revision": null }] };
    let documents = store.documents(Collection::Alerts);
    let mut found = documents.find(old).batch_size(PIECE as u32).await?;
    let mut statements = Vec::with_capacity(PIECE);
    while let Some(document) = found.try_next().await? {
        statements.extend(alert_statement(&document));
        if statements.len() == PIECE {
            command::update(store, Collection::Alerts.name(), &statements).await?;
            statements.clear();
        }
    }
    command::update(store, Collection::Alerts.name(), &statements).await?;
    Ok(())
}

fn alert_statement(document: &Document) -> Option<Document> {
    let stored = alert(document).filter(|_| is_old(document))?;
    let mut fields = alert_fields(&stored.alert);
    let unset = missing(&fields, &ALERT_OPTIONAL);
    fields.insert("firstReceived", date(stored.alert.first_received));
    fields.insert("revision", stored.revision.unwrap_or(0) + 1);
    let mut update = doc! { "$set": fields };
    if !unset.is_empty() {
        update.insert("$unset", unset);
    }
    let query = doc! { "_id": document.get("_id")?, "revision": stored.revision };
    Some(doc! { "q": query, "u": update })
}

/// What entries counted, less what the stored instances say, is what retention had summed up.
async fn entries(store: &MongoStore) -> Result<(), MongoError> {
    let documents = store.documents(Collection::KnowledgeBase);
    let old = doc! { "summedUp": { "$exists": false } };
    let found: Vec<Document> = documents.find(old).await?.try_collect().await?;
    for piece in found.chunks(PIECE) {
        upgrade_documents(store, piece).await?;
    }
    Ok(())
}

/// As the migration does, for entries of this id that a program of before wrote since; whether
/// there were any.
pub(super) async fn upgrade_entry(store: &MongoStore, id: &str) -> Result<bool, MongoError> {
    let mut query = knowledge::written_as(id);
    query.insert("summedUp", doc! { "$exists": false });
    let documents = store.documents(Collection::KnowledgeBase);
    let found: Vec<Document> = documents.find(query).await?.try_collect().await?;
    upgrade_documents(store, &found).await
}

async fn upgrade_documents(store: &MongoStore, documents: &[Document]) -> Result<bool, MongoError> {
    let old = documents.iter().filter_map(|document| match entry(document.clone()) {
        Some(EntryDocument::Old(entry)) => Some((document.get("_id")?.clone(), *entry)),
        _ => None,
    });
    let old: Vec<_> = old.collect();
    if old.is_empty() {
        return Ok(false);
    }
    let ids: Vec<String> = old.iter().map(|(_, entry)| entry.id().to_owned()).collect();
    let stored: HashMap<_, _> = figures::of(store, Some(&ids)).await?;
    let statements: Vec<_> = old
        .into_iter()
        .map(|(id, entry)| {
            let figures = stored.get(entry.id()).copied().unwrap_or_default();
            entry_statement(store, id, &entry_document(&entry.into_entry(&figures)))
        })
        .collect();
    command::update(store, Collection::KnowledgeBase.name(), &statements).await?;
    Ok(true)
}

fn entry_statement(store: &MongoStore, id: Bson, document: &Document) -> Document {
    let mut set = document.clone();
    set.insert("changedBy", store.mark());
    let unset: Document = COUNTERS.iter().map(|name| ((*name).to_owned(), "".into())).collect();
    let query = doc! { "_id": id, "summedUp": { "$exists": false } };
    let update = doc! { "$set": set, "$unset": unset, "$currentDate": { "syncedAt": true } };
    doc! { "q": query, "u": update }
}
