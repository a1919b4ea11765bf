//! A document a line, between a header line and an end line that counts them.
//!
//! What is written can be put back: a document that an import would refuse is left out, counted
//! by the end line and named by [`Skipped`].

use std::io;

use super::{Encoder, Head, Skipped, members};
use crate::{history::import::check_document, model::Collection};

/// Counts what it writes.
pub(super) struct Ndjson {
    documents: u64,
    skipped: Skipped,
}

impl Ndjson {
    pub(super) fn new(skipped: Skipped) -> Self {
        Self { documents: 0, skipped }
    }
}

impl Encoder for Ndjson {
    fn begin(&mut self, head: &Head) -> io::Result<Vec<u8>> {
        Ok(format!("{{{}}}\n", members(head)).into_bytes())
    }

    fn documents(&mut self, of: Collection, documents: &[String]) -> io::Result<Vec<u8>> {
        let before = format!("{{\"collection\":\"{of}\",\"document\":");
        let length = documents.iter().map(|d| d.len() + before.len() + 2).sum();
        let mut text = Vec::with_capacity(length);
        for document in documents {
            if let Err(reason) = check_document(of, document) {
                self.skipped.note(of, document, &reason);
                continue;
            }
            self.documents += 1;
            text.extend_from_slice(before.as_bytes());
            text.extend_from_slice(document.as_bytes());
            text.extend_from_slice(b"}\n");
        }
        Ok(text)
    }

    fn end(&mut self) -> io::Result<Vec<u8>> {
        let skipped = match self.skipped.count() {
            0 => String::new(),
            count => format!(",\"skipped\":{count}"),
        };
        let end = format!("{{\"end\":true,\"documents\":{}{skipped}}}\n", self.documents);
        Ok(end.into_bytes())
    }
}
