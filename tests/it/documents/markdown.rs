//! What the tests read of Markdown.

use std::collections::HashSet;

/// A fenced block: what stands behind the fence, and its text.
pub struct Block {
    pub info: String,
    pub text: String,
}

/// All fenced blocks, in order.
pub fn blocks(document: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in document.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(info), None) => {
                open = Some(Block { info: info.to_owned(), text: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fence is not closed");
    blocks
}

/// The document without its fenced blocks.
pub fn prose(document: &str) -> String {
    let mut inside = false;
    let mut text = String::new();
    for line in document.lines() {
        if line.starts_with("```") {
            inside = !inside;
        } else if !inside {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// What stands in back-ticks.
pub fn code_spans(prose: &str) -> impl Iterator<Item = &str> {
    prose.split('`').skip(1).step_by(2)
}

/// The section under a heading, up to the next of its level or above.
pub fn section<'a>(document: &'a str, heading: &str) -> &'a str {
    let level = heading.bytes().take_while(|byte| *byte == b'#').count();
    let start = document.find(&format!("{heading}\n"));
    let start = start.unwrap_or_else(|| panic!("no heading {heading:?}")) + heading.len();
    let rest = &document[start..];
    let ends = (1..=level).filter_map(|level| rest.find(&format!("\n{} ", "#".repeat(level))));
    &rest[..ends.min().unwrap_or(rest.len())]
}

/// The cells of each row of the tables in `text`, without headings.
pub fn rows(text: &str) -> Vec<Vec<String>> {
    let rows: Vec<Vec<String>> = text.lines().filter_map(cells).collect();
    let is_rule = |row: &Vec<String>| row.iter().all(|cell| cell.trim_matches('-').is_empty());
    let body = rows
        .iter()
        .enumerate()
        .filter(|(i, row)| !is_rule(row) && !rows.get(i + 1).is_some_and(is_rule));
    body.map(|(_, row)| row.clone()).collect()
}

fn cells(line: &str) -> Option<Vec<String>> {
    let inner = line.strip_prefix('|')?.strip_suffix('|')?;
    Some(inner.split('|').map(|cell| cell.trim().to_owned()).collect())
}

/// Where the links of a document lead.
pub fn links(prose: &str) -> Vec<&str> {
    prose.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0)).collect()
}

/// The anchors of all headings, as GitHub makes them.
pub fn anchors(document: &str) -> HashSet<String> {
    let text = prose(document);
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}
