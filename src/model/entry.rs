//! What the service knows: one entry a pattern, runbook, note or open question.
//!
//! An [`Entry`] keeps apart what people and annotations write ([`EntryText`]), where that comes
//! from ([`Provenance`]), and what its alert instances say ([`Figures`]). Outward it is one flat
//! JSON object ([`EntryJson`]).

use std::{collections::BTreeMap, ops::Deref, sync::Arc};

use serde::{Deserialize, Serialize, Serializer};

use super::{
    figures::{Figures, SummedUp},
    severity::Severity,
    time::{Time, epoch_ms, epoch_ms_opt},
};

/// What kind of knowledge an entry is.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Learned from alerts of one (`alertname`, `cause`).
    AlertPattern,
    /// Learned from a metric that left its usual range.
    MetricAnomaly,
    /// A way to make something better.
    Optimization,
    /// A way to find out what is wrong.
    Troubleshooting,
    /// Instructions written for an alert.
    Runbook,
    /// Asked, and not answered yet.
    Question,
}

impl Category {
    /// All categories.
    pub const ALL: [Self; 6] = [
        Self::AlertPattern,
        Self::MetricAnomaly,
        Self::Optimization,
        Self::Troubleshooting,
        Self::Runbook,
        Self::Question,
    ];

    /// The name in JSON and in the stores.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AlertPattern => "alert_pattern",
            Self::MetricAnomaly => "metric_anomaly",
            Self::Optimization => "optimization",
            Self::Troubleshooting => "troubleshooting",
            Self::Runbook => "runbook",
            Self::Question => "question",
        }
    }

    /// The category of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.as_str() == name)
    }
}

/// What an entry was made from.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum SourceType {
    /// Alerts.
    AlertPattern,
    /// Samples of a metric.
    MetricPattern,
    /// A person, over HTTP.
    Manual,
    /// A Markdown runbook.
    Runbook,
    /// A query that had no answer.
    Query,
    /// Not told.
    #[default]
    Unknown,
}

impl SourceType {
    /// All source types.
    pub const ALL: [Self; 6] = [
        Self::AlertPattern,
        Self::MetricPattern,
        Self::Manual,
        Self::Runbook,
        Self::Query,
        Self::Unknown,
    ];

    /// The name in JSON and in the stores.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AlertPattern => "alert-pattern",
            Self::MetricPattern => "metric-pattern",
            Self::Manual => "manual",
            Self::Runbook => "runbook",
            Self::Query => "query",
            Self::Unknown => "unknown",
        }
    }

    /// The source type of that name; what is not known is `Unknown`.
    pub fn parse(name: &str) -> Self {
        Self::ALL.into_iter().find(|source| source.as_str() == name).unwrap_or_default()
    }
}

/// A field of an entry's text that alerts refresh, unless a person has edited it.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum TextField {
    /// `description`
    Description,
    /// `solution`
    Solution,
    /// `runbookUrl`
    RunbookUrl,
    /// `steps`
    Steps,
    /// `tags`
    Tags,
}

impl TextField {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Description, Self::Solution, Self::RunbookUrl, Self::Steps, Self::Tags];
}

/// Who wrote a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Author {
    /// An alert's annotations or labels.
    Alert,
    /// A person, over HTTP.
    Person,
}

/// Where the text of one field is from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TextSource {
    /// What kind of author.
    pub by: Author,
    /// The fingerprint of the alert, or the label of the person's key.
    pub name: String,
    /// When the alert began, or the person wrote.
    #[serde(with = "epoch_ms")]
    #[schema(value_type = i64)]
    pub at: Time,
}

/// Where an entry comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Provenance {
    /// What it was made from.
    pub source_type: SourceType,
    /// The program or person that made it.
    pub source_model: String,
    /// Ids or names of what it rests on.
    pub derived_from: Vec<String>,
    /// The day of the evidence, `YYYY-MM-DD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence_date: Option<String>,
    /// Who wrote the text of which field; fields that are as the entry was made are left out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub texts: BTreeMap<TextField, TextSource>,
}

/// What the ids of open questions begin with.
pub const QUESTION_PREFIX: &str = "kb-question-";

impl Provenance {
    /// Keeps the sources of the entry as it was: what questions it answered, and, unless it is a
    /// runbook, whose file alone tells where it is from, all others.
    pub fn keep_sources_of(&mut self, known: &Self) {
        let files = self.source_type == SourceType::Runbook;
        for source in &known.derived_from {
            let kept = !files || source.starts_with(QUESTION_PREFIX);
            if kept && !self.derived_from.contains(source) {
                self.derived_from.push(source.clone());
            }
        }
    }
}

/// What a person noted about an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Note {
    /// What they wrote.
    pub text: String,
    /// The label of their key.
    pub author: String,
    /// When.
    #[serde(with = "epoch_ms")]
    #[schema(value_type = i64)]
    pub at: Time,
}

/// The alerts that a pattern is learned from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AlertPattern {
    /// The alerts' name.
    pub alertname: String,
    /// Their cause; empty if they name none.
    pub cause: String,
}

/// The text of an entry: what people and annotations write.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EntryText {
    /// One line.
    pub title: String,
    /// What kind of knowledge.
    pub category: Category,
    /// The highest seen.
    pub severity: Severity,
    /// What it means.
    #[serde(default)]
    pub description: String,
    /// Why it happens.
    #[serde(default)]
    pub root_cause: Option<String>,
    /// What helps; empty if not known.
    #[serde(default)]
    pub solution: String,
    /// What must be so before the steps.
    #[serde(default)]
    pub prerequisites: Vec<String>,
    /// What to do, in order.
    #[serde(default)]
    pub steps: Vec<String>,
    /// How it looks when it has helped.
    #[serde(default)]
    pub expected_outcome: String,
    /// Words to find it by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Ids of entries that belong to it.
    #[serde(default)]
    pub related_entries: Vec<String>,
    /// The runbook that the alert names; of http or https.
    #[serde(default)]
    pub runbook_url: Option<String>,
}

impl EntryText {
    /// A text with nothing but these; everything else empty.
    pub fn new(title: impl Into<String>, category: Category, severity: Severity) -> Self {
        Self {
            title: title.into(),
            category,
            severity,
            description: String::new(),
            root_cause: None,
            solution: String::new(),
            prerequisites: Vec::new(),
            steps: Vec::new(),
            expected_outcome: String::new(),
            tags: Vec::new(),
            related_entries: Vec::new(),
            runbook_url: None,
        }
    }
}

/// One entry of the knowledge base.
///
/// Its text is shared: a change of figures copies no text.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Unique and stable.
    pub id: String,
    /// What people and annotations write.
    pub text: Arc<EntryText>,
    /// Where that comes from.
    pub provenance: Arc<Provenance>,
    /// The alerts that it is learned from, if it is a pattern of any.
    pub pattern: Option<Arc<AlertPattern>>,
    /// Counts the changes of everything but figures, from 1.
    pub version: u64,
    /// When it was first seen.
    pub first_seen: Time,
    /// When anything but its figures last changed.
    pub written: Time,
    /// What people noted, the oldest first.
    pub notes: Arc<Vec<Note>>,
    /// How often people said that it helped.
    pub helped: u64,
    /// How often people said that it did not.
    pub not_helped: u64,
    /// What is known of instances that are deleted, and how often a question was asked.
    pub summed_up: SummedUp,
    /// What its stored alert instances say; derived, never stored.
    pub figures: Figures,
}

impl Entry {
    /// An entry with this text and nothing else, at version 1.
    pub fn new(id: String, text: EntryText, now: Time) -> Self {
        Self {
            id,
            text: Arc::new(text),
            provenance: Arc::default(),
            pattern: None,
            version: 1,
            first_seen: now,
            written: now,
            notes: Arc::default(),
            helped: 0,
            not_helped: 0,
            summed_up: SummedUp::default(),
            figures: Figures::default(),
        }
    }

    /// How many alert instances, or how often asked.
    pub fn occurrences(&self) -> i64 {
        let (deleted, stored) = (self.summed_up.tally, self.figures.tally);
        deleted.plus(stored).occurrences.max(0)
    }

    /// Resolved of occurred, 0 to 1; what superseded instances became of is not known, so they
    /// count as neither.
    pub fn success_rate(&self) -> Option<f64> {
        if !self.has_rates() {
            return self.summed_up.stated_success_rate;
        }
        let tally = self.summed_up.tally.plus(self.figures.tally);
        let ended_or_firing = tally.occurrences - tally.superseded;
        (ended_or_firing > 0)
            .then(|| (tally.resolved as f64 / ended_or_firing as f64).clamp(0.0, 1.0))
    }

    /// How long the resolved instances fired on average, in milliseconds.
    pub fn mean_time_to_resolve_ms(&self) -> Option<i64> {
        if !self.has_rates() {
            return self.summed_up.stated_mean_ms;
        }
        let tally = self.summed_up.tally.plus(self.figures.tally);
        (tally.resolved > 0).then(|| (tally.resolve_ms / tally.resolved).max(0))
    }

    /// An entry of the old orchestrator keeps the rates that it came with until it has instances.
    fn has_rates(&self) -> bool {
        let (deleted, stored) = (self.summed_up.tally, self.figures.tally);
        let stated =
            self.summed_up.stated_success_rate.is_some() || self.summed_up.stated_mean_ms.is_some();
        self.category == Category::AlertPattern
            && (deleted.resolved > 0 || stored.occurrences > 0 || !stated)
    }

    /// Instances that fire now, of a pattern.
    pub fn firing(&self) -> Option<i64> {
        (self.category == Category::AlertPattern).then_some(self.figures.firing.max(0))
    }

    /// When an instance last began.
    pub fn last_fired(&self) -> Option<Time> {
        self.summed_up.last_fired.max(self.figures.last_fired)
    }

    /// When its text or an instance of it last changed.
    pub fn last_updated(&self) -> Time {
        let instances = self.summed_up.last_changed.max(self.figures.last_changed);
        instances.map_or(self.written, |changed| changed.max(self.written))
    }

    /// The entry for a base that has none of its instances: what they say is summed up.
    pub fn without_instances(&self) -> Self {
        let (mut summed_up, stored) = (self.summed_up, self.figures);
        summed_up.tally = summed_up.tally.plus(stored.tally);
        summed_up.last_fired = summed_up.last_fired.max(stored.last_fired);
        summed_up.last_changed = summed_up.last_changed.max(stored.last_changed);
        summed_up.batch = 0;
        Self { summed_up, figures: Figures::default(), ..self.clone() }
    }

    /// The validator of this version, quotes included.
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.version)
    }
}

/// An entry reads as its text; what is written of it is written as a whole.
impl Deref for Entry {
    type Target = EntryText;

    fn deref(&self) -> &EntryText {
        &self.text
    }
}

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
