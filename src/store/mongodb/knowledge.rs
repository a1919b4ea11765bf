//! Reading the knowledge base.
//!
//! Documents of the old orchestrator have an object id for `_id` and may lack `id` or share one,
//! so an entry is looked for by its `id` and by its `_id`; of several the latest written counts.

use std::collections::HashMap;

use futures::TryStreamExt;
use mongodb::bson::{Document, doc, oid::ObjectId};

use super::{MongoStore, error::MongoError, figures, follow, open::Suspects, wire};
use crate::{
    model::{Collection, Entry, EntryDocument},
    store::Loaded,
};

/// All entries, without figures.
pub(super) async fn entries(store: &MongoStore) -> Result<Vec<Entry>, MongoError> {
    Ok(find(store, doc! {}).await?.into_values().collect())
}

/// All entries and figures. What other processes change meanwhile is behind the position.
pub(super) async fn load(store: &MongoStore) -> Result<Loaded, MongoError> {
    let position = follow::now(store).await?;
    let count = follow::document_count(store).await?;
    let (entries, figures) = futures::try_join!(find(store, doc! {}), figures::of(store, None))?;
    store.followed().reset(entries.keys().cloned(), count);
    *store.suspects.lock() = Suspects::default();
    Ok(Loaded { entries: entries.into_values().collect(), figures, position })
}

/// The entry of this id, without figures.
pub(super) async fn entry(store: &MongoStore, id: &str) -> Result<Option<Entry>, MongoError> {
    Ok(find(store, written_as(id)).await?.remove(id))
}

/// The entries of these ids, as far as they exist.
pub(super) async fn of(
    store: &MongoStore,
    ids: &[impl AsRef<str>],
) -> Result<HashMap<String, Entry>, MongoError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    find(store, among(ids)).await
}

fn among(ids: &[impl AsRef<str>]) -> Document {
    doc! { "id": { "$in": ids.iter().map(AsRef::as_ref).collect::<Vec<&str>>() } }
}

/// Which of these ids are those of entries.
pub(super) async fn existing(
    store: &MongoStore,
    ids: &[impl AsRef<str>],
) -> Result<Vec<String>, MongoError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let documents = store.documents(Collection::KnowledgeBase);
    let found = documents.find(among(ids)).projection(doc! { "_id": 0, "id": 1 });
    let found = found.batch_size(1000).await?;
    let id = |document: Document| document.get_str("id").ok().map(str::to_owned);
    Ok(found.try_collect::<Vec<_>>().await?.into_iter().filter_map(id).collect())
}

/// The entries that match, by id.
pub(super) async fn find(
    store: &MongoStore,
    query: Document,
) -> Result<HashMap<String, Entry>, MongoError> {
    let documents = store.documents(Collection::KnowledgeBase);
    let mut documents = documents.find(query).batch_size(1000).await?;
    let mut entries: HashMap<String, Entry> = HashMap::new();
    let mut old = Vec::new();
    while let Some(document) = documents.try_next().await? {
        match wire::entry(document) {
            Some(EntryDocument::Current(entry)) => keep_latest(&mut entries, *entry),
            Some(EntryDocument::Old(entry)) => old.push(entry),
            None => {}
        }
    }
    if !old.is_empty() {
        // Before migration 4, or written by a program of before: counters with the stored
        // instances in them.
        let ids: Vec<String> = old.iter().map(|entry| entry.id().to_owned()).collect();
        let stored = figures::of(store, Some(&ids)).await?;
        for entry in old {
            let figures = stored.get(entry.id()).copied().unwrap_or_default();
            keep_latest(&mut entries, entry.into_entry(&figures));
        }
    }
    Ok(entries)
}

fn keep_latest(entries: &mut HashMap<String, Entry>, entry: Entry) {
    if entries.get(&entry.id).is_none_or(|known| known.written < entry.written) {
        entries.insert(entry.id.clone(), entry);
    }
}

/// The documents that are read as the entry `id`.
pub(super) fn written_as(id: &str) -> Document {
    let no_id = doc! { "$in": [null, ""] };
    let mut forms = vec![doc! { "id": id }, doc! { "id": no_id.clone(), "_id": id }];
    if let Ok(oid) = ObjectId::parse_str(id) {
        forms.push(doc! { "id": no_id, "_id": oid });
    }
    doc! { "$or": forms }
}
