//! From hits to an answer that one can act on: what belongs together is one, what is learned
//! counts, the weak tail is left out, and long texts are cut to what matters.

use std::sync::Arc;

use super::{
    answer::ScoredEntry,
    cutting,
    search::{Confidence, Found, Hit, highlights},
};
use crate::model::{Category, Entry, EntryText};

/// So many answers are shown even if they are weak, beside the best.
const SHOWN_ANYWAY: usize = 5;
/// Of the best score, the least that a further answer must have.
const TAIL: f32 = 0.5;
/// Of the best score, the least that any answer must have.
const WEAKEST: f32 = 0.15;
/// How much of a score what is learned may add or take.
const EVIDENCE: f32 = 0.1;

/// What was learned about an entry beside its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Evidence {
    /// Alerts that fire now.
    pub firing: i64,
    /// How often people said that it helped.
    pub helped: u64,
    /// How often they said that it did not.
    pub not_helped: u64,
    /// How many notes people left.
    pub notes: usize,
}

/// The most characters of a note that are shown as a reason.
const NOTED: usize = 160;
/// Alerts that are named as firing together.
const NAMED_TOGETHER: usize = 3;
/// So many are looked at, the nearest in time: in a storm thousands fire together.
pub const MAX_TOGETHER: usize = 100;

impl Evidence {
    /// What is known of an entry, and of the patterns that a runbook was written for.
    fn of<'a>(entries: impl Iterator<Item = &'a Arc<Entry>>) -> Self {
        entries.fold(Self::default(), |sum, entry| Self {
            firing: sum.firing + entry.figures.firing.max(0),
            helped: sum.helped + entry.helped,
            not_helped: sum.not_helped + entry.not_helped,
            notes: sum.notes + entry.notes.len(),
        })
    }

    /// What a score is multiplied with: at most a tenth more or less.
    fn factor(self) -> f32 {
        let answered = (self.helped + self.not_helped) as f32;
        let helpful = (self.helped as f32 - self.not_helped as f32) / (answered + 2.0);
        let firing = if self.firing > 0 { 0.5 } else { 0.0 };
        let noted = if self.notes > 0 { 0.1 } else { 0.0 };
        1.0 + EVIDENCE * (firing + helpful + noted).clamp(-1.0, 1.0)
    }

    /// The same, as sentences.
    fn reasons(self) -> Vec<String> {
        let mut reasons = Vec::new();
        match self.firing {
            ..=0 => {}
            1 => reasons.push("one of its alerts fires now".to_owned()),
            firing => reasons.push(format!("{firing} of its alerts fire now")),
        }
        let said = self.helped + self.not_helped;
        if said > 0 {
            reasons.push(format!("it helped {} of {said} times", self.helped));
        }
        reasons
    }
}

/// What people did about it last time: the newest note on the entries that make up an answer.
fn last_note<'a>(entries: impl Iterator<Item = &'a Arc<Entry>>) -> Option<String> {
    let note = entries.flat_map(|entry| entry.notes.iter()).max_by_key(|note| note.at)?;
    let line: String = note.text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut shown: String = line.chars().take(NOTED).collect();
    if shown.len() < line.len() {
        shown.push('…');
    }
    Some(format!("{} noted last: {shown}", note.author))
}

/// The other alerts that began to fire when this one did.
fn together(others: &[&Arc<Entry>]) -> Option<String> {
    let named: Vec<&str> =
        others.iter().take(NAMED_TOGETHER).map(|entry| entry.title.as_str()).collect();
    let more = others.len().saturating_sub(NAMED_TOGETHER);
    let named = named.join(", ");
    match (named.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(format!("fires together with {named}")),
        (false, _) if others.len() >= MAX_TOGETHER => {
            Some(format!("fires together with {named} and many more"))
        }
        (false, more) => Some(format!("fires together with {named} and {more} more")),
    }
}

/// What an answer is put together from.
pub trait Known {
    /// The entry of this id.
    fn entry(&self, id: &str) -> Option<&Arc<Entry>>;
    /// An entry as it is shown, with its links.
    fn view(&self, entry: &Entry) -> Entry;
    /// The runbook written for a pattern's alert.
    fn runbook_of(&self, pattern: &Entry) -> Option<&Arc<Entry>>;
    /// The patterns of the alert that a runbook was written for.
    fn patterns_of(&self, runbook: &Entry) -> Vec<&Arc<Entry>>;
    /// What else began to fire when a pattern did and fires still, the nearest in time first, as
    /// many as are looked at.
    fn fires_with(&self, pattern: &Entry) -> Vec<&Arc<Entry>>;
}

/// An answer while it is put together.
struct Candidate<'a> {
    entry: &'a Arc<Entry>,
    /// The runbook that is merged into a pattern.
    runbook: Option<&'a Arc<Entry>>,
    /// Other entries that say the same.
    folded: Vec<&'a str>,
    score: f32,
    confidence: Confidence,
    evidence: Evidence,
}

/// The answers to a question, best first, at most `limit`.
pub fn answers(known: &dyn Known, found: &Found, limit: usize) -> Vec<ScoredEntry> {
    let mut candidates: Vec<Candidate<'_>> = Vec::new();
    for hit in &found.hits {
        let Some(entry) = known.entry(&hit.id) else { continue };
        add(&mut candidates, known, entry, hit);
    }
    candidates
        .sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.entry.id.cmp(&b.entry.id)));
    cut_tail(&mut candidates);
    candidates.truncate(limit);
    let number = candidates.len();
    let shown = candidates.into_iter().enumerate();
    shown.map(|(place, candidate)| show(known, candidate, found, place, number)).collect()
}

/// Adds a hit, or folds it into the one that tells to do the same.
fn add<'a>(
    candidates: &mut Vec<Candidate<'a>>,
    known: &'a dyn Known,
    entry: &'a Arc<Entry>,
    hit: &Hit,
) {
    let runbook = match entry.category {
        Category::AlertPattern => known.runbook_of(entry),
        _ => None,
    };
    let says = |entry: &Entry, runbook: Option<&Arc<Entry>>| -> String {
        // A pattern with a solution of its own says something else than its runbook.
        match runbook.filter(|runbook| is_silent(entry) || entry.solution == runbook.solution) {
            Some(runbook) => runbook.id.clone(),
            None => entry.id.clone(),
        }
    };
    let own = says(entry, runbook);
    let patterns = match entry.category {
        Category::Runbook => known.patterns_of(entry),
        _ => Vec::new(),
    };
    let evidence = Evidence::of(std::iter::once(entry).chain(patterns));
    let same = candidates.iter_mut().find(|other| says(other.entry, other.runbook) == own);
    let Some(same) = same else {
        candidates.push(Candidate {
            entry,
            runbook,
            folded: Vec::new(),
            score: hit.score * evidence.factor(),
            confidence: hit.confidence,
            evidence,
        });
        return;
    };
    // The better hit came first. A pattern carries its runbook: it has figures, too.
    if same.entry.category == Category::Runbook && runbook.is_some() {
        same.folded.push(&same.entry.id);
        (same.entry, same.runbook) = (entry, runbook);
    } else {
        same.folded.push(&entry.id);
    }
    if evidence.firing > same.evidence.firing {
        same.evidence = evidence;
    }
    same.confidence = same.confidence.max(hit.confidence);
}

fn is_silent(entry: &Entry) -> bool {
    entry.solution.is_empty() && entry.steps.is_empty()
}

/// Leaves out what is much weaker than the best.
fn cut_tail(candidates: &mut Vec<Candidate<'_>>) {
    let best = candidates.iter().map(|known| known.score).fold(0.0, f32::max);
    let mut place = 0;
    candidates.retain(|known| {
        place += 1;
        let least = if place <= SHOWN_ANYWAY { WEAKEST } else { TAIL };
        known.score >= least * best
    });
}

fn show(
    known: &dyn Known,
    candidate: Candidate<'_>,
    found: &Found,
    place: usize,
    number: usize,
) -> ScoredEntry {
    let mut entry = known.view(candidate.entry);
    let mut reasons = candidate.evidence.reasons();
    // Only the answer that one acts on first: it is a walk over all that fires.
    if place == 0 {
        reasons.extend(together(&known.fires_with(candidate.entry)));
    }
    let noted = [Some(candidate.entry), candidate.runbook];
    reasons.extend(last_note(noted.into_iter().flatten()));
    if let Some(runbook) = candidate.runbook {
        merge(Arc::make_mut(&mut entry.text), runbook);
    }
    for id in candidate.folded {
        if id != entry.id && !entry.related_entries.iter().any(|known| known == id) {
            Arc::make_mut(&mut entry.text).related_entries.push(id.to_owned());
        }
    }
    let highlights = highlights(&entry, &found.terms);
    let truncated = cutting::cut(Arc::make_mut(&mut entry.text), &found.terms, place, number);
    ScoredEntry {
        highlights: highlights.into_iter().take(if place == 0 { 3 } else { 1 }).collect(),
        entry,
        score: candidate.score.min(1.0),
        confidence: candidate.confidence,
        reasons,
        firing_alerts: Vec::new(),
        truncated,
    }
}

/// Fills what a pattern does not say itself with what its runbook says.
fn merge(pattern: &mut EntryText, runbook: &EntryText) {
    let fill = |text: &mut String, other: &str| {
        if text.is_empty() {
            other.clone_into(text);
        }
    };
    fill(&mut pattern.description, &runbook.description);
    fill(&mut pattern.solution, &runbook.solution);
    fill(&mut pattern.expected_outcome, &runbook.expected_outcome);
    if pattern.steps.is_empty() {
        pattern.steps.clone_from(&runbook.steps);
    }
    if pattern.prerequisites.is_empty() {
        pattern.prerequisites.clone_from(&runbook.prerequisites);
    }
    if pattern.runbook_url.is_none() {
        pattern.runbook_url.clone_from(&runbook.runbook_url);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_learned_moves_a_score_by_a_tenth_at_most() {
        let evidence =
            |firing, helped, not_helped, notes| Evidence { firing, helped, not_helped, notes };
        assert_eq!(evidence(0, 0, 0, 0).factor(), 1.0);
        let most = evidence(9, 1000, 0, 3).factor();
        let least = evidence(0, 0, 1000, 0).factor();
        assert!((1.09..=1.1).contains(&most) && (0.9..=0.91).contains(&least));
        assert!(evidence(0, 1, 0, 0).factor() > evidence(0, 0, 1, 0).factor());
        assert_eq!(
            evidence(2, 3, 1, 1).reasons(),
            ["2 of its alerts fire now", "it helped 3 of 4 times"]
        );
    }
}
