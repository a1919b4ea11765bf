//! What texts mean, beside the words that they use: sentence embeddings of the sections of each
//! entry, made in the background, and mixed into the ranking by words.
//!
//! They are kept in memory and made again after a start. An entry without them yet is ranked by
//! its words alone, on the scale of the mix.

mod bert;
mod tokens;
mod vectors;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

pub use self::bert::{Model, ModelError};
use self::vectors::Sections;
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

/// A model, and the embeddings that it has made.
pub(super) struct Meaning {
    model: Model,
    by_slot: RwLock<Vec<Option<Sections>>>,
    /// The latest text of each entry that waits, by slot.
    waiting: Mutex<HashMap<u32, Arc<Entry>>>,
}

/// How like the sections of each entry are to a question, by slot: 0 to 1.
pub(super) struct Likeness(Vec<Option<f32>>);

impl Meaning {
    pub fn new(model: Model) -> Self {
        Self { model, by_slot: RwLock::default(), waiting: Mutex::default() }
    }

    /// Leaves an entry for the background.
    pub fn enqueue(&self, slot: u32, entry: &Arc<Entry>) {
        self.waiting.lock().insert(slot, Arc::clone(entry));
    }

    /// Forgets the entry at a slot.
    pub fn forget(&self, slot: u32) {
        self.waiting.lock().remove(&slot);
        if let Some(sections) = self.by_slot.write().get_mut(slot as usize) {
            *sections = None;
        }
    }

    /// Embeds one entry that waits; false if none does.
    pub fn embed_one(&self) -> bool {
        let next = self.waiting.lock().iter().next().map(|(slot, entry)| (*slot, entry.clone()));
        let Some((slot, entry)) = next else { return false };
        let embeddings: Vec<_> =
            sections(&entry).iter().map(|text| self.model.embed(text)).collect();
        let mut waiting = self.waiting.lock();
        // Another text, or another entry, may have taken its place meanwhile.
        if waiting.get(&slot).is_some_and(|waits| Arc::ptr_eq(waits, &entry)) {
            waiting.remove(&slot);
            let mut by_slot = self.by_slot.write();
            if by_slot.len() <= slot as usize {
                by_slot.resize(slot as usize + 1, None);
            }
            by_slot[slot as usize] = Some(Sections::new(&embeddings));
        }
        true
    }

    pub fn progress(&self) -> Progress {
        let done = self.by_slot.read().iter().flatten().count();
        Progress { done, left: self.waiting.lock().len() }
    }

    /// Compares a question with all entries.
    pub fn compare(&self, question: &str) -> Likeness {
        let cleaned = paste::pasted(question);
        let text: String =
            cleaned.as_deref().unwrap_or(question).chars().take(limits::EMBEDDED_CHARS).collect();
        let question = Sections::new(&[self.model.embed(&text)]);
        let by_slot = self.by_slot.read();
        let like = by_slot.iter().map(|sections| sections.as_ref()?.likeness(&question));
        let above_noise = |like: f32| (like - weights::NOISE).max(0.0) / (1.0 - weights::NOISE);
        Likeness(like.map(|like| like.map(above_noise)).collect())
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
            let known = self.0.get(hit.slot as usize).copied().flatten();
            hit.score = mixed(hit.score, known.unwrap_or(hit.score));
        }
        let mut most: Vec<(f32, u32)> = (0u32..)
            .zip(&self.0)
            .filter_map(|(slot, like)| Some(((*like)?, slot)))
            .filter(|(like, _)| *like > 0.0)
            .collect();
        most.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let found: Vec<u32> = scored.iter().map(|hit| hit.slot).collect();
        let others = most.into_iter().filter(|(_, slot)| !found.contains(slot));
        let others = others.filter_map(|(like, slot)| {
            Some(Scored { score: mixed(0.0, like), literal: false, slot, id: admitted(slot)? })
        });
        scored.extend(others.take(limits::LIKE_CANDIDATES));
        scored.sort_unstable();
    }
}

fn mixed(words: f32, like: f32) -> f32 {
    (1.0 - weights::MEANING) * words + weights::MEANING * like.clamp(0.0, 1.0)
}

/// What is embedded of an entry: each of its parts below its title.
fn sections(entry: &Entry) -> Vec<String> {
    let words: Vec<String> = names(&entry.title).flat_map(|name| name.parts).collect();
    let title = words.join(" ");
    let steps = entry.steps.join(" ");
    let cause = entry.root_cause.as_deref().unwrap_or_default();
    let mut parts = vec![entry.description.as_str()];
    parts.extend([cause, &entry.solution, &steps].into_iter().filter(|part| !part.is_empty()));
    let beginning = |part: &str| part.chars().take(limits::EMBEDDED_CHARS).collect::<String>();
    parts.into_iter().map(|part| format!("{title}. {}", beginning(part))).collect()
}
