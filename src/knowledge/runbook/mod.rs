//! Markdown runbooks to entries.
//!
//! A runbook is written by people for people, so nothing in it is an error: what is missing is
//! left empty, what is odd is taken as far as it goes, and each oddity is told as a warning that
//! names the file. What `knowledge::export` writes is read back here, too.

mod blocks;
mod exported;
mod front_matter;
mod sections;

use std::sync::Arc;

use sha2::{Digest, Sha256};

use self::front_matter::{FrontMatter, text, texts};
use self::sections::{Part, Section};
use crate::model::{Category, Entry, EntryText, Provenance, Severity, SourceType, Time};

/// What became of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// The entry.
    pub entry: Entry,
    /// What was odd about the file, each a sentence that names it.
    pub warnings: Vec<String>,
}

/// The name of the alert that the file is about: its name without folders and ending.
pub fn stem(file_name: &str) -> &str {
    let name = file_name.rsplit(['/', '\\']).next().unwrap_or(file_name);
    match name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => name,
    }
}

/// The id of the entry made from the runbook for `alert`: importing again finds it.
pub fn id_for(alert: &str) -> String {
    format!("kb-runbook-{}", &hex::encode(Sha256::digest(alert.as_bytes()))[..16])
}

/// Whether a heading of this text would name the whole and no part of it.
pub(super) fn names_no_section(heading: &str) -> bool {
    !heading.trim().is_empty() && sections::part_of(heading).is_none()
}

/// All entries in a file: one, or as many as an export wrote into it.
pub fn read(file_name: &str, markdown: &str, now: Time) -> Vec<Parsed> {
    exported::split(markdown).into_iter().map(|part| parse(file_name, part, now)).collect()
}

/// The entry in a file. `now` is when the file was last changed.
pub fn parse(file_name: &str, markdown: &str, now: Time) -> Parsed {
    let mut warnings = Vec::new();
    let front = front_matter::read(markdown);
    warnings.extend(front.warning.clone());
    let closed = sections::close_fence(front.body);
    if closed.is_some() {
        warnings.push("a code fence is not closed".to_owned());
    }
    let cut = sections::cut(closed.as_deref().unwrap_or(front.body));
    if front.fields.contains_key("id") {
        // Written by an export: a part that is not there was empty.
    } else if cut.sections.iter().all(|section| section.text.trim().is_empty()) {
        warnings.push("it holds no text".to_owned());
    } else if !cut.sections.iter().any(|section| section.known) {
        warnings.push("no heading of a runbook is in it; all text became the description".into());
    }
    let mut entry = named(file_name, &front, cut.title, now);
    fill(Arc::make_mut(&mut entry.text), &cut.sections);
    let entry = exported::restore(entry, front.fields, &mut warnings);
    let warnings = warnings.into_iter().map(|what| format!("{file_name}: {what}")).collect();
    Parsed { entry, warnings }
}

/// The entry with everything but the text of the sections.
fn named(file_name: &str, front: &FrontMatter<'_>, heading: Option<String>, now: Time) -> Entry {
    let alert = stem(file_name);
    let field = |name: &str| front.fields.get(name).and_then(text);
    let title = field("title").or(heading.filter(|heading| !heading.trim().is_empty()));
    let severity = field("severity")
        .map(|name| name.to_lowercase())
        .map(|name| Severity::parse(&name).unwrap_or_else(|| Severity::of_alert(&name)));
    let title = title.unwrap_or_else(|| alert.to_owned());
    let severity = severity.unwrap_or(Severity::Medium);
    let mut entry_text = EntryText::new(title, Category::Runbook, severity);
    entry_text.tags.push(alert.to_owned());
    for tag in ["aliases", "tags"].iter().filter_map(|name| front.fields.get(*name)).flat_map(texts)
    {
        if !entry_text.tags.iter().any(|known| known.eq_ignore_ascii_case(&tag)) {
            entry_text.tags.push(tag);
        }
    }
    let mut entry = Entry::new(id_for(alert), entry_text, now);
    entry.provenance = Arc::new(Provenance {
        source_type: SourceType::Runbook,
        source_model: "markdown".to_owned(),
        derived_from: vec![file_name.to_owned()],
        ..Provenance::default()
    });
    entry
}

fn fill(entry: &mut EntryText, sections: &[Section<'_>]) {
    entry.description = joined(sections, Part::Description);
    entry.root_cause = Some(joined(sections, Part::RootCause)).filter(|cause| !cause.is_empty());
    entry.solution = joined(sections, Part::Solution);
    entry.expected_outcome = joined(sections, Part::ExpectedOutcome);
    let listed = |part| -> Vec<String> {
        let sections = sections.iter().filter(|section| section.part == part);
        sections.flat_map(|section| blocks::steps(section.text)).collect()
    };
    entry.prerequisites = listed(Part::Prerequisites);
    entry.steps = listed(Part::Steps);
}

/// The text of all sections of one part. From the second on each keeps its heading, as does one
/// whose heading is not known here: what it says there is not told by the name of the field.
fn joined(sections: &[Section<'_>], part: Part) -> String {
    let mut text = String::new();
    for section in sections.iter().filter(|section| section.part == part) {
        let body = section.text.trim();
        if body.is_empty() {
            continue;
        }
        let heading = section.heading.filter(|_| !section.known || !text.is_empty());
        for piece in heading.into_iter().chain([body]) {
            if !text.is_empty() {
                text.push_str("\n\n");
            }
            text.push_str(piece);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISK_FULL: &str = "---\ntitle: Disk full\naliases: [DiskAlmostFull]\ntags: disk, ops\n---\n\n# DiskFull\n\nPaged on Mondays.\n\n## Meaning\n\nNo space.\n\n## Impact\n\nWrites fail.\n\n## Diagnosis\n\nLook:\n\n```sh\ndf -h\n```\n\n- big files\n- old logs\n\n## Root cause\n\nLogs grow.\n\n## Mitigation\n\nDelete.\n\n## Escalation\n\nCall storage.\n\n## Notes\n\nSee wiki.\n";

    fn parsed(file: &str, markdown: &str) -> Parsed {
        parse(file, markdown, Time::from_millis(5))
    }

    #[test]
    fn a_runbook_becomes_an_entry() {
        let Parsed { entry, warnings } = parsed("books/DiskFull.md", DISK_FULL);
        assert_eq!(warnings, Vec::<String>::new());
        assert_eq!((entry.title.as_str(), entry.category), ("Disk full", Category::Runbook));
        assert_eq!(
            entry.description,
            "Paged on Mondays.\n\n## Meaning\n\nNo space.\n\n## Impact\n\nWrites fail.\n\n\
             ## Notes\n\nSee wiki."
        );
        assert_eq!(entry.root_cause.as_deref(), Some("Logs grow."));
        assert_eq!(entry.steps, ["Look:\n\n```sh\ndf -h\n```", "big files", "old logs"]);
        assert_eq!(entry.solution, "Delete.\n\n## Escalation\n\nCall storage.");
        assert_eq!(entry.tags, ["DiskFull", "DiskAlmostFull", "disk", "ops"]);
        assert_eq!(entry.provenance.derived_from, ["books/DiskFull.md"]);
        assert_eq!((&*entry.id, entry.written), (&*id_for("DiskFull"), Time::from_millis(5)));
    }

    #[test]
    fn the_title_is_told_by_the_front_matter_or_a_heading_or_the_file() {
        assert_eq!(parsed("A.md", "# From heading\n\n## Fix\nx").entry.title, "From heading");
        assert_eq!(parsed("DiskFull.md", "## Fix\nx").entry.title, "DiskFull");
    }

    #[test]
    fn the_id_follows_the_alert_and_not_the_folder() {
        assert_eq!(parsed("a/DiskFull.md", "x").entry.id, parsed("DiskFull.md", "y").entry.id);
        assert_eq!(id_for("DiskFull").len(), "kb-runbook-".len() + 16);
    }

    #[test]
    fn what_is_odd_is_imported_with_a_warning_that_names_the_file() {
        for (markdown, warning) in [
            ("---\n: [\n---\n## Fix\nx", "front matter"),
            ("---\ntitle: a\n## Fix\nx", "not closed"),
            ("## Fix\nx\n```\nls", "fence"),
            ("just text: x", "no heading"),
            ("", "no text"),
        ] {
            let Parsed { entry, warnings } = parsed("Odd.md", markdown);
            let told = |text: &String| text.starts_with("Odd.md: ") && text.contains(warning);
            assert!(warnings.iter().any(told), "{markdown:?}: {warnings:?}");
            let text = format!("{}{}", entry.solution, entry.description);
            assert!(markdown.is_empty() || text.contains('x'), "{markdown:?}: {text:?}");
        }
    }

    #[test]
    fn a_fence_left_open_swallows_no_section() {
        let entry = parsed("A.md", "## Diagnosis\n```sh\nls\n\n## Mitigation\nx").entry;
        assert_eq!((entry.steps.len(), entry.solution.as_str()), (1, "x"));
    }

    proptest::proptest! {
        #[test]
        fn no_file_stops_the_import(text in "(---\n|title: |[a-z]: \\[|```|## Fix|## Meaning|[#>* \n\ta1.\\-]){0,40}") {
            parsed("Any.md", &text);
        }
    }
}
