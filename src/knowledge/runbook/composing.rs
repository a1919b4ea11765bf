//! From the parts of a file's text to its entries: one, one for each alert it is about, and what
//! they are called.

use std::{borrow::Cow, sync::Arc};

use super::{
    Parsed, alerts, blocks, clean, exported,
    front_matter::{self, FrontMatter, text, texts},
    links,
    origin::{self, Origin, id_for},
    sections::{self, Cut, Part, Section, Style},
    stem,
};
use crate::model::{
    Category, Entry, EntryText, Provenance, Severity, SeverityWords, SourceType, Time, is_web_url,
};

/// The entry that a part of an export is about.
pub(super) fn exported_entry(path: &str, part: &str, now: Time) -> Parsed {
    let front = front_matter::read(part);
    let mut warnings: Vec<String> = front.warning.clone().into_iter().collect();
    let closed = sections::close_fence(front.body);
    if closed.is_some() {
        warnings.push("a code fence is not closed".to_owned());
    }
    let cut = sections::cut(closed.as_deref().unwrap_or(front.body), Style::Exported);
    let words = SeverityWords::default();
    let file = File { origin: Origin::file("", path), path, now, words: &words };
    let mut entry = file.named(&front, None, cut.title.clone());
    fill(Arc::make_mut(&mut entry.text), &cut.sections);
    let entry = exported::restore(entry, front.fields, &mut warnings);
    let warnings = warnings.into_iter().map(|what| format!("{path}: {what}")).collect();
    Parsed { entry, origin: None, warnings }
}

/// A file whose text is to become entries.
pub(super) struct File<'a> {
    /// Where it is from.
    pub origin: Origin,
    /// From its source's folder down.
    pub path: &'a str,
    /// When it was last changed.
    pub now: Time,
    /// What severities mean.
    pub words: &'a SeverityWords,
}

impl File<'_> {
    /// All entries in its text.
    pub fn read(&self, markdown: &str) -> Vec<Parsed> {
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
        let severity = severity.map_or(Severity::Medium, |word| self.words.of_alert(&word));
        let title = title.or_else(|| own.map(str::to_owned)).unwrap_or_else(|| "Runbook".into());
        let url = ["runbook_url", "runbookUrl", "runbook", "url"].into_iter().find_map(field);
        let text = EntryText {
            tags: tags(front, alert, own, heading.as_deref()),
            runbook_url: url.filter(|url| is_web_url(url)),
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
