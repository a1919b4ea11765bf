//! Where the text of an entry comes from.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};
use utoipa::ToSchema;

use super::time::{Time, epoch_ms};

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
    Serialize,
    Deserialize,
    EnumString,
    IntoStaticStr,
    ToSchema,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
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
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The source type of that name; what is not known is `Unknown`.
    pub fn parse(name: &str) -> Self {
        name.parse().unwrap_or_default()
    }
}

/// A field of an entry's text that alerts teach, unless a person has edited it.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    ToSchema,
    VariantArray,
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
    /// `severity`
    Severity,
}

impl TextField {
    /// Those of which the newest alert's value wins; of severities the highest does.
    pub const NEWEST_WINS: [Self; 5] =
        [Self::Description, Self::Solution, Self::RunbookUrl, Self::Steps, Self::Tags];
}

/// Who wrote a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Author {
    /// An alert's annotations or labels.
    Alert,
    /// A person, over HTTP.
    Person,
}

/// Where the text of one field is from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
    /// Whether a person has written this field.
    pub fn is_edited(&self, field: TextField) -> bool {
        self.texts.get(&field).is_some_and(|source| source.by == Author::Person)
    }

    /// Keeps the sources of the entry as it was: what questions it answered, and, unless it is a
    /// runbook, whose file alone tells where it is from, all others.
    pub fn keep_sources_of(self: &mut Arc<Self>, known: &Self) {
        let files = self.source_type == SourceType::Runbook;
        for source in &known.derived_from {
            let kept = !files || source.starts_with(QUESTION_PREFIX);
            if kept && !self.derived_from.contains(source) {
                Arc::make_mut(self).derived_from.push(source.clone());
            }
        }
    }
}
