//! The block at the head of a Markdown file: YAML between two lines of `---`, or TOML between two
//! of `+++`.

use serde_json::{Map, Value};

/// What stood at the head of the file, and what follows it.
#[derive(Debug, Default)]
pub(super) struct FrontMatter<'a> {
    /// The keys and values, as far as they could be read.
    pub fields: Map<String, Value>,
    /// The Markdown after the block.
    pub body: &'a str,
    /// What was wrong with it.
    pub warning: Option<String>,
}

/// Reads the front matter of `text`; without one, everything is body.
pub(super) fn read(text: &str) -> FrontMatter<'_> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Some((fence, inside)) = after_fence(text) else {
        return FrontMatter { body: text, ..FrontMatter::default() };
    };
    let Some((head, body)) = split_at_fence(inside, fence) else {
        return unclosed(inside);
    };
    if head.trim().is_empty() {
        return FrontMatter { body, ..FrontMatter::default() };
    }
    let read = if fence == TOML { toml_fields(head) } else { yaml_fields(head) };
    let (fields, warning) = match read {
        Ok(fields) => (fields, None),
        Err(reason) => (by_line(head), Some(reason)),
    };
    FrontMatter { fields, body, warning }
}

const YAML: &str = "---";
const TOML: &str = "+++";

fn yaml_fields(yaml: &str) -> Result<Map<String, Value>, String> {
    match serde_saphyr::from_str::<Value>(yaml) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err("the front matter holds no keys".to_owned()),
        Err(error) => Err(format!("the front matter is no YAML ({})", first_line(&error))),
    }
}

fn toml_fields(toml: &str) -> Result<Map<String, Value>, String> {
    let table: toml::Table = toml
        .parse()
        .map_err(|error| format!("the front matter is no TOML ({})", first_line(&error)))?;
    Ok(table.into_iter().map(|(key, value)| (key, json(value))).collect())
}

fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(truth) => truth.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(json).collect(),
        toml::Value::Table(table) => table.into_iter().map(|(k, v)| (k, json(v))).collect(),
    }
}

fn first_line(error: &impl std::fmt::Display) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// A text, whatever scalar it was written as.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

/// A list of texts: a sequence, or one text with commas.
pub(super) fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().filter_map(text).collect(),
        Value::String(list) => list
            .trim_matches(['[', ']'])
            .split(',')
            .map(|item| item.trim().trim_matches(['"', '\'']).to_owned())
            .filter(|item| !item.is_empty())
            .collect(),
        other => text(other).into_iter().collect(),
    }
}

fn after_fence(text: &str) -> Option<(&'static str, &str)> {
    let (first, rest) = text.split_once('\n')?;
    let fence = [YAML, TOML].into_iter().find(|fence| first.trim_end() == *fence)?;
    Some((fence, rest))
}

fn split_at_fence<'a>(inside: &'a str, fence: &str) -> Option<(&'a str, &'a str)> {
    let mut at = 0;
    for line in inside.split_inclusive('\n') {
        let line_end = line.trim_end();
        if line_end == fence || fence == YAML && line_end == "..." {
            return Some((&inside[..at], &inside[at + line.len()..]));
        }
        at += line.len();
    }
    None
}

/// No second `---`: what looks like keys is taken for it, up to the first line that does not.
fn unclosed(inside: &str) -> FrontMatter<'_> {
    let keys: usize = inside
        .split_inclusive('\n')
        .take_while(|line| key_and_value(line).is_some())
        .map(str::len)
        .sum();
    let (yaml, body) = inside.split_at(keys);
    let fields = by_line(yaml);
    let warning = Some("the front matter is not closed".to_owned());
    FrontMatter { fields, body, warning }
}

/// What can be saved of something that is no YAML: lines that look like `key: value`.
fn by_line(yaml: &str) -> Map<String, Value> {
    let pairs = yaml.lines().filter_map(key_and_value);
    pairs.map(|(key, value)| (key.to_owned(), Value::String(value.to_owned()))).collect()
}

fn key_and_value(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.trim_end().split_once([':', '='])?;
    let key = key.trim_end();
    let is_key = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_key.then(|| (key, value.trim().trim_matches(['"', '\''])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_is_read_and_the_rest_is_body() {
        let front = read("---\ntitle: Disk Full\ntags: [disk, 7]\n---\n# Body\n");
        assert_eq!(text(&front.fields["title"]).as_deref(), Some("Disk Full"));
        assert_eq!(texts(&front.fields["tags"]), ["disk", "7"]);
        assert_eq!(front.body, "# Body\n");
        assert_eq!(front.warning, None);
    }

    #[test]
    fn toml_is_read_too() {
        let front =
            read("+++\ntitle = \"Disk\"\ndate = 2026-01-02\ntags = [\"a\", 'b']\n+++\nBody");
        assert_eq!(text(&front.fields["title"]).as_deref(), Some("Disk"));
        assert_eq!(text(&front.fields["date"]).as_deref(), Some("2026-01-02"));
        assert_eq!(
            (texts(&front.fields["tags"]), front.body),
            (vec!["a".into(), "b".into()], "Body")
        );
        let wrong = read("+++\ntitle = \"Disk\"\ntags = [\n+++\nBody");
        assert_eq!(text(&wrong.fields["title"]).as_deref(), Some("Disk"));
        assert!(wrong.warning.unwrap().contains("no TOML"));
    }

    #[test]
    fn wrong_yaml_keeps_what_can_be_saved() {
        let front = read("---\ntitle: Disk: full\n\tbad\ntags: [a, 'b'\n---\nBody");
        assert_eq!(text(&front.fields["title"]).as_deref(), Some("Disk: full"));
        assert_eq!(texts(&front.fields["tags"]), ["a", "b"]);
        assert_eq!(front.body, "Body");
        assert!(front.warning.unwrap().contains("no YAML"));
    }

    #[test]
    fn an_unclosed_block_loses_no_text() {
        let front = read("---\ntitle: Disk\n\n# Body\ntext");
        assert_eq!(text(&front.fields["title"]).as_deref(), Some("Disk"));
        assert_eq!(front.body, "\n# Body\ntext");
        assert!(front.warning.is_some());
    }

    #[test]
    fn a_file_without_a_block_is_all_body() {
        for markdown in ["", "# A\n\n---\nb\n", "----\na: b\n---\n"] {
            let front = read(markdown);
            assert_eq!((front.body, front.fields.len()), (markdown, 0));
        }
    }
}
