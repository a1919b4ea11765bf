//! A runbook's Markdown cut at its headings, and what each heading is called here.
//!
//! The text of a section stays the Markdown that was written. A deeper heading belongs to the
//! section that it stands in; what stands under no heading known here is kept as it is.

use std::borrow::Cow;

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

use super::{
    headings::{Heading, headings},
    phrases,
};

/// The part of an entry that a section goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// What it means, and everything without another place.
    Description,
    /// Why it happens.
    RootCause,
    /// What must be so before.
    Prerequisites,
    /// What to look at, in order.
    Steps,
    /// What helps.
    Solution,
    /// How it looks when it has helped.
    ExpectedOutcome,
}

impl Part {
    /// The part of that name in `headings.txt`.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "description" => Self::Description,
            "root cause" => Self::RootCause,
            "prerequisites" => Self::Prerequisites,
            "steps" => Self::Steps,
            "solution" => Self::Solution,
            "expected outcome" => Self::ExpectedOutcome,
            _ => return None,
        })
    }

    /// Whether a section of this part ends where a deeper heading begins `deeper`: what helps is
    /// no part of the description that it was put under.
    fn ends_at(self, deeper: Self) -> bool {
        match self {
            Self::Description => deeper != Self::Description,
            Self::Steps => matches!(deeper, Self::Solution | Self::ExpectedOutcome),
            _ => false,
        }
    }
}

/// A piece of the file under one heading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Section<'a> {
    /// Where it goes.
    pub part: Part,
    /// Its heading's line; none for what stands before the first.
    pub heading: Option<&'a str>,
    /// What is under the heading, as written.
    pub text: Cow<'a, str>,
    /// Whether its heading is one of those known here.
    pub known: bool,
}

/// A file cut into sections.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Cut<'a> {
    /// The text of the first heading, if it names the whole.
    pub title: Option<String>,
    /// The sections, in order.
    pub sections: Vec<Section<'a>>,
}

/// How a text came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// By people: emphasis and labels may be headings, too.
    Written,
    /// By an export: only headings are.
    Exported,
}

/// Cuts `body` at its headings.
pub(super) fn cut(body: &str, style: Style) -> Cut<'_> {
    let headings = headings(body, style);
    let named = title(&headings);
    let mut cut = Cut::default();
    let mut open =
        Section { part: Part::Description, heading: None, text: Cow::Borrowed(""), known: false };
    let (mut from, mut level) = (0, u8::MAX);
    for (number, heading) in headings.iter().enumerate() {
        let part = heading.part().filter(|_| named != Some(number));
        if named == Some(number) {
            cut.title = Some(heading.text.clone());
            if body[from..heading.from].trim().is_empty() {
                from = heading.to;
                continue;
            }
        } else if is_inside(&open, level, heading.level, part) {
            continue;
        }
        open.text = body[from..heading.from].into();
        cut.sections.push(open);
        let line = body[heading.from..heading.to].trim_end();
        let known = part.is_some();
        let part = part.unwrap_or(Part::Description);
        open = Section { part, heading: Some(line), text: Cow::Borrowed(""), known };
        (from, level) = (heading.to, heading.level);
    }
    open.text = body[from..].into();
    cut.sections.push(open);
    cut.sections.retain(|section| section.heading.is_some() || !section.text.trim().is_empty());
    cut
}

/// Which heading names the whole: the first, if it begins no part, or if it is the only one of
/// the first level and only begins like one.
fn title(headings: &[Heading]) -> Option<usize> {
    let (at, first) = headings.iter().enumerate().find(|(_, heading)| !heading.is_pseudo())?;
    if headings[..at].iter().any(|heading| heading.known.is_some()) {
        return None;
    }
    let alone = || headings.iter().filter(|heading| heading.level == 1).count() == 1;
    let more = || headings[at + 1..].iter().any(|heading| heading.known.is_some());
    match first.known {
        None => Some(at),
        Some(known) => (!known.exact && first.level == 1 && alone() && more()).then_some(at),
    }
}

/// Whether a heading belongs to the open section instead of beginning one.
fn is_inside(open: &Section<'_>, open_level: u8, level: u8, part: Option<Part>) -> bool {
    if open.heading.is_none() || level <= open_level {
        return false;
    }
    match part {
        None => true,
        Some(part) => open.known && !open.part.ends_at(part),
    }
}

/// Closes a code fence that runs to the end of the file: before the first heading known here
/// that it swallowed, else at the end. `None` if there is none.
pub(super) fn close_fence(body: &str) -> Option<String> {
    let (from, fence) = unclosed_fence(body)?;
    let mut at = from;
    for (number, line) in body[from..].split_inclusive('\n').enumerate() {
        let name = line.trim_start_matches('#');
        if number > 0 && name.len() < line.len() && phrases::heading(name).is_some() {
            break;
        }
        at += line.len();
    }
    let (before, after) = body.split_at(at);
    let gap = if before.ends_with('\n') { "" } else { "\n" };
    Some(format!("{before}{gap}{fence}\n\n{after}"))
}

/// Where the fence that is never closed begins, and how it is written.
fn unclosed_fence(body: &str) -> Option<(usize, String)> {
    let mut last = None;
    let mut depth = 0usize;
    for (event, range) in Parser::new(body).into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_))) if depth == 0 => {
                last = Some(range);
            }
            Event::Start(Tag::List(_) | Tag::BlockQuote(_)) => depth += 1,
            Event::End(TagEnd::List(_) | TagEnd::BlockQuote(_)) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    let range = last?;
    let block = &body[range.clone()];
    let opening = block.lines().next()?.trim();
    let mark = opening.chars().next()?;
    let fence: String = opening.chars().take_while(|c| *c == mark).collect();
    let closing = block.lines().skip(1).last().map(str::trim).unwrap_or_default();
    let closed = closing.len() >= fence.len() && closing.chars().all(|c| c == mark);
    let to_the_end = body[range.end..].trim().is_empty();
    (to_the_end && !closed).then_some((range.start, fence))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(body: &str) -> Vec<(Part, String)> {
        let sections = cut(body, Style::Written).sections.into_iter();
        sections.map(|section| (section.part, section.text.trim().to_owned())).collect()
    }

    fn are<const N: usize>(expected: [(Part, &str); N]) -> Vec<(Part, String)> {
        expected.map(|(part, text)| (part, text.to_owned())).into()
    }

    #[test]
    fn a_file_is_cut_at_its_headings_and_deeper_ones_stay_inside() {
        let body =
            "# Alert\nintro\n## Meaning\nm\n## Diagnosis\nd\n### Causes\nc\n## Mitigation\nx";
        let expected = [
            (Part::Description, "intro"),
            (Part::Description, "m"),
            (Part::Steps, "d\n### Causes\nc"),
            (Part::Solution, "x"),
        ];
        assert_eq!(parts(body), are(expected));
        assert_eq!(cut(body, Style::Written).title.as_deref(), Some("Alert"));
    }

    #[test]
    fn known_headings_under_an_unknown_one_count() {
        let body = "# Alert\n## Warning\nw\n### Diagnosis\nd\n### Fix\nf";
        let expected = [(Part::Description, "w"), (Part::Steps, "d"), (Part::Solution, "f")];
        assert_eq!(parts(body), are(expected));
    }

    #[test]
    fn what_helps_is_no_part_of_what_it_was_put_under() {
        let body = "# Alert\n## Overview\no\n### Mitigation\nx\n## Troubleshooting\nt\n### Fix\nf\n### Steps\ns";
        let expected = [
            (Part::Description, "o"),
            (Part::Solution, "x"),
            (Part::Steps, "t"),
            (Part::Solution, "f"),
            (Part::Steps, "s"),
        ];
        assert_eq!(parts(body), are(expected));
    }

    #[test]
    fn bold_lines_and_labels_are_headings() {
        let body = "# Alert\n**Meaning**\n\nm\n\n__Mitigation:__\n\nfix\n";
        assert_eq!(parts(body), are([(Part::Description, "m"), (Part::Solution, "fix")]));
        let body = "Svc is down.\nHow to **fix** it:\n1. restart\n";
        assert_eq!(
            parts(body),
            are([(Part::Description, "Svc is down."), (Part::Solution, "1. restart")])
        );
        let body = "**Impact:** all\n\n**Fix**: restart\nit\n";
        assert_eq!(parts(body), are([(Part::Description, "all"), (Part::Solution, "restart\nit")]));
        let body = "Cause: logs\nFix: delete them\n";
        assert_eq!(parts(body), are([(Part::RootCause, "logs"), (Part::Solution, "delete them")]));
    }

    #[test]
    fn emphasis_within_a_section_is_no_heading() {
        let body = "## Mitigation\n**Diagnosis**\n\nRun: `x`\n\nCause: y\n";
        assert_eq!(parts(body).len(), 1);
        let body = "An **impact** of the fix:\nthe mitigation takes\nlong and the\nfix: none\n";
        assert_eq!(parts(body).len(), 1);
    }

    #[test]
    fn the_only_first_heading_names_the_whole_though_it_begins_like_a_part() {
        let cut = cut("# How to fix a full disk\n## Fix\nx", Style::Written);
        assert_eq!(cut.title.as_deref(), Some("How to fix a full disk"));
        assert_eq!(cut.sections.len(), 1);
        assert_eq!(parts("# Summary\ns\n# Mitigation\nx").len(), 2);
    }

    #[test]
    fn a_heading_in_a_code_block_is_no_heading() {
        let body = "## Diagnosis\n```\n# Fix\n## Fix\n```\nd";
        assert_eq!(parts(body), are([(Part::Steps, "```\n# Fix\n## Fix\n```\nd")]));
    }

    #[test]
    fn an_open_fence_is_closed_before_the_heading_it_swallowed() {
        let closed = close_fence("## Diagnosis\n```sh\nls\n\n## Mitigation\nx").unwrap();
        assert_eq!(parts(&closed)[1..], are([(Part::Solution, "x")]));
        assert_eq!(close_fence("a\n~~~\nb").as_deref(), Some("a\n~~~\nb\n~~~\n\n"));
        assert_eq!(close_fence("a\n```\nb\n```\n"), None);
        assert_eq!(close_fence(&closed), None);
    }

    proptest::proptest! {
        #[test]
        fn no_markdown_stops_the_import(body in "([#`~> \\-a1.:*\n]|Fix|Meaning|é){0,60}") {
            for style in [Style::Written, Style::Exported] {
                cut(&body, style);
            }
            close_fence(&body);
        }
    }
}
