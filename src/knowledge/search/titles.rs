//! How much of an entry's title a query covers: of two entries that hold all words of the query,
//! the one whose title says nothing else is meant.

use std::collections::HashMap;

use super::dictionary::Dictionary;
use super::ranking::Scored;
use super::terms::Terms;
use super::texts::Texts;
use super::{limits, weights};
use crate::knowledge::vocabulary::vocabulary;

/// Lowers the scores of the best in `found` by what of their titles the query does not cover.
pub(super) fn compare(
    found: &mut [Scored<'_>],
    terms: &Terms,
    texts: &Texts,
    dictionary: &Dictionary,
) {
    let mut idfs: HashMap<&str, f32> = HashMap::new();
    for hit in found.iter_mut().take(limits::TITLES) {
        let (mut covered, mut all) = (0.0, 0.0);
        for stem in texts.title_stems(hit.slot) {
            let idf = *idfs.entry(stem).or_insert_with(|| information(stem, dictionary));
            all += idf;
            covered += idf * terms.likeness(stem);
        }
        let share = if all > 0.0 { covered / all } else { 0.0 };
        hit.score *= 1.0 - weights::TITLE + weights::TITLE * share;
    }
    // What was not compared may not stand above what was.
    let worst = found.iter().take(limits::TITLES).map(|hit| hit.score).fold(1.0, f32::min);
    found.iter_mut().skip(limits::TITLES).for_each(|hit| hit.score = hit.score.min(worst));
}

/// How much information a word of a title carries.
fn information(stem: &str, dictionary: &Dictionary) -> f32 {
    let weight = if vocabulary().is_generic(stem) { weights::GENERIC } else { 1.0 };
    weight * dictionary.idf(stem)
}
