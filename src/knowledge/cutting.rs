//! Long texts of an entry, cut to what is relevant, so that an answer is read at a glance.
//!
//! The first answer is what one acts on and has most of the room; those after it are there to
//! choose from. Whole entries are at `GET /api/knowledge/entries/{id}`.

use super::search::{Terms, best_line};
use crate::model::EntryText;

/// The most characters of each text.
struct Room {
    description: usize,
    root_cause: usize,
    solution: usize,
    steps: usize,
    before_and_after: usize,
}

const FIRST: Room =
    Room { description: 500, root_cause: 300, solution: 1000, steps: 900, before_and_after: 300 };
const OTHERS: Room =
    Room { description: 160, root_cause: 100, solution: 240, steps: 160, before_and_after: 0 };
/// An answer that stands alone, or nearly: there is room for more of it.
const FEW: usize = 2;
/// How much more.
const MORE: usize = 2;

/// What stands where text was left out.
const LEFT_OUT: &str = "…";

/// Cuts the texts of the answer at `place` of `number`; whether anything was left out.
pub(super) fn cut(entry: &mut EntryText, terms: &Terms, place: usize, number: usize) -> bool {
    let room = if place == 0 { FIRST } else { OTHERS };
    let of = |chars: usize| if number <= FEW { chars * MORE } else { chars };
    let mut left_out = cut_text(&mut entry.description, of(room.description), terms);
    left_out |= cut_text(&mut entry.solution, of(room.solution), terms);
    if let Some(cause) = &mut entry.root_cause {
        left_out |= cut_text(cause, of(room.root_cause), terms);
    }
    left_out |= cut_list(&mut entry.steps, of(room.steps), terms);
    left_out |= cut_list(&mut entry.prerequisites, of(room.before_and_after), terms);
    left_out |= cut_text(&mut entry.expected_outcome, of(room.before_and_after), terms);
    left_out
}

/// Keeps the beginning, or from the line that tells most on, where that would be cut off.
fn cut_text(text: &mut String, chars: usize, terms: &Terms) -> bool {
    let Some(end) = nth_char(text, chars) else { return false };
    if chars == 0 {
        text.clear();
        return true;
    }
    let best = best_line(text, terms);
    let from = if best >= end { best } else { 0 };
    let rest = &text[from..];
    let end = nth_char(rest, chars).unwrap_or(rest.len());
    let mut kept = whole_lines(&rest[..end], end < rest.len()).trim_end().to_owned();
    if from > 0 {
        kept.insert_str(0, &format!("{LEFT_OUT}\n{}", fence_open_at(&text[..from])));
    }
    kept.push_str(&closing_fence(&kept));
    if from + end < text.len() {
        kept.push_str(&format!("\n{LEFT_OUT}"));
    }
    *text = kept;
    true
}

/// Keeps the first items that fit, or from the one that tells most on.
fn cut_list(items: &mut Vec<String>, chars: usize, terms: &Terms) -> bool {
    let length: usize = items.iter().map(|item| item.chars().count()).sum();
    if length <= chars {
        return false;
    }
    let mut room = chars;
    let mut kept = Vec::new();
    for mut item in std::mem::take(items) {
        if room == 0 {
            break;
        }
        cut_text(&mut item, room, terms);
        room = room.saturating_sub(item.chars().count());
        kept.push(item);
    }
    *items = kept;
    true
}

/// Where the character after the first `chars` stands; `None` if there is none.
fn nth_char(text: &str, chars: usize) -> Option<usize> {
    text.char_indices().nth(chars).map(|(at, _)| at)
}

/// Ends at a line, or at a word, if that does not leave out half of it.
fn whole_lines(text: &str, is_cut: bool) -> &str {
    if !is_cut {
        return text;
    }
    let at = |mark: char| text.rfind(mark).filter(|at| *at > text.len() / 2);
    &text[..at('\n').or_else(|| at(' ')).unwrap_or(text.len())]
}

/// The code fence that is open at the end of `text`, as a line.
fn fence_open_at(text: &str) -> String {
    let open = text.lines().fold(None, |open: Option<&str>, line| match open {
        None => line.trim_start().starts_with("```").then_some("```"),
        Some(_) if line.trim() == "```" => None,
        open => open,
    });
    open.map(|fence| format!("{fence}\n")).unwrap_or_default()
}

fn closing_fence(text: &str) -> String {
    let fence = fence_open_at(text);
    if fence.is_empty() { fence } else { format!("\n{}", fence.trim_end()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_to(text: &str, chars: usize) -> String {
        let mut text = text.to_owned();
        cut_text(&mut text, chars, &Terms::default());
        text
    }

    #[test]
    fn a_text_ends_at_a_line_or_word_and_says_so() {
        assert_eq!(cut_to("short", 10), "short");
        assert_eq!(cut_to("one line\nanother line", 14), "one line\n…");
        assert_eq!(cut_to("many words in one line", 14), "many words in\n…");
        assert_eq!(cut_to("жжжжжжжжжж", 4), "жжжж\n…");
        assert_eq!(cut_to("anything", 0), "");
    }

    #[test]
    fn a_code_block_that_is_cut_is_closed() {
        assert_eq!(cut_to("a\n```sh\nls -l\ndf -h\n```\n", 15), "a\n```sh\nls -l\n```\n…");
    }

    #[test]
    fn a_list_keeps_the_first_items_that_fit() {
        let mut items: Vec<String> = ["one", "two", "three"].map(str::to_owned).to_vec();
        assert!(!cut_list(&mut items, 11, &Terms::default()));
        assert!(cut_list(&mut items, 6, &Terms::default()));
        assert_eq!(items, ["one", "two"]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([a-c` \n]|```|ж|🔥){0,80}", chars in 0usize..60) {
            cut_to(&text, chars);
        }
    }
}
