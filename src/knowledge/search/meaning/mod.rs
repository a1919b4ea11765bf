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

/// How like the sections of each entry are to a question.
pub(super) struct Likeness {
    /// By slot: 0 to 1.
    by_slot: Vec<Option<f32>>,
    /// How much of a score it makes.
    share: f32,
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

    /// Compares a question with all entries.
    pub(super) fn compare(&self, question: &str) -> Likeness {
        let cleaned = paste::pasted(question);
        let question = cleaned.as_deref().unwrap_or(question).split_whitespace();
        let question = question.collect::<Vec<_>>().join(" ");
        let question = self.embed(beginning(&question, limits::QUESTION_CHARS));
        let above_noise = |like: f32| (like - weights::NOISE).max(0.0) / (1.0 - weights::NOISE);
        let likeness = self.vectors.read().likeness(&question);
        let share = if cleaned.is_some() { weights::PASTED_MEANING } else { weights::MEANING };
        let by_slot = likeness.into_iter().map(|like| like.map(above_noise)).collect();
        Likeness { by_slot, share }
    }
}

impl Likeness {
    /// Mixes likeness into scores by words, and adds the entries that are most like the question
    /// and that no word of it found.
    pub fn mix<'a>(
        &self,
        scored: &mut Vec<Scored<'a>>,
        admitted: &'a (dyn Fn(u32) -> Option<&'a str> + Sync),
    ) {
        for hit in scored.iter_mut() {
            // What is not embedded yet is as like as its words say.
            let known = self.by_slot.get(hit.slot as usize).copied().flatten();
            hit.score = self.mixed(hit.score, known.unwrap_or(hit.score));
        }
        let found: Vec<u32> = scored.iter().map(|hit| hit.slot).collect();
        let mut others: Vec<(f32, u32)> = (0u32..)
            .zip(&self.by_slot)
            .filter_map(|(slot, like)| Some(((*like)?, slot)))
            .filter(|(like, slot)| {
                *like > 0.0 && !found.contains(slot) && admitted(*slot).is_some()
            })
            .collect();
        let nearest = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        if others.len() > limits::LIKE_CANDIDATES {
            others.select_nth_unstable_by(limits::LIKE_CANDIDATES, nearest);
            others.truncate(limits::LIKE_CANDIDATES);
        }
        let others = others.into_iter().filter_map(|(like, slot)| {
            Some(Scored { score: self.mixed(0.0, like), literal: false, slot, id: admitted(slot)? })
        });
        scored.extend(others);
        scored.sort_unstable();
    }

    /// The least score of an answer to rely on.
    pub fn bar(&self) -> f32 {
        let share = self.share / weights::MEANING;
        weights::CONFIDENT + share * (weights::CONFIDENT_MEANING - weights::CONFIDENT)
    }

    fn mixed(&self, words: f32, like: f32) -> f32 {
        (1.0 - self.share) * words + self.share * like.clamp(0.0, 1.0)
    }
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
