//! What texts mean, beside the words that they use: sentence embeddings of the sections of each
//! entry, made in the background, and mixed into the ranking by words.
//!
//! An entry without them yet is ranked by its words alone, on the scale of the mix.

mod bert;
mod tokens;
mod vectors;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use sha2::{Digest, Sha256};

pub use self::bert::{Model, ModelError};
pub use self::vectors::Embedding;
use self::vectors::Vectors;
use super::ranking::Scored;
use super::words::names;
use super::{limits, paste, weights};
use crate::model::Entry;

/// How far the background has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Entries with embeddings.
    pub done: usize,
    /// Entries that wait for theirs.
    pub left: usize,
}

/// A section of an entry, to be embedded.
#[derive(Clone, Debug)]
pub struct Section {
    /// What is embedded.
    pub text: String,
    /// Of the model and the text, in hex.
    pub hash: String,
}

/// An entry that waits for its embeddings.
pub struct Waiting {
    slot: u32,
    entry: Arc<Entry>,
    /// Its sections.
    pub sections: Vec<Section>,
}

/// A model, and the embeddings that it has made.
pub struct Meaning {
    model: Model,
    vectors: RwLock<Vectors>,
    /// The latest text of each entry that waits, by slot.
    waiting: Mutex<HashMap<u32, Arc<Entry>>>,
}

impl Meaning {
    pub(super) fn new(model: Model) -> Self {
        let vectors = RwLock::new(Vectors::new(model.size()));
        Self { model, vectors, waiting: Mutex::default() }
    }

    /// Leaves an entry for the background.
    pub(super) fn enqueue(&self, slot: u32, entry: &Arc<Entry>) {
        self.waiting.lock().insert(slot, Arc::clone(entry));
    }

    /// Forgets the entry at a slot.
    pub(super) fn forget(&self, slot: u32) {
        self.waiting.lock().remove(&slot);
        self.vectors.write().forget(slot);
    }

    /// Up to `most` entries that wait. They wait until [`Meaning::take`] has their embeddings.
    pub fn waiting(&self, most: usize) -> Vec<Waiting> {
        let next: Vec<(u32, Arc<Entry>)> = {
            let waiting = self.waiting.lock();
            waiting.iter().take(most).map(|(slot, entry)| (*slot, Arc::clone(entry))).collect()
        };
        let with_sections = next.into_iter().map(|(slot, entry)| {
            let sections = sections(&entry).into_iter().map(|text| {
                let hash = Sha256::new().chain_update(self.model.checksum()).chain_update(&text);
                Section { hash: hex::encode(hash.finalize()), text }
            });
            Waiting { slot, sections: sections.collect(), entry }
        });
        with_sections.collect()
    }

    /// What a text means: some milliseconds of a processor.
    pub fn embed(&self, text: &str) -> Embedding {
        Embedding::of(&self.model.embed(text))
    }

    /// From what was kept; `None` if it is none of this model's.
    pub fn kept(&self, bytes: &[u8]) -> Option<Embedding> {
        Embedding::from_bytes(bytes, self.model.size())
    }

    /// Takes the embeddings of an entry that waited.
    pub fn take(&self, done: &Waiting, embeddings: &[Embedding]) {
        let mut waiting = self.waiting.lock();
        // Another text, or another entry, may have taken its place meanwhile.
        if waiting.get(&done.slot).is_some_and(|waits| Arc::ptr_eq(waits, &done.entry)) {
            waiting.remove(&done.slot);
            self.vectors.write().set(done.slot, embeddings);
        }
    }

    /// Embeds all that waits, for those who measure.
    pub fn embed_all(&self) {
        while let [waiting] = self.waiting(1).as_slice() {
            let texts = waiting.sections.iter().map(|section| &section.text);
            let embeddings: Vec<_> = texts.map(|text| self.embed(text)).collect();
            self.take(waiting, &embeddings);
        }
    }

    /// How far the background has come.
    pub fn progress(&self) -> Progress {
        Progress { done: self.vectors.read().len(), left: self.waiting.lock().len() }
    }

    /// What a question means; `None` for a pasted text: a log line is no sentence, and its words
    /// decide.
    pub(super) fn of_question(&self, question: &str) -> Option<Embedding> {
        let typed = paste::pasted(question).is_none();
        typed.then(|| self.embed(beginning(question.trim(), limits::QUESTION_CHARS)))
    }

    /// Mixes likeness into scores by words, and adds the entries that are most like the question
    /// and that no word of it found.
    pub(super) fn mix<'a>(
        &self,
        question: &Embedding,
        scored: &mut Vec<Scored<'a>>,
        admitted: &'a (dyn Fn(u32) -> Option<&'a str> + Sync),
    ) {
        let vectors = self.vectors.read();
        for hit in scored.iter_mut() {
            // What is not embedded yet is as like as its words say.
            let known = vectors.likeness(hit.slot, question).map(above_noise);
            hit.score = mixed(hit.score, known.unwrap_or(hit.score));
        }
        let found: Vec<u32> = scored.iter().map(|hit| hit.slot).collect();
        let near = vectors.nearest(question, limits::NEAREST).into_iter();
        let near = near.map(|(slot, like)| (slot, above_noise(like)));
        let others = near.filter(|(slot, like)| *like > 0.0 && !found.contains(slot));
        let others = others.filter_map(|(slot, like)| {
            Some(Scored { score: mixed(0.0, like), literal: false, slot, id: admitted(slot)? })
        });
        scored.extend(others.take(limits::LIKE_CANDIDATES));
        scored.sort_unstable();
    }
}

fn above_noise(like: f32) -> f32 {
    (like - weights::NOISE).max(0.0) / (1.0 - weights::NOISE)
}

fn mixed(words: f32, like: f32) -> f32 {
    (1.0 - weights::MEANING) * words + weights::MEANING * like.clamp(0.0, 1.0)
}

/// What is embedded of an entry: what it is, and what to do, each below its title.
fn sections(entry: &Entry) -> Vec<String> {
    let words: Vec<String> = names(&entry.title).flat_map(|name| name.parts).collect();
    let title = words.join(" ");
    let cause = entry.root_cause.as_deref().unwrap_or_default();
    let about = format!("{} {cause}", entry.description);
    let remedy = format!("{} {}", entry.solution, entry.steps.join(" "));
    let of = |text: String| format!("{title}. {}", beginning(text.trim(), limits::EMBEDDED_CHARS));
    match remedy.trim().is_empty() {
        true => vec![of(about)],
        false => vec![of(about), of(remedy)],
    }
}

fn beginning(text: &str, chars: usize) -> &str {
    text.char_indices().nth(chars).map_or(text, |(end, _)| &text[..end])
}
