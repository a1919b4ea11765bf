//! The best documents for the clauses of a query.
//!
//! A document's score is the sum over the clauses of the best way in which it writes each, as a
//! share of what all clauses can score: 1 has all of them in its title, as they were typed. A
//! word that no entry has counts among them, so that scores of different queries compare. How
//! much is read is bounded: the words that most entries have are left out of the search for
//! candidates, as they tell little, and counted for the candidates alone. In a base whose words
//! are all within the bound, which is any of a few thousand entries, nothing is left out.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use tantivy::{DocId, Searcher};

use super::fields::Fields;
use super::plan::{Alternative, Clause, Kind, Plan};
use super::postings::{Opened, Stem};
use super::{limits, weights};

/// How much a search may look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Documents that are ranked.
    pub candidates: usize,
    /// Postings that are read to find them.
    pub postings: u64,
}

/// A document found: higher scores first, then smaller ids.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scored<'a> {
    /// How well it matches, 0 to 1.
    pub score: f32,
    /// Whether it holds the query as it was typed.
    pub literal: bool,
    /// Where its texts are.
    pub slot: u32,
    /// The entry's id.
    pub id: &'a str,
}

impl Eq for Scored<'_> {}

impl Ord for Scored<'_> {
    /// The better one is the lesser, so that sorting puts it first and a heap drops the worst.
    fn cmp(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then_with(|| self.id.cmp(other.id))
    }
}

impl PartialOrd for Scored<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A clause, looked up.
struct LookedUp {
    kind: Kind,
    /// What a document scores that holds the clause as it was typed, in its title.
    mass: f32,
    alternatives: Vec<Known>,
}

/// One way to write a clause that some entry has: all its stems, the rarest first.
struct Known {
    stems: Vec<Stem>,
    /// What it scores in a title.
    weight: f32,
    /// Whether it is too common to look for candidates by.
    common: bool,
}

impl Known {
    fn frequency(&self) -> u64 {
        self.stems.first().map_or(0, |stem| stem.frequency)
    }

    fn idf(&self) -> f32 {
        let sum: f32 = self.stems.iter().map(|stem| stem.idf).sum();
        sum / self.stems.len().max(1) as f32
    }
}

/// The best documents that `admitted` gives an id, by their words. It is asked only
/// about documents good enough to be among them. Of more equal ones than
/// `bounds` allows, the index's
/// own order decides which are taken.
pub(super) fn best<'a>(
    searcher: &Searcher,
    fields: Fields,
    plan: &Plan,
    bounds: Bounds,
    admitted: &'a (dyn Fn(u32) -> Option<&'a str> + Sync),
) -> tantivy::Result<Vec<Scored<'a>>> {
    let limit = bounds.candidates;
    let opened = Opened::new(searcher, fields)?;
    let mut clauses = look_up_all(&opened, plan);
    let mass: f32 = clauses.iter().map(|clause| clause.mass).sum();
    let cut = set_common_aside(&mut clauses, bounds.postings);
    let mut all = Vec::new();
    for (segment, reader) in opened.readers().enumerate() {
        let slots = reader.fast_fields().u64("slot")?;
        let alive = reader.alive_bitset();
        let mut scores = Scores::of(reader.max_doc(), mass);
        scores.add(&opened, segment, &clauses, None);
        let mut best = BinaryHeap::with_capacity(limit + 1);
        for (doc, score) in scores.matched() {
            let full = best.len() >= limit;
            let worst: f32 = best.peek().map_or(0.0, |(found, _): &(Scored<'_>, _)| found.score);
            if (full && score <= worst) || alive.is_some_and(|alive| alive.is_deleted(doc)) {
                continue;
            }
            let Some(slot) = slots.first(doc).map(|slot| slot as u32) else { continue };
            let Some(id) = admitted(slot) else { continue };
            best.push((Scored { score, literal: false, slot, id }, doc));
            if best.len() > limit {
                best.pop();
            }
        }
        let mut best: Vec<(Scored<'_>, DocId)> = best.into_vec();
        if cut {
            score_again(&opened, segment, &clauses, &mut scores, &mut best);
        }
        all.extend(best.into_iter().map(|(found, _)| found));
    }
    all.sort_unstable();
    all.truncate(limit);
    Ok(all)
}

/// The clauses that count most, those of low weight last: they count only for what the others
/// have found.
fn look_up_all(opened: &Opened<'_>, plan: &Plan) -> Vec<LookedUp> {
    let clauses = plan.clauses.iter().map(|clause| look_up(opened, clause, plan.pasted));
    let mut clauses: Vec<LookedUp> = clauses.filter(|clause| clause.mass > 0.0).collect();
    let low = |clause: &LookedUp| clause.kind == Kind::Low;
    clauses.sort_by(|a, b| low(a).cmp(&low(b)).then_with(|| b.mass.total_cmp(&a.mass)));
    clauses.truncate(limits::CLAUSES);
    clauses
}

fn look_up(opened: &Opened<'_>, clause: &Clause, pasted: bool) -> LookedUp {
    let known = |alternative: &Alternative| {
        let mut stems: Vec<Stem> = alternative.stems.iter().map(|stem| opened.stem(stem)).collect();
        stems.sort_by_key(|stem| stem.frequency);
        Known { stems, weight: alternative.weight, common: false }
    };
    let mut alternatives: Vec<Known> = clause.alternatives.iter().map(known).collect();
    let typed = alternatives.first().filter(|typed| typed.frequency() > 0).map(Known::idf);
    let unknown = alternatives.first().map_or(0.0, Known::idf);
    alternatives.retain(|known| known.frequency() > 0);
    let best = alternatives.iter().map(Known::idf).fold(0.0, f32::max);
    let idf = match typed {
        Some(idf) => idf,
        None if !alternatives.is_empty() => best,
        None if matches!(clause.kind, Kind::Compound | Kind::Low) => 0.0,
        None if pasted => unknown * weights::PASTED_UNKNOWN,
        None => unknown,
    };
    for known in &mut alternatives {
        known.weight *= clause.weight * known.idf().min(idf) / known.stems.len().max(1) as f32;
    }
    LookedUp { kind: clause.kind, mass: clause.weight * idf, alternatives }
}

/// Marks the alternatives that would make more than `most` postings to be read, the most common,
/// and tells whether there are any. The rarest of those that can find anything is always read.
fn set_common_aside(clauses: &mut [LookedUp], most: u64) -> bool {
    let mut all: Vec<(bool, &mut Known)> = Vec::new();
    for LookedUp { kind, alternatives, .. } in clauses {
        all.extend(alternatives.iter_mut().map(|known| (*kind == Kind::Low, known)));
    }
    all.sort_by_key(|(low, known)| (*low, known.frequency()));
    let mut postings = 0;
    let mut cut = false;
    for (at, (_, known)) in all.into_iter().enumerate() {
        postings += known.frequency();
        known.common = at > 0 && postings > most;
        cut |= known.common;
    }
    cut
}

/// The candidates' exact scores, with the words that were left out.
fn score_again(
    opened: &Opened<'_>,
    segment: usize,
    clauses: &[LookedUp],
    scores: &mut Scores,
    best: &mut [(Scored<'_>, DocId)],
) {
    best.sort_unstable_by_key(|(_, doc)| *doc);
    let docs: Vec<DocId> = best.iter().map(|(_, doc)| *doc).collect();
    scores.forget(&docs);
    scores.add(opened, segment, clauses, Some(&docs));
    for (found, doc) in best.iter_mut() {
        found.score = scores.of_document(*doc);
    }
}

/// The scores of the documents of one segment, as they add up.
struct Scores {
    /// What all clauses can score together.
    mass: f32,
    documents: Vec<Document>,
    touched: Vec<DocId>,
    matched: Vec<DocId>,
}

/// What a document scores.
#[derive(Clone, Default)]
struct Document {
    total: f32,
    /// The mass of the clauses that it covers.
    covered: f32,
    /// In the clause at hand.
    clause: f32,
}

impl Scores {
    fn of(documents: u32, mass: f32) -> Self {
        Self {
            mass: mass.max(f32::MIN_POSITIVE),
            documents: vec![Document::default(); documents as usize],
            touched: Vec::new(),
            matched: Vec::new(),
        }
    }

    /// Adds what the clauses score, in all documents or in those given.
    fn add(
        &mut self,
        opened: &Opened<'_>,
        segment: usize,
        clauses: &[LookedUp],
        among: Option<&[DocId]>,
    ) {
        for clause in clauses {
            for known in clause.alternatives.iter().filter(|k| among.is_some() || !k.common) {
                self.add_alternative(opened, segment, known, among);
            }
            for doc in self.touched.drain(..) {
                let document = &mut self.documents[doc as usize];
                let score = std::mem::take(&mut document.clause);
                if document.total == 0.0 {
                    if clause.kind == Kind::Low {
                        continue;
                    }
                    self.matched.push(doc);
                }
                document.total += score;
                document.covered += clause.mass.min(score / weights::FIELDS[2]);
            }
        }
    }

    fn add_alternative(
        &mut self,
        opened: &Opened<'_>,
        segment: usize,
        known: &Known,
        among: Option<&[DocId]>,
    ) {
        let [stem, others @ ..] = known.stems.as_slice() else { return };
        if others.is_empty() {
            let raise = |doc, score: f32| self.raise(doc, score * known.weight);
            opened.visit(segment, stem, among, raise);
            return;
        }
        let mut docs = stem_scores(opened, segment, stem, among);
        for stem in others {
            let among: Vec<DocId> = docs.iter().map(|(doc, _)| *doc).collect();
            let further = stem_scores(opened, segment, stem, Some(&among));
            docs.retain_mut(|(doc, score)| {
                let at = further.binary_search_by_key(doc, |(doc, _)| *doc);
                at.is_ok_and(|at| {
                    *score += further[at].1;
                    true
                })
            });
        }
        for (doc, score) in docs {
            self.raise(doc, score * known.weight);
        }
    }

    /// One more way in which a document writes the clause at hand.
    fn raise(&mut self, doc: DocId, score: f32) {
        let known = &mut self.documents[doc as usize].clause;
        if *known == 0.0 {
            self.touched.push(doc);
        }
        *known = known.max(score) + weights::TIE_BREAKER * known.min(score);
    }

    /// 0 to 1: what the document scores of all that it can, more for one that covers more.
    fn of_document(&self, doc: DocId) -> f32 {
        let document = &self.documents[doc as usize];
        let score = document.total / self.mass;
        let covered = document.covered / self.mass;
        score * (1.0 - weights::COVERAGE + weights::COVERAGE * covered)
    }

    /// The documents that matched and their scores.
    fn matched(&self) -> impl Iterator<Item = (DocId, f32)> {
        self.matched.iter().map(|doc| (*doc, self.of_document(*doc)))
    }

    /// Nothing is known of these documents any more.
    fn forget(&mut self, documents: &[DocId]) {
        documents.iter().for_each(|doc| self.documents[*doc as usize] = Document::default());
        self.matched.clear();
    }
}

/// What a stem scores in each document that has it, by document.
fn stem_scores(
    opened: &Opened<'_>,
    segment: usize,
    stem: &Stem,
    among: Option<&[DocId]>,
) -> Vec<(DocId, f32)> {
    let mut docs: Vec<(DocId, f32)> = Vec::new();
    opened.visit(segment, stem, among, |doc, score| docs.push((doc, score)));
    docs.sort_by_key(|(doc, _)| *doc);
    docs.dedup_by(|(doc, score), (kept, best)| {
        *best = if doc == kept { best.max(*score) } else { *best };
        doc == kept
    });
    docs
}
