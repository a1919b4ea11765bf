//! The words that the index knows, over all its segments.

use std::collections::BTreeMap;

use tantivy::query::FuzzyTermQuery;
use tantivy::termdict::TermStreamer;
use tantivy::{Searcher, Term};
use tantivy_fst::Automaton;

use super::fields::Fields;
use super::{limits, weights};

/// The words of one state of the index.
pub(super) struct Dictionary<'a> {
    searcher: &'a Searcher,
    fields: Fields,
}

impl<'a> Dictionary<'a> {
    /// The words that `searcher` sees.
    pub fn new(searcher: &'a Searcher, fields: Fields) -> Self {
        Self { searcher, fields }
    }

    /// How many documents have this stem in one of the fields; one that is in both counts twice.
    pub fn frequency(&self, stem: &str) -> u64 {
        let count = |field| self.searcher.doc_freq(&Term::from_field_text(field, stem));
        [self.fields.name, self.fields.text, self.fields.how]
            .into_iter()
            .filter_map(|field| count(field).ok())
            .sum()
    }

    /// The inverse document frequency of a stem among titles.
    pub fn idf(&self, stem: &str) -> f32 {
        let frequency = self.searcher.doc_freq(&Term::from_field_text(self.fields.name, stem));
        let documents = self.searcher.num_docs() as f32 + weights::BACKGROUND_DOCUMENTS;
        (documents / (frequency.unwrap_or(0) as f32 + 1.0)).ln().max(0.0)
    }

    /// Whether any document has this stem.
    pub fn knows(&self, stem: &str) -> bool {
        self.frequency(stem) > 0
    }

    /// Longer words that begin with `word`.
    pub fn beginning_with(&self, word: &str) -> Vec<String> {
        if word.chars().count() < limits::SHORTEST_PREFIX {
            return Vec::new();
        }
        let mut after = word.as_bytes().to_vec();
        after.push(0xFF);
        self.gather(word, |dictionary, found| {
            let range = dictionary.range().gt(word.as_bytes()).lt(&after);
            if let Ok(stream) = range.into_stream() {
                read(stream, found);
            }
        })
    }

    /// Words that one letter too many, too few, wrong or swapped with its neighbour makes `word`.
    pub fn similar_to(&self, word: &str, known: bool) -> Vec<String> {
        let shortest =
            if known { limits::SHORTEST_MISSPELT } else { limits::SHORTEST_MISSPELT - 1 };
        if word.chars().count() < shortest {
            return Vec::new();
        }
        let first = word.chars().next();
        let term = Term::from_field_text(self.fields.written, word);
        self.gather(word, |dictionary, found| {
            let stream = FuzzyTermQuery::new(term.clone(), 1, true)
                .automaton()
                .and_then(|automaton| Ok(dictionary.search(automaton).into_stream()?));
            if let Ok(stream) = stream {
                read(stream, found);
            }
            if word.len() < limits::SHORTEST_MISSPELT {
                found.retain(|similar, _| similar.chars().next() == first);
            }
        })
    }

    /// The most common of the words that `look` finds in the segments, without `word` itself.
    fn gather(
        &self,
        word: &str,
        look: impl Fn(&tantivy::termdict::TermDictionary, &mut BTreeMap<String, u32>),
    ) -> Vec<String> {
        let mut found = BTreeMap::new();
        for segment in self.searcher.segment_readers() {
            if let Ok(inverted) = segment.inverted_index(self.fields.written) {
                look(inverted.terms(), &mut found);
            }
        }
        found.remove(word);
        let mut found: Vec<(String, u32)> = found.into_iter().collect();
        found.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        found.truncate(limits::EXPANSIONS);
        found.into_iter().map(|(word, _)| word).collect()
    }
}

fn read<A: Automaton>(mut stream: TermStreamer<'_, A>, found: &mut BTreeMap<String, u32>)
where
    A::State: Clone,
{
    for _ in 0..limits::EXPANSION_WORDS {
        if !stream.advance() {
            break;
        }
        if let Ok(word) = std::str::from_utf8(stream.key()) {
            *found.entry(word.to_owned()).or_default() += stream.value().doc_freq;
        }
    }
}
