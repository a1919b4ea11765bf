//! Which questions a new entry may answer, told without searching.
//!
//! Hundreds of open questions are asked of every new entry. Most share no word with it, which a
//! set of stems tells in microseconds; only the others are worth a search.

use std::collections::HashSet;

use strsim::osa_distance;

use super::limits::SHORTEST_MISSPELT;
use super::paste;
use super::texts::lower_case;
use super::words::{names, stem};
use crate::knowledge::vocabulary::vocabulary;
use crate::model::Entry;

/// What an entry says, ready to be compared with questions.
pub struct Prefilter {
    stems: HashSet<String>,
    words: HashSet<String>,
    lower: String,
}

impl Prefilter {
    /// For questions to `entry`.
    pub fn new(entry: &Entry) -> Self {
        let lists = [&entry.tags, &entry.prerequisites, &entry.steps];
        let texts = [&entry.title, &entry.description, &entry.solution, &entry.expected_outcome];
        let texts = texts.into_iter().chain(&entry.root_cause).chain(lists.into_iter().flatten());
        let mut filter =
            Self { stems: HashSet::new(), words: HashSet::new(), lower: String::new() };
        for text in texts {
            let mut before: Option<String> = None;
            for name in names(text) {
                filter.stems.extend(name.whole().map(|whole| stem(&whole).into_owned()));
                for part in name.parts {
                    if let Some(before) = before {
                        filter.stems.insert(stem(&format!("{before}{part}")).into_owned());
                    }
                    filter.stems.insert(stem(&part).into_owned());
                    filter.words.insert(part.clone());
                    before = Some(part);
                }
            }
            filter.lower.push_str(&lower_case(text));
            filter.lower.push('\u{1}');
        }
        filter
    }

    /// Whether a search could find that the entry answers the question; `false` is certain.
    pub fn may_answer(&self, question: &str) -> bool {
        let cleaned = paste::pasted(question);
        let words: Vec<String> = names(cleaned.as_deref().unwrap_or(question))
            .flat_map(|name| name.whole().into_iter().chain(name.parts))
            .collect();
        let stems: Vec<String> = words.iter().map(|word| stem(word).into_owned()).collect();
        (0..words.len()).any(|at| {
            let others = vocabulary().longest(&stems[at..]).map_or(&[][..], |(_, others)| others);
            self.stems.contains(&stems[at])
                || others.iter().any(|other| other.iter().all(|stem| self.stems.contains(stem)))
                || self.has_one_like(&words[at])
        }) || self.lower.contains(lower_case(question.trim()).as_str())
    }

    /// Whether a word begins with this one or is one edit away from it.
    fn has_one_like(&self, word: &str) -> bool {
        let length = word.chars().count();
        let typed = !vocabulary().is_low(word) && !vocabulary().is_stop_word(word) && length > 2;
        typed
            && self.words.iter().any(|known| {
                known.starts_with(word)
                    || length + 1 >= SHORTEST_MISSPELT
                        && known.len().abs_diff(word.len()) <= 2
                        && osa_distance(known, word) <= 1
            })
    }
}
