//! Runbooks to entries: Markdown and AsciiDoc, as people keep them.
//!
//! A runbook is written by people for people, so nothing in it is an error: what is missing is
//! left empty, what is odd is taken as far as it goes, and each oddity is reported as a warning that
//! names the file. `headings.txt` knows what parts of runbooks are called, `alerts` takes files
//! apart that are about several, `composing` makes the entries, `placing` finds the entry that a text belongs to, `links` the
//! alerts. What `knowledge::export` writes is read back here, too.

mod alerts;
mod asciidoc;
mod blocks;
mod clean;
mod composing;
mod decode;
mod exported;
mod front_matter;
mod headings;
pub mod links;
mod origin;
pub mod own;
mod phrases;
mod placing;
mod sections;

use self::composing::{File, exported_entry};
pub use self::{
    decode::{Decoded, decode},
    origin::{Origin, id_for, source_name},
    placing::{Placed, place},
};
use crate::model::{Entry, SeverityWords, Time};

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

/// All entries in a file without a source, severities in the usual words; see [`read_file`].
pub fn read(path: &str, text: &str, now: Time) -> Vec<Parsed> {
    read_file("", path, text, now, &SeverityWords::default())
}

/// All entries in a file of a source: one, one for each alert that it is about, or as many as an
/// export wrote into it; none if it says nothing. `now` is when it was last changed; `words` say
/// what severities mean, except in an export, which names them itself.
pub fn read_file(
    source: &str,
    path: &str,
    text: &str,
    now: Time,
    words: &SeverityWords,
) -> Vec<Parsed> {
    if exported::is_export(text) {
        let parts = exported::split(text).into_iter();
        return parts.map(|part| exported_entry(path, part, now)).collect();
    }
    let origin = Origin::file(source, &origin::plain_path(path));
    let file = File { origin, path, now, words };
    let lower = path.to_ascii_lowercase();
    if lower.ends_with(".adoc") || lower.ends_with(".asciidoc") {
        file.read(&asciidoc::to_markdown(text))
    } else {
        file.read(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Category;

    const DISK_FULL: &str = "---\ntitle: Disk full\naliases: [DiskAlmostFull]\ntags: disk, ops\n---\n\n# DiskFull\n\nPaged on Mondays.\n\n## Meaning\n\nNo space.\n\n## Impact\n\nWrites fail.\n\n## Diagnosis\n\nLook:\n\n```sh\ndf -h\n```\n\n- big files\n- old logs\n\n## Root cause\n\nLogs grow.\n\n## Mitigation\n\nDelete.\n\n## Escalation\n\nCall storage.\n\n## Notes\n\nSee wiki.\n";

    fn all(path: &str, markdown: &str) -> Vec<Parsed> {
        read_file("books", path, markdown, Time::from_millis(5), &SeverityWords::default())
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
