//! The fields of the index, and an entry as a document in them.

use tantivy::TantivyDocument;
use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::tokenizer::{PreTokenizedString, Token};

use super::words::{names, stem};
use crate::knowledge::vocabulary::vocabulary;
use crate::model::Entry;

/// What a document has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    /// Where the entry's texts are kept; unique.
    pub slot: Field,
    /// Stems of title and tags.
    pub name: Field,
    /// Stems of all other text.
    pub text: Field,
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
        document.add_pre_tokenized_text(self.name, words.take_stems());
        let parts = [&entry.prerequisites, &entry.steps].into_iter().flatten();
        let texts = [&entry.description, &entry.solution, &entry.expected_outcome];
        for text in texts.into_iter().chain(&entry.root_cause).chain(parts) {
            words.add_text(text);
        }
        document.add_pre_tokenized_text(self.text, words.take_stems());
        document.add_pre_tokenized_text(self.written, words.take_written());
        document.add_u64(self.slot, u64::from(slot));
        document
    }
}

fn scored() -> TextOptions {
    let indexing = TextFieldIndexing::default().set_index_option(IndexRecordOption::WithFreqs);
    TextOptions::default().set_indexing_options(indexing)
}

fn listed() -> TextOptions {
    let indexing = TextFieldIndexing::default()
        .set_index_option(IndexRecordOption::Basic)
        .set_fieldnorms(false);
    TextOptions::default().set_indexing_options(indexing)
}

/// The words of one document, gathered field by field.
#[derive(Default)]
struct Words {
    stems: Vec<Token>,
    written: Vec<Token>,
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
        if vocabulary().is_stop_word(word) {
            return;
        }
        self.stems.push(token(self.stems.len(), stem(word).into_owned()));
        self.written.push(token(self.written.len(), word.to_owned()));
    }

    fn take_stems(&mut self) -> PreTokenizedString {
        PreTokenizedString { text: String::new(), tokens: std::mem::take(&mut self.stems) }
    }

    /// Each word once: only the dictionary of this field is used.
    fn take_written(&mut self) -> PreTokenizedString {
        self.written.sort_unstable_by(|a, b| a.text.cmp(&b.text));
        self.written.dedup_by(|a, b| a.text == b.text);
        self.written.iter_mut().enumerate().for_each(|(at, token)| token.position = at);
        PreTokenizedString { text: String::new(), tokens: std::mem::take(&mut self.written) }
    }
}

fn token(position: usize, text: String) -> Token {
    Token { offset_from: 0, offset_to: 0, position, text, position_length: 1 }
}
