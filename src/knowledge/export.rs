//! An entry as Markdown that people can read and `knowledge::runbook` can read back.
//!
//! What is text stands under headings, the rest in the front matter. Markdown cannot carry every
//! text: one that ends in blanks, or holds a heading of its own, would come back as another. So
//! what has been written is read again, and each field that came back changed goes into the
//! front matter, where it stands escaped. The promise is that the import gives an equal entry,
//! whatever is in it.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::runbook;
use crate::model::{Entry, ExportedEntry};

/// The fields that stand under headings: name, heading.
const SECTIONS: [(&str, &str); 6] = [
    ("description", "Description"),
    ("rootCause", "Root cause"),
    ("prerequisites", "Prerequisites"),
    ("steps", "Steps"),
    ("solution", "Solution"),
    ("expectedOutcome", "Expected outcome"),
];

/// The entry as one Markdown document. Several, one after the other, are one file that
/// [`runbook::read`] takes apart again.
pub fn markdown(entry: &Entry) -> String {
    let entry = &entry.without_instances();
    let exported = serde_json::to_value(ExportedEntry::from(entry));
    let Ok(Value::Object(mut fields)) = exported else { return String::new() };
    fields.insert("firstSeen".into(), entry.first_seen.to_string().into());
    fields.insert("lastUpdated".into(), entry.last_updated().to_string().into());
    let mut escaped: Vec<&str> = Vec::new();
    loop {
        let text = write(&fields, &escaped);
        let changed = changed_fields(entry, &text);
        let more: Vec<&str> = changed.into_iter().filter(|name| !escaped.contains(name)).collect();
        if more.is_empty() {
            return text;
        }
        escaped.extend(more);
    }
}

/// The fields under headings that reading `text` gives back otherwise than they are; all of
/// them if it is not even read as one entry.
fn changed_fields(entry: &Entry, text: &str) -> Vec<&'static str> {
    let all = SECTIONS.map(|(name, _)| name);
    let read = runbook::read("", text, entry.written);
    let [read] = read.as_slice() else { return all.to_vec() };
    let read = &read.entry;
    let kept = [
        read.description == entry.description,
        read.root_cause == entry.root_cause,
        read.prerequisites == entry.prerequisites,
        read.steps == entry.steps,
        read.solution == entry.solution,
        read.expected_outcome == entry.expected_outcome,
    ];
    all.into_iter().zip(kept).filter(|(_, kept)| !kept).map(|(name, _)| name).collect()
}

fn write(fields: &Map<String, Value>, escaped: &[&str]) -> String {
    let is_section = |name: &str| SECTIONS.iter().any(|(section, _)| *section == name);
    let mut text = String::from("---\n");
    // The id comes first: it is how an exported entry is told from a runbook.
    let first = ["id", "title", "category", "severity", "tags"];
    let rest = fields.keys().map(String::as_str).filter(|name| !first.contains(name));
    for name in first.into_iter().chain(rest) {
        if let Some(value) =
            fields.get(name).filter(|_| !is_section(name) || escaped.contains(&name))
        {
            let _ = write!(text, "{name}: ");
            yaml(&mut text, value);
            text.push('\n');
        }
    }
    text.push_str("---\n\n");
    heading(&mut text, fields);
    for (name, heading) in SECTIONS.iter().filter(|(name, _)| !escaped.contains(name)) {
        section(&mut text, heading, fields.get(*name));
    }
    text
}

/// The title, for people: the front matter has it too.
fn heading(text: &mut String, fields: &Map<String, Value>) {
    let title = fields.get("title").and_then(Value::as_str).unwrap_or_default();
    let plain = |c: char| c.is_alphanumeric() || " :.,-_()/".contains(c);
    let line: String = title.chars().map(|c| if plain(c) { c } else { ' ' }).collect();
    if runbook::names_no_section(&line) {
        let _ = write!(text, "# {}\n\n", line.trim());
    }
}

fn section(text: &mut String, heading: &str, value: Option<&Value>) {
    let body = match value {
        Some(Value::String(body)) => body.clone(),
        Some(Value::Array(items)) => {
            let items = items.iter().filter_map(Value::as_str).enumerate();
            items.map(|(at, item)| point(at + 1, item)).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    };
    if !body.is_empty() {
        let _ = write!(text, "## {heading}\n\n{body}\n\n");
    }
}

/// A numbered point; its further lines are moved right, so that they belong to it.
fn point(number: usize, item: &str) -> String {
    let marker = format!("{number}. ");
    let indent = format!("\n{}", " ".repeat(marker.len()));
    format!("{marker}{}", item.replace('\n', &indent))
}

/// A value in YAML's flow style.
fn yaml(text: &mut String, value: &Value) {
    match value {
        Value::String(string) => quoted(text, string),
        Value::Array(items) => {
            text.push('[');
            for (at, item) in items.iter().enumerate() {
                text.push_str(if at > 0 { ", " } else { "" });
                yaml(text, item);
            }
            text.push(']');
        }
        Value::Object(fields) => {
            text.push('{');
            for (at, (name, field)) in fields.iter().enumerate() {
                text.push_str(if at > 0 { ", " } else { "" });
                let _ = write!(text, "{name}: ");
                yaml(text, field);
            }
            text.push('}');
        }
        other => {
            let _ = write!(text, "{other}");
        }
    }
}

/// A string between quotes on one line, with nothing in it that YAML could take otherwise.
fn quoted(text: &mut String, string: &str) {
    text.push('"');
    for c in string.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            ' ' => text.push(c),
            c if c.is_ascii_graphic() || c.is_alphanumeric() => text.push(c),
            c => {
                let _ = write!(text, "\\U{:08X}", u32::from(c));
            }
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use std::sync::Arc;

    use crate::model::{
        AlertPattern, Author, Category, EntryText, Note, Provenance, Severity, SourceType,
        SummedUp, Tally, TextField, TextSource, Time, pattern_of,
    };

    fn read_back(entry: &Entry) -> Entry {
        let read = runbook::read("knowledge.md", &markdown(entry), Time::default());
        assert_eq!(read.len(), 1, "{}", markdown(entry));
        assert_eq!(read[0].warnings, Vec::<String>::new());
        read[0].entry.clone()
    }

    fn pattern(entry: &Entry) -> Option<Arc<AlertPattern>> {
        let cause = entry.root_cause.as_deref().unwrap_or_default();
        (entry.category == Category::AlertPattern)
            .then(|| pattern_of(&entry.id, &entry.title, cause, &entry.tags).into())
    }

    fn plain() -> Entry {
        let text = EntryText {
            description: "No space left.\n\n## Impact\n\nWrites fail.".to_owned(),
            root_cause: Some("Logs grow.".to_owned()),
            steps: vec!["Look:\n\n```sh\ndf -h\n```".to_owned(), "Delete.".to_owned()],
            solution: "Rotate the logs.".to_owned(),
            tags: vec!["DiskFull".to_owned(), "disk".to_owned()],
            ..EntryText::new("DiskFull", Category::AlertPattern, Severity::High)
        };
        let entry = Entry::new("kb-1".to_owned(), text, Time::from_millis(1_700_000_000_123));
        Entry { pattern: pattern(&entry), ..entry }
    }

    #[test]
    fn an_export_is_read_by_people() {
        let text = markdown(&plain());
        assert!(text.contains("# DiskFull\n\n## Description\n\nNo space left."), "{text}");
        assert!(text.contains("## Steps\n\n1. Look:\n   \n   ```sh\n   df -h\n   ```\n2. Delete."));
        assert_eq!(read_back(&plain()), plain());
    }

    #[test]
    fn many_entries_in_one_file_are_told_apart() {
        let mut other = plain();
        other.id = "kb-2".to_owned();
        Arc::make_mut(&mut other.text).solution = "a\n\n---\nid: \"x\"\n---\n".to_owned();
        let file = [plain(), other.clone(), plain()].map(|entry| markdown(&entry)).concat();
        let read = runbook::read("export.md", &file, Time::default());
        let entries: Vec<_> = read.into_iter().map(|parsed| parsed.entry).collect();
        assert_eq!(entries, [plain(), other, plain()]);
    }

    /// What Markdown or YAML may take for something else.
    const ODD: &str =
        "([#*`>~ \\-\n1.\\[:\"'\\\\{}&|\t\r]|---|```|## Fix|\n\n|a|Ab|é|\u{85}|\u{0}|id: \"){0,12}";

    fn words() -> impl Strategy<Value = String> {
        prop_oneof![Just(String::new()), "[a-z .\n]{1,30}", ODD]
    }

    prop_compose! {
        fn entries()(
            texts in proptest::collection::vec(words(), 8),
            lists in proptest::collection::vec(proptest::collection::vec(words(), 0..4), 5),
            numbers in proptest::collection::vec(0i64..=4_102_444_800_000, 6),
            category in 0usize..6, severity in 0usize..4, source in 0usize..6,
            rate in proptest::option::of(0.0f64..=1.0), some in any::<bool>(),
        ) -> Entry {
            let text = EntryText {
                description: texts[2].clone(),
                root_cause: Some(texts[3].clone()).filter(|cause| !cause.is_empty()),
                solution: texts[4].clone(),
                prerequisites: lists[0].clone(),
                steps: lists[1].clone(),
                expected_outcome: texts[5].clone(),
                tags: lists[2].clone(),
                related_entries: lists[3].clone(),
                runbook_url: some.then(|| format!("https://r/{}", texts[6])),
                ..EntryText::new(texts[1].clone(), Category::ALL[category], Severity::ALL[severity])
            };
            let source_of = TextSource {
                by: Author::Person, name: texts[7].clone(), at: Time::from_millis(numbers[5]),
            };
            let provenance = Provenance {
                source_type: SourceType::ALL[source],
                source_model: texts[7].clone(),
                derived_from: lists[4].clone(),
                evidence_date: some.then(|| "2026-11-24".to_owned()),
                texts: some.then_some((TextField::Solution, source_of)).into_iter().collect(),
            };
            let note = Note { text: texts[2].clone(), author: "ops".into(), at: Time::default() };
            let tally = Tally {
                occurrences: numbers[2], resolved: numbers[3], superseded: 0, resolve_ms: numbers[4],
            };
            let id = format!("kb-{}", texts[0]);
            let entry = Entry::new(id, text, Time::from_millis(numbers[0]));
            Entry {
                provenance: Arc::new(provenance),
                pattern: pattern(&entry),
                version: 1 + numbers[0].unsigned_abs() % 9,
                written: Time::from_millis(numbers[1]),
                notes: Arc::new(some.then_some(note).into_iter().collect()),
                helped: numbers[0].unsigned_abs() % 7,
                summed_up: SummedUp { tally, stated_success_rate: rate, ..SummedUp::default() },
                ..entry
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_exported_is_imported_equal(entry in entries()) {
            prop_assert_eq!(read_back(&entry), entry);
        }

        #[test]
        fn a_file_of_entries_is_imported_equal(many in proptest::collection::vec(entries(), 1..4)) {
            let file: String = many.iter().map(markdown).collect();
            let read = runbook::read("export.md", &file, Time::default());
            let read: Vec<_> = read.into_iter().map(|parsed| parsed.entry).collect();
            prop_assert_eq!(read, many);
        }
    }
}
