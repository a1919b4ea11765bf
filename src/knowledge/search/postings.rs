//! The postings of the words of a query, and what each is worth by BM25.

use std::sync::Arc;

use tantivy::fieldnorm::FieldNormReader;
use tantivy::index::InvertedIndexReader;
use tantivy::postings::{Postings, TermInfo};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocId, DocSet, Searcher, SegmentReader, TERMINATED, Term};

use super::fields::Fields;

/// BM25's saturation of a term's frequency, and how far the length of a text matters.
const K1: f32 = 1.2;
const B: f32 = 0.75;

/// A name says more about an entry than a word of its text.
const NAME_BOOST: f32 = 2.5;

const SCORED: usize = 3;

/// One state of the index, opened for scoring.
pub(super) struct Opened<'a> {
    segments: Vec<Segment<'a>>,
    fields: [Field; SCORED],
    /// By field and length: what a frequency is weighed against.
    norms: [[f32; 256]; SCORED],
    documents: f32,
}

struct Segment<'a> {
    reader: &'a SegmentReader,
    inverted: [Arc<InvertedIndexReader>; SCORED],
    lengths: [FieldNormReader; SCORED],
}

/// A stem in all fields and segments.
#[derive(Debug, Default)]
pub(super) struct Stem {
    places: Vec<Place>,
    /// How many postings it has.
    pub frequency: u64,
}

#[derive(Debug)]
struct Place {
    segment: usize,
    field: usize,
    term: TermInfo,
    worth: f32,
}

impl<'a> Opened<'a> {
    /// Opens what `searcher` sees.
    pub fn new(searcher: &'a Searcher, fields: Fields) -> tantivy::Result<Self> {
        let fields = [fields.name, fields.text, fields.how];
        let open = |reader: &'a SegmentReader| -> tantivy::Result<Segment<'a>> {
            let [name, text, how] = fields;
            let inverted = |field| reader.inverted_index(field);
            let lengths = |field| reader.get_fieldnorms_reader(field);
            Ok(Segment {
                reader,
                inverted: [inverted(name)?, inverted(text)?, inverted(how)?],
                lengths: [lengths(name)?, lengths(text)?, lengths(how)?],
            })
        };
        let segments: Vec<Segment<'a>> =
            searcher.segment_readers().iter().map(open).collect::<tantivy::Result<_>>()?;
        let documents: u32 = segments.iter().map(|segment| segment.reader.max_doc()).sum();
        let norms = [0, 1, 2].map(|field| norms(&segments, field, documents));
        Ok(Self { segments, fields, norms, documents: documents as f32 })
    }

    /// The segments.
    pub fn readers(&self) -> impl Iterator<Item = &'a SegmentReader> + '_ {
        self.segments.iter().map(|segment| segment.reader)
    }

    /// Looks `stem` up.
    pub fn stem(&self, stem: &str) -> Stem {
        let mut found = Stem::default();
        for (field, boost) in [NAME_BOOST, 1.0, 1.0].into_iter().enumerate() {
            let term = Term::from_field_text(self.fields[field], stem);
            let from = found.places.len();
            for (segment, opened) in self.segments.iter().enumerate() {
                if let Ok(Some(term)) = opened.inverted[field].get_term_info(&term) {
                    found.places.push(Place { segment, field, term, worth: 0.0 });
                }
            }
            let places = &mut found.places[from..];
            let frequency: u64 = places.iter().map(|place| u64::from(place.term.doc_freq)).sum();
            let worth = boost * self.rarity(frequency) * (K1 + 1.0);
            places.iter_mut().for_each(|place| place.worth = worth);
            found.frequency += frequency;
        }
        found
    }

    /// BM25's inverse document frequency.
    fn rarity(&self, frequency: u64) -> f32 {
        let frequency = frequency as f32;
        (1.0 + ((self.documents - frequency).max(0.0) + 0.5) / (frequency + 0.5)).ln()
    }

    /// What `stem` is worth in the documents of a segment that have it, field by field; only in
    /// `among`, if given, which is in ascending order.
    pub fn visit(
        &self,
        segment: usize,
        stem: &Stem,
        among: Option<&[DocId]>,
        visit: &mut dyn FnMut(DocId, f32),
    ) {
        let opened = &self.segments[segment];
        for place in stem.places.iter().filter(|place| place.segment == segment) {
            let inverted = &opened.inverted[place.field];
            let postings =
                inverted.read_postings_from_terminfo(&place.term, IndexRecordOption::WithFreqs);
            let Ok(mut postings) = postings else { continue };
            let (lengths, norms) = (&opened.lengths[place.field], &self.norms[place.field]);
            let worth = |doc: DocId, frequency: u32| {
                let frequency = frequency as f32;
                let norm = norms[usize::from(lengths.fieldnorm_id(doc))];
                place.worth * frequency / (frequency + norm)
            };
            if let Some(among) = among {
                for &doc in among {
                    if postings.doc() < doc {
                        postings.seek(doc);
                    }
                    if postings.doc() == doc {
                        visit(doc, worth(doc, postings.term_freq()));
                    }
                }
            } else {
                while postings.doc() != TERMINATED {
                    let doc = postings.doc();
                    visit(doc, worth(doc, postings.term_freq()));
                    postings.advance();
                }
            }
        }
    }
}

fn norms(segments: &[Segment<'_>], field: usize, documents: u32) -> [f32; 256] {
    let words: u64 = segments.iter().map(|s| s.inverted[field].total_num_tokens()).sum();
    let average = (words as f32 / documents.max(1) as f32).max(1.0);
    let mut norms = [0.0; 256];
    for (id, norm) in (0..=u8::MAX).zip(&mut norms) {
        let length = FieldNormReader::id_to_fieldnorm(id) as f32;
        *norm = K1 * (1.0 - B + B * length / average);
    }
    norms
}
