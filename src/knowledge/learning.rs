//! What alerts teach: which pattern they are of, and its text. The one place where the learning
//! rule stands; figures are no part of it, they are folds over the stored instances.

use std::{borrow::Cow, sync::Arc};

use crate::model::{
    AlertPattern, Author, Category, Entry, EntryText, Provenance, ReceivedAlert, SourceType,
    TextField, TextSource, Time, is_web_url, pattern_id, pattern_title,
};

/// Labels whose values say what a pattern is about and of which there are few; a label such as
/// `instance` or `pod` would make an entry grow with every machine.
const TAG_LABELS: [&str; 9] =
    ["alertname", "cause", "job", "service", "component", "team", "namespace", "cluster", "agent"];
const MAX_TAG_CHARS: usize = 50;
/// Annotations in which rule authors write what helps, the usual one first.
const SOLUTION_ANNOTATIONS: [&str; 5] =
    ["solution", "resolution", "mitigation", "remediation", "action"];
/// Lines of the annotation `steps` that are taken.
const MAX_STEPS: usize = 200;

/// The pattern of these alerts, as the first of them makes it and the later ones refresh it.
pub fn pattern(of: &AlertPattern, first: &ReceivedAlert, later: &[&ReceivedAlert]) -> Entry {
    let AlertPattern { alertname, cause } = of;
    let now = first.received_at;
    let text = EntryText {
        root_cause: Some(cause.clone()).filter(|cause| !cause.is_empty()),
        ..EntryText::new(
            pattern_title(alertname, cause),
            Category::AlertPattern,
            first.entry_severity,
        )
    };
    let provenance = Provenance {
        source_type: SourceType::AlertPattern,
        source_model: "alertmanager".into(),
        derived_from: vec![first.fingerprint.clone()],
        evidence_date: now.to_string().get(..10).map(str::to_owned),
        ..Provenance::default()
    };
    let entry = Entry {
        provenance: Arc::new(provenance),
        pattern: Some(Arc::new(of.clone())),
        ..Entry::new(pattern_id(alertname, cause), text, now)
    };
    let learn = |entry, alert: &&ReceivedAlert| refreshed(&entry, alert).unwrap_or(entry);
    std::iter::once(&first).chain(later).fold(entry, learn)
}

/// The pattern with its text refreshed by an alert of it, if that changes anything: field by field
/// the newest alert's non-empty value wins, and the highest severity is kept, unless a person has
/// edited the field.
///
/// The newest alert is the one that began last; of several that began at once, the one of the
/// highest fingerprint, so that they do not take turns.
pub fn refreshed(pattern: &Entry, alert: &ReceivedAlert) -> Option<Entry> {
    let mut pattern = Cow::Borrowed(pattern);
    let edited = pattern.provenance.is_edited(TextField::Severity);
    if alert.entry_severity > pattern.severity && !edited {
        Arc::make_mut(&mut pattern.to_mut().text).severity = alert.entry_severity;
    }
    let began = alert.starts_at.unwrap_or(alert.received_at);
    for field in TextField::NEWEST_WINS {
        if is_newest(&pattern, field, alert, began)
            && let Some(value) = Value::of(field, alert)
            && !value.is_in(&pattern.text)
        {
            let pattern = pattern.to_mut();
            value.write_to(Arc::make_mut(&mut pattern.text));
            let source =
                TextSource { by: Author::Alert, name: alert.fingerprint.clone(), at: began };
            Arc::make_mut(&mut pattern.provenance).texts.insert(field, source);
        }
    }
    match pattern {
        Cow::Borrowed(_) => None,
        Cow::Owned(refreshed) => Some(refreshed),
    }
}

/// Whether the alert is newer than what the field holds. A text of unknown origin, from before
/// origins were noted, may be a person's and stays.
fn is_newest(pattern: &Entry, field: TextField, alert: &ReceivedAlert, began: Time) -> bool {
    match pattern.provenance.texts.get(&field) {
        Some(source) => {
            let known = (source.at, source.name.as_str());
            source.by == Author::Alert && (began, alert.fingerprint.as_str()) >= known
        }
        None => is_empty(&pattern.text, field),
    }
}

/// Whether alerts alone made the difference between two texts of an entry, whoever of them, and
/// whichever process heard them.
pub fn is_learned(before: &Entry, after: &Entry) -> bool {
    if before.text == after.text || after.category != Category::AlertPattern {
        return false;
    }
    let mut text = EntryText::clone(&before.text);
    if !after.provenance.is_edited(TextField::Severity) {
        text.severity = after.severity;
    }
    for (field, source) in &after.provenance.texts {
        if source.by == Author::Alert {
            copy(*field, &after.text, &mut text);
        }
    }
    text == *after.text
}

fn copy(field: TextField, from: &EntryText, to: &mut EntryText) {
    match field {
        TextField::Description => to.description.clone_from(&from.description),
        TextField::Solution => to.solution.clone_from(&from.solution),
        TextField::RunbookUrl => to.runbook_url.clone_from(&from.runbook_url),
        TextField::Steps => to.steps.clone_from(&from.steps),
        TextField::Tags => to.tags.clone_from(&from.tags),
        TextField::Severity => to.severity = from.severity,
    }
}

fn is_empty(text: &EntryText, field: TextField) -> bool {
    match field {
        TextField::Description => text.description.is_empty(),
        TextField::Solution => text.solution.is_empty(),
        TextField::RunbookUrl => text.runbook_url.is_none(),
        TextField::Steps => text.steps.is_empty(),
        TextField::Tags => text.tags.is_empty(),
        TextField::Severity => false,
    }
}

/// What an alert says for one field.
enum Value<'a> {
    Description(&'a str),
    Solution(&'a str),
    RunbookUrl(&'a str),
    Steps(Vec<&'a str>),
    Tags(Vec<&'a str>),
}

impl<'a> Value<'a> {
    /// `None` where the alert says nothing.
    fn of(field: TextField, alert: &'a ReceivedAlert) -> Option<Self> {
        let annotation = |names: &[&str]| {
            let found = names.iter().filter_map(|name| alert.annotations.get(*name));
            found.map(String::as_str).find(|text| !text.trim().is_empty())
        };
        match field {
            TextField::Description => {
                annotation(&["description", "summary", "message"]).map(Self::Description)
            }
            TextField::Solution => annotation(&SOLUTION_ANNOTATIONS).map(Self::Solution),
            TextField::RunbookUrl => {
                let url = annotation(&["runbook_url", "runbook"]).map(str::trim);
                url.filter(|url| is_web_url(url)).map(Self::RunbookUrl)
            }
            TextField::Steps => {
                let lines = annotation(&["steps"])?.lines().map(str::trim);
                Some(Self::Steps(lines.filter(|line| !line.is_empty()).take(MAX_STEPS).collect()))
            }
            TextField::Tags => Some(tags(alert)).filter(|tags| !tags.is_empty()).map(Self::Tags),
            TextField::Severity => None,
        }
    }

    fn is_in(&self, text: &EntryText) -> bool {
        match self {
            Self::Description(value) => text.description == *value,
            Self::Solution(value) => text.solution == *value,
            Self::RunbookUrl(value) => text.runbook_url.as_deref() == Some(value),
            Self::Steps(value) => text.steps == *value,
            Self::Tags(value) => text.tags == *value,
        }
    }

    fn write_to(self, text: &mut EntryText) {
        let owned = |list: Vec<&str>| list.into_iter().map(str::to_owned).collect();
        match self {
            Self::Description(value) => text.description = value.to_owned(),
            Self::Solution(value) => text.solution = value.to_owned(),
            Self::RunbookUrl(value) => text.runbook_url = Some(value.to_owned()),
            Self::Steps(value) => text.steps = owned(value),
            Self::Tags(value) => text.tags = owned(value),
        }
    }
}

fn tags(alert: &ReceivedAlert) -> Vec<&str> {
    let mut tags: Vec<&str> = Vec::new();
    for name in TAG_LABELS {
        let Some(value) = alert.labels.get(name) else { continue };
        let fits = !value.is_empty() && value.chars().count() <= MAX_TAG_CHARS;
        if fits && !tags.contains(&value.as_str()) {
            tags.push(value);
        }
    }
    tags
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Severity, Status};

    fn alert(began: i64, annotations: &[(&str, &str)]) -> ReceivedAlert {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        ReceivedAlert {
            fingerprint: format!("f{began}"),
            starts_at: Some(Time::from_millis(began)),
            ends_at: None,
            status: Status::Firing,
            name: "DiskFull".into(),
            cause: None,
            severity: "warning".into(),
            entry_severity: Severity::Medium,
            message: String::new(),
            labels: [("team".to_owned(), format!("team-{began}"))].into(),
            annotations: annotations.iter().map(owned).collect(),
            generator_url: None,
            receiver: None,
            received_at: Time::from_millis(began),
        }
    }

    fn made_of(alert: &ReceivedAlert) -> Entry {
        pattern(&AlertPattern { alertname: "DiskFull".into(), cause: String::new() }, alert, &[])
    }

    fn refresh(entry: &mut Entry, alert: &ReceivedAlert) -> bool {
        let refreshed = refreshed(entry, alert);
        refreshed.map(|refreshed| *entry = refreshed).is_some()
    }

    #[test]
    fn the_newest_alert_wins_field_by_field_and_an_empty_value_never() {
        let mut entry = made_of(&alert(5, &[("description", "old"), ("solution", "wipe logs")]));
        assert!(refresh(&mut entry, &alert(9, &[("description", "new"), ("solution", " ")])));
        assert!(!refresh(&mut entry, &alert(7, &[("description", "late")])));
        assert_eq!((&*entry.description, &*entry.solution), ("new", "wipe logs"));
        assert_eq!(entry.provenance.texts[&TextField::Description].name, "f9");
        assert_eq!(entry.provenance.texts[&TextField::Solution].name, "f5");
        assert_eq!(entry.tags, ["team-9"]);
    }

    #[test]
    fn what_a_person_edited_stays() {
        let mut entry = made_of(&alert(5, &[("description", "old")]));
        let person = TextSource { by: Author::Person, name: "ops".into(), at: Time::default() };
        Arc::make_mut(&mut entry.provenance).texts.insert(TextField::Description, person);
        refresh(&mut entry, &alert(9, &[("description", "new"), ("runbook_url", "https://r")]));
        assert_eq!(entry.description, "old");
        assert_eq!(entry.runbook_url.as_deref(), Some("https://r"));
    }

    #[test]
    fn what_alerts_changed_is_told_from_what_a_person_did() {
        let before = made_of(&alert(5, &[("description", "old")]));
        let mut after = before.clone();
        assert!(!is_learned(&before, &after));
        refresh(&mut after, &alert(9, &[("description", "new"), ("steps", "look")]));
        assert!(is_learned(&before, &after));
        Arc::make_mut(&mut after.text).title = "Renamed".into();
        assert!(!is_learned(&before, &after));
        let mut edited = before.clone();
        let person = TextSource { by: Author::Person, name: "ops".into(), at: Time::default() };
        Arc::make_mut(&mut edited.provenance).texts.insert(TextField::Description, person);
        Arc::make_mut(&mut edited.text).description = "by hand".into();
        assert!(!is_learned(&before, &edited));
    }

    #[test]
    fn only_web_addresses_are_taken() {
        for (url, taken) in [("javascript:alert(1)", None), ("HTTPS://r/d", Some("HTTPS://r/d"))] {
            let entry = made_of(&alert(1, &[("runbook_url", url)]));
            assert_eq!(entry.runbook_url.as_deref(), taken);
        }
    }

    #[test]
    fn the_highest_severity_is_kept() {
        let mut entry = made_of(&alert(5, &[]));
        refresh(&mut entry, &ReceivedAlert { entry_severity: Severity::Critical, ..alert(1, &[]) });
        refresh(&mut entry, &ReceivedAlert { entry_severity: Severity::Low, ..alert(9, &[]) });
        assert_eq!(entry.severity, Severity::Critical);
    }
}
