//! An ndjson export put back, into either store.
//!
//! The file is read twice: first all of it is checked, then it is written. So a file that is cut,
//! of another program or of a newer schema changes nothing. Documents are written over those with
//! the same natural key, so that twice equals once, and an import that failed half-way (the store
//! went away) is made whole by doing it again.

mod document;
mod frame;

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
};

use flate2::bufread::MultiGzDecoder;
use tokio::sync::mpsc;

use self::frame::Reader;
pub use self::{document::check as check_document, frame::Header};
use crate::store::{Store, StoreError, Stored};

/// Documents written at once: the more, the fewer pages of the stores' indexes are written twice.
const BATCH: usize = 10_000;
/// A batch is full with this much text, too.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// Batches read ahead.
const AHEAD: usize = 2;
/// How often the first reading reports how far it is, in documents.
const TELL_EVERY: u64 = 1_000;
const BUFFER: usize = 256 * 1024;

/// Why a file was not imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It cannot be read.
    #[error("the file cannot be read: {0}")]
    Read(#[source] io::Error),
    /// It is something else.
    #[error("this is no ndjson export of an orchestrator: {0}")]
    Foreign(String),
    /// It was exported by a newer version.
    #[error("the export is of schema {found}, this binary knows up to {newest}")]
    Newer {
        /// The file's.
        found: u32,
        /// This binary's.
        newest: u32,
    },
    /// It ends before its end line.
    #[error("the export is cut: it ends after {documents} documents without its end line")]
    Cut {
        /// How many there are.
        documents: u64,
    },
    /// The counts of header or end line are not those of its lines.
    #[error("the export is damaged: {promised} documents are promised where there are {found}")]
    Miscounted {
        /// What is said.
        promised: u64,
        /// What is there.
        found: u64,
    },
    /// A line is not what it should be.
    #[error("line {number} of the export {what}")]
    Line {
        /// Which, from 1.
        number: u64,
        /// What is wrong.
        what: String,
    },
    /// The store failed; what was written stays, and the same import again makes it whole.
    #[error("{documents} documents were written before the store failed; import again: {error}")]
    Store {
        /// How many were written.
        documents: u64,
        /// How it failed.
        error: StoreError,
    },
    /// The schema of the target is not this binary's.
    #[error("the target's schema is at version {found}, not {newest}: run `orchestrator migrate`")]
    Schema {
        /// The target's.
        found: u32,
        /// This binary's.
        newest: u32,
    },
}

/// What an import did.
#[derive(Clone, Debug)]
pub struct Imported {
    /// What the file says of itself.
    pub header: Header,
    /// Documents in the file.
    pub documents: u64,
    /// Documents written; the rest is what the target has of its own.
    pub written: u64,
}

/// Which of the two readings goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The file is checked.
    Checking,
    /// The documents are written.
    Writing,
}

/// Hears how far it is: the step, the documents behind, and all that there are.
pub type Progress = dyn Fn(Step, u64, u64) + Send + Sync;

/// Imports a file, compressed with gzip or not.
///
/// # Errors
/// [`ImportError`]; nothing has changed unless it is [`ImportError::Store`].
pub async fn import(
    store: &dyn Store,
    path: &Path,
    progress: std::sync::Arc<Progress>,
) -> Result<Imported, ImportError> {
    let store_error = |error| ImportError::Store { documents: 0, error };
    let newest = store.schema().migrations().last().map_or(0, |newest| newest.number);
    let found = store.schema_version().await.map_err(store_error)?;
    if found != newest {
        return Err(ImportError::Schema { found, newest });
    }
    let (checked, told) = (path.to_owned(), std::sync::Arc::clone(&progress));
    let (header, documents) = blocking(move || check(&checked, newest, &*told)).await?;

    // What words of what comes now mean is asked by the next start.
    store.note_severity_words("").await.map_err(store_error)?;
    let (batches, mut arriving) = mpsc::channel(AHEAD);
    let again = path.to_owned();
    let reading = tokio::spawn(blocking(move || read(&again, newest, &batches)));
    let (mut written, mut behind) = (0, 0);
    while let Some((lines, batch)) = arriving.recv().await {
        let length = Vec::len(&batch) as u64;
        store.put(batch).await.map_err(|error| ImportError::Store { documents: written, error })?;
        written += length;
        behind += lines;
        progress(Step::Writing, behind, documents);
    }
    reading.await.map_err(|error| ImportError::Read(io::Error::other(error)))??;
    if behind != documents {
        let what = "was not there when the file was checked".into();
        return Err(ImportError::Line { number: behind, what });
    }
    Ok(Imported { header, documents, written })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ImportError> + Send + 'static,
) -> Result<T, ImportError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| ImportError::Read(io::Error::other(error)))?
}

/// Reads all of it and keeps nothing.
fn check(path: &Path, newest: u32, progress: &Progress) -> Result<(Header, u64), ImportError> {
    let mut reader = open(path, newest)?;
    let (promised, mut documents) = (reader.promised(), 0);
    while reader.next_document()?.is_some() {
        documents += 1;
        if documents % TELL_EVERY == 0 {
            progress(Step::Checking, documents, promised);
        }
    }
    progress(Step::Checking, documents, documents);
    Ok((reader.header().clone(), documents))
}

type Batches = mpsc::Sender<(u64, Vec<Stored>)>;

/// Hands the documents over, with the lines that they were on.
fn read(path: &Path, newest: u32, batches: &Batches) -> Result<(), ImportError> {
    let mut reader = open(path, newest)?;
    let (mut lines, mut bytes, mut batch) = (0, 0, Vec::new());
    while let Some(document) = reader.next_document()? {
        lines += 1;
        bytes += reader.line_length();
        batch.extend(document);
        if batch.len() == BATCH || bytes >= BATCH_BYTES {
            bytes = 0;
            let full = std::mem::take(&mut batch);
            // The writer has failed, and reports why.
            if batches.blocking_send((std::mem::take(&mut lines), full)).is_err() {
                return Ok(());
            }
        }
    }
    let _ = batches.blocking_send((lines, batch));
    Ok(())
}

fn open(path: &Path, newest: u32) -> Result<Reader<Box<dyn BufRead>>, ImportError> {
    let file = File::open(path).map_err(ImportError::Read)?;
    let is_file = file.metadata().map_err(ImportError::Read)?.is_file();
    if !is_file {
        let twice = "it is read twice, so it must be a regular file";
        return Err(ImportError::Read(io::Error::new(io::ErrorKind::InvalidInput, twice)));
    }
    Reader::open(decompressed(file).map_err(ImportError::Read)?, newest)
}

/// Gzip is known by its first two bytes.
fn decompressed(file: File) -> io::Result<Box<dyn BufRead>> {
    let mut plain = BufReader::with_capacity(BUFFER, file);
    if plain.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
        let decoder = MultiGzDecoder::new(plain);
        return Ok(Box::new(BufReader::with_capacity(BUFFER, decoder)));
    }
    Ok(Box::new(plain))
}

/// Reads an export to its end and keeps nothing: how many documents it has. `newest` is the
/// newest schema that is known.
///
/// # Errors
/// [`ImportError`], if it is not whole.
pub fn read_through(export: impl BufRead, newest: u32) -> Result<u64, ImportError> {
    let mut reader = Reader::open(export, newest)?;
    let mut documents = 0;
    while reader.next_document()?.is_some() {
        documents += 1;
    }
    Ok(documents)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = r#"{"exportDate":"2026-11-24T10:00:00.000Z","schemaVersion":3,"backend":"sqlite","collections":{"metrics":2,"alerts":0},"databaseSizeBytes":1,"databaseSizeMB":"0.00"}"#;
    const SAMPLE: &str = r#"{"collection":"metrics","document":{"name":"m","value":1,"unit":"","timestamp":"2026-11-24T10:00:00.000Z","labels":{}}}"#;
    const END: &str = r#"{"end":true,"documents":2}"#;

    fn check_text(text: &str) -> Result<u64, ImportError> {
        read_through(text.as_bytes(), 3)
    }

    fn text(lines: &[&str]) -> String {
        lines.iter().map(|line| format!("{line}\n")).collect()
    }

    #[test]
    fn a_whole_export_is_taken() {
        assert_eq!(check_text(&text(&[HEADER, SAMPLE, SAMPLE, END])).unwrap(), 2);
    }

    #[test]
    fn every_cut_is_noticed() {
        let whole = text(&[HEADER, SAMPLE, SAMPLE, END]);
        // The last byte is a line end, which nobody misses.
        for length in 0..whole.len() - 1 {
            assert!(check_text(&whole[..length]).is_err(), "cut after {length} bytes");
        }
        assert!(check_text(whole.trim_end()).is_ok());
    }

    #[test]
    fn lines_that_are_missing_doubled_or_behind_the_end_are_noticed() {
        for lines in [
            &[HEADER, SAMPLE, END][..],
            &[HEADER, SAMPLE, SAMPLE, SAMPLE, END],
            &[HEADER, SAMPLE, SAMPLE, END, SAMPLE],
            &[HEADER, SAMPLE, SAMPLE, END, END],
            &[SAMPLE, SAMPLE, END],
            &[HEADER, SAMPLE, "", SAMPLE, END],
        ] {
            assert!(check_text(&text(lines)).is_err(), "{lines:?}");
        }
    }

    #[test]
    fn what_is_foreign_or_newer_is_refused() {
        let newer = HEADER.replace("\"schemaVersion\":3", "\"schemaVersion\":4");
        let error = check_text(&text(&[&newer, SAMPLE, SAMPLE, END])).unwrap_err();
        assert!(matches!(error, ImportError::Newer { found: 4, newest: 3 }), "{error}");
        let foreign = HEADER.replace("\"alerts\"", "\"users\"");
        let error = check_text(&text(&[&foreign, END])).unwrap_err();
        assert!(matches!(error, ImportError::Foreign(_)), "{error}");
        let json = HEADER.replace("\"databaseSizeMB\":\"0.00\"", "\"data\":{\"metrics\":[]}");
        assert!(check_text(&json).unwrap_err().to_string().contains("json export"));
        let document = SAMPLE.replace("\"metrics\"", "\"users\"");
        assert!(check_text(&text(&[HEADER, &document, SAMPLE, END])).is_err());
        assert!(check_text("{\"not\":\"ours\"}\n").is_err());
    }

    #[test]
    fn only_a_mongodb_may_have_changed_while_it_was_exported() {
        let one_more = HEADER.replace("\"metrics\":2", "\"metrics\":3");
        assert!(check_text(&text(&[&one_more, SAMPLE, SAMPLE, END])).is_err());
        let mongodb = one_more.replace("\"sqlite\"", "\"mongodb\"");
        assert!(check_text(&text(&[&mongodb, SAMPLE, SAMPLE, END])).is_ok());
    }
}
