//! The best documents for the concepts of a query.
//!
//! A document's score is the sum over the concepts of the best way in which it writes each. How
//! much is read is bounded: the words that most entries have are left out of the search for
//! candidates, as they tell little, and counted for the candidates alone. In a base whose words
//! are all within the bound, which is any of a few thousand entries, nothing is left out.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use tantivy::{DocId, Searcher};

use super::fields::Fields;
use super::plan::Concept;
use super::postings::{Opened, Stem};

/// How much a search may look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Documents that are ranked.
    pub candidates: usize,
    /// Postings that are read to find them.
    pub postings: u64,
}

/// How much the lesser ways to write a concept add to the best one.
const TIE_BREAKER: f32 = 0.15;

/// A document found: higher scores first, then smaller ids.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found<'a> {
    /// How well it matches.
    pub score: f32,
    /// Where its texts are.
    pub slot: u32,
    /// The entry's id.
    pub id: &'a str,
}

impl Eq for Found<'_> {}

impl Ord for Found<'_> {
    /// The better one is the lesser, so that sorting puts it first and a heap drops the worst.
    fn cmp(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then_with(|| self.id.cmp(other.id))
    }
}

impl PartialOrd for Found<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A concept, looked up.
struct LookedUp {
    light: bool,
    ways: Vec<Way>,
}

/// One way to write a concept: all its stems, the rarest first.
struct Way {
    stems: Vec<Stem>,
    weight: f32,
    /// Whether it is too common to look for candidates by.
    common: bool,
}

impl Way {
    fn frequency(&self) -> u64 {
        self.stems.first().map_or(0, |stem| stem.frequency)
    }
}

/// The best documents that `admitted` gives an id, by their words. It is asked only
/// about documents good enough to be among them. Of more equal ones than
/// `bounds` allows, the index's
/// own order decides which are taken.
pub(super) fn best<'a>(
    searcher: &Searcher,
    fields: Fields,
    concepts: &[Concept],
    bounds: Bounds,
    admitted: &'a (dyn Fn(u32) -> Option<&'a str> + Sync),
) -> tantivy::Result<Vec<Found<'a>>> {
    let limit = bounds.candidates;
    let opened = Opened::new(searcher, fields)?;
    let mut concepts: Vec<LookedUp> = concepts.iter().map(|c| look_up(&opened, c)).collect();
    // The light ones last: they count only for what the others have found.
    concepts.sort_by_key(|concept| concept.light);
    let cut = set_common_aside(&mut concepts, bounds.postings);
    let mut all = Vec::new();
    for (segment, reader) in opened.readers().enumerate() {
        let slots = reader.fast_fields().u64("slot")?;
        let alive = reader.alive_bitset();
        let mut scores = Scores::of(reader.max_doc());
        scores.add(&opened, segment, &concepts, None);
        let mut best = BinaryHeap::with_capacity(limit + 1);
        for (doc, score) in scores.take() {
            let full = best.len() >= limit;
            let worst: f32 = best.peek().map_or(0.0, |(found, _): &(Found<'_>, _)| found.score);
            if (full && score <= worst) || alive.is_some_and(|alive| alive.is_deleted(doc)) {
                continue;
            }
            let Some(slot) = slots.first(doc).map(|slot| slot as u32) else { continue };
            let Some(id) = admitted(slot) else { continue };
            best.push((Found { score, slot, id }, doc));
            if best.len() > limit {
                best.pop();
            }
        }
        let mut best: Vec<(Found<'_>, DocId)> = best.into_vec();
        if cut {
            weigh_again(&opened, segment, &concepts, &mut scores, &mut best);
        }
        all.extend(best.into_iter().map(|(found, _)| found));
    }
    all.sort_unstable();
    all.truncate(limit);
    Ok(all)
}

fn look_up(opened: &Opened<'_>, concept: &Concept) -> LookedUp {
    let way = |alternative: &super::plan::Alternative| {
        let mut stems: Vec<Stem> = alternative.stems.iter().map(|stem| opened.stem(stem)).collect();
        stems.sort_by_key(|stem| stem.frequency);
        let share = concept.weight * alternative.weight / stems.len().max(1) as f32;
        Way { stems, weight: share, common: false }
    };
    let ways = concept.alternatives.iter().map(way);
    let ways = ways.filter(|way| way.frequency() > 0).collect();
    LookedUp { light: concept.light, ways }
}

/// Marks the ways that would make more than `most` postings to be read, the most common, and
/// tells whether there are any. The rarest of those that can find anything is always read.
fn set_common_aside(concepts: &mut [LookedUp], most: u64) -> bool {
    let mut ways: Vec<(bool, &mut Way)> = Vec::new();
    for LookedUp { light, ways: of_concept } in concepts {
        ways.extend(of_concept.iter_mut().map(|way| (*light, way)));
    }
    ways.sort_by_key(|(light, way)| (*light, way.frequency()));
    let mut postings = 0;
    let mut cut = false;
    for (at, (_, way)) in ways.into_iter().enumerate() {
        postings += way.frequency();
        way.common = at > 0 && postings > most;
        cut |= way.common;
    }
    cut
}

/// The candidates' exact scores, with the words that were left out.
fn weigh_again(
    opened: &Opened<'_>,
    segment: usize,
    concepts: &[LookedUp],
    scores: &mut Scores,
    best: &mut [(Found<'_>, DocId)],
) {
    best.sort_unstable_by_key(|(_, doc)| *doc);
    let docs: Vec<DocId> = best.iter().map(|(_, doc)| *doc).collect();
    scores.add(opened, segment, concepts, Some(&docs));
    for (found, doc) in best.iter_mut() {
        found.score = scores.total[*doc as usize];
    }
}

/// The scores of the documents of one segment, as they add up.
struct Scores {
    total: Vec<f32>,
    concept: Vec<f32>,
    touched: Vec<DocId>,
    matched: Vec<DocId>,
}

impl Scores {
    fn of(documents: u32) -> Self {
        let zeros = vec![0.0; documents as usize];
        Self { total: zeros.clone(), concept: zeros, touched: Vec::new(), matched: Vec::new() }
    }

    /// Adds what the concepts are worth, in all documents or in those given.
    fn add(
        &mut self,
        opened: &Opened<'_>,
        segment: usize,
        concepts: &[LookedUp],
        among: Option<&[DocId]>,
    ) {
        for concept in concepts {
            for way in concept.ways.iter().filter(|way| among.is_some() || !way.common) {
                self.add_way(opened, segment, way, among);
            }
            for doc in self.touched.drain(..) {
                let score = std::mem::take(&mut self.concept[doc as usize]);
                let total = &mut self.total[doc as usize];
                if *total == 0.0 {
                    if concept.light {
                        continue;
                    }
                    self.matched.push(doc);
                }
                *total += score;
            }
        }
    }

    fn add_way(&mut self, opened: &Opened<'_>, segment: usize, way: &Way, among: Option<&[DocId]>) {
        let [stem, others @ ..] = way.stems.as_slice() else { return };
        if others.is_empty() {
            opened
                .visit(segment, stem, among, &mut |doc, worth| self.raise(doc, worth * way.weight));
            return;
        }
        let mut docs = worths(opened, segment, stem, among);
        for stem in others {
            let among: Vec<DocId> = docs.iter().map(|(doc, _)| *doc).collect();
            let further = worths(opened, segment, stem, Some(&among));
            docs.retain_mut(|(doc, worth)| {
                let at = further.binary_search_by_key(doc, |(doc, _)| *doc);
                at.is_ok_and(|at| {
                    *worth += further[at].1;
                    true
                })
            });
        }
        for (doc, worth) in docs {
            self.raise(doc, worth * way.weight);
        }
    }

    /// One more way in which a document writes the concept at hand.
    fn raise(&mut self, doc: DocId, score: f32) {
        let known = &mut self.concept[doc as usize];
        if *known == 0.0 {
            self.touched.push(doc);
        }
        *known = known.max(score) + TIE_BREAKER * known.min(score);
    }

    /// The documents that matched and their scores; the scores are zero again.
    fn take(&mut self) -> Vec<(DocId, f32)> {
        let matched = std::mem::take(&mut self.matched);
        let total = &mut self.total;
        matched.into_iter().map(|doc| (doc, std::mem::take(&mut total[doc as usize]))).collect()
    }
}

/// What a stem is worth in each document that has it, by document.
fn worths(
    opened: &Opened<'_>,
    segment: usize,
    stem: &Stem,
    among: Option<&[DocId]>,
) -> Vec<(DocId, f32)> {
    let mut docs: Vec<(DocId, f32)> = Vec::new();
    opened.visit(segment, stem, among, &mut |doc, worth| docs.push((doc, worth)));
    docs.sort_by_key(|(doc, _)| *doc);
    docs.dedup_by(|(doc, worth), (kept, best)| {
        *best = if doc == kept { best.max(*worth) } else { *best };
        doc == kept
    });
    docs
}
