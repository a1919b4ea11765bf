//! Write commands: statements cut into commands that the server takes, and their replies.
//!
//! Statements go in any order, so that one that fails holds up no other. All that changes alerts goes
//! through here, so here it is said that this process writes.

use std::{collections::HashSet, time::Duration};

use mongodb::bson::{Bson, Document, doc};

use super::{
    MongoStore, connect::write_concern_document, error::MongoError, presence, wire::integer,
};

/// Well below what a server takes in one command (100,000 statements, 48 MB).
const STATEMENTS_MAX: usize = 10_000;
const BYTES_MAX: usize = 24 * 1024 * 1024;

/// How long a command may take, and how much longer for each statement. The server itself would
/// wait for a document as long as another client's transaction has it locked.
const WITHIN: Duration = Duration::from_secs(6);
const SOON: Duration = Duration::from_secs(2);
const STATEMENT_WITHIN: Duration = Duration::from_millis(10);

/// An upserting statement.
pub(super) fn upsert(query: Document, update: Document) -> Document {
    doc! { "q": query, "u": update, "upsert": true }
}

/// A statement for all documents that match.
pub(super) fn update_all(query: Document, update: Document) -> Document {
    doc! { "q": query, "u": update, "multi": true }
}

/// What a list of statements did.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// How many documents they matched, made or deleted.
    pub(super) hit: u64,
    /// Statements that made their document, by their place in the list.
    pub(super) made: HashSet<usize>,
    /// Statements that lost a race for their document, by their place in the list.
    pub(super) duplicate_keys: HashSet<usize>,
}

/// Inserts documents, which costs a server less than upserting them.
///
/// # Errors
/// Any failure but that of a document whose `_id` is taken, which [`Written::duplicate_keys`]
/// tells.
pub(super) async fn insert(
    store: &MongoStore,
    collection: &str,
    documents: &[Document],
) -> Result<Written, MongoError> {
    run_all(store, doc! { "insert": collection }, "documents", documents, WITHIN).await
}

/// Runs update statements.
///
/// # Errors
/// Any failure of a statement but a lost race, which [`Written::duplicate_keys`] tells.
pub(super) async fn update(
    store: &MongoStore,
    collection: &str,
    statements: &[Document],
) -> Result<Written, MongoError> {
    run_all(store, doc! { "update": collection }, "updates", statements, WITHIN).await
}

/// The same for what others are not to wait for.
pub(super) async fn update_soon(
    store: &MongoStore,
    collection: &str,
    statements: &[Document],
) -> Result<Written, MongoError> {
    run_all(store, doc! { "update": collection }, "updates", statements, SOON).await
}

/// Runs delete statements, each for all documents that match.
pub(super) async fn delete(
    store: &MongoStore,
    collection: &str,
    queries: impl IntoIterator<Item = Document>,
) -> Result<u64, MongoError> {
    let deletes: Vec<_> =
        queries.into_iter().map(|query| doc! { "q": query, "limit": 0 }).collect();
    Ok(run_all(store, doc! { "delete": collection }, "deletes", &deletes, WITHIN).await?.hit)
}

async fn run_all(
    store: &MongoStore,
    command: Document,
    field: &str,
    statements: &[Document],
    within: Duration,
) -> Result<Written, MongoError> {
    presence::say(store).await?;
    let mut written = Written::default();
    let mut start = 0;
    for length in cut(statements) {
        let mut command = command.clone();
        command.insert(field, &statements[start..start + length]);
        command.insert("ordered", false);
        let within = within + STATEMENT_WITHIN * length as u32;
        command.insert("maxTimeMS", within.as_millis() as i64);
        command.insert("writeConcern", write_concern_document());
        let reply = store.db.run_command(command).await?;
        read_reply(&reply, start, &mut written)?;
        start += length;
    }
    Ok(written)
}

/// The lengths of the pieces that the statements are sent in.
fn cut(statements: &[Document]) -> Vec<usize> {
    let mut lengths = Vec::new();
    let (mut length, mut bytes) = (0, 0);
    for statement in statements {
        let size = approximate_size(statement);
        if length > 0 && (length == STATEMENTS_MAX || bytes + size > BYTES_MAX) {
            lengths.push(length);
            (length, bytes) = (0, 0);
        }
        length += 1;
        bytes += size;
    }
    lengths.extend((length > 0).then_some(length));
    lengths
}

/// The bytes of a document in BSON, or a little more.
fn approximate_size(document: &Document) -> usize {
    let fields = document.iter().map(|(name, value)| name.len() + 2 + value_size(value));
    fields.sum::<usize>() + 5
}

fn value_size(value: &Bson) -> usize {
    match value {
        Bson::String(text) => text.len() + 5,
        Bson::Document(document) => approximate_size(document),
        Bson::Array(items) => items.iter().map(|item| value_size(item) + 8).sum::<usize>() + 5,
        _ => 16,
    }
}

fn read_reply(reply: &Document, start: usize, written: &mut Written) -> Result<(), MongoError> {
    for error in documents(reply, "writeErrors") {
        let failed = write_error(error);
        if !failed.is_lost_race() {
            return Err(failed);
        }
        written.duplicate_keys.extend(index(error).map(|index| start + index));
    }
    if let Ok(error) = reply.get_document("writeConcernError") {
        return Err(write_error(error));
    }
    written.hit += reply.get("n").and_then(integer).unwrap_or(0).max(0) as u64;
    written.made.extend(documents(reply, "upserted").filter_map(index).map(|index| start + index));
    Ok(())
}

fn documents<'a>(reply: &'a Document, field: &str) -> impl Iterator<Item = &'a Document> {
    reply.get_array(field).into_iter().flatten().filter_map(Bson::as_document)
}

fn index(document: &Document) -> Option<usize> {
    document.get("index").and_then(integer).and_then(|index| index.try_into().ok())
}

fn write_error(error: &Document) -> MongoError {
    MongoError::Write {
        code: error.get("code").and_then(integer).unwrap_or(0) as i32,
        message: error.get_str("errmsg").unwrap_or("unknown").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_cut_by_number_and_by_size() {
        let small = vec![doc! { "q": { "_id": 1 } }; STATEMENTS_MAX + 1];
        assert_eq!(cut(&small), [STATEMENTS_MAX, 1]);
        let large = vec![doc! { "text": "x".repeat(BYTES_MAX / 2) }; 3];
        assert_eq!(cut(&large), [1, 1, 1]);
        assert!(cut(&[]).is_empty());
    }

    #[test]
    fn a_lost_race_is_told_by_its_place_and_anything_else_is_an_error() {
        let mut written = Written::default();
        let duplicate_keys = doc! {
            "n": 1, "upserted": [{ "index": 0, "_id": "a" }],
            "writeErrors": [{ "index": 1, "code": 11000, "errmsg": "dup" }],
        };
        read_reply(&duplicate_keys, 10, &mut written).unwrap();
        assert_eq!((written.hit, written.duplicate_keys.contains(&11)), (1, true));
        assert!(written.made.contains(&10));
        let refused = doc! { "writeErrors": [{ "index": 0, "code": 121, "errmsg": "no" }] };
        assert!(read_reply(&refused, 0, &mut written).is_err());
        let unheard = doc! { "n": 1, "writeConcernError": { "code": 64, "errmsg": "timeout" } };
        assert!(read_reply(&unheard, 0, &mut written).is_err());
    }
}
