//! What holds the query literally: ranked higher, and never left out.

use std::collections::HashSet;

use super::ranking::Found;
use super::substring::Needle;
use super::texts::{Place, Texts};

/// Literal hits looked for, at least; beyond as many as are asked for, any of them will do.
const ENOUGH: usize = 100;
/// What a literal hit adds, of the best score by words.
const IN_TITLE: f32 = 1.0;
const ELSEWHERE: f32 = 0.2;

/// Raises the score of those in `found` that hold the needle, adds the others that do, and
/// returns the slots of all of them.
pub(super) fn raise<'a>(
    found: &mut Vec<Found<'a>>,
    texts: &Texts,
    needle: &Needle<'_>,
    limit: usize,
    admitted: &'a (dyn Fn(u32) -> Option<&'a str> + Sync),
) -> HashSet<u32> {
    let top = found.iter().map(|best| best.score).fold(0.0, f32::max);
    let top = if top > 0.0 { top } else { 1.0 };
    let bonus = |place| match place {
        Place::Title => top * IN_TITLE,
        Place::Elsewhere => top * ELSEWHERE,
    };
    let mut holding = HashSet::new();
    for hit in found.iter_mut() {
        if let Some(place) = texts.place(hit.slot, needle) {
            hit.score += bonus(place);
            holding.insert(hit.slot);
        }
    }
    for slot in texts.holding(needle) {
        if holding.len() >= limit.max(ENOUGH) {
            break;
        }
        if holding.contains(&slot) {
            continue;
        }
        if let (Some(id), Some(place)) = (admitted(slot), texts.place(slot, needle)) {
            found.push(Found { score: bonus(place), slot, id });
            holding.insert(slot);
        }
    }
    holding
}

/// Cuts `found`, best first, to `limit`, leaving out what does not hold the query first.
pub(super) fn keep_holding(found: &mut Vec<Found<'_>>, holding: &HashSet<u32>, limit: usize) {
    let mut others = limit.saturating_sub(holding.len());
    found.retain(|hit| {
        let other = !holding.contains(&hit.slot);
        let kept = !other || others > 0;
        others -= usize::from(other && kept);
        kept
    });
    found.truncate(limit);
}
