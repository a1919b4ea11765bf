//! The postings of the stems of a query, and what each scores by BM25.

use std::sync::Arc;

use tantivy::fieldnorm::FieldNormReader;
use tantivy::index::InvertedIndexReader;
use tantivy::postings::{Postings, TermInfo};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocId, DocSet, Searcher, SegmentReader, Term};

use super::fields::Fields;
use super::weights;

/// BM25's saturation of a term's frequency, and how far the length of a text matters.
const K1: f32 = 1.2;
const B: f32 = 0.75;

/// What the frequency of a stem in one field adds at most; one occurrence in a text of average
/// length is 1.
const MOST_FREQUENT: f32 = 1.3;

/// The fields that are scored: name, text, how.
const SCORED: usize = weights::FIELDS.len();

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
    /// Its inverse document frequency; the highest for a stem that no entry has.
    pub idf: f32,
}

#[derive(Debug)]
struct Place {
    segment: usize,
    field: usize,
    term: TermInfo,
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
        let mut most = 0;
        for (field, scored) in self.fields.iter().enumerate() {
            let term = Term::from_field_text(*scored, stem);
            let mut frequency = 0;
            for (segment, opened) in self.segments.iter().enumerate() {
                if let Ok(Some(term)) = opened.inverted[field].get_term_info(&term) {
                    frequency += u64::from(term.doc_freq);
                    found.places.push(Place { segment, field, term });
                }
            }
            found.frequency += frequency;
            most = frequency.max(most);
        }
        found.idf = self.idf(most);
        found
    }

    /// BM25's inverse document frequency, with the background's documents.
    fn idf(&self, frequency: u64) -> f32 {
        let frequency = frequency as f32;
        let documents = self.documents + weights::BACKGROUND_DOCUMENTS;
        (1.0 + ((documents - frequency).max(0.0) + 0.5) / (frequency + 0.5)).ln()
    }

    /// What `stem` scores of its idf in the documents of a segment that have it, field by field;
    /// only in `among`, if given, which is in ascending order.
    pub fn visit(
        &self,
        segment: usize,
        stem: &Stem,
        among: Option<&[DocId]>,
        mut visit: impl FnMut(DocId, f32),
    ) {
        let opened = &self.segments[segment];
        for place in stem.places.iter().filter(|place| place.segment == segment) {
            let inverted = &opened.inverted[place.field];
            let (lengths, norms) = (&opened.lengths[place.field], &self.norms[place.field]);
            let boost = weights::FIELDS[place.field];
            let score = |doc: DocId, frequency: u32| {
                let frequency = frequency as f32;
                let norm = norms[usize::from(lengths.fieldnorm_id(doc))];
                boost * (frequency * (K1 + 1.0) / (frequency + norm)).min(MOST_FREQUENT)
            };
            let with = IndexRecordOption::WithFreqs;
            if let Some(among) = among {
                let postings = inverted.read_postings_from_terminfo(&place.term, with);
                let Ok(mut postings) = postings else { continue };
                for &doc in among {
                    if postings.doc() < doc {
                        postings.seek(doc);
                    }
                    if postings.doc() == doc {
                        visit(doc, score(doc, postings.term_freq()));
                    }
                }
            } else {
                let blocks = inverted.read_block_postings_from_terminfo(&place.term, with);
                let Ok(mut blocks) = blocks else { continue };
                while blocks.block_len() > 0 {
                    let postings = blocks.docs().iter().zip(blocks.freqs());
                    postings.for_each(|(doc, frequency)| visit(*doc, score(*doc, *frequency)));
                    blocks.advance();
                }
            }
        }
    }
}

fn norms(segments: &[Segment<'_>], field: usize, documents: u32) -> [f32; 256] {
    let words: u64 = segments.iter().map(|s| s.inverted[field].total_num_tokens()).sum();
    let background = weights::BACKGROUND_DOCUMENTS;
    let words = words as f32 + background * weights::BACKGROUND_LENGTHS[field];
    let average = words / (documents as f32 + background);
    let mut norms = [0.0; 256];
    for (id, norm) in (0..=u8::MAX).zip(&mut norms) {
        let length = FieldNormReader::id_to_fieldnorm(id) as f32;
        *norm = K1 * (1.0 - B + B * length / average);
    }
    norms
}
