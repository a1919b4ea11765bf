//! The words that the index knows, over all its segments.

use std::collections::BTreeMap;
use std::sync::Arc;

use tantivy::index::InvertedIndexReader;
use tantivy::postings::TermInfo;
use tantivy::query::FuzzyTermQuery;
use tantivy::termdict::TermStreamer;
use tantivy::{Searcher, SegmentReader, Term};
use tantivy_fst::Automaton;

use super::fields::Fields;
use super::{limits, weights};

/// The words of one state of the index.
pub(super) struct Dictionary {
    segments: Vec<Segment>,
    fields: Fields,
    documents: f32,
}

/// The words of a segment: as they are written, and their stems by field.
struct Segment {
    written: Arc<InvertedIndexReader>,
    stems: [Arc<InvertedIndexReader>; 3],
}

impl Segment {
    fn open(reader: &SegmentReader, fields: Fields) -> tantivy::Result<Self> {
        let words = |field| reader.inverted_index(field);
        let stems = [words(fields.name)?, words(fields.text)?, words(fields.how)?];
        Ok(Self { written: words(fields.written)?, stems })
    }
}

impl Dictionary {
    /// The words that `searcher` sees.
    pub fn new(searcher: &Searcher, fields: Fields) -> tantivy::Result<Self> {
        let open = |reader| Segment::open(reader, fields);
        let segments =
            searcher.segment_readers().iter().map(open).collect::<tantivy::Result<_>>()?;
        Ok(Self { segments, fields, documents: searcher.num_docs() as f32 })
    }

    /// The inverse document frequency of a stem among titles.
    pub fn idf(&self, stem: &str) -> f32 {
        let titles = self.segments.iter().map(|segment| &segment.stems[0]);
        let frequency: u32 = titles.filter_map(|words| info(words, stem)).map(|i| i.doc_freq).sum();
        let documents = self.documents + weights::BACKGROUND_DOCUMENTS;
        (documents / (frequency as f32 + 1.0)).ln().max(0.0)
    }

    /// Whether any document has this stem.
    pub fn knows(&self, stem: &str) -> bool {
        let mut fields = self.segments.iter().flat_map(|segment| &segment.stems);
        fields.any(|words| info(words, stem).is_some())
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
        self.segments.iter().for_each(|segment| look(segment.written.terms(), &mut found));
        found.remove(word);
        let mut found: Vec<(String, u32)> = found.into_iter().collect();
        found.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        found.truncate(limits::EXPANSIONS);
        found.into_iter().map(|(word, _)| word).collect()
    }
}

/// What a field of a segment has of a stem.
fn info(words: &InvertedIndexReader, stem: &str) -> Option<TermInfo> {
    words.terms().get(stem).ok().flatten()
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
