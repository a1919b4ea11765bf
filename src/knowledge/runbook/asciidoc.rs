//! AsciiDoc as Markdown: what runbooks use of it. What is not known here stays as it is written.

use std::{fmt::Write, sync::LazyLock};

use regex::Regex;

/// A pattern of this module's own.
#[allow(clippy::expect_used, reason = "constant patterns, each compiled by a test")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a valid pattern")
}

static ATTRIBUTE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^:([\w-]+):\s*(.*)$"));
static BLOCK_ATTRIBUTES: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^\[(?:[\w#.%,=\x22' *+-]*|\[[^\]]*\])\]$"));
static MACRO_LINK: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?:link:|xref:)([^\s\[]+)\[([^\]]*)\]"));
static URL_LINK: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(https?://[^\s\[\]<>]+)\[([^\]]+)\]"));
static CROSS: LazyLock<Regex> = LazyLock::new(|| pattern(r"<<([^,>]+)(?:,\s*([^>]+))?>>"));
static IMAGE: LazyLock<Regex> = LazyLock::new(|| pattern(r"image::?([^\s\[]+)\[([^\]]*)\]"));
static BOLD: LazyLock<Regex> = LazyLock::new(|| pattern(r"(^|[\s(])\*([^\s*][^*]*)\*"));
static ADMONITION: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(NOTE|TIP|IMPORTANT|WARNING|CAUTION): "));

/// What fence a block is within.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within<'a> {
    Text,
    Verbatim(&'a str),
    Comment,
    Table,
}

/// `text` as Markdown; its attributes at the head as YAML front matter.
pub(super) fn to_markdown(text: &str) -> String {
    let mut front = String::new();
    let mut body = String::new();
    let mut within = Within::Text;
    let mut language = String::new();
    for line in text.lines() {
        let trimmed = line.trim_end();
        within = match within {
            Within::Comment if trimmed == "////" => Within::Text,
            Within::Comment => Within::Comment,
            Within::Verbatim(fence) if trimmed == fence => {
                body.push_str("```\n");
                Within::Text
            }
            Within::Verbatim(_) => {
                body.push_str(line);
                body.push('\n');
                within
            }
            Within::Table if trimmed == "|===" => Within::Text,
            Within::Table => {
                row(&mut body, trimmed);
                Within::Table
            }
            Within::Text => text_line(&mut body, &mut front, trimmed, &mut language),
        };
    }
    if matches!(within, Within::Verbatim(_)) {
        body.push_str("```\n");
    }
    if front.is_empty() { body } else { format!("---\n{front}---\n{body}") }
}

fn text_line<'a>(
    body: &mut String,
    front: &mut String,
    line: &'a str,
    language: &mut String,
) -> Within<'a> {
    match line {
        "////" => return Within::Comment,
        "|===" => return Within::Table,
        "----" | "...." | "```" => {
            let _ = writeln!(body, "```{}", std::mem::take(language));
            return Within::Verbatim(line);
        }
        // Boxes: what is inside counts. A list's continuation: a blank line does as well.
        "====" | "****" | "--" | "____" | "++++" | "+" | "<<<" => body.push('\n'),
        "'''" => body.push_str("\n---\n"),
        _ if line.starts_with("//") => {}
        _ => {
            if let Some(attribute) = ATTRIBUTE.captures(line) {
                let quoted = serde_json::Value::from(attribute[2].trim());
                let _ = writeln!(front, "{}: {quoted}", &attribute[1]);
            } else if BLOCK_ATTRIBUTES.is_match(line) {
                let words = line.trim_matches(['[', ']']).split(',').map(str::trim);
                let mut words = words.skip_while(|word| *word != "source").skip(1);
                *language = words.next().unwrap_or_default().to_owned();
            } else {
                body.push_str(&markdown_line(line));
                body.push('\n');
            }
        }
    }
    Within::Text
}

fn markdown_line(line: &str) -> String {
    let marks = line.len() - line.trim_start_matches('=').len();
    if (1..=6).contains(&marks) && line[marks..].starts_with(' ') {
        return format!("\n{}{}\n", "#".repeat(marks), inline(&line[marks..]));
    }
    let text = line.trim_start();
    if let Some(title) = text.strip_prefix('.').filter(|t| t.starts_with(char::is_alphabetic)) {
        return format!("\n**{}**\n", inline(title));
    }
    if let Some(found) = ADMONITION.captures(text) {
        return format!("**{}:** {}", &found[1], inline(&text[found[0].len()..]));
    }
    point(text, '*', "-")
        .or_else(|| point(text, '-', "-"))
        .or_else(|| point(text, '.', "1."))
        .unwrap_or_else(|| inline(line))
}

/// A point of a list: its depth is how often its mark is repeated.
fn point(text: &str, mark: char, marker: &str) -> Option<String> {
    let depth = text.len() - text.trim_start_matches(mark).len();
    let content = text[depth..].strip_prefix(' ').filter(|_| (1..=5).contains(&depth))?;
    Some(format!("{}{marker} {}", "   ".repeat(depth - 1), inline(content.trim_start())))
}

fn row(body: &mut String, line: &str) {
    let cells: Vec<_> = line.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect();
    if !cells.is_empty() {
        let _ = writeln!(body, "- {}", inline(&cells.join(" | ")));
    }
}

fn inline(text: &str) -> String {
    let text = IMAGE.replace_all(text, "![$2]($1)");
    let text = MACRO_LINK.replace_all(&text, "[$2]($1)");
    let text = URL_LINK.replace_all(&text, "[$2]($1)");
    let text = CROSS.replace_all(&text, |found: &regex::Captures<'_>| {
        let (target, label) = (&found[1], found.get(2).map(|label| label.as_str()));
        format!("[{}](#{target})", label.unwrap_or(target))
    });
    BOLD.replace_all(&text, "$1**$2**").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_lists_and_code_are_markdown() {
        let text = "= Adoc\n:severity: P1\n// no\n== Mitigation\n. one\n** two\n+\n[source,bash]\n----\n= ls\n----\nNOTE: see https://e.org[it] and *now*\n";
        let markdown = to_markdown(text);
        assert!(markdown.starts_with("---\nseverity: \"P1\"\n---\n"), "{markdown}");
        for part in [
            "# Adoc\n",
            "## Mitigation\n",
            "1. one\n",
            "   - two\n",
            "```bash\n= ls\n```\n",
            "**NOTE:** see [it](https://e.org) and **now**",
        ] {
            assert!(markdown.contains(part), "{part}: {markdown}");
        }
        assert!(!markdown.contains("// no"));
    }

    #[test]
    fn tables_and_comments() {
        let markdown =
            to_markdown("|===\n|a |b\n\n|c |d\n|===\n////\nx\n////\n<<other,the other>>\n");
        assert_eq!(markdown, "- a | b\n- c | d\n[the other](#other)\n");
    }

    #[test]
    fn every_pattern_is_valid() {
        for pattern in [
            &ATTRIBUTE,
            &BLOCK_ATTRIBUTES,
            &MACRO_LINK,
            &URL_LINK,
            &CROSS,
            &IMAGE,
            &BOLD,
            &ADMONITION,
        ] {
            assert!(!pattern.as_str().is_empty());
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_stops_it(text in "(----|====|\\|===|[=*.:\\[\\]<> a\n-]|https://a|link:){0,40}") {
            to_markdown(&text);
        }
    }
}
