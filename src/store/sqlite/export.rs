//! A snapshot of tables as JSON texts: one read transaction, streamed in pieces of bounded size.

use std::{collections::HashMap, fmt::Write, sync::Arc};

use futures::StreamExt;
use rusqlite::{Connection, Row, types::ValueRef};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;

use super::{
    alerts,
    connection::{DatabaseFile, store_error},
    figures, history, knowledge,
};
use crate::{
    model::{Collection, Entry, ExportedEntry, Figures, Status, Time},
    store::{Export, ExportScope, Result, StoreError},
};

/// Documents in one piece.
const PIECE: usize = 256;
/// Pieces that may wait for a slow reader; with the size of a piece, what an export holds.
const PIECES_WAITING: usize = 4;

type Piece = Result<(Collection, Vec<String>)>;
type Counts = (Vec<(Collection, u64)>, u64);

/// Opens a snapshot on a connection of its own.
pub async fn export(file: &Arc<DatabaseFile>, scope: ExportScope) -> Result<Export> {
    let file = Arc::clone(file);
    let (counted, counts) = oneshot::channel();
    let (pieces, documents) = mpsc::channel(PIECES_WAITING);
    tokio::task::spawn_blocking(move || {
        let connection = file.reader();
        let begun = connection.and_then(|connection| {
            let counts = begin(&connection, &scope).map_err(store_error)?;
            Ok((connection, counts))
        });
        let (connection, counts) = match begun {
            Ok((connection, counts)) => (Some(connection), Ok(counts)),
            Err(error) => (None, Err(error)),
        };
        // A failure to hand the counts over means that the caller has disconnected.
        if let (Ok(()), Some(connection)) = (counted.send(counts), connection) {
            stream(&connection, &scope, &pieces);
        }
    });
    let (counts, database_bytes) = counts.await.map_err(StoreError::refused)??;
    Ok(Export { counts, database_bytes, documents: ReceiverStream::new(documents).boxed() })
}

fn begin(connection: &Connection, scope: &ExportScope) -> rusqlite::Result<Counts> {
    connection.execute_batch("BEGIN")?;
    let counts = scope
        .collections
        .iter()
        .map(|collection| Ok((*collection, count(connection, *collection, scope)?)))
        .collect::<rusqlite::Result<_>>()?;
    let bytes = connection.query_row(
        "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
        [],
        |row| row.get(0),
    )?;
    Ok((counts, bytes))
}

fn count(
    connection: &Connection,
    collection: Collection,
    scope: &ExportScope,
) -> rusqlite::Result<u64> {
    let Some((from, until)) = scope.period_of(collection) else {
        return history::count(connection, collection);
    };
    if collection == Collection::Alerts {
        return Ok(history::received_counts(connection, from, until)?.total);
    }
    let sql = format!("SELECT count(*) FROM {collection} WHERE timestamp >= ?1 AND timestamp < ?2");
    connection.query_row(&sql, (from.millis(), until.millis()), |row| row.get(0))
}

fn stream(connection: &Connection, scope: &ExportScope, pieces: &mpsc::Sender<Piece>) {
    for collection in &scope.collections {
        let period = scope.period_of(*collection);
        match stream_one(connection, *collection, period, pieces) {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                // The reader must not take what it has for the whole.
                let _ = pieces.blocking_send(Err(store_error(error)));
                return;
            }
        }
    }
}

/// What reads a table, each row as it comes: nothing is sorted, which would hold all of it.
pub fn statement(collection: Collection, within_period: bool) -> String {
    // Of alerts, without the numbers of their rows.
    let columns = match collection {
        Collection::Alerts => alerts::COLUMNS,
        Collection::KnowledgeBase => knowledge::COLUMNS,
        _ => "*",
    };
    match collection {
        // No index is by receipt alone: these are stretches of one, which SQLite merges as it goes.
        Collection::Alerts if within_period => {
            let stretches = Status::ALL.map(|status| {
                format!(
                    "SELECT {columns} FROM alerts INDEXED BY alerts_status
                     WHERE status = '{}' AND firstReceived >= ?1 AND firstReceived < ?2",
                    status.as_str()
                )
            });
            format!("{} ORDER BY firstReceived", stretches.join(" UNION ALL "))
        }
        Collection::SystemState => {
            "SELECT * FROM system_state WHERE key NOT LIKE 'lease:%' ORDER BY key".to_owned()
        }
        other if within_period => {
            format!(
                "SELECT {columns} FROM {other}
                 WHERE timestamp >= ?1 AND timestamp < ?2 ORDER BY timestamp"
            )
        }
        other => format!("SELECT {columns} FROM {other} ORDER BY rowid"),
    }
}

/// Streams one table; false if the reader has disconnected.
fn stream_one(
    connection: &Connection,
    collection: Collection,
    period: Option<(Time, Time)>,
    pieces: &mpsc::Sender<Piece>,
) -> rusqlite::Result<bool> {
    let mut select = connection.prepare(&statement(collection, period.is_some()))?;
    let figures = match collection {
        Collection::KnowledgeBase => figures::all(connection)?,
        _ => HashMap::new(),
    };
    let names: Vec<String> = select.column_names().map(str::to_owned).collect();
    let mut rows = match period {
        Some((from, until)) => select.query((from.millis(), until.millis()))?,
        None => select.query([])?,
    };
    let mut piece = Vec::with_capacity(PIECE);
    while let Some(row) = rows.next()? {
        piece.push(match collection {
            Collection::KnowledgeBase => entry(row, &figures)?,
            _ => document(&names, row)?,
        });
        if piece.len() == PIECE {
            let full = std::mem::replace(&mut piece, Vec::with_capacity(PIECE));
            if pieces.blocking_send(Ok((collection, full))).is_err() {
                return Ok(false);
            }
        }
    }
    Ok(piece.is_empty() || pieces.blocking_send(Ok((collection, piece))).is_ok())
}

/// An entry as it is shown, with what it takes to restore it.
fn entry(row: &Row<'_>, figures: &HashMap<String, Figures>) -> rusqlite::Result<String> {
    let entry = knowledge::entry(row)?;
    let figures = figures.get(&entry.id).copied().unwrap_or_default();
    super::json::json(&ExportedEntry::from(&Entry { figures, ..entry }))
}

fn document(names: &[String], row: &Row<'_>) -> rusqlite::Result<String> {
    let mut text = String::with_capacity(768);
    for (index, name) in names.iter().enumerate() {
        let value = row.get_ref(index)?;
        if value == ValueRef::Null {
            continue;
        }
        text.push(if text.is_empty() { '{' } else { ',' });
        let _ = write!(text, "\"{name}\":");
        append(&mut text, name, value)?;
    }
    text.push('}');
    Ok(text)
}

fn append(text: &mut String, column: &str, value: ValueRef<'_>) -> rusqlite::Result<()> {
    match value {
        ValueRef::Integer(ms) if is_time(column) => {
            let _ = write!(text, "\"{}\"", Time::from_millis(ms));
        }
        ValueRef::Integer(number) => {
            let _ = write!(text, "{number}");
        }
        ValueRef::Text(raw) if is_json(column) => text.push_str(&String::from_utf8_lossy(raw)),
        ValueRef::Text(plain) => {
            text.push_str(&super::json::json(String::from_utf8_lossy(plain).as_ref())?);
        }
        ValueRef::Real(number) => text.push_str(&super::json::json(&number)?),
        ValueRef::Null | ValueRef::Blob(_) => text.push_str("null"),
    }
    Ok(())
}

fn is_time(column: &str) -> bool {
    matches!(column, "startsAt" | "timestamp" | "resolvedAt" | "firstReceived" | "changedAt")
}

/// Columns that hold JSON texts of this program's own making.
fn is_json(column: &str) -> bool {
    matches!(
        column,
        "labels"
            | "annotations"
            | "carried"
            | "alerts"
            | "metrics"
            | "insights"
            | "recommendations"
            | "value"
    )
}
