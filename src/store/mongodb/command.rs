//! Write commands: statements cut into commands that the server takes, and their replies.

use std::collections::HashSet;

use mongodb::{
    ClientSession, Database,
    bson::{Bson, Document, doc},
};

use super::{connect::write_concern_document, fault::Fault, wire::integer};
use crate::model::Collection;

/// Well below what a server takes in one command (100,000 statements, 48 MB).
const STATEMENTS_MAX: usize = 10_000;
const BYTES_MAX: usize = 24 * 1024 * 1024;

/// Runs a command, in the session's transaction if there is one.
pub(super) async fn run(
    db: &Database,
    session: Option<&mut ClientSession>,
    command: Document,
) -> Result<Document, Fault> {
    let answer = match session {
        Some(session) => db.run_command(command).session(session).await,
        None => db.run_command(command).await,
    };
    Ok(answer?)
}

/// An upserting statement.
pub(super) fn upsert(query: Document, update: Document) -> Document {
    doc! { "q": query, "u": update, "upsert": true }
}

/// What a list of update statements did.
#[derive(Debug, Default)]
pub(super) struct Updated {
    /// How many statements found or made their document.
    pub(super) hit: usize,
    /// Those that made it, by their place in the list.
    pub(super) made: HashSet<usize>,
    /// Those that lost a race for making it (E11000), by their place in the list.
    pub(super) raced: Vec<usize>,
}

/// Runs update statements, in order or in any order.
///
/// # Errors
/// Any failure of a statement but E11000, which is told by [`Updated::raced`]; in order, nothing
/// behind it is tried.
pub(super) async fn update(
    db: &Database,
    mut session: Option<&mut ClientSession>,
    collection: Collection,
    statements: &[Document],
    ordered: bool,
) -> Result<Updated, Fault> {
    let mut updated = Updated::default();
    let mut start = 0;
    for length in cut(statements) {
        let mut command = doc! {
            "update": collection.name(),
            "updates": &statements[start..start + length],
            "ordered": ordered,
        };
        if session.is_none() {
            command.insert("writeConcern", write_concern_document());
        }
        let reply = run(db, session.as_deref_mut(), command).await?;
        read_reply(&reply, start, &mut updated)?;
        if ordered && !updated.raced.is_empty() {
            break;
        }
        start += length;
    }
    Ok(updated)
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

fn read_reply(reply: &Document, start: usize, updated: &mut Updated) -> Result<(), Fault> {
    for error in documents(reply, "writeErrors") {
        let fault = write_fault(error);
        if !fault.is_duplicate_key() {
            return Err(fault);
        }
        updated.raced.extend(index(error).map(|index| start + index));
    }
    if let Ok(error) = reply.get_document("writeConcernError") {
        return Err(write_fault(error));
    }
    updated.hit += reply.get("n").and_then(integer).unwrap_or(0) as usize;
    updated.made.extend(documents(reply, "upserted").filter_map(index).map(|index| start + index));
    Ok(())
}

fn documents<'a>(reply: &'a Document, field: &str) -> impl Iterator<Item = &'a Document> {
    reply.get_array(field).into_iter().flatten().filter_map(Bson::as_document)
}

fn index(document: &Document) -> Option<usize> {
    document.get("index").and_then(integer).and_then(|index| index.try_into().ok())
}

fn write_fault(error: &Document) -> Fault {
    Fault::Write {
        code: error.get("code").and_then(integer).unwrap_or(0) as i32,
        message: error.get_str("errmsg").unwrap_or("unknown").to_owned(),
    }
}

/// Deletes what matches, and says how much that was.
pub(super) async fn delete(
    db: &Database,
    session: Option<&mut ClientSession>,
    collection: Collection,
    query: Document,
) -> Result<u64, Fault> {
    let mut command = doc! {
        "delete": collection.name(),
        "deletes": [doc! { "q": query, "limit": 0 }],
    };
    if session.is_none() {
        command.insert("writeConcern", write_concern_document());
    }
    let reply = run(db, session, command).await?;
    let mut deleted = Updated::default();
    read_reply(&reply, 0, &mut deleted)?;
    Ok(deleted.hit as u64)
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
    fn a_lost_race_is_told_by_its_place_and_anything_else_is_a_fault() {
        let mut updated = Updated::default();
        let raced = doc! {
            "n": 1, "upserted": [{ "index": 0, "_id": "a" }],
            "writeErrors": [{ "index": 1, "code": 11000, "errmsg": "dup" }],
        };
        read_reply(&raced, 10, &mut updated).unwrap();
        assert_eq!((updated.hit, &updated.raced[..]), (1, &[11][..]));
        assert!(updated.made.contains(&10));
        let refused = doc! { "writeErrors": [{ "index": 0, "code": 121, "errmsg": "no" }] };
        assert!(read_reply(&refused, 0, &mut updated).is_err());
        let unheard = doc! { "n": 1, "writeConcernError": { "code": 64, "errmsg": "timeout" } };
        assert!(read_reply(&unheard, 0, &mut updated).is_err());
    }
}
