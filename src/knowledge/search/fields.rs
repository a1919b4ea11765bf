//! The fields of the index, and an entry as a document in them.

use tantivy::TantivyDocument;
use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions,
};

use super::stems::push_stem;
use super::words::names;
use crate::model::Entry;

/// What a document has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    /// Where the entry's texts are kept; unique.
    pub slot: Field,
    /// Stems of title and tags.
    pub name: Field,
    /// Stems of what it means and why it happens.
    pub text: Field,
    /// Stems of what to do.
    pub how: Field,
    /// All words as written, for prefixes and typing errors.
    pub written: Field,
}

impl Fields {
    /// The schema and its fields.
    pub fn new() -> (Schema, Self) {
        let mut schema = Schema::builder();
        let fields = Self {
            slot: schema.add_u64_field("slot", FAST | INDEXED),
            name: schema.add_text_field("name", scored()),
            text: schema.add_text_field("text", scored()),
            how: schema.add_text_field("how", scored()),
            written: schema.add_text_field("written", listed()),
        };
        (schema.build(), fields)
    }

    /// The document of an entry.
    pub fn document(&self, slot: u32, entry: &Entry) -> TantivyDocument {
        let mut words = Words::default();
        let mut document = TantivyDocument::new();
        words.add_name(&entry.title);
        entry.tags.iter().for_each(|tag| words.add_name(tag));
        document.add_text(self.name, words.take_stems());
        words.add_text(&entry.description);
        entry.root_cause.iter().for_each(|cause| words.add_text(cause));
        document.add_text(self.text, words.take_stems());
        for text in entry.prerequisites.iter().chain(&entry.steps) {
            words.add_text(text);
        }
        words.add_text(&entry.solution);
        words.add_text(&entry.expected_outcome);
        document.add_text(self.how, words.take_stems());
        document.add_text(self.written, words.take_written());
        document.add_u64(self.slot, u64::from(slot));
        document
    }
}

fn scored() -> TextOptions {
    indexed(IndexRecordOption::WithFreqs, true)
}

fn listed() -> TextOptions {
    indexed(IndexRecordOption::Basic, false)
}

/// What is handed to the index are words already: it has nothing to do but to split at blanks.
fn indexed(what: IndexRecordOption, norms: bool) -> TextOptions {
    let indexing = TextFieldIndexing::default().set_tokenizer("whitespace");
    TextOptions::default()
        .set_indexing_options(indexing.set_index_option(what).set_fieldnorms(norms))
}

/// The words of one document, gathered field by field, each list separated by blanks.
#[derive(Default)]
struct Words {
    stems: String,
    written: String,
}

impl Words {
    /// Text that names the entry: neighbours are also run together, so that `StatefulSet` and
    /// "stateful set" are found as `statefulset`.
    fn add_name(&mut self, text: &str) {
        let mut before: Option<String> = None;
        for name in names(text) {
            if let Some(whole) = name.whole().filter(|_| name.parts.len() > 2) {
                self.add(&whole);
            }
            for part in name.parts {
                if let Some(before) = before {
                    self.add(&format!("{before}{part}"));
                }
                self.add(&part);
                before = Some(part);
            }
        }
    }

    fn add_text(&mut self, text: &str) {
        for name in names(text) {
            if let Some(whole) = name.whole() {
                self.add(&whole);
            }
            name.parts.iter().for_each(|part| self.add(part));
        }
    }

    fn add(&mut self, word: &str) {
        if push_stem(&mut self.stems, word) {
            self.written.push_str(word);
            self.written.push(' ');
        }
    }

    fn take_stems(&mut self) -> String {
        std::mem::take(&mut self.stems)
    }

    fn take_written(&mut self) -> String {
        std::mem::take(&mut self.written)
    }
}
