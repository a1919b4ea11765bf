//! Runbooks to entries: Markdown and AsciiDoc, as people keep them.
//!
//! A runbook is written by people for people, so nothing in it is an error: what is missing is
//! left empty, what is odd is taken as far as it goes, and each oddity is told as a warning that
//! names the file. `headings.txt` knows what parts of runbooks are called, `alerts` takes files
//! apart that are about several, `placing` finds the entry that a text belongs to, `links` the
//! alerts. What `knowledge::export` writes is read back here, too.

mod alerts;
mod asciidoc;
mod blocks;
mod clean;
mod decode;
mod exported;
mod front_matter;
mod headings;
pub mod links;
mod origin;
mod phrases;
mod placing;
mod sections;

use std::{borrow::Cow, sync::Arc};

pub use self::{
    decode::{Decoded, decode},
    origin::{Origin, id_for, source_name},
    placing::{Placed, place},
};
use self::{
    front_matter::{FrontMatter, text, texts},
    sections::{Cut, Part, Section, Style},
};
use crate::model::{Category, Entry, EntryText, Provenance, Severity, SourceType, Time};

/// What became of a file, or of what it says about one of its alerts.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// The entry; its id is not yet that of the entry it belongs to, see [`place`].
    pub entry: Entry,
    /// Where it is from; none for what an export wrote, which has its id.
    pub origin: Option<Origin>,
    /// What was odd about the file, each a sentence that names it.
    pub warnings: Vec<String>,
}

/// What is done with a file, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is read.
    Runbook,
    /// It is a text that lies beside runbooks, like a licence.
    Beside,
    /// It is of no kind that is read here.
    Unsupported,
}

/// What is done with a file of this name.
pub fn kind_of(file_name: &str) -> Kind {
    let ending = file_name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    match ending.as_deref() {
        Some("md" | "markdown" | "mdown" | "mkd" | "adoc" | "asciidoc") => {
            if phrases::is_no_runbook(stem(file_name)) { Kind::Beside } else { Kind::Runbook }
        }
        _ if phrases::is_no_runbook(stem(file_name)) => Kind::Beside,
        _ => Kind::Unsupported,
    }
}

/// The name of the file without folders and ending.
pub fn stem(file_name: &str) -> &str {
    let name = file_name.rsplit(['/', '\\']).next().unwrap_or(file_name);
    match name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => name,
    }
}

/// Whether a heading of this text would name the whole and no part of it.
pub(super) fn names_no_section(heading: &str) -> bool {
    !heading.trim().is_empty() && phrases::heading(heading).is_none()
}

/// All entries in a file without a source; see [`read_file`].
pub fn read(path: &str, text: &str, now: Time) -> Vec<Parsed> {
    read_file("", path, text, now)
}

/// All entries in a file of a source: one, one for each alert that it is about, or as many as an
/// export wrote into it; none if it says nothing. `now` is when it was last changed.
pub fn read_file(source: &str, path: &str, text: &str, now: Time) -> Vec<Parsed> {
    if exported::is_export(text) {
        let parts = exported::split(text).into_iter();
        return parts.map(|part| exported_entry(path, part, now)).collect();
    }
    let file = File { origin: Origin::file(source, &origin::plain_path(path)), path, now };
    let lower = path.to_ascii_lowercase();
    if lower.ends_with(".adoc") || lower.ends_with(".asciidoc") {
        file.read(&asciidoc::to_markdown(text))
    } else {
        file.read(text)
    }
}

fn exported_entry(path: &str, part: &str, now: Time) -> Parsed {
    let front = front_matter::read(part);
    let mut warnings: Vec<String> = front.warning.clone().into_iter().collect();
    let closed = sections::close_fence(front.body);
    if closed.is_some() {
        warnings.push("a code fence is not closed".to_owned());
    }
    let cut = sections::cut(closed.as_deref().unwrap_or(front.body), Style::Exported);
    let file = File { origin: Origin::file("", path), path, now };
    let mut entry = file.named(&front, None, cut.title.clone());
    fill(Arc::make_mut(&mut entry.text), &cut.sections);
    let entry = exported::restore(entry, front.fields, &mut warnings);
    let warnings = warnings.into_iter().map(|what| format!("{path}: {what}")).collect();
    Parsed { entry, origin: None, warnings }
}

struct File<'a> {
    origin: Origin,
    path: &'a str,
    now: Time,
}

impl File<'_> {
    fn read(&self, markdown: &str) -> Vec<Parsed> {
        let mut warnings = Vec::new();
        let front = front_matter::read(markdown);
        warnings.extend(front.warning.clone());
        let body = clean::clean(front.body);
        let body = match sections::close_fence(&body) {
            Some(closed) => {
                warnings.push("a code fence is not closed".to_owned());
                closed
            }
            None => body,
        };
        let mut parsed = match alerts::split(&body, &alerts_of(&front)) {
            Some(chapters) => self.chapters(&front, &chapters),
            None => self.whole(&front, &body).into_iter().collect(),
        };
        if let Some(first) = parsed.first_mut() {
            first.warnings.splice(0..0, warnings);
        }
        for parsed in &mut parsed {
            for warning in &mut parsed.warnings {
                *warning = format!("{}: {warning}", self.path);
            }
        }
        parsed
    }

    fn whole(&self, front: &FrontMatter<'_>, body: &str) -> Option<Parsed> {
        let (cut, mut warnings) = without_placeholders(sections::cut(body, Style::Written));
        if cut.sections.iter().all(|section| section.text.trim().is_empty()) {
            return None;
        }
        if !cut.sections.iter().any(|section| section.known) && warnings.is_empty() {
            warnings.push(
                "no heading of a runbook is in it; all text became the description".to_owned(),
            );
        }
        let mut entry = self.named(front, None, cut.title.clone());
        fill(Arc::make_mut(&mut entry.text), &cut.sections);
        Some(Parsed { entry, origin: Some(self.origin.clone()), warnings })
    }

    fn chapters(&self, front: &FrontMatter<'_>, chapters: &alerts::Chapters<'_>) -> Vec<Parsed> {
        let mut parsed: Vec<Parsed> = Vec::new();
        for chapter in &chapters.alerts {
            let (mut cut, mut warnings) =
                without_placeholders(sections::cut(chapter.text, Style::Written));
            let heading = cut.title.take();
            if cut.sections.iter().all(|section| section.text.trim().is_empty()) {
                continue;
            }
            let alert = alerts::alert_of(&chapter.title).to_owned();
            warnings.iter_mut().for_each(|warning| *warning = format!("{alert}: {warning}"));
            let mut entry = self.named(front, Some(&alert), None);
            fill(Arc::make_mut(&mut entry.text), &cut.sections);
            if let Some(heading) = heading.filter(|_| entry.description.is_empty()) {
                Arc::make_mut(&mut entry.text).description = heading;
            }
            let alert = Some(self.unique(&alert, &parsed));
            let origin = Origin { alert, ..self.origin.clone() };
            let provenance = Arc::make_mut(&mut entry.provenance);
            provenance.derived_from = vec![origin.to_string()];
            parsed.push(Parsed { entry, origin: Some(origin), warnings });
        }
        parsed.extend(self.rest(front, &chapters.rest));
        parsed
    }

    /// What a file about several alerts says besides, if it is more than a title.
    fn rest(&self, front: &FrontMatter<'_>, rest: &str) -> Option<Parsed> {
        let front = FrontMatter { warning: None, body: "", fields: front.fields.clone() };
        let (cut, _) = without_placeholders(sections::cut(rest, Style::Written));
        if cut.sections.iter().all(|section| section.text.trim().is_empty()) {
            return None;
        }
        let mut entry = self.named(&front, None, cut.title.clone());
        let alerts: Vec<String> = alerts_of(&front).iter().map(|name| alerts::key(name)).collect();
        Arc::make_mut(&mut entry.text).tags.retain(|tag| !alerts.contains(&alerts::key(tag)));
        fill(Arc::make_mut(&mut entry.text), &cut.sections);
        Some(Parsed { entry, origin: Some(self.origin.clone()), warnings: Vec::new() })
    }

    /// The name of a chapter, told from those before it that are called the same.
    fn unique(&self, alert: &str, before: &[Parsed]) -> String {
        let plain = origin::plain_path(alert);
        let taken = |name: &str| {
            let mut origins = before.iter().filter_map(|parsed| parsed.origin.as_ref());
            origins.any(|origin| origin.alert.as_deref() == Some(name))
        };
        let numbered = (2..).map(|n| format!("{plain} {n}"));
        let mut names = std::iter::once(plain.clone()).chain(numbered);
        names.find(|name| !taken(name)).unwrap_or_default()
    }

    /// The entry with everything but the text of the sections.
    fn named(
        &self,
        front: &FrontMatter<'_>,
        alert: Option<&str>,
        heading: Option<String>,
    ) -> Entry {
        let field = |name: &str| front.fields.get(name).and_then(text);
        let heading = heading.filter(|heading| !heading.trim().is_empty());
        let own = self.own_name();
        let title = match alert {
            Some(alert) => Some(alert.to_owned()),
            None => field("title").or_else(|| heading.clone()),
        };
        let severity = ["severity", "priority", "level"].into_iter().find_map(field);
        let severity = severity.map_or(Severity::Medium, |word| {
            Severity::parse(&word.to_lowercase()).unwrap_or_else(|| Severity::of_alert(&word))
        });
        let title = title.or_else(|| own.map(str::to_owned)).unwrap_or_else(|| "Runbook".into());
        let url = ["runbook_url", "runbookUrl", "runbook", "url"].into_iter().find_map(field);
        let text = EntryText {
            tags: tags(front, alert, own, heading.as_deref()),
            runbook_url: url.filter(|url| crate::knowledge::learning::is_web_url(url)),
            ..EntryText::new(title, Category::Runbook, severity)
        };
        let provenance = Provenance {
            source_type: SourceType::Runbook,
            source_model: "markdown".to_owned(),
            derived_from: vec![self.origin.to_string()],
            ..Provenance::default()
        };
        Entry {
            provenance: Arc::new(provenance),
            ..Entry::new(id_for(stem(self.path)), text, self.now)
        }
    }

    /// What the file is called: its name, or its folder's if it is the folder's page.
    fn own_name(&self) -> Option<&str> {
        let name = stem(self.path);
        if !links::is_index(name) {
            return Some(name);
        }
        let folder = self.path.rsplit_once('/').map_or("", |(folders, _)| folders);
        let folder = folder.rsplit('/').next().filter(|folder| !folder.is_empty());
        folder.or(Some(self.origin.source.as_str()).filter(|source| !source.is_empty()))
    }
}

/// The alerts that the front matter names.
fn alerts_of(front: &FrontMatter<'_>) -> Vec<String> {
    let names = ["alert", "alerts", "alertname", "alertnames"];
    names.iter().filter_map(|name| front.fields.get(*name)).flat_map(texts).collect()
}

/// The alert first, then what else it is found by.
fn tags(
    front: &FrontMatter<'_>,
    alert: Option<&str>,
    own: Option<&str>,
    heading: Option<&str>,
) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    let mut add = |tag: &str| {
        let known = tags.iter().any(|known| known.eq_ignore_ascii_case(tag));
        if !tag.is_empty() && !known {
            tags.push(tag.to_owned());
        }
    };
    match alert {
        Some(alert) => add(alert),
        None => {
            alerts_of(front).iter().for_each(|name| add(name));
            own.into_iter().for_each(&mut add);
            let heading = heading.filter(|heading| alerts::is_alert_name(heading));
            heading.into_iter().for_each(|heading| add(alerts::alert_of(heading)));
            front.fields.get("aliases").into_iter().flat_map(texts).for_each(|tag| add(&tag));
        }
    }
    front.fields.get("tags").into_iter().flat_map(texts).for_each(|tag| add(&tag));
    tags
}

/// The sections without what only stands where a text is to be written, and what is missing then.
fn without_placeholders(mut cut: Cut<'_>) -> (Cut<'_>, Vec<String>) {
    let mut missing = Vec::new();
    for section in &mut cut.sections {
        let was_empty = section.text.trim().is_empty();
        if let Cow::Borrowed(text) = section.text {
            section.text = blocks::without_placeholders(text);
        }
        if !was_empty && section.text.trim().is_empty() {
            missing.extend(match section.part {
                Part::Solution => Some("its solution"),
                Part::Steps => Some("what to look at"),
                _ => None,
            });
        }
    }
    missing.dedup();
    let told = missing.into_iter().map(|what| format!("{what} is still to be written")).collect();
    (cut, told)
}

fn fill(entry: &mut EntryText, sections: &[Section<'_>]) {
    entry.description = joined(sections, Part::Description);
    entry.root_cause = Some(joined(sections, Part::RootCause)).filter(|cause| !cause.is_empty());
    entry.solution = joined(sections, Part::Solution);
    entry.expected_outcome = joined(sections, Part::ExpectedOutcome);
    let listed = |part| -> Vec<String> {
        let sections = sections.iter().filter(|section| section.part == part);
        sections.flat_map(|section| blocks::steps(&section.text)).collect()
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

    fn all(path: &str, markdown: &str) -> Vec<Parsed> {
        read_file("books", path, markdown, Time::from_millis(5))
    }

    #[track_caller]
    fn one(path: &str, markdown: &str) -> Parsed {
        let mut parsed = all(path, markdown);
        assert_eq!(parsed.len(), 1, "{markdown}");
        parsed.remove(0)
    }

    #[test]
    fn a_runbook_becomes_an_entry() {
        let Parsed { entry, warnings, .. } = one("storage/DiskFull.md", DISK_FULL);
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
        assert_eq!(entry.provenance.derived_from, ["books:storage/DiskFull.md"]);
        assert_eq!(entry.written, Time::from_millis(5));
    }

    #[test]
    fn the_title_is_told_by_the_front_matter_or_a_heading_or_the_file_or_its_folder() {
        assert_eq!(one("A.md", "# From heading\n\n## Fix\nx").entry.title, "From heading");
        assert_eq!(one("DiskFull.md", "## Fix\nx").entry.title, "DiskFull");
        assert_eq!(one("db/mysql/README.md", "## Fix\nx").entry.title, "mysql");
        assert_eq!(one("README.md", "## Fix\nx").entry.title, "books");
    }

    #[test]
    fn it_is_found_by_its_alerts_whoever_names_them() {
        let tags = |path: &str, markdown: &str| one(path, markdown).entry.tags.clone();
        let front = "---\nalert: KubeNodeDown\ntags: [a]\n---\n# Kube node down\n## Fix\nx";
        assert_eq!(tags("kube-node-down.md", front), ["KubeNodeDown", "kube-node-down", "a"]);
        let front = "---\nalerts:\n  - One\n  - Two\n---\n## Fix\nx";
        assert_eq!(tags("both.md", front), ["One", "Two", "both"]);
        assert_eq!(tags("disk.md", "# Alert: `DiskFull`\n## Fix\nx"), ["disk", "DiskFull"]);
        assert_eq!(tags("mysql/README.md", "# MySQL\n## Fix\nx"), ["mysql"]);
    }

    #[test]
    fn a_file_about_several_alerts_gives_one_entry_for_each() {
        let markdown = "---\ntags: [svc]\n---\n# Service\nCall us.\n## Alerts\n### SvcDown\nIt is down.\nHow to **fix** it:\n1. restart\n### SvcSlow\nIt is slow.\nHow to **fix** it:\n1. scale\n";
        let parsed = all("Many.md", markdown);
        let seen: Vec<_> = parsed
            .iter()
            .map(|Parsed { entry, .. }| {
                (entry.title.as_str(), entry.description.as_str(), entry.solution.as_str())
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("SvcDown", "It is down.", "1. restart"),
                ("SvcSlow", "It is slow.", "1. scale"),
                ("Service", "Call us.", ""),
            ]
        );
        assert_eq!(parsed[0].entry.tags, ["SvcDown", "svc"]);
        assert_eq!(parsed[1].entry.provenance.derived_from, ["books:Many.md#SvcSlow"]);
    }

    #[test]
    fn what_is_still_to_be_written_is_no_solution() {
        let Parsed { entry, warnings, .. } =
            one("A.md", "## Meaning\nm\n## Diagnosis\nTBD\n## Mitigation\n\nTODO\n");
        assert_eq!((entry.solution.as_str(), entry.steps.len()), ("", 0));
        assert_eq!(
            warnings,
            [
                "A.md: what to look at is still to be written",
                "A.md: its solution is still to be written"
            ]
        );
    }

    #[test]
    fn what_is_odd_is_imported_with_a_warning_that_names_the_file() {
        for (markdown, warning) in [
            ("---\n: [\n---\n## Fix\nx", "front matter"),
            ("---\ntitle: a\n## Fix\nx", "not closed"),
            ("## Fix\nx\n```\nls", "fence"),
            ("just text: x", "no heading"),
        ] {
            let Parsed { entry, warnings, .. } = one("Odd.md", markdown);
            let told = |text: &String| text.starts_with("Odd.md: ") && text.contains(warning);
            assert!(warnings.iter().any(told), "{markdown:?}: {warnings:?}");
            let text = entry.solution.clone() + &entry.description;
            assert!(text.contains('x'), "{markdown:?}: {text:?}");
        }
    }

    #[test]
    fn a_file_that_says_nothing_is_no_entry() {
        for markdown in ["", "\n\n", "# Title\n", "---\ntitle: a\n---\n", "# A\n## Fix\nTODO\n"] {
            assert_eq!(all("A.md", markdown), [], "{markdown:?}");
        }
    }

    #[test]
    fn an_id_in_the_front_matter_makes_no_export() {
        let parsed = one("A.md", "---\nid: \"how-to\"\ntitle: T\n---\n## Fix\nx\n");
        assert_eq!((parsed.entry.title.as_str(), parsed.origin.is_some()), ("T", true));
        assert_ne!(parsed.entry.id, "how-to");
    }

    #[test]
    fn files_are_told_apart_by_their_names() {
        for name in ["A.md", "A.MD", "a/b.markdown", "A.adoc"] {
            assert_eq!(kind_of(name), Kind::Runbook, "{name}");
        }
        for name in ["LICENSE", "Contributing.md", "ATTRIBUTION.md", "docs/Changelog.md"] {
            assert_eq!(kind_of(name), Kind::Beside, "{name}");
        }
        assert_eq!(kind_of("a.pdf"), Kind::Unsupported);
    }

    #[test]
    fn a_fence_left_open_swallows_no_section() {
        let entry = one("A.md", "## Diagnosis\n```sh\nls\n\n## Mitigation\nx").entry;
        assert_eq!((entry.steps.len(), entry.solution.as_str()), (1, "x"));
    }

    proptest::proptest! {
        #[test]
        fn no_file_stops_the_import(
            text in "(---\n|\\+\\+\\+\n|title: |[a-z]: \\[|```|## Fix|### SvcDown\n|## Meaning|<!--|[#>* \n\ta1.\\-|=:é]){0,40}",
            path in "[a-zé./#:]{0,12}",
        ) {
            all(&path, &text);
            all(&format!("{path}.adoc"), &text);
        }
    }
}
