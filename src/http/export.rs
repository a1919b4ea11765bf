//! A snapshot as a streamed body, in constant memory.

use std::{fmt::Write, sync::Arc};

use axum::{body::Body, http::StatusCode, response::Response};
use bytes::Bytes;
use futures::{StreamExt, stream};

use super::json_response;
use crate::{
    model::{Collection, Time},
    store::{Backend, Export, StoreError},
};

/// What stands before the data.
pub struct Head {
    /// When the snapshot was taken.
    pub export_date: Time,
    /// The number of the newest applied migration.
    pub schema_version: u32,
    /// Where the data is from.
    pub backend: Backend,
}

/// One JSON object: the head, counts, and `data` with a list a collection.
///
/// A failure on the way breaks the transfer: a cut export has no end and is no JSON.
pub fn json(head: Arc<Head>, snapshot: Export) -> Response {
    let Export { counts, database_bytes, documents } = snapshot;
    let opening = Bytes::from(opening(&head, &counts, database_bytes));
    let names: Vec<Collection> = counts.iter().map(|(collection, _)| *collection).collect();
    let mut writer = JsonWriter { names: names.into_iter(), open: None };
    let pieces = documents.map(Some).chain(stream::iter([None])).map(move |piece| match piece {
        Some(Ok((collection, documents))) => Ok(writer.documents(collection, &documents)),
        Some(Err(error)) => {
            tracing::error!(%error, "an export broke off");
            Err(error)
        }
        None => Ok(writer.end()),
    });
    let body = stream::iter([Ok::<_, StoreError>(opening)]).chain(pieces);
    json_response(StatusCode::OK, Body::from_stream(body))
}

fn opening(head: &Head, counts: &[(Collection, u64)], database_bytes: u64) -> String {
    let counts: Vec<_> = counts.iter().map(|(name, count)| format!("\"{name}\":{count}")).collect();
    let megabytes = database_bytes as f64 / (1024.0 * 1024.0);
    format!(
        "{{\"exportDate\":\"{}\",\"schemaVersion\":{},\"backend\":\"{}\",\"collections\":{{{}}},\
         \"databaseSizeBytes\":{database_bytes},\"databaseSizeMB\":\"{megabytes:.2}\",\"data\":{{",
        head.export_date,
        head.schema_version,
        head.backend.as_str(),
        counts.join(","),
    )
}

/// Writes lists in the order of the snapshot's collections, empty ones too.
struct JsonWriter {
    names: std::vec::IntoIter<Collection>,
    open: Option<Collection>,
}

impl JsonWriter {
    fn documents(&mut self, collection: Collection, documents: &[String]) -> Bytes {
        let mut text = String::with_capacity(documents.iter().map(|d| d.len() + 1).sum());
        let mut separate = self.open == Some(collection);
        while self.open != Some(collection) {
            if !self.open_next(&mut text) {
                break;
            }
        }
        for document in documents {
            if separate {
                text.push(',');
            }
            text.push_str(document);
            separate = true;
        }
        text.into()
    }

    /// Closes the open list and opens the next; false if there is none.
    fn open_next(&mut self, text: &mut String) -> bool {
        let first = self.open.is_none();
        if !first {
            text.push(']');
        }
        let Some(next) = self.names.next() else { return false };
        let comma = if first { "" } else { "," };
        let _ = write!(text, "{comma}\"{next}\":[");
        self.open = Some(next);
        true
    }

    fn end(&mut self) -> Bytes {
        let mut text = String::new();
        while self.open_next(&mut text) {}
        text.push_str("}}");
        text.into()
    }
}
