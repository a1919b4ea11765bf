//! Which questions new entries may answer, told without searching.
//!
//! Hundreds of open questions are asked of every new entry. Most share no word with it, which a
//! set of stems tells in microseconds; only the others are worth a search.

use std::collections::HashSet;

use strsim::osa_distance;

use super::limits::SHORTEST_MISSPELT;
use super::paste;
use super::words::{lower_case, names, stem};
use crate::knowledge::vocabulary::{Phrase, vocabulary};
use crate::model::Entry;

/// What entries say, ready to be compared with questions.
#[derive(Debug, Default)]
pub struct Prefilter {
    stems: HashSet<String>,
    words: HashSet<String>,
    lower: String,
}

impl Prefilter {
    /// For questions to any of `entries`.
    pub fn new<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut filter = Self::default();
        for entry in entries {
            let lists = [&entry.tags, &entry.prerequisites, &entry.steps];
            [&entry.title, &entry.description, &entry.solution, &entry.expected_outcome]
                .into_iter()
                .chain(&entry.root_cause)
                .chain(lists.into_iter().flatten())
                .for_each(|text| filter.add(text));
        }
        filter
    }

    fn add(&mut self, text: &str) {
        let mut before: Option<String> = None;
        for name in names(text) {
            self.stems.extend(name.whole().map(|whole| stem(&whole).into_owned()));
            for part in name.parts {
                if let Some(before) = before {
                    self.stems.insert(stem(&format!("{before}{part}")).into_owned());
                }
                self.stems.insert(stem(&part).into_owned());
                self.words.insert(part.clone());
                before = Some(part);
            }
        }
        self.lower.push_str(&lower_case(text));
        self.lower.push('\u{1}');
    }

    /// Whether a search could find that one of them answers the question; `false` is certain.
    pub fn may_answer(&self, question: &str) -> bool {
        let cleaned = paste::pasted(question);
        let words: Vec<String> = names(cleaned.as_deref().unwrap_or(question))
            .flat_map(|name| name.whole().into_iter().chain(name.parts))
            .collect();
        let stems: Vec<String> = words.iter().map(|word| stem(word).into_owned()).collect();
        let vocabulary = vocabulary();
        // Words that say little find nothing beside others.
        let all_low = words.iter().all(|w| vocabulary.is_low(w) || vocabulary.is_stop_word(w));
        let counts =
            |word: &str| !vocabulary.is_stop_word(word) && (all_low || !vocabulary.is_low(word));
        (0..words.len()).any(|at| {
            let others = vocabulary.longest(&stems[at..]).map_or(&[][..], |(_, others)| others);
            let has = |other: &Phrase| other.iter().all(|stem| self.stems.contains(stem));
            let typed = || self.stems.contains(&stems[at]) || self.has_one_like(&words[at]);
            others.iter().any(has) || counts(&words[at]) && typed()
        }) || self.lower.contains(lower_case(question.trim()).as_str())
    }

    /// Whether a word begins with this one or is one edit away from it.
    fn has_one_like(&self, word: &str) -> bool {
        let length = word.chars().count();
        length > 2
            && self.words.iter().any(|known| {
                known.starts_with(word)
                    || length + 1 >= SHORTEST_MISSPELT
                        && known.len().abs_diff(word.len()) <= 2
                        && osa_distance(known, word) <= 1
            })
    }
}
