//! Where the headings of a text are: those that Markdown knows, and lines that people only
//! emphasised or ended with a colon.

use std::ops::Range;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::{
    phrases::{self, Known},
    sections::{Part, Style},
};

/// The level of what is a heading only by its look: below all others.
const PSEUDO: u8 = 7;

/// A heading.
#[derive(Debug)]
pub(super) struct Heading {
    /// 1 to 6, or [`PSEUDO`].
    pub level: u8,
    /// What it says.
    pub text: String,
    /// What is known of that.
    pub known: Option<Known>,
    /// Where its line begins.
    pub from: usize,
    /// Where the text under it begins.
    pub to: usize,
}

impl Heading {
    /// The part that it begins.
    pub fn part(&self) -> Option<Part> {
        self.known.map(|known| known.part)
    }

    /// Whether it is a heading only by its look.
    pub fn is_pseudo(&self) -> bool {
        self.level == PSEUDO
    }
}

/// All headings that stand in no list, quotation or code.
pub(super) fn headings(body: &str, style: Style) -> Vec<Heading> {
    let mut headings = Vec::new();
    let mut depth = 0usize;
    let mut open: Option<Heading> = None;
    for (event, range) in Parser::new_ext(body, Options::ENABLE_TABLES).into_offset_iter() {
        match event {
            Event::Start(Tag::Heading { level, .. }) if depth == 0 => {
                let level = number(level);
                let (from, to, text) = (range.start, range.end, String::new());
                open = Some(Heading { level, text, known: None, from, to });
            }
            Event::End(TagEnd::Heading(_)) => {
                if let Some(mut heading) = open.take() {
                    heading.known = phrases::heading(&heading.text);
                    headings.push(heading);
                }
            }
            Event::Start(Tag::Paragraph) if depth == 0 && style == Style::Written => {
                headings.extend(in_paragraph(body, range));
            }
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

const fn number(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}

/// How many words a line has that is a label and only begins as a known one.
const MAX_LABEL_WORDS: usize = 5;

/// Lines of a paragraph that are headings by their look and by what they say.
fn in_paragraph(body: &str, paragraph: Range<usize>) -> Vec<Heading> {
    let mut headings = Vec::new();
    let mut at = paragraph.start;
    // A label after an unfinished sentence is a part of it.
    let mut finished = true;
    for line in body[paragraph].split_inclusive('\n') {
        let label = bold_label(line).or_else(|| plain_label(line).filter(|_| finished));
        let known = label.and_then(|(text, length)| {
            let alone = length == line.len() && text.split_whitespace().count() <= MAX_LABEL_WORDS;
            phrases::heading(text).filter(|known| known.exact || alone)
        });
        if let (Some((text, length)), Some(known)) = (label, known) {
            let (text, to) = (text.to_owned(), at + length);
            let known = Some(known);
            headings.push(Heading { level: PSEUDO, text, known, from: at, to });
            finished = true;
        } else {
            finished = finished && !headings.is_empty()
                || line.trim_end().ends_with(['.', '!', '?', ':', ';', ')', '。']);
        }
        at += line.len();
    }
    headings
}

/// `**Text**`, `**Text:**` or `**Text**:` at the beginning of a line, alone or before a text that
/// the colon leads to; and how long it is.
fn bold_label(line: &str) -> Option<(&str, usize)> {
    let start = line.len() - line.trim_start().len();
    let mark = ["**", "__"].into_iter().find(|mark| line[start..].starts_with(mark))?;
    let inside = &line[start + mark.len()..];
    let text = &inside[..inside.find(mark)?];
    let mut end = start + 2 * mark.len() + text.len();
    let mut colon = text.trim_end().ends_with([':', '：']);
    if let Some(after) = line[end..].chars().next().filter(|c| matches!(c, ':' | '：')) {
        end += after.len_utf8();
        colon = true;
    }
    let alone = line[end..].trim().is_empty();
    (colon || alone).then_some((text, if alone { line.len() } else { end }))
}

/// `Text:` at the beginning of a line; and how long it is.
fn plain_label(line: &str) -> Option<(&str, usize)> {
    let (text, _) = line.split_once([':', '：'])?;
    let colon = line[text.len()..].chars().next().map_or(1, char::len_utf8);
    let end = text.len() + colon;
    let rest = &line[end..];
    let alone = rest.trim().is_empty();
    (alone || rest.starts_with(' ')).then_some((text, if alone { line.len() } else { end }))
}
