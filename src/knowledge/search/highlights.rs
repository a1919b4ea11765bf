//! Which parts of an entry answer, and which words in them were looked for.

use std::ops::Range;

use serde::Serialize;

use super::limits::{FRAGMENT_CHARS, FRAGMENTS, HIGHLIGHTED_BYTES};
use super::terms::Terms;
use super::words::words_at;
use crate::model::Entry;

/// A part of an entry that holds what was looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Fragment {
    /// The field of the entry it is from.
    pub field: &'static str,
    /// The part, on one line.
    pub text: String,
    /// Where in `text` the words stand: start and end, in UTF-16 code units.
    pub spans: Vec<[usize; 2]>,
}

/// A line of a field, and how much it tells.
struct Passage<'a> {
    field: &'static str,
    line: &'a str,
    weight: f32,
}

/// The best parts of `entry`, at most three, the best first, none twice.
pub fn highlights(entry: &Entry, terms: &Terms) -> Vec<Fragment> {
    let mut passages: Vec<Passage<'_>> = fields(entry)
        .flat_map(|(field, text)| lines(text).map(move |line| (field, line)))
        .map(|(field, line)| Passage { field, line, weight: weight(line, terms) })
        .filter(|passage| passage.weight > 0.0)
        .collect();
    passages.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    let mut shown: Vec<Fragment> = Vec::new();
    for passage in passages {
        if shown.len() >= FRAGMENTS {
            break;
        }
        let fragment = fragment(&passage, terms);
        if shown.iter().all(|known| known.text != fragment.text) {
            shown.push(fragment);
        }
    }
    shown
}

/// Where in `text` the line stands that tells most, in bytes; 0 if none tells anything.
pub fn best_line(text: &str, terms: &Terms) -> usize {
    let best = lines(text).map(|line| (line, weight(line, terms))).filter(|(_, w)| *w > 0.0);
    let best = best.reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map_or(0, |(line, _)| line.as_ptr().addr() - text.as_ptr().addr())
}

/// What an entry says, field by field; its title is seen anyway.
fn fields(entry: &Entry) -> impl Iterator<Item = (&'static str, &str)> {
    let cause = entry.root_cause.iter().map(|text| ("rootCause", text.as_str()));
    let before = entry.prerequisites.iter().map(|text| ("prerequisites", text.as_str()));
    let steps = entry.steps.iter().map(|text| ("steps", text.as_str()));
    [("solution", entry.solution.as_str())]
        .into_iter()
        .chain(steps)
        .chain([("description", entry.description.as_str())])
        .chain(cause)
        .chain(before)
        .chain([("expectedOutcome", entry.expected_outcome.as_str())])
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    let end = text.len().min(HIGHLIGHTED_BYTES);
    let end = (0..=end).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text[..end].lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("```"))
}

/// How much a line tells: each different word once, a short line a little more than a long one.
fn weight(line: &str, terms: &Terms) -> f32 {
    let mut seen: Vec<String> = Vec::new();
    let (mut sum, mut words) = (0.0, 0);
    for (_, word) in words_at(line).filter(|(_, word)| !word.is_empty()) {
        words += 1;
        let weight = terms.weight(&word);
        if weight > 0.0 && !seen.contains(&word) {
            sum += weight;
            seen.push(word);
        }
    }
    sum / (1.0 + words as f32 / 40.0)
}

fn fragment(passage: &Passage<'_>, terms: &Terms) -> Fragment {
    let mut found: Vec<Range<usize>> = words_at(passage.line)
        .filter(|(range, word)| !range.is_empty() && terms.weight(word) > 0.0)
        .map(|(range, _)| range)
        .collect();
    found.dedup();
    let window = window(passage.line, found.first().map_or(0, |first| first.start));
    let (mut text, mut before) = (String::new(), 0);
    if window.start > 0 {
        text.push('…');
        before = 1;
    }
    let shown = &passage.line[window.clone()];
    text.push_str(shown);
    if window.end < passage.line.len() {
        text.push('…');
    }
    let utf16 = |at: usize| before + shown[..at - window.start].encode_utf16().count();
    let inside = found.iter().filter(|f| window.start <= f.start && f.end <= window.end);
    let spans = inside.map(|found| [utf16(found.start), utf16(found.end)]).collect();
    Fragment { field: passage.field, text, spans }
}

/// The part of `line` that is shown: all of it, or from a little before the first word found.
fn window(line: &str, first: usize) -> Range<usize> {
    let starts: Vec<usize> = line.char_indices().map(|(at, _)| at).collect();
    if starts.len() <= FRAGMENT_CHARS {
        return 0..line.len();
    }
    let word = starts.partition_point(|at| *at < first);
    let from = word.saturating_sub(FRAGMENT_CHARS / 4).min(starts.len() - FRAGMENT_CHARS);
    let to = starts.get(from + FRAGMENT_CHARS).copied().unwrap_or(line.len());
    starts[from]..to
}
