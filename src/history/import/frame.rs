//! The frame of an ndjson export: a header, a document a line, and an end line that counts them.
//! Whatever is cut, of another program, or of a newer one is refused here.

use std::{
    collections::BTreeMap,
    io::{BufRead, Read},
};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::ImportError;
use crate::{
    model::{Collection, Time},
    store::Stored,
};

/// No document is longer: an alert has at most 50 annotations of 16 KiB.
const LINE_MOST: u64 = 64 * 1024 * 1024;

/// What the first line says.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// When the snapshot was taken.
    pub export_date: Time,
    /// The schema of the database that it was taken of.
    pub schema_version: u32,
    /// The kind of that database.
    pub backend: String,
    collections: BTreeMap<String, u64>,
    /// Only the json format has it.
    data: Option<serde::de::IgnoredAny>,
}

/// A document, or the end.
#[derive(Deserialize)]
struct Line<'a> {
    collection: Option<&'a str>,
    #[serde(borrow)]
    document: Option<&'a RawValue>,
    #[serde(default)]
    end: bool,
    documents: Option<u64>,
    #[serde(default)]
    skipped: u64,
}

/// Reads an export line by line.
pub struct Reader<R> {
    lines: R,
    header: Header,
    counts: BTreeMap<Collection, u64>,
    number: u64,
    line: Vec<u8>,
}

impl<R: BufRead> Reader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// If it is none, or of a schema newer than `newest`.
    pub fn open(lines: R, newest: u32) -> Result<Self, ImportError> {
        let mut reader = Reader {
            lines,
            header: Header {
                export_date: Time::default(),
                schema_version: 0,
                backend: String::new(),
                collections: BTreeMap::new(),
                data: None,
            },
            counts: BTreeMap::new(),
            number: 0,
            line: Vec::new(),
        };
        if !reader.next_line()? {
            return Err(ImportError::Foreign("it is empty".into()));
        }
        let header: Header = serde_json::from_slice(&reader.line)
            .map_err(|_| ImportError::Foreign("its first line is no header of an export".into()))?;
        if header.data.is_some() {
            return Err(ImportError::Foreign(
                "it is a json export; only ndjson can be put back".into(),
            ));
        }
        if header.schema_version > newest {
            return Err(ImportError::Newer { found: header.schema_version, newest });
        }
        for name in header.collections.keys() {
            name.parse::<Collection>()
                .map_err(|_| ImportError::Foreign(format!("it has a collection {name}")))?;
        }
        reader.header = header;
        Ok(reader)
    }

    /// What the first line says.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How many documents the header promises.
    pub fn promised(&self) -> u64 {
        self.header.collections.values().sum()
    }

    /// The length of the line that was read last, in bytes.
    pub fn line_length(&self) -> usize {
        self.line.len()
    }

    /// The next document; `None` at the end, which is then known to be whole. Documents that the
    /// target has of its own are `Some(None)`.
    pub fn next_document(&mut self) -> Result<Option<Option<Stored>>, ImportError> {
        if !self.next_line()? {
            return Err(ImportError::Cut { documents: self.counts.values().sum() });
        }
        let wrong = |what: String| ImportError::Line { number: self.number, what };
        let line: Line<'_> = serde_json::from_slice(&self.line)
            .map_err(|_| wrong("is neither a document nor the end".into()))?;
        match line {
            Line { collection: Some(of), document: Some(document), end: false, .. } => {
                let of: Collection =
                    of.parse().map_err(|error| wrong(format!("has a collection that {error}")))?;
                let stored = super::document::document(of, document.get());
                let stored =
                    stored.map_err(|what| wrong(format!("is no document of {of}: it {what}")))?;
                *self.counts.entry(of).or_default() += 1;
                Ok(Some(stored))
            }
            Line { end: true, documents: Some(documents), document: None, skipped, .. } => {
                self.finish(documents, skipped).map(|()| None)
            }
            _ => Err(wrong("is neither a document nor the end".into())),
        }
    }

    fn finish(&mut self, promised: u64, skipped: u64) -> Result<(), ImportError> {
        let found: u64 = self.counts.values().sum();
        if found != promised {
            return Err(ImportError::Miscounted { promised, found });
        }
        let mut left_out = skipped;
        for (name, promised) in &self.header.collections {
            let of = name.parse::<Collection>().ok();
            let found = of.and_then(|of| self.counts.get(&of)).copied().unwrap_or(0);
            // What the export itself left out is counted by its header.
            let missing = promised.saturating_sub(found).min(left_out);
            left_out -= missing;
            let found = found + missing;
            // A lone MongoDB has no snapshots: what it was written to while it was exported is
            // in the export or not, and either is right.
            if found != *promised && self.header.backend != "mongodb" {
                return Err(ImportError::Miscounted { promised: *promised, found });
            }
        }
        if self.next_line()? {
            return Err(ImportError::Line {
                number: self.number,
                what: "comes after the end".into(),
            });
        }
        Ok(())
    }

    fn next_line(&mut self) -> Result<bool, ImportError> {
        self.line.clear();
        let mut limited = Read::take(&mut self.lines, LINE_MOST);
        let length = limited.read_until(b'\n', &mut self.line).map_err(ImportError::Read)?;
        self.number += 1;
        if length as u64 == LINE_MOST {
            return Err(ImportError::Line { number: self.number, what: "is too long".into() });
        }
        Ok(length > 0)
    }
}
