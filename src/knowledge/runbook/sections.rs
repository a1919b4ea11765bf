//! A runbook's Markdown cut at its headings, and what each heading is called here.
//!
//! The text of a section stays the Markdown that was written. A deeper heading belongs to the
//! section that it stands in; what stands under no heading known here is told as it is.

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

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

/// What headings of runbooks are called, in lower case, separated by commas.
const HEADINGS: [(Part, &str); 6] = [
    (
        Part::Description,
        "meaning, description, summary, overview, impact, user impact, symptom, symptoms, context, \
         full context, background, severity, about, introduction, what it means",
    ),
    (
        Part::RootCause,
        "cause, causes, root cause, root causes, possible causes, common causes, likely causes, \
         reason, reasons, why it happens",
    ),
    (
        Part::Prerequisites,
        "prerequisite, prerequisites, requirements, preconditions, before you begin",
    ),
    (
        Part::Steps,
        "diagnosis, diagnose, diagnostics, initial diagnosis, how to diagnose, investigation, \
         investigate, troubleshooting, troubleshoot, debugging, triage, checks, verify, \
         verification, steps, first steps, procedure",
    ),
    (
        Part::Solution,
        "mitigation, mitigations, mitigate, resolution, resolve, solution, solutions, remediation, \
         remediate, fix, fixes, possible fixes, how to fix, recovery, action, actions, response, \
         workaround, escalation, prevention, what to do, runbook",
    ),
    (Part::ExpectedOutcome, "expected outcome, expected result, outcome, done when"),
];

/// The part that a heading of this text begins.
pub(super) fn part_of(heading: &str) -> Option<Part> {
    let name = heading.trim().trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let is_called = |names: &str| names.split(',').any(|known| known.trim() == name);
    HEADINGS.iter().find(|(_, names)| is_called(names)).map(|(part, _)| *part)
}

/// A piece of the file under one heading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Section<'a> {
    /// Where it goes.
    pub part: Part,
    /// Its heading's line; none for what stands before the first.
    pub heading: Option<&'a str>,
    /// What is under the heading, as written.
    pub text: &'a str,
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

struct Heading {
    level: HeadingLevel,
    text: String,
    from: usize,
    to: usize,
}

/// Cuts `body` at its headings.
pub(super) fn cut(body: &str) -> Cut<'_> {
    let mut cut = Cut::default();
    let mut open = Section { part: Part::Description, heading: None, text: "", known: false };
    let (mut from, mut level) = (0, HeadingLevel::H6);
    for heading in headings(body) {
        let part = part_of(&heading.text);
        if cut.title.is_none() && part.is_none() && open.heading.is_none() {
            cut.title = Some(heading.text);
            if body[from..heading.from].trim().is_empty() {
                from = heading.to;
                continue;
            }
        } else if inside(&open, level, heading.level, part) {
            continue;
        }
        open.text = &body[from..heading.from];
        cut.sections.push(open);
        let line = body[heading.from..heading.to].trim_end();
        let known = part.is_some();
        let part = part.unwrap_or(Part::Description);
        open = Section { part, heading: Some(line), text: "", known };
        (from, level) = (heading.to, heading.level);
    }
    open.text = &body[from..];
    cut.sections.push(open);
    cut.sections.retain(|section| section.heading.is_some() || !section.text.trim().is_empty());
    cut
}

/// Whether a heading belongs to the open section instead of beginning one.
fn inside(
    open: &Section<'_>,
    open_level: HeadingLevel,
    level: HeadingLevel,
    part: Option<Part>,
) -> bool {
    open.heading.is_some() && level > open_level && (open.known || part.is_none())
}

fn headings(body: &str) -> Vec<Heading> {
    let mut headings = Vec::new();
    let mut depth = 0usize;
    let mut open: Option<Heading> = None;
    for (event, range) in Parser::new_ext(body, Options::ENABLE_TABLES).into_offset_iter() {
        match event {
            Event::Start(Tag::Heading { level, .. }) if depth == 0 => {
                open =
                    Some(Heading { level, text: String::new(), from: range.start, to: range.end });
            }
            Event::End(TagEnd::Heading(_)) => headings.extend(open.take()),
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut open {
                    heading.text.push_str(&text);
                }
            }
            Event::Start(Tag::List(_) | Tag::BlockQuote(_)) => depth += 1,
            Event::End(TagEnd::List(_) | TagEnd::BlockQuote(_)) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    headings
}

/// Closes a code fence that runs to the end of the file: before the first heading known here
/// that it swallowed, else at the end. `None` if there is none.
pub(super) fn close_fence(body: &str) -> Option<String> {
    let (from, fence) = unclosed_fence(body)?;
    let mut at = from;
    for (number, line) in body[from..].split_inclusive('\n').enumerate() {
        let name = line.trim_start_matches('#');
        if number > 0 && name.len() < line.len() && part_of(name).is_some() {
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

    fn parts(body: &str) -> Vec<(Part, &str)> {
        cut(body).sections.iter().map(|section| (section.part, section.text.trim())).collect()
    }

    #[test]
    fn headings_are_known_by_what_people_call_them() {
        assert_eq!(part_of("Root Cause:"), Some(Part::RootCause));
        assert_eq!(part_of("**Remediation**"), Some(Part::Solution));
        assert_eq!(part_of("Notes"), None);
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
        assert_eq!(parts(body), expected);
        assert_eq!(cut(body).title.as_deref(), Some("Alert"));
    }

    #[test]
    fn known_headings_under_an_unknown_one_count() {
        let body = "# Alert\n## Warning\nw\n### Diagnosis\nd\n### Fix\nf";
        let expected = [(Part::Description, "w"), (Part::Steps, "d"), (Part::Solution, "f")];
        assert_eq!(parts(body), expected);
    }

    #[test]
    fn a_heading_in_a_code_block_is_no_heading() {
        let body = "## Diagnosis\n```\n# Fix\n## Fix\n```\nd";
        assert_eq!(parts(body), [(Part::Steps, "```\n# Fix\n## Fix\n```\nd")]);
    }

    #[test]
    fn an_open_fence_is_closed_before_the_heading_it_swallowed() {
        let closed = close_fence("## Diagnosis\n```sh\nls\n\n## Mitigation\nx").unwrap();
        assert_eq!(parts(&closed)[1], (Part::Solution, "x"));
        assert_eq!(close_fence("a\n~~~\nb").as_deref(), Some("a\n~~~\nb\n~~~\n\n"));
        assert_eq!(close_fence("a\n```\nb\n```\n"), None);
        assert_eq!(close_fence(&closed), None);
    }

    proptest::proptest! {
        #[test]
        fn no_markdown_stops_the_import(body in "([#`~> \\-a1.\n]|Fix|Meaning){0,60}") {
            cut(&body);
            close_fence(&body);
        }
    }
}
