//! The knowledge base: counters that add up from several replicas, entries written whole.
//!
//! Documents of the old orchestrator have an object id for `_id` and may lack `id` or share one,
//! so an entry is found by its `id` and, to write or delete it whole, by its `_id` too.

use std::collections::{HashMap, hash_map::Entry as Slot};

use async_trait::async_trait;
use futures::TryStreamExt;
use mongodb::{
    ClientSession, Database,
    bson::{Bson, Document, doc, oid::ObjectId},
};

use super::{
    MongoStore,
    command::{self, upsert},
    fault::Fault,
    transaction::{Work, transact},
    wire::{ENTRY_OPTIONAL, date, entry, entry_fields, missing},
};
use crate::model::{Category, Collection, Entry, EntryChange, Learning, Severity, Time};

/// Entries that changed at or after `since`; of several with one id the one that changed last.
///
/// Documents of the old orchestrator have no `lastUpdated`; they come with all, and do not change
/// unless this program changes them.
pub(super) async fn entries(store: &MongoStore, since: Option<Time>) -> Result<Vec<Entry>, Fault> {
    let query =
        since.map_or_else(Document::new, |since| doc! { "lastUpdated": { "$gte": date(since) } });
    let mut documents =
        store.documents(Collection::KnowledgeBase).find(query).batch_size(1000).await?;
    let mut entries: HashMap<String, Entry> = HashMap::new();
    while let Some(document) = documents.try_next().await? {
        let id = document.get("_id").cloned().unwrap_or(Bson::Null);
        let Some(entry) = entry(document) else {
            tracing::warn!(%id, "a document of the knowledge base cannot be read and is skipped");
            continue;
        };
        match entries.entry(entry.id.clone()) {
            Slot::Vacant(slot) => {
                slot.insert(entry);
            }
            Slot::Occupied(mut slot) if slot.get().last_updated < entry.last_updated => {
                slot.insert(entry);
            }
            Slot::Occupied(_) => {}
        }
    }
    Ok(entries.into_values().collect())
}

/// Changes to the knowledge base.
pub(super) struct Changes(pub(super) Vec<EntryChange>);

pub(super) async fn apply(store: &MongoStore, changes: Changes) -> Result<(), Fault> {
    if changes.0.is_empty() {
        Ok(())
    } else if store.transactions {
        transact(store, &changes).await
    } else {
        apply_in_order(&store.db, None, &changes.0).await
    }
}

#[async_trait]
impl Work for Changes {
    type Done = ();

    async fn run(&self, store: &MongoStore, session: &mut ClientSession) -> Result<(), Fault> {
        apply_in_order(&store.db, Some(session), &self.0).await
    }
}

/// Neighbouring updates go out together.
async fn apply_in_order(
    db: &Database,
    mut session: Option<&mut ClientSession>,
    changes: &[EntryChange],
) -> Result<(), Fault> {
    let mut statements = Vec::new();
    for change in changes {
        match change {
            EntryChange::Learn(learning) => statements.extend(learn_statements(learning)),
            EntryChange::Put(entry) => statements.push(put_statement(entry)),
            EntryChange::Rewrite(entry) => statements.push(rewrite_statement(entry)),
            EntryChange::Delete(id) => {
                write(db, session.as_deref_mut(), std::mem::take(&mut statements)).await?;
                let query = written_as(id);
                command::delete(db, session.as_deref_mut(), Collection::KnowledgeBase, query)
                    .await?;
            }
        }
    }
    write(db, session, statements).await
}

/// Applies learnings.
pub(super) async fn learn(
    db: &Database,
    session: Option<&mut ClientSession>,
    learnings: &[Learning],
) -> Result<(), Fault> {
    write(db, session, learnings.iter().flat_map(learn_statements).collect()).await
}

/// Runs statements in order. One that loses a race for making its entry goes again, with those
/// behind it, which an ordered command has not tried.
async fn write(
    db: &Database,
    mut session: Option<&mut ClientSession>,
    statements: Vec<Document>,
) -> Result<(), Fault> {
    let mut rest = &statements[..];
    let mut lost = 0;
    while !rest.is_empty() {
        let updated =
            command::update(db, session.as_deref_mut(), Collection::KnowledgeBase, rest, true)
                .await?;
        let Some(&place) = updated.raced.first() else { break };
        lost += 1;
        // A transaction is lost with its first failed statement.
        if session.is_some() || lost > statements.len() {
            return Err(Fault::Overtaken);
        }
        rest = &rest[place..];
    }
    Ok(())
}

fn learn_statements(learning: &Learning) -> Vec<Document> {
    let id = &learning.seed.id;
    let mut increments = doc! {
        "occurrences": learning.occurrences,
        "resolutions": learning.resolutions,
        "resolveMs": learning.resolve_ms,
    };
    if learning.seed.category == Category::AlertPattern {
        increments.insert("firing", learning.firing);
    }
    let mut seed = entry_fields(&learning.seed);
    for elsewhere in ["id", "firstSeen", "lastUpdated"] {
        seed.remove(elsewhere);
    }
    for counter in increments.keys() {
        seed.remove(counter);
    }
    seed.insert("_id", id);
    let update = doc! {
        "$setOnInsert": seed,
        "$inc": increments,
        "$min": { "firstSeen": date(learning.seed.first_seen) },
        "$max": { "lastUpdated": date(learning.seen) },
    };
    let mut statements = vec![upsert(doc! { "id": id }, update)];
    statements.extend(raise_severity(id, learning.severity));
    statements
}

/// The statement that raises a lower severity, which `$max` cannot compare.
fn raise_severity(id: &str, severity: Severity) -> Option<Document> {
    let lower: Vec<_> =
        Severity::ALL.into_iter().filter(|s| *s < severity).map(Severity::as_str).collect();
    (!lower.is_empty()).then(|| {
        doc! {
            "q": { "id": id, "severity": { "$in": lower } },
            "u": { "$set": { "severity": severity.as_str() } },
        }
    })
}

/// Fields that learning changes; a rewrite of the text leaves them alone.
const COUNTERS: [&str; 7] = [
    "firstSeen",
    "occurrences",
    "successRate",
    "meanTimeToResolveMs",
    "firing",
    "resolutions",
    "resolveMs",
];

/// Writes the text of the entry anew, over every document that is read as it.
fn rewrite_statement(entry: &Entry) -> Document {
    let mut fields = entry_fields(entry);
    let mut missing = missing_fields(&fields);
    for counter in COUNTERS {
        fields.remove(counter);
        missing.remove(counter);
    }
    fields.remove("lastUpdated");
    let mut update = doc! { "$set": fields, "$max": { "lastUpdated": date(entry.last_updated) } };
    if !missing.is_empty() {
        update.insert("$unset", missing);
    }
    doc! { "q": written_as(&entry.id), "u": update, "multi": true }
}

fn missing_fields(fields: &Document) -> Document {
    missing(fields, &ENTRY_OPTIONAL)
}

/// Writes the entry whole, over every document that is read as it.
pub(super) fn put_statement(entry: &Entry) -> Document {
    let fields = entry_fields(entry);
    let missing = missing_fields(&fields);
    let mut update = doc! { "$set": fields, "$setOnInsert": { "_id": &entry.id } };
    if !missing.is_empty() {
        update.insert("$unset", missing);
    }
    doc! { "q": written_as(&entry.id), "u": update, "upsert": true, "multi": true }
}

/// The documents that are read as the entry `id`.
fn written_as(id: &str) -> Document {
    let no_id = doc! { "$in": [null, ""] };
    let mut forms = vec![doc! { "id": id }, doc! { "id": no_id.clone(), "_id": id }];
    if let Ok(oid) = ObjectId::parse_str(id) {
        forms.push(doc! { "id": no_id, "_id": oid });
    }
    doc! { "$or": forms }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn learning(category: Category) -> Learning {
        let seed = Entry::new("kb".into(), "t".into(), category, Severity::Low, Time::default());
        Learning::none(Arc::new(seed))
    }

    #[test]
    fn no_field_is_touched_by_two_operators_of_one_statement() {
        for category in Category::ALL {
            let statement = learn_statements(&learning(category)).remove(0);
            let update = statement.get_document("u").unwrap();
            let mut seen = std::collections::HashSet::new();
            for (_, fields) in update {
                for name in fields.as_document().unwrap().keys() {
                    assert!(seen.insert(name.clone()), "{name} twice");
                }
            }
        }
    }

    #[test]
    fn the_lowest_severity_raises_nothing() {
        assert_eq!(raise_severity("kb", Severity::Low), None);
        assert!(raise_severity("kb", Severity::Critical).is_some());
    }
}
