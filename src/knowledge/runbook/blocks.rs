//! A section as a list: each point of a list and each paragraph is one step, as written.

use std::{borrow::Cow, ops::Range};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::phrases;

/// What a block does to the list of steps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Begins a step.
    Own,
    /// Code or a table: belongs to the step before.
    ToTheOneBefore,
    /// A heading: belongs to the step after.
    ToTheOneAfter,
}

/// `text` without what only stands where one is still to be written, and without headings that
/// nothing is left under.
pub(super) fn without_placeholders(text: &str) -> Cow<'_, str> {
    let blocks = blocks(text);
    let is_unwritten = |(kind, range, _): &(Kind, Range<usize>, bool)| {
        *kind == Kind::Own && phrases::is_placeholder(&text[range.clone()])
    };
    if !blocks.iter().any(is_unwritten) {
        return Cow::Borrowed(text);
    }
    let mut kept: Vec<&Range<usize>> = Vec::new();
    let mut headings: Vec<&Range<usize>> = Vec::new();
    for block in &blocks {
        match block.0 {
            Kind::ToTheOneAfter => headings.push(&block.1),
            _ if is_unwritten(block) => headings.clear(),
            _ => {
                kept.append(&mut headings);
                kept.push(&block.1);
            }
        }
    }
    let pieces: Vec<&str> = kept.into_iter().map(|range| text[range.clone()].trim_end()).collect();
    Cow::Owned(pieces.join("\n\n"))
}

/// The steps that `text` lists; what stands where one is to be written is none.
pub(super) fn steps(text: &str) -> Vec<String> {
    let mut steps: Vec<String> = Vec::new();
    let mut waiting = String::new();
    for (kind, range, indented) in blocks(text) {
        let block = if indented { point(text, range) } else { text[range].trim().to_owned() };
        if block.is_empty() || kind == Kind::Own && phrases::is_placeholder(&block) {
            continue;
        }
        match (kind, steps.last_mut()) {
            (Kind::ToTheOneAfter, _) => append(&mut waiting, &block),
            (Kind::ToTheOneBefore, Some(step)) if waiting.is_empty() => append(step, &block),
            _ => {
                let mut step = std::mem::take(&mut waiting);
                append(&mut step, &block);
                steps.push(step);
            }
        }
    }
    steps.extend(Some(waiting).filter(|rest| !rest.is_empty()));
    steps
}

fn append(step: &mut String, block: &str) {
    if !step.is_empty() {
        step.push_str("\n\n");
    }
    step.push_str(block);
}

/// The top-level blocks in order, lists point by point; true for a point.
fn blocks(text: &str) -> Vec<(Kind, Range<usize>, bool)> {
    let mut blocks = Vec::new();
    let (mut depth, mut in_list) = (0usize, false);
    for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
        match event {
            Event::Start(Tag::List(_)) if depth == 0 => (in_list, depth) = (true, 1),
            Event::Start(tag) => {
                match (depth, in_list) {
                    (0, _) => blocks.push((kind(&tag), range, false)),
                    (1, true) => blocks.push((Kind::Own, range, true)),
                    _ => {}
                }
                depth += 1;
            }
            Event::End(end) => {
                depth = depth.saturating_sub(1);
                in_list &= !(depth == 0 && matches!(end, TagEnd::List(_)));
            }
            Event::Rule | Event::Html(_) if depth == 0 => {
                blocks.push((Kind::ToTheOneBefore, range, false));
            }
            _ => {}
        }
    }
    blocks
}

fn kind(tag: &Tag<'_>) -> Kind {
    match tag {
        Tag::Heading { .. } => Kind::ToTheOneAfter,
        Tag::CodeBlock(_) | Tag::Table(_) | Tag::HtmlBlock => Kind::ToTheOneBefore,
        _ => Kind::Own,
    }
}

/// A list point without its marker, its further lines moved left by as much.
fn point(text: &str, range: Range<usize>) -> String {
    let item = &text[range];
    let marker = item.len() - item.trim_start_matches(|c: char| c.is_ascii_digit()).len() + 1;
    let Some(content) = item.get(marker..) else { return String::new() };
    let first = content.lines().next().unwrap_or_default();
    let gap = first.len() - first.trim_start_matches(' ').len();
    let indent = marker + if gap > 4 { 1 } else { gap };
    let mut lines = content.lines();
    let mut point = lines.next().unwrap_or_default().trim_start().to_owned();
    for line in lines {
        point.push('\n');
        let blanks = line.len() - line.trim_start_matches(' ').len();
        point.push_str(&line[blanks.min(indent)..]);
    }
    point.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_and_points_are_steps() {
        let text = "Look at it:\n\n- one\n- two\n  more\n\n1. three\n2. four\n\nThen wait.\n";
        assert_eq!(steps(text), ["Look at it:", "one", "two\nmore", "three", "four", "Then wait."]);
    }

    #[test]
    fn code_belongs_to_the_step_before_it() {
        let text = "Run:\n\n```sh\nls\n```\n\n1. And\n   ```\n   a\n     b\n   ```\n";
        assert_eq!(steps(text), ["Run:\n\n```sh\nls\n```", "And\n```\na\n  b\n```"]);
    }

    #[test]
    fn a_heading_belongs_to_the_step_after_it() {
        assert_eq!(steps("a\n### Disk\nb\n### End"), ["a", "### Disk\n\nb", "### End"]);
    }

    #[test]
    fn what_is_still_to_be_written_is_left_out() {
        assert_eq!(without_placeholders("TODO\n"), "");
        assert_eq!(
            without_placeholders("a\n\n### Disk\n\nTODO\n\n### Net\n\nb\n"),
            "a\n\n### Net\n\nb"
        );
        assert_eq!(without_placeholders("- a\n- TBD\n"), "- a");
        assert_eq!(without_placeholders("a\n```\n# TODO\n```\n"), "a\n```\n# TODO\n```\n");
        assert_eq!(steps("1. a\n2. TODO\n"), ["a"]);
    }

    proptest::proptest! {
        #[test]
        fn every_word_of_the_text_is_in_some_step(words in "([a-z]{2,5}[ \n]|\n\n|- |1[.] |```\n){0,30}") {
            let all = steps(&words).concat();
            for word in words.split(|c: char| !c.is_ascii_lowercase()).filter(|w| !w.is_empty()) {
                proptest::prop_assert!(all.contains(word), "{word} of {words:?} in {all:?}");
            }
        }
    }
}
