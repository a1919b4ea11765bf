//! What site generators and HTML put into Markdown that is not for who reads an answer: Hugo's
//! shortcodes, comments, and the boxes that a browser folds away.

use std::{ops::Range, sync::LazyLock};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use regex::{Captures, Regex};

/// A pattern of this module's own.
#[allow(clippy::expect_used, reason = "constant patterns, each compiled by a test")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a valid pattern")
}

static SHORTCODE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"\{\{[<%]\s*(/?)\s*([A-Za-z_][\w./-]*)((?:"[^"]*"|`[^`]*`|[^>%"`])*?)/?\s*[>%]\}\}"#)
});
static ESCAPED_SHORTCODE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(\{\{[<%])/\*(.*?)\*/([>%]\}\})"));
static COMMENT: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?s)<!--.*?(?:-->|\z)"));
static SUMMARY: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?is)<summary[^>]*>\s*(.*?)\s*</summary>"));
static BOX: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)</?(?:details|summary|div|span|section|center|p|b|i|font)(?:\s[^<>]*)?>")
});
static LINE_BREAK: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)<br\s*/?>"));

/// `markdown` without all that.
pub(super) fn clean(markdown: &str) -> String {
    let markdown = shortcodes(markdown);
    let mut cleaned = String::with_capacity(markdown.len());
    let mut at = 0;
    for range in html(&markdown) {
        cleaned.push_str(&markdown[at..range.start]);
        cleaned.push_str(&without_html(&markdown[range.clone()]));
        at = range.end;
    }
    cleaned.push_str(&markdown[at..]);
    cleaned
}

/// A reference becomes the path that it names, a highlighted text a code block; of the others
/// only what stands between them is kept.
fn shortcodes(markdown: &str) -> String {
    if !markdown.contains("{{") {
        return markdown.to_owned();
    }
    let replaced = SHORTCODE.replace_all(markdown, |found: &Captures<'_>| {
        let arguments = found[3].trim();
        let first = || first_argument(arguments);
        match (&found[1], &found[2]) {
            ("", "ref" | "relref") => first().to_owned(),
            ("", "highlight") => format!("```{}", first()),
            ("/", "highlight") => "```".to_owned(),
            _ => String::new(),
        }
    });
    ESCAPED_SHORTCODE.replace_all(&replaced, "$1$2$3").into_owned()
}

fn first_argument(arguments: &str) -> &str {
    match arguments.chars().next() {
        Some(quote @ ('"' | '`')) => arguments[1..].split(quote).next().unwrap_or_default(),
        _ => arguments.split_whitespace().next().unwrap_or_default(),
    }
}

/// Where HTML stands in the text, code left out.
fn html(markdown: &str) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut in_block = false;
    for (event, range) in Parser::new_ext(markdown, Options::ENABLE_TABLES).into_offset_iter() {
        match event {
            Event::Start(Tag::HtmlBlock) => {
                in_block = true;
                ranges.push(range);
            }
            Event::End(TagEnd::HtmlBlock) => in_block = false,
            Event::InlineHtml(_) if !in_block => ranges.push(range),
            _ => {}
        }
    }
    ranges
}

fn without_html(html: &str) -> String {
    let text = COMMENT.replace_all(html, "");
    let text = SUMMARY.replace_all(&text, "\n**$1**\n");
    let text = LINE_BREAK.replace_all(&text, "  \n");
    BOX.replace_all(&text, "").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_become_paths_and_boxes_their_content() {
        assert_eq!(
            clean(
                "See [it]({{< ref \"./DiskFull.md\" >}}).\n{{% notice tip %}}\nx\n{{% /notice %}}\n"
            ),
            "See [it](./DiskFull.md).\n\nx\n\n"
        );
        let code = "{{< highlight bash \"linenos\" >}}\nls\n{{< /highlight >}}\n";
        assert_eq!(clean(code), "```bash\nls\n```\n");
        let folded = "a\n\n<details>\n<summary>More</summary>\n\ntext\n\n</details>\n";
        let text = clean(folded);
        assert!(
            !text.contains('<') && text.contains("**More**") && text.contains("text"),
            "{text}"
        );
    }

    #[test]
    fn comments_go_and_code_stays() {
        let text = "<!-- owner -->\n# A\n<!-- ## Fix\nhidden -->\n`<b>` a <!-- x --> b\n\n```\n<!-- stays -->\n```\n";
        let cleaned = clean(text);
        assert!(!cleaned.contains("owner") && !cleaned.contains("hidden"), "{cleaned}");
        assert!(cleaned.contains("`<b>` a  b") && cleaned.contains("<!-- stays -->"), "{cleaned}");
    }

    #[test]
    fn templates_of_other_tools_stay() {
        let text = "`{{ $labels.instance }}` {{- end }} {{</* ref \"a\" */>}}\n";
        assert_eq!(clean(text), "`{{ $labels.instance }}` {{- end }} {{< ref \"a\" >}}\n");
    }

    #[test]
    fn every_pattern_is_valid() {
        for pattern in [&SHORTCODE, &ESCAPED_SHORTCODE, &COMMENT, &SUMMARY, &BOX, &LINE_BREAK] {
            assert!(!pattern.as_str().is_empty());
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_stops_it(text in "(<!--|-->|<details>|</|[{}<>%/\"a \n`]|ref){0,40}") {
            clean(&text);
        }
    }
}
