//! What the service knows: one entry a pattern, runbook, note or open question.

use serde::{Deserialize, Serialize};

use super::{
    severity::Severity,
    time::{Time, epoch_ms},
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
}

/// One entry of the knowledge base.
///
/// Its JSON is the contract's; the two counters that `success_rate` and
/// `mean_time_to_resolve_ms` are computed from are kept beside it and not shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Unique and stable.
    pub id: String,
    /// One line.
    pub title: String,
    /// What kind of knowledge.
    pub category: Category,
    /// The highest seen.
    pub severity: Severity,
    /// What it means.
    pub description: String,
    /// Why it happens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_cause: Option<String>,
    /// What helps; empty if not known.
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
    /// When it was first seen.
    #[serde(with = "epoch_ms")]
    #[schema(value_type = i64)]
    pub first_seen: Time,
    /// When it last changed.
    #[serde(with = "epoch_ms")]
    #[schema(value_type = i64)]
    pub last_updated: Time,
    /// How many alert instances, or how often asked.
    pub occurrences: i64,
    /// Resolved of occurred, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_rate: Option<f64>,
    /// Where it comes from.
    #[serde(default)]
    pub provenance: Provenance,
    /// The runbook that the alert names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook_url: Option<String>,
    /// How long the resolved instances fired on average, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_time_to_resolve_ms: Option<i64>,
    /// Instances that fire now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firing: Option<i64>,
    /// How many instances were resolved.
    #[serde(skip)]
    pub resolutions: i64,
    /// How long all resolved instances fired together, in milliseconds.
    #[serde(skip)]
    pub resolve_ms: i64,
}

impl Entry {
    /// An entry with nothing in it but these; everything else empty.
    pub fn new(
        id: String,
        title: String,
        category: Category,
        severity: Severity,
        now: Time,
    ) -> Self {
        Self {
            id,
            title,
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
            first_seen: now,
            last_updated: now,
            occurrences: 0,
            success_rate: None,
            provenance: Provenance::default(),
            runbook_url: None,
            mean_time_to_resolve_ms: None,
            firing: None,
            resolutions: 0,
            resolve_ms: 0,
        }
    }

    /// Recomputes what follows from the counters.
    ///
    /// An entry of the old orchestrator that has no counters keeps the figures it came with.
    pub fn derive_rates(&mut self) {
        if self.category != Category::AlertPattern || self.resolutions <= 0 && self.firing.is_none()
        {
            return;
        }
        let occurred = self.occurrences.max(1) as f64;
        self.success_rate = Some((self.resolutions.max(0) as f64 / occurred).clamp(0.0, 1.0));
        self.mean_time_to_resolve_ms =
            (self.resolutions > 0).then(|| (self.resolve_ms / self.resolutions).max(0));
    }
}

/// An entry with the counters that its rates are computed from, as an export carries it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EntryWithCounters<'a> {
    #[serde(flatten)]
    entry: &'a Entry,
    resolutions: i64,
    resolve_ms: i64,
}

impl Entry {
    /// The form that exports carry: all that it takes to restore the entry.
    pub fn with_counters(&self) -> EntryWithCounters<'_> {
        EntryWithCounters {
            entry: self,
            resolutions: self.resolutions,
            resolve_ms: self.resolve_ms,
        }
    }
}

impl Entry {
    /// This entry with the text of another: what people write is taken over, what is learned
    /// stays.
    pub fn with_text_of(&self, text: &Self) -> Self {
        Self {
            id: self.id.clone(),
            first_seen: self.first_seen,
            last_updated: self.last_updated.max(text.last_updated),
            occurrences: self.occurrences,
            success_rate: self.success_rate,
            mean_time_to_resolve_ms: self.mean_time_to_resolve_ms,
            firing: self.firing,
            resolutions: self.resolutions,
            resolve_ms: self.resolve_ms,
            ..text.clone()
        }
    }
}
