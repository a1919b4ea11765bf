//! A document a line, between a header line and an end line that counts them.

use std::io;

use super::{Encoder, Head, members};
use crate::model::Collection;

/// Counts what it writes.
#[derive(Default)]
pub(super) struct Ndjson {
    documents: u64,
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
            text.extend_from_slice(before.as_bytes());
            text.extend_from_slice(document.as_bytes());
            text.extend_from_slice(b"}\n");
        }
        self.documents += documents.len() as u64;
        Ok(text)
    }

    fn end(&mut self) -> io::Result<Vec<u8>> {
        Ok(format!("{{\"end\":true,\"documents\":{}}}\n", self.documents).into_bytes())
    }
}
