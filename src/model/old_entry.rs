//! Entries as earlier programs wrote them.
//!
//! A database of the old orchestrator must open, and one of this service's first version: their
//! documents hold counters where today's have sums, and the old orchestrator's lack fields, name
//! categories and severities of their own, and write times as numbers, strings or BSON dates.
//! [`OldEntry`] understands all of them; documents with a `version` are of today's form.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    AlertPattern, Category, Entry, EntryText, Figures, Note, Provenance, Severity, SourceType,
    SummedUp, Tally, Time, epoch_ms_opt, is_web_url, pattern_of,
};

/// An entry of an earlier form: its text, and counters that include the stored instances.
#[derive(Clone, Debug, PartialEq)]
pub struct OldEntry {
    entry: Entry,
    counted: Tally,
}

impl OldEntry {
    /// The entry in `document`, or `None` if it has neither an id nor a title to be found by.
    ///
    /// Understands extended JSON's `$date`, `$numberLong`, `$numberDouble` and `$oid`.
    pub fn parse(document: &Value) -> Option<Self> {
        let fields = document.as_object()?;
        let text = |name: &str| fields.get(name).and_then(as_text).unwrap_or_default();
        let list = |name: &str| fields.get(name).map(as_texts).unwrap_or_default();
        let time =
            |names: &[&str]| names.iter().find_map(|name| fields.get(*name).and_then(as_time));
        let count = |name: &str| fields.get(name).and_then(as_number).map(|n| n as i64);

        let title = Some(text("title")).filter(|t| !t.is_empty()).unwrap_or_else(|| text("name"));
        let id =
            [text("id"), fields.get("_id").and_then(as_text).unwrap_or_default(), title.clone()]
                .into_iter()
                .find(|id| !id.is_empty())?;
        let last = time(&["lastUpdated", "updatedAt", "lastSeen"]);
        let first = time(&["firstSeen", "createdAt"]).or(last).unwrap_or_default();
        let category = category(&text("category"), &id);
        let resolved = count("resolutions").unwrap_or(0).max(0);
        let stated = resolved == 0 && fields.get("firing").is_none_or(Value::is_null);
        let success_rate = fields.get("successRate").and_then(as_number);
        let entry = Entry {
            provenance: fields.get("provenance").map(provenance).unwrap_or_default().into(),
            written: last.unwrap_or(first),
            summed_up: SummedUp {
                stated_success_rate: success_rate.map(|r| r.clamp(0.0, 1.0)).filter(|_| stated),
                stated_mean_ms: count("meanTimeToResolveMs").filter(|_| stated),
                ..SummedUp::default()
            },
            ..Entry::new(
                id.clone(),
                EntryText {
                    description: text("description"),
                    root_cause: Some(text("rootCause")).filter(|cause| !cause.is_empty()),
                    solution: text("solution"),
                    prerequisites: list("prerequisites"),
                    steps: list("steps"),
                    expected_outcome: text("expectedOutcome"),
                    tags: list("tags"),
                    related_entries: list("relatedEntries"),
                    runbook_url: Some(text("runbookUrl")).filter(|url| is_web_url(url)),
                    ..EntryText::new(
                        if title.is_empty() { id } else { title },
                        category,
                        severity(&text("severity")),
                    )
                },
                first,
            )
        };
        let counted = Tally {
            occurrences: count("occurrences").unwrap_or(1).max(0),
            resolved,
            superseded: 0,
            resolve_ms: count("resolveMs").unwrap_or(0).max(0),
        };
        Some(Self { entry: Entry { pattern: pattern(&entry), ..entry }, counted })
    }

    /// The id of the entry.
    pub fn id(&self) -> &str {
        &self.entry.id
    }

    /// When it last changed, which tells the latest of several with one id.
    pub fn written(&self) -> Time {
        self.entry.written
    }

    /// The entry in today's form: of what was counted, what the instances `stored` now do not say
    /// is what retention had summed up.
    pub fn into_entry(self, stored: &Figures) -> Entry {
        let rest = self.counted.minus(stored.tally);
        let tally = Tally {
            occurrences: rest.occurrences.max(0),
            resolved: rest.resolved.max(0),
            superseded: 0,
            resolve_ms: rest.resolve_ms.max(0),
        };
        let summed_up = SummedUp { tally, ..self.entry.summed_up };
        Entry { summed_up, ..self.entry }
    }
}

/// A document of the knowledge base, of today's form or of an earlier one.
#[derive(Clone, Debug, PartialEq)]
pub enum EntryDocument {
    /// Of today's form.
    Current(Box<Entry>),
    /// Of an earlier form.
    Old(Box<OldEntry>),
}

impl EntryDocument {
    /// The entry in `document`, as an export or a MongoDB holds it; `None` if it has neither an
    /// id nor a title to be found by.
    pub fn parse(document: &Value) -> Option<Self> {
        let old = OldEntry::parse(document)?;
        let Some(mut kept) = Kept::of(document) else { return Some(Self::Old(Box::new(old))) };
        kept.text.runbook_url = kept.text.runbook_url.filter(|url| is_web_url(url));
        let entry = Entry {
            text: Arc::new(kept.text),
            provenance: kept.provenance.map_or(old.entry.provenance, Arc::new),
            pattern: kept.pattern.map(Arc::new).or(old.entry.pattern),
            version: kept.version.max(1),
            written: kept.written.unwrap_or(old.entry.written),
            notes: Arc::new(kept.notes),
            helped: kept.helped,
            not_helped: kept.not_helped,
            summed_up: kept.summed_up,
            ..old.entry
        };
        Some(Self::Current(Box::new(entry)))
    }

    /// The entry, given what its stored instances say.
    pub fn into_entry(self, stored: &Figures) -> Entry {
        match self {
            Self::Current(entry) => *entry,
            Self::Old(old) => old.into_entry(stored),
        }
    }
}

/// What documents of today's form have and earlier ones have not.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    #[serde(flatten)]
    text: EntryText,
    version: u64,
    summed_up: SummedUp,
    #[serde(default)]
    pattern: Option<AlertPattern>,
    #[serde(default)]
    provenance: Option<Provenance>,
    #[serde(default, with = "epoch_ms_opt")]
    written: Option<Time>,
    #[serde(default)]
    notes: Vec<Note>,
    #[serde(default)]
    helped: u64,
    #[serde(default)]
    not_helped: u64,
}

impl Kept {
    fn of(document: &Value) -> Option<Self> {
        document.get("version")?;
        serde_json::from_value(document.clone()).ok()
    }
}

fn pattern(entry: &Entry) -> Option<Arc<AlertPattern>> {
    let cause = entry.root_cause.as_deref().unwrap_or_default();
    (entry.category == Category::AlertPattern)
        .then(|| pattern_of(&entry.id, &entry.title, cause, &entry.tags).into())
}

fn category(name: &str, id: &str) -> Category {
    let known = Category::parse(&name.to_ascii_lowercase().replace('-', "_"));
    known.unwrap_or(if id.starts_with("kb-alert-") {
        Category::AlertPattern
    } else {
        Category::Troubleshooting
    })
}

fn severity(name: &str) -> Severity {
    let name = name.to_ascii_lowercase();
    Severity::parse(&name).unwrap_or_else(|| Severity::of_alert(&name))
}

fn provenance(value: &Value) -> Provenance {
    let empty = Map::new();
    let fields = value.as_object().unwrap_or(&empty);
    let text = |name: &str| fields.get(name).and_then(as_text).unwrap_or_default();
    Provenance {
        source_type: SourceType::parse(&text("sourceType")),
        source_model: text("sourceModel"),
        derived_from: fields.get("derivedFrom").map(as_texts).unwrap_or_default(),
        evidence_date: Some(text("evidenceDate")).filter(|date| !date.is_empty()),
        ..Provenance::default()
    }
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Object(fields) => {
            fields.get("$oid").or_else(|| fields.get("$numberLong")).and_then(as_text)
        }
        Value::Array(parts) => {
            let lines: Vec<_> = parts.iter().filter_map(as_text).collect();
            Some(lines.join("\n"))
        }
        Value::Null => None,
    }
}

fn as_texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().filter_map(as_text).filter(|t| !t.is_empty()).collect(),
        other => as_text(other).filter(|text| !text.is_empty()).into_iter().collect(),
    }
}

fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok().filter(|n: &f64| n.is_finite()),
        Value::Object(fields) => ["$numberLong", "$numberDouble", "$numberInt", "$numberDecimal"]
            .iter()
            .find_map(|name| fields.get(*name).and_then(as_number)),
        _ => None,
    }
}

fn as_time(value: &Value) -> Option<Time> {
    match value {
        Value::String(text) => Time::parse(text)
            .or_else(|| Time::parse(&format!("{}T00:00:00Z", text.trim())))
            .or_else(|| text.trim().parse().ok().map(Time::from_millis)),
        Value::Object(fields) => match fields.get("$date") {
            Some(inner) => as_time(inner),
            None => as_number(value).map(|ms| Time::from_millis(ms as i64)),
        },
        _ => as_number(value).map(|ms| Time::from_millis(ms as i64)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(document: &Value) -> Entry {
        OldEntry::parse(document).unwrap().into_entry(&Figures::default())
    }

    #[test]
    fn what_stored_instances_say_is_taken_off_the_counters() {
        let old = OldEntry::parse(&json!({
            "id": "kb", "title": "Disk", "category": "alert_pattern", "occurrences": 7,
            "resolutions": 5, "resolveMs": 500, "firing": 1,
        }));
        let tally = Tally { occurrences: 3, resolved: 2, superseded: 0, resolve_ms: 100 };
        let stored = Figures { tally, firing: 1, ..Figures::default() };
        let entry = Entry { figures: stored, ..old.unwrap().into_entry(&stored) };
        assert_eq!(entry.summed_up.tally.occurrences, 4);
        assert_eq!((entry.occurrences(), entry.success_rate()), (7, Some(5.0 / 7.0)));
        assert_eq!((entry.mean_time_to_resolve_ms(), entry.firing()), (Some(100), Some(1)));
    }

    #[test]
    fn an_entry_of_the_old_orchestrator_is_read() {
        let entry = read(&json!({
            "_id": {"$oid": "65f0c0ffee0123456789abcd"}, "id": "kb-1", "title": "Disk full",
            "category": "incident", "severity": "urgent", "tags": "disk",
            "firstSeen": {"$date": "2026-02-01T10:00:00Z"}, "lastSeen": "2026-02-03T10:00:00.5Z",
            "occurrences": {"$numberLong": "7"}, "successRate": "0.5", "steps": ["a", 2, null],
        }));
        assert_eq!(entry.category, Category::Troubleshooting);
        assert_eq!(entry.severity, Severity::High);
        assert_eq!(entry.first_seen, Time::parse("2026-02-01T10:00:00Z").unwrap());
        assert_eq!(entry.last_updated(), Time::parse("2026-02-03T10:00:00.500Z").unwrap());
        assert_eq!((entry.occurrences(), entry.success_rate()), (7, Some(0.5)));
        assert_eq!(entry.steps, ["a", "2"]);
        assert_eq!(entry.tags, ["disk"]);
    }

    #[test]
    fn an_entry_with_nothing_but_an_object_id_is_read() {
        let entry = read(&json!({"_id": {"$oid": "65f0"}}));
        assert_eq!((entry.id.as_str(), entry.title.as_str()), ("65f0", "65f0"));
    }

    #[test]
    fn what_has_no_name_at_all_is_no_entry() {
        assert_eq!(OldEntry::parse(&json!({"severity": "low"})), None);
        assert_eq!(OldEntry::parse(&json!([1])), None);
    }

    proptest::proptest! {
        #[test]
        fn no_json_stops_the_load(text in r#"\{("(id|title|category|severity|tags|firstSeen|provenance|occurrences)":("[^"\\]{0,8}"|-?[0-9]{1,18}|null|\[1,"a"\]|\{"\$date":"x"\}),?){0,6}"_id":1\}"#) {
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                OldEntry::parse(&value);
            }
        }
    }
}
