//! Edits of entries: each compare-and-set on the version, and what came of it by the server's own
//! count.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use mongodb::bson::{Document, doc};

use super::{
    MongoStore, command,
    error::MongoError,
    knowledge::{self, written_as},
    patterns::insert_statement,
    upgrade,
    wire::{ENTRY_OPTIONAL, entry_fields, missing, summed_up_fields},
};
use crate::{
    model::{Category, Collection, Entry, Provenance, SourceType, SummedUp},
    store::{Edit, Edited},
};

const ENTRIES: &str = Collection::KnowledgeBase.name();
/// Entries that are edited at the same time.
const AT_ONCE: usize = 8;

/// Makes the edits: those of one entry in their order, one entry beside the other.
pub(super) async fn edit_all(
    store: &MongoStore,
    edits: impl Iterator<Item = &Edit>,
) -> Result<Vec<Edited>, MongoError> {
    let edits: Vec<&Edit> = edits.collect();
    let mut by_entry: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, edit) in edits.iter().enumerate() {
        by_entry.entry(edit.entry_id()).or_default().push(place);
    }
    let edits = &edits;
    let of_one_entry = |places: Vec<usize>| async move {
        let mut done = Vec::with_capacity(places.len());
        for place in places {
            done.push((place, edit(store, edits[place]).await?));
        }
        Ok::<_, MongoError>(done)
    };
    // One that fails keeps no other from being tried.
    let of_entries = stream::iter(by_entry.into_values()).map(of_one_entry);
    let results: Vec<_> = of_entries.buffer_unordered(AT_ONCE).collect().await;
    let done: Vec<Vec<_>> = stream::iter(results).try_collect().await?;
    let mut done: Vec<_> = done.into_iter().flatten().collect();
    done.sort_by_key(|(place, _)| *place);
    Ok(done.into_iter().map(|(_, edited)| edited).collect())
}

/// Until the server has answered it is not known whether the edit is done, and if it never does,
/// the next edit of this entry may be the same one again.
async fn edit(store: &MongoStore, edit: &Edit) -> Result<Edited, MongoError> {
    let is_first = store.unanswered().insert(edit.entry_id().to_owned());
    let edited = decide(store, edit, !is_first).await?;
    store.unanswered().remove(edit.entry_id());
    Ok(edited)
}

async fn decide(store: &MongoStore, edit: &Edit, again: bool) -> Result<Edited, MongoError> {
    if attempt(store, edit).await? {
        note(store, edit);
        return Ok(Edited::Done);
    }
    // A document of an earlier form has no version to compare.
    if upgrade::upgrade_entry(store, edit.entry_id()).await? && attempt(store, edit).await? {
        note(store, edit);
        return Ok(Edited::Done);
    }
    let stored = knowledge::entry(store, edit.entry_id()).await?;
    Ok(match (edit, stored) {
        (Edit::Delete { .. }, None) if again => {
            note(store, edit);
            Edited::Done
        }
        (_, None) => Edited::Missing,
        // An earlier try wrote it and did not hear so.
        (Edit::Write { entry, .. }, Some(stored)) if again && is_written(entry, &stored) => {
            note(store, edit);
            Edited::Done
        }
        (_, Some(stored)) => Edited::Conflict(Box::new(stored)),
    })
}

fn note(store: &MongoStore, edit: &Edit) {
    match edit {
        Edit::Write { entry, expected: None } => store.followed().add([entry.id.clone()]),
        Edit::Delete { id, .. } => store.followed().remove(id),
        Edit::Write { .. } | Edit::AddSources { .. } => {}
    }
}

/// Whether it was done.
async fn attempt(store: &MongoStore, edit: &Edit) -> Result<bool, MongoError> {
    match edit {
        Edit::Write { entry, expected: None } => {
            let statement = insert_statement(store, entry);
            Ok(!command::update_soon(store, ENTRIES, &[statement]).await?.made.is_empty())
        }
        Edit::Write { entry, expected: Some(version) } => {
            update(store, of_version(&entry.id, *version), write(store, entry)).await
        }
        Edit::AddSources { id, sources } => {
            let current = doc! { "id": id, "summedUp": { "$exists": true } };
            let add = doc! {
                "$addToSet": { "provenance.derivedFrom": { "$each": sources } },
                "$set": { "changedBy": store.mark() },
                "$currentDate": { "syncedAt": true },
            };
            update(store, current, add).await
        }
        Edit::Delete { id, expected } => {
            let query = match expected {
                Some(version) => of_version(id, *version),
                None => written_as(id),
            };
            Ok(command::delete(store, ENTRIES, [query]).await? > 0)
        }
    }
}

async fn update(store: &MongoStore, query: Document, update: Document) -> Result<bool, MongoError> {
    // All documents of this id: the old orchestrator may have left several.
    let statement = command::update_all(query, update);
    Ok(command::update_soon(store, ENTRIES, &[statement]).await?.hit > 0)
}

fn of_version(id: &str, version: u64) -> Document {
    doc! { "id": id, "version": version as i64, "summedUp": { "$exists": true } }
}

/// Sums are retention's, but for those of a question, which are how often it was asked. What an
/// entry is derived from only gains.
fn write(store: &MongoStore, entry: &Entry) -> Document {
    let mut fields = entry_fields(entry);
    let unset = missing(&fields, &ENTRY_OPTIONAL);
    if entry.category == Category::Question {
        fields.insert("summedUp", summed_up_fields(&entry.summed_up));
    }
    fields.insert("changedBy", store.mark());
    let mut update = doc! { "$set": fields, "$currentDate": { "syncedAt": true } };
    if !unset.is_empty() {
        update.insert("$unset", unset);
    }
    let sources = &entry.provenance.derived_from;
    if entry.provenance.source_type == SourceType::Runbook {
        // Where it is from is told by its file alone; what it answered comes with the entry.
        if let Ok(set) = update.get_document_mut("$set") {
            set.insert("provenance.derivedFrom", sources);
        }
    } else {
        update.insert("$addToSet", doc! { "provenance.derivedFrom": { "$each": sources } });
    }
    update
}

/// Whether `stored` is what writing `entry` makes of it.
fn is_written(entry: &Entry, stored: &Entry) -> bool {
    let sources = |entry: &Entry| entry.provenance.derived_from.clone();
    let kept = sources(stored);
    let comparable = |entry: &Entry| Entry {
        provenance: Provenance { derived_from: Vec::new(), ..(*entry.provenance).clone() }.into(),
        summed_up: match entry.category {
            Category::Question => entry.summed_up,
            _ => SummedUp::default(),
        },
        figures: Default::default(),
        ..entry.clone()
    };
    sources(entry).iter().all(|source| kept.contains(source))
        && comparable(entry) == comparable(stored)
}
