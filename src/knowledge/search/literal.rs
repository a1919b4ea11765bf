//! What holds the query literally: ranked higher, and never left out.

use std::collections::HashSet;

use super::limits;
use super::ranking::Scored;
use super::substring::Needle;
use super::texts::{Place, Texts};

/// What a literal hit scores at least.
const IN_TITLE: f32 = 0.9;
const ELSEWHERE: f32 = 0.5;

/// Raises the score of those in `found` that hold the needle, adds the others that do, and
/// returns the slots of all of them.
pub(super) fn raise<'a>(
    found: &mut Vec<Scored<'a>>,
    texts: &Texts,
    needle: &Needle<'_>,
    limit: usize,
    admitted: &'a (dyn Fn(u32) -> Option<&'a str> + Sync),
) -> HashSet<u32> {
    let raised = |place, score: f32| match place {
        Place::Title => IN_TITLE + (1.0 - IN_TITLE) * score,
        Place::Elsewhere => ELSEWHERE + (1.0 - ELSEWHERE) * score,
    };
    let mut holding = HashSet::new();
    for hit in found.iter_mut() {
        if let Some(place) = texts.place(hit.slot, needle) {
            hit.score = raised(place, hit.score);
            hit.literal = true;
            holding.insert(hit.slot);
        }
    }
    for slot in texts.may_hold(needle) {
        if holding.len() >= limit.max(limits::LITERAL_HITS) {
            break;
        }
        if holding.contains(&slot) {
            continue;
        }
        if let (Some(id), Some(place)) = (admitted(slot), texts.place(slot, needle)) {
            found.push(Scored { score: raised(place, 0.0), literal: true, slot, id });
            holding.insert(slot);
        }
    }
    holding
}

/// Cuts `found`, best first, to `limit`, leaving out what does not hold the query first.
pub(super) fn keep_holding(found: &mut Vec<Scored<'_>>, holding: &HashSet<u32>, limit: usize) {
    let mut others = limit.saturating_sub(holding.len());
    found.retain(|hit| {
        let other = !holding.contains(&hit.slot);
        let kept = !other || others > 0;
        others -= usize::from(other && kept);
        kept
    });
    found.truncate(limit);
}
