//! The searchable texts as they are, for substrings: which entry is where, in lower case.

use std::collections::HashMap;
use std::sync::Arc;

use super::limits;
use super::stems::push_stem;
use super::substring::{Needle, Signatures};
use super::words::{lower_case, names};
use crate::model::Entry;

/// Stands between title, description and tags, so that no substring spans two of them.
const BETWEEN: char = '\u{1}';

/// One entry's id and texts.
struct Text {
    id: Arc<str>,
    title: u32,
    lower: Box<str>,
    /// The stems of the title, separated by blanks.
    title_stems: Box<str>,
}

/// The texts of all entries, by slot: a number that the index knows them by.
#[derive(Default)]
pub(super) struct Texts {
    texts: Vec<Option<Text>>,
    signatures: Signatures,
    slots: HashMap<Arc<str>, u32>,
    free: Vec<u32>,
}

/// Where the texts of an entry are now.
#[derive(Clone, Copy)]
pub(super) struct Kept {
    pub slot: u32,
    /// They stand in place of older ones, of which the index has a document.
    pub anew: bool,
}

/// Where a substring was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the title.
    Title,
    /// In the description or a tag.
    Elsewhere,
}

impl Texts {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Where the texts of an entry are.
    pub fn slot(&self, id: &str) -> Option<u32> {
        self.slots.get(id).copied()
    }

    /// The id of the entry at a slot.
    pub fn id(&self, slot: u32) -> Option<&str> {
        Some(&self.texts.get(slot as usize)?.as_ref()?.id)
    }

    /// The stems of the title of the entry at a slot.
    pub fn title_stems(&self, slot: u32) -> impl Iterator<Item = &str> {
        let text = self.texts.get(slot as usize).and_then(Option::as_ref);
        text.into_iter()
            .flat_map(|text| text.title_stems.split(' '))
            .filter(|stem| !stem.is_empty())
    }

    /// Keeps the texts of `entry`, in place of those it had.
    pub fn keep(&mut self, entry: &Entry) -> Kept {
        let id: Arc<str> = entry.id.as_str().into();
        let own = self.slots.get(&id).copied();
        let slot = own.or_else(|| self.free.pop()).unwrap_or_else(|| {
            self.texts.push(None);
            (self.texts.len() - 1) as u32
        });
        let (title, lower) = lower_texts(entry);
        if own.is_some() {
            self.signatures.forget(slot);
        }
        self.signatures.add(slot, &lower);
        self.texts[slot as usize] =
            Some(Text { id: id.clone(), title, lower, title_stems: title_stems(&entry.title) });
        self.slots.insert(id, slot);
        Kept { slot, anew: own.is_some() }
    }

    /// Forgets an entry, and tells where it was. The slot is not used again before
    /// [`Texts::free`], as documents of the index still point there.
    pub fn forget(&mut self, id: &str) -> Option<u32> {
        let slot = self.slots.remove(id)?;
        self.texts[slot as usize] = None;
        self.signatures.forget(slot);
        Some(slot)
    }

    /// No document points to these slots any more.
    pub fn free(&mut self, slots: Vec<u32>) {
        self.free.extend(slots);
    }

    /// Where the texts at `slot` hold the needle.
    pub fn place(&self, slot: u32, needle: &Needle<'_>) -> Option<Place> {
        if !self.signatures.may_hold(slot, needle) {
            return None;
        }
        let text = self.texts.get(slot as usize)?.as_ref()?;
        let (title, rest) = text.lower.split_at(text.title as usize);
        if needle.occurs_in(title) {
            return Some(Place::Title);
        }
        needle.occurs_in(rest).then_some(Place::Elsewhere)
    }

    /// The entries that may hold the needle, in the order of their slots; nearly all of them do.
    pub fn may_hold(&self, needle: &Needle<'_>) -> impl Iterator<Item = u32> {
        self.signatures.holding(needle)
    }
}

/// Title, description and tags in lower case, and where the title ends.
fn lower_texts(entry: &Entry) -> (u32, Box<str>) {
    let mut lower = lower_case(&entry.title);
    let title = lower.len() as u32;
    for text in std::iter::once(&entry.description).chain(&entry.tags) {
        lower.push(BETWEEN);
        lower.push_str(&lower_case(text));
    }
    (title, lower.into_boxed_str())
}

fn title_stems(title: &str) -> Box<str> {
    let mut stems = String::new();
    let mut words = names(title).flat_map(|name| name.parts);
    let pushed = std::iter::from_fn(|| words.next().map(|word| push_stem(&mut stems, &word)));
    pushed.filter(|counts| *counts).take(limits::TITLE_WORDS).for_each(drop);
    stems.into_boxed_str()
}
