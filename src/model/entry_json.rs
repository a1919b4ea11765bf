//! An entry as it is shown and exported.

use serde::{Serialize, Serializer};

use super::{
    category::Category,
    entry::{AlertPattern, Entry, Note},
    figures::SummedUp,
    provenance::Provenance,
    severity::Severity,
    time::{Time, epoch_ms, epoch_ms_opt},
};

/// An entry as the contract's flat JSON.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Entry)]
pub struct EntryJson<'a> {
    id: &'a str,
    title: &'a str,
    category: Category,
    severity: Severity,
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    root_cause: Option<&'a str>,
    solution: &'a str,
    prerequisites: &'a [String],
    steps: &'a [String],
    expected_outcome: &'a str,
    tags: &'a [String],
    related_entries: &'a [String],
    #[serde(with = "epoch_ms")]
    #[schema(value_type = i64)]
    first_seen: Time,
    #[serde(with = "epoch_ms")]
    #[schema(value_type = i64)]
    last_updated: Time,
    /// How many alert instances, or how often asked.
    occurrences: i64,
    /// Resolved of occurred, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    success_rate: Option<f64>,
    provenance: &'a Provenance,
    #[serde(skip_serializing_if = "Option::is_none")]
    runbook_url: Option<&'a str>,
    /// In milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    mean_time_to_resolve_ms: Option<i64>,
    /// Instances that fire now.
    #[serde(skip_serializing_if = "Option::is_none")]
    firing: Option<i64>,
    #[serde(with = "epoch_ms_opt", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    last_fired: Option<Time>,
    /// Also the `ETag`.
    version: u64,
    notes: &'a [Note],
    helped: u64,
    not_helped: u64,
}

impl<'a> From<&'a Entry> for EntryJson<'a> {
    fn from(entry: &'a Entry) -> Self {
        let text = &*entry.text;
        Self {
            id: &entry.id,
            title: &text.title,
            category: text.category,
            severity: text.severity,
            description: &text.description,
            root_cause: text.root_cause.as_deref(),
            solution: &text.solution,
            prerequisites: &text.prerequisites,
            steps: &text.steps,
            expected_outcome: &text.expected_outcome,
            tags: &text.tags,
            related_entries: &text.related_entries,
            first_seen: entry.first_seen,
            last_updated: entry.last_updated(),
            occurrences: entry.occurrences(),
            success_rate: entry.success_rate(),
            provenance: &entry.provenance,
            runbook_url: text.runbook_url.as_deref(),
            mean_time_to_resolve_ms: entry.mean_time_to_resolve_ms(),
            firing: entry.firing(),
            last_fired: entry.last_fired(),
            version: entry.version,
            notes: &entry.notes,
            helped: entry.helped,
            not_helped: entry.not_helped,
        }
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        EntryJson::from(self).serialize(serializer)
    }
}

/// An entry as an export carries it: what is shown, and all that it takes to restore it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportedEntry<'a> {
    #[serde(flatten)]
    shown: EntryJson<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<&'a AlertPattern>,
    #[serde(with = "epoch_ms")]
    written: Time,
    summed_up: &'a SummedUp,
}

impl<'a> From<&'a Entry> for ExportedEntry<'a> {
    fn from(entry: &'a Entry) -> Self {
        Self {
            shown: entry.into(),
            pattern: entry.pattern.as_deref(),
            written: entry.written,
            summed_up: &entry.summed_up,
        }
    }
}
