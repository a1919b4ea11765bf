//! Everything of some collections at one moment, in constant memory.
//!
//! Counts and documents come from one snapshot session where the topology has it. A server keeps
//! a snapshot for five minutes by default (`minSnapshotHistoryWindowInSeconds`); an export that
//! takes longer breaks off. A lone server has no snapshots: what is written while it is exported
//! may be missing or half there. Leases, and the note of retention's last batch, are of this
//! database and left out.

use std::collections::{HashMap, VecDeque};

use futures::{StreamExt, stream::try_unfold};
use mongodb::{
    ClientSession, Database, SessionCursor,
    bson::{Bson, Document, doc},
};
use serde_json::{Map, Value};

use super::{
    LONG, MongoStore,
    error::MongoError,
    expiry, figures,
    history::first_received,
    lease,
    wire::{alert, date, entry, integer, json_object, sample},
    within,
};
use crate::{
    model::{Collection, Entry, EntryDocument, ExportedEntry, Figures},
    store::{Export, ExportScope},
};

const PIECE_DOCUMENTS: usize = 500;
const PIECE_BYTES: usize = 1024 * 1024;

pub(super) async fn export(
    store: &MongoStore,
    scope: ExportScope,
) -> std::result::Result<Export, MongoError> {
    let mut session = store.client.start_session().snapshot(store.snapshots).await?;
    let mut counts = Vec::with_capacity(scope.collections.len());
    for &collection in &scope.collections {
        let documents = store.documents(collection);
        let count =
            documents.count_documents(exported(collection, &scope)).session(&mut session).await?;
        counts.push((collection, count));
    }
    let figures = match scope.collections.contains(&Collection::KnowledgeBase) {
        true => figures::in_session(store, &mut session).await?,
        false => HashMap::new(),
    };
    let left = scope.collections.clone().into();
    let walk = Walk { db: store.db.clone(), session, figures, scope, left, current: None };
    let documents = try_unfold(walk, |mut walk| async move {
        let piece = within(LONG, walk.next_piece()).await?;
        Ok(piece.map(|piece| (piece, walk)))
    });
    let database_bytes = database_bytes(&store.db).await;
    Ok(Export { counts, database_bytes, documents: documents.boxed() })
}

/// What of a collection is exported.
fn exported(collection: Collection, scope: &ExportScope) -> Document {
    match (collection, scope.period_of(collection)) {
        (Collection::Alerts, Some((from, until))) => first_received(from, until),
        (_, Some((from, until))) => {
            doc! { "timestamp": { "$gte": date(from), "$lt": date(until) } }
        }
        (Collection::SystemState, None) => {
            let momentary = format!("^({}|{}$)", lease::PREFIX, expiry::NOTE);
            doc! { "key": { "$not": { "$regex": momentary } } }
        }
        _ => doc! {},
    }
}

/// On disk; 0 if the server does not tell, which is no failure of an export.
async fn database_bytes(db: &Database) -> u64 {
    let Ok(stats) = db.run_command(doc! { "dbStats": 1 }).await else { return 0 };
    let bytes = |field: &str| stats.get(field).and_then(integer).unwrap_or(0).max(0);
    bytes("storageSize").saturating_add(bytes("indexSize")).unsigned_abs()
}

/// Where an export stands.
struct Walk {
    db: Database,
    session: ClientSession,
    /// What the stored instances say, as the session sees them.
    figures: HashMap<String, Figures>,
    scope: ExportScope,
    left: VecDeque<Collection>,
    current: Option<(Collection, SessionCursor<Document>)>,
}

impl Walk {
    async fn next_piece(
        &mut self,
    ) -> std::result::Result<Option<(Collection, Vec<String>)>, MongoError> {
        loop {
            if self.current.is_none() {
                let Some(collection) = self.left.pop_front() else { return Ok(None) };
                self.current = Some((collection, self.open(collection).await?));
            }
            let Some((collection, cursor)) = &mut self.current else { continue };
            let collection = *collection;
            let piece = read_piece(collection, cursor, &mut self.session, &self.figures).await?;
            if !piece.is_empty() {
                return Ok(Some((collection, piece)));
            }
            self.current = None;
        }
    }

    async fn open(
        &mut self,
        collection: Collection,
    ) -> std::result::Result<SessionCursor<Document>, MongoError> {
        let documents = self.db.collection::<Document>(collection.name());
        let find =
            documents.find(exported(collection, &self.scope)).batch_size(PIECE_DOCUMENTS as u32);
        Ok(find.session(&mut self.session).await?)
    }
}

/// The next documents; none at the collection's end.
async fn read_piece(
    collection: Collection,
    cursor: &mut SessionCursor<Document>,
    session: &mut ClientSession,
    figures: &HashMap<String, Figures>,
) -> std::result::Result<Vec<String>, MongoError> {
    let mut piece = Vec::new();
    let mut bytes = 0;
    while piece.len() < PIECE_DOCUMENTS && bytes < PIECE_BYTES {
        let Some(document) = cursor.next(session).await else { break };
        let text = text(collection, document?, figures);
        bytes += text.len();
        piece.push(text);
    }
    Ok(piece)
}

/// A document as the contract's JSON has it; one of another program as plain JSON.
fn text(collection: Collection, document: Document, figures: &HashMap<String, Figures>) -> String {
    let ours = match collection {
        Collection::Alerts => {
            alert(&document).and_then(|stored| serde_json::to_value(stored.alert).ok())
        }
        Collection::KnowledgeBase => entry_value(&document, figures),
        Collection::Metrics => sample(&document).and_then(|s| serde_json::to_value(s).ok()),
        Collection::Consolidations | Collection::SystemState => None,
    };
    ours.unwrap_or_else(|| Value::Object(plain(document))).to_string()
}

/// An entry as it is shown, with what it takes to restore it.
fn entry_value(document: &Document, figures: &HashMap<String, Figures>) -> Option<Value> {
    let read = entry(document.clone())?;
    let id = match &read {
        EntryDocument::Current(entry) => &entry.id,
        EntryDocument::Old(entry) => entry.id(),
    };
    let figures = figures.get(id).copied().unwrap_or_default();
    let entry = Entry { figures, ..read.into_entry(&figures) };
    serde_json::to_value(ExportedEntry::from(&entry)).ok()
}

/// Without an `_id` that was only made up for the database.
fn plain(mut document: Document) -> Map<String, Value> {
    let made_up = match document.get("_id") {
        Some(Bson::ObjectId(_)) => true,
        id => ["key", "id", "date"].iter().any(|name| id.is_some() && document.get(name) == id),
    };
    if made_up {
        document.remove("_id");
    }
    json_object(document)
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{DateTime, oid::ObjectId};

    use super::*;

    #[test]
    fn a_foreign_document_keeps_the_id_that_someone_chose() {
        let of_ours = doc! { "_id": "lease", "key": "lease", "value": 1 };
        let of_the_driver = doc! { "_id": ObjectId::new(), "key": "a", "value": 1 };
        let chosen = doc! { "_id": "config", "value": DateTime::from_millis(0) };
        let text = |document| text(Collection::SystemState, document, &HashMap::new());
        assert_eq!(text(of_ours), r#"{"key":"lease","value":1}"#);
        assert_eq!(text(of_the_driver), r#"{"key":"a","value":1}"#);
        assert_eq!(text(chosen), r#"{"_id":"config","value":"1970-01-01T00:00:00.000Z"}"#);
    }

    #[test]
    fn an_entry_has_its_figures_and_what_it_takes_to_restore_it() {
        let document = doc! { "id": "kb", "title": "t", "occurrences": 3_i64 };
        let text = text(Collection::KnowledgeBase, document, &HashMap::new());
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["occurrences"], 3);
        assert_eq!(value["summedUp"]["tally"]["occurrences"], 3);
        assert!(value["firstSeen"].is_i64());
    }
}
