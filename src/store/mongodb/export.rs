//! Everything of some collections at one moment, in constant memory.
//!
//! Counts and documents come from one snapshot session where the topology has it. A server keeps
//! a snapshot for five minutes by default (`minSnapshotHistoryWindowInSeconds`); an export that
//! takes longer breaks off. A lone server has no snapshots: what is written while it is exported
//! may be missing or half there. Leases are of the moment and left out.

use std::collections::VecDeque;

use futures::{StreamExt, stream::try_unfold};
use mongodb::{
    ClientSession, Database, SessionCursor,
    bson::{Bson, Document, doc},
};
use serde_json::{Map, Value};

use super::{
    LONG, MongoStore,
    fault::Fault,
    lease,
    wire::{alert, entry, integer, json_object, sample},
    within,
};
use crate::{model::Collection, store::Export};

const PIECE_DOCUMENTS: usize = 500;
const PIECE_BYTES: usize = 1024 * 1024;

pub(super) async fn export(
    store: &MongoStore,
    collections: Vec<Collection>,
) -> std::result::Result<Export, Fault> {
    let mut session = store.client.start_session().snapshot(store.transactions).await?;
    let mut counts = Vec::with_capacity(collections.len());
    for &collection in &collections {
        let documents = store.documents(collection);
        let count = documents.count_documents(exported(collection)).session(&mut session).await?;
        counts.push((collection, count));
    }
    let walk = Walk { db: store.db.clone(), session, left: collections.into(), current: None };
    let documents = try_unfold(walk, |mut walk| async move {
        let piece = within(LONG, walk.next_piece()).await?;
        Ok(piece.map(|piece| (piece, walk)))
    });
    let database_bytes = database_bytes(&store.db).await;
    Ok(Export { counts, database_bytes, documents: documents.boxed() })
}

/// What of a collection is exported.
fn exported(collection: Collection) -> Document {
    match collection {
        Collection::SystemState => {
            doc! { "key": { "$not": { "$regex": format!("^{}", lease::PREFIX) } } }
        }
        _ => doc! {},
    }
}

/// On disk; 0 if the server does not tell, which an export does not fail for.
async fn database_bytes(db: &Database) -> u64 {
    let Ok(stats) = db.run_command(doc! { "dbStats": 1 }).await else { return 0 };
    let bytes = |field: &str| stats.get(field).and_then(integer).unwrap_or(0).max(0);
    bytes("storageSize").saturating_add(bytes("indexSize")).unsigned_abs()
}

/// Where an export stands.
struct Walk {
    db: Database,
    session: ClientSession,
    left: VecDeque<Collection>,
    current: Option<(Collection, SessionCursor<Document>)>,
}

impl Walk {
    async fn next_piece(
        &mut self,
    ) -> std::result::Result<Option<(Collection, Vec<String>)>, Fault> {
        loop {
            if self.current.is_none() {
                let Some(collection) = self.left.pop_front() else { return Ok(None) };
                self.current = Some((collection, self.open(collection).await?));
            }
            let Some((collection, cursor)) = &mut self.current else { continue };
            let collection = *collection;
            let piece = read_piece(collection, cursor, &mut self.session).await?;
            if !piece.is_empty() {
                return Ok(Some((collection, piece)));
            }
            self.current = None;
        }
    }

    async fn open(
        &mut self,
        collection: Collection,
    ) -> std::result::Result<SessionCursor<Document>, Fault> {
        let documents = self.db.collection::<Document>(collection.name());
        let find = documents.find(exported(collection)).batch_size(PIECE_DOCUMENTS as u32);
        Ok(find.session(&mut self.session).await?)
    }
}

/// The next documents; none at the collection's end.
async fn read_piece(
    collection: Collection,
    cursor: &mut SessionCursor<Document>,
    session: &mut ClientSession,
) -> std::result::Result<Vec<String>, Fault> {
    let mut piece = Vec::new();
    let mut bytes = 0;
    while piece.len() < PIECE_DOCUMENTS && bytes < PIECE_BYTES {
        let Some(document) = cursor.next(session).await else { break };
        let text = text(collection, document?);
        bytes += text.len();
        piece.push(text);
    }
    Ok(piece)
}

/// A document as the contract's JSON has it; one of another program as plain JSON.
fn text(collection: Collection, document: Document) -> String {
    let ours = match collection {
        Collection::Alerts => alert(&document).and_then(|alert| serde_json::to_value(alert).ok()),
        Collection::KnowledgeBase => entry_value(&document),
        Collection::Metrics => sample(&document).and_then(|s| serde_json::to_value(s).ok()),
        Collection::Consolidations | Collection::SystemState => None,
    };
    ours.unwrap_or_else(|| Value::Object(plain(document))).to_string()
}

/// With the counters that an entry's own JSON does not show, so that an import has them.
fn entry_value(document: &Document) -> Option<Value> {
    let entry = entry(document.clone())?;
    let mut value = serde_json::to_value(&entry).ok()?;
    let fields = value.as_object_mut()?;
    fields.insert("resolutions".into(), entry.resolutions.into());
    fields.insert("resolveMs".into(), entry.resolve_ms.into());
    Some(value)
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
        let text = |document| text(Collection::SystemState, document);
        assert_eq!(text(of_ours), r#"{"key":"lease","value":1}"#);
        assert_eq!(text(of_the_driver), r#"{"key":"a","value":1}"#);
        assert_eq!(text(chosen), r#"{"_id":"config","value":"1970-01-01T00:00:00.000Z"}"#);
    }

    #[test]
    fn an_entry_keeps_its_hidden_counters() {
        let document = doc! { "id": "kb", "title": "t", "resolutions": 3_i64, "resolveMs": 9_i64 };
        let value: Value =
            serde_json::from_str(&text(Collection::KnowledgeBase, document)).unwrap();
        assert_eq!((&value["resolutions"], &value["resolveMs"]), (&3.into(), &9.into()));
        assert!(value["firstSeen"].is_i64());
    }
}
