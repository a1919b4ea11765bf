//! Everything taken out: one snapshot of the store in one of three formats, in constant memory.
//!
//! The same bytes go to HTTP and to the command line. A failure on the way is an error of the
//! stream, and what was written until then has no end: a cut export never looks whole.

mod csv;
mod gzip;
mod json;
mod ndjson;
mod skipped;

use std::{fmt::Write, io};

use bytes::Bytes;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};

pub use self::csv::{cell, cell_value};
pub use self::gzip::gzip;
pub use self::skipped::Skipped;
use crate::{
    model::{Clock, Collection, Time},
    store::{Backend, Export, ExportScope, Store, StoreError},
};

/// How an export is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object.
    Json,
    /// A header, a document a line, and an end; what can be imported.
    Ndjson,
    /// A table of one collection.
    Csv,
}

impl Format {
    /// All, as they are named.
    pub const NAMES: [&'static str; 3] = ["json", "ndjson", "csv"];

    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
        }
    }

    /// The format of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Json, Self::Ndjson, Self::Csv].into_iter().find(|format| format.as_str() == name)
    }

    /// For `Content-Type`.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
        }
    }
}

/// Why an export did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the store gave could not be written in the format: a defect.
    #[error("a document could not be written: {0}")]
    Format(#[from] io::Error),
}

/// What stands before the data.
#[derive(Clone, Debug)]
pub struct Head {
    /// When the snapshot was taken.
    pub export_date: Time,
    /// The number of the newest applied migration.
    pub schema_version: u32,
    /// Where the data is from.
    pub backend: Backend,
    /// How many documents each collection has.
    pub counts: Vec<(Collection, u64)>,
    /// The size of the whole database.
    pub database_bytes: u64,
}

/// An export that is open.
pub struct OpenExport {
    /// What stands before the data.
    pub head: Head,
    /// The bytes; an error ends them.
    pub bytes: BoxStream<'static, Result<Bytes, ExportError>>,
    /// What of an ndjson export is left out.
    pub skipped: Skipped,
}

/// Writes one format.
trait Encoder: Send {
    fn begin(&mut self, head: &Head) -> io::Result<Vec<u8>>;
    fn documents(&mut self, of: Collection, documents: &[String]) -> io::Result<Vec<u8>>;
    fn end(&mut self) -> io::Result<Vec<u8>>;
}

/// Opens a snapshot.
pub async fn open_export(
    store: &dyn Store,
    clock: &dyn Clock,
    format: Format,
    scope: ExportScope,
) -> Result<OpenExport, StoreError> {
    let schema_version = store.schema_version().await?;
    let Export { counts, database_bytes, documents } = store.export(scope).await?;
    let (export_date, backend) = (clock.now(), store.backend());
    let head = Head { export_date, schema_version, backend, counts, database_bytes };
    let skipped = Skipped::default();
    let mut encoder: Box<dyn Encoder> = match format {
        Format::Json => Box::new(json::Json::new(&head)),
        Format::Ndjson => Box::new(ndjson::Ndjson::new(skipped.clone())),
        Format::Csv => Box::new(csv::Csv::new(&head)),
    };
    let begin = encoder.begin(&head);
    let pieces = documents.map(Some).chain(stream::iter([None])).map(move |piece| match piece {
        Some(Ok((collection, documents))) => Ok(encoder.documents(collection, &documents)?),
        Some(Err(error)) => Err(error.into()),
        None => Ok(encoder.end()?),
    });
    let bytes = stream::iter([begin.map_err(ExportError::from)]).chain(pieces);
    let bytes = bytes.map(|piece| piece.map(Bytes::from)).boxed();
    Ok(OpenExport { head, bytes, skipped })
}

/// The members that stand before the data, without the braces.
fn members(head: &Head) -> String {
    let mut text = format!(
        "\"exportDate\":\"{}\",\"schemaVersion\":{},\"backend\":\"{}\",\"collections\":{{",
        head.export_date,
        head.schema_version,
        head.backend.as_str(),
    );
    for (place, (name, count)) in head.counts.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        let _ = write!(text, "{comma}\"{name}\":{count}");
    }
    let megabytes = head.database_bytes as f64 / (1024.0 * 1024.0);
    let _ = write!(
        text,
        "}},\"databaseSizeBytes\":{},\"databaseSizeMB\":\"{megabytes:.2}\"",
        head.database_bytes
    );
    text
}
