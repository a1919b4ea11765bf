//! The best documents of a query, in a fixed order, leaving out what a filter does not admit.
//!
//! The filter is asked only about documents good enough to be among the best, so that it may
//! look at what the index does not know, such as an entry's severity.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::query::Weight;
use tantivy::{DocId, Score, SegmentOrdinal, SegmentReader};

/// A document found: higher scores first, then smaller ids.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found<'a> {
    /// How well it matches.
    pub score: Score,
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

/// Collects the best `limit` documents as (score, slot).
pub(super) struct Best<'a> {
    /// How many.
    pub limit: usize,
    /// The id at a slot, if the filter admits it.
    pub admitted: &'a (dyn Fn(u32) -> Option<&'a str> + Sync),
}

impl<'a> Best<'a> {
    fn consider(&self, best: &mut BinaryHeap<Found<'a>>, score: Score, slot: u32) {
        let Some(id) = (self.admitted)(slot) else { return };
        best.push(Found { score, slot, id });
        if best.len() > self.limit {
            best.pop();
        }
    }

    /// Only better scores matter from here on; equal ones too, for the order of ids.
    fn threshold(&self, best: &BinaryHeap<Found<'a>>) -> Score {
        match best.peek() {
            Some(worst) if best.len() >= self.limit => worst.score.next_down(),
            _ => Score::MIN,
        }
    }
}

impl Collector for Best<'_> {
    type Fruit = Vec<(Score, u32)>;
    type Child = Nothing;

    fn for_segment(&self, _: SegmentOrdinal, _: &SegmentReader) -> tantivy::Result<Nothing> {
        Ok(Nothing)
    }

    fn requires_scoring(&self) -> bool {
        true
    }

    fn collect_segment(
        &self,
        weight: &dyn Weight,
        _: SegmentOrdinal,
        reader: &SegmentReader,
    ) -> tantivy::Result<Vec<(Score, u32)>> {
        let slots = reader.fast_fields().u64("slot")?;
        let alive = reader.alive_bitset();
        let mut best = BinaryHeap::with_capacity(self.limit + 1);
        weight.for_each_pruning(Score::MIN, reader, &mut |doc, score| {
            let is_alive = alive.is_none_or(|alive| alive.is_alive(doc));
            if let Some(slot) = slots.first(doc).filter(|_| is_alive) {
                self.consider(&mut best, score, slot as u32);
            }
            self.threshold(&best)
        })?;
        Ok(best.into_iter().map(|found| (found.score, found.slot)).collect())
    }

    fn merge_fruits(&self, fruits: Vec<Vec<(Score, u32)>>) -> tantivy::Result<Vec<(Score, u32)>> {
        Ok(fruits.into_iter().flatten().collect())
    }
}

/// Nothing is collected one by one.
pub(super) struct Nothing;

impl SegmentCollector for Nothing {
    type Fruit = Vec<(Score, u32)>;

    fn collect(&mut self, _: DocId, _: Score) {}

    fn harvest(self) -> Self::Fruit {
        Vec::new()
    }
}
