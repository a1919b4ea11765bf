//! One JSON object: what stands before the data, and `data` with a list a collection.

use std::io;

use super::{Encoder, Head, members};
use crate::model::Collection;

/// Writes lists in the order of the snapshot's collections, empty ones too.
pub(super) struct Json {
    names: std::vec::IntoIter<Collection>,
    open: Option<Collection>,
}

impl Json {
    pub(super) fn new(head: &Head) -> Self {
        let names: Vec<Collection> = head.counts.iter().map(|(name, _)| *name).collect();
        Self { names: names.into_iter(), open: None }
    }

    /// Closes the open list and opens the next; false if there is none.
    fn open_next(&mut self, text: &mut Vec<u8>) -> bool {
        let first = self.open.is_none();
        if !first {
            text.push(b']');
        }
        let Some(next) = self.names.next() else { return false };
        let comma = if first { "" } else { "," };
        text.extend_from_slice(format!("{comma}\"{next}\":[").as_bytes());
        self.open = Some(next);
        true
    }
}

impl Encoder for Json {
    fn begin(&mut self, head: &Head) -> io::Result<Vec<u8>> {
        Ok(format!("{{{},\"data\":{{", members(head)).into_bytes())
    }

    fn documents(&mut self, of: Collection, documents: &[String]) -> io::Result<Vec<u8>> {
        let mut text = Vec::with_capacity(documents.iter().map(|d| d.len() + 1).sum());
        let mut separate = self.open == Some(of);
        while self.open != Some(of) {
            if !self.open_next(&mut text) {
                return Err(io::Error::other(format!("{of} came out of its turn")));
            }
        }
        for document in documents {
            if separate {
                text.push(b',');
            }
            text.extend_from_slice(document.as_bytes());
            separate = true;
        }
        Ok(text)
    }

    fn end(&mut self) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        while self.open_next(&mut text) {}
        text.extend_from_slice(b"}}");
        Ok(text)
    }
}
