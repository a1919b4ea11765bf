//! What is known about a question.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    freshness::Freshness,
    question::Question,
    search::{Confidence, Fragment},
};
use crate::model::{Entry, EntryJson, FiringAlert};

/// Alerts that are shown of a pattern.
const MAX_FIRING_ALERTS: usize = 5;

/// An entry that answers, and how well.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScoredEntry {
    /// The entry; long texts are cut to what is relevant.
    #[serde(flatten)]
    #[schema(value_type = EntryJson)]
    pub entry: Entry,
    /// 0 to 1; comparable between questions.
    pub score: f32,
    /// Whether to rely on it.
    pub confidence: Confidence,
    /// Its parts that answer, the best first.
    pub highlights: Vec<Fragment>,
    /// Why it stands where it does, beside its words, each a sentence for a person.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// Alerts of a pattern that fire now, at most five.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub firing_alerts: Vec<FiringAlert>,
    /// Whether a text was cut: the whole is at `GET /api/knowledge/entries/{id}`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// What a question without an answer became.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Gap {
    /// The open question's entry.
    pub id: String,
    /// How often it has been asked.
    pub occurrences: i64,
}

/// What is known about a question.
#[derive(Debug)]
pub struct Answer {
    /// The question.
    pub question: Question,
    /// The best first.
    pub entries: Vec<ScoredEntry>,
    /// The open question, where nothing is known for sure.
    pub gap: Option<Gap>,
    /// How fresh the whole base is.
    pub freshness: Freshness,
}

impl Answer {
    /// The patterns of which alerts fire, with how many are shown of each.
    pub fn firing_patterns(&self) -> Vec<(String, usize)> {
        let shown = |scored: &ScoredEntry| {
            let firing = usize::try_from(scored.entry.figures.firing).ok()?.min(MAX_FIRING_ALERTS);
            (firing > 0).then(|| (scored.entry.id.clone(), firing))
        };
        self.entries.iter().filter_map(shown).collect()
    }

    /// Shows alerts that fire with their patterns.
    pub fn show_firing(&mut self, alerts: Vec<FiringAlert>) {
        for alert in alerts {
            let of = self.entries.iter_mut().find(|scored| scored.entry.id == alert.entry_id);
            if let Some(scored) = of {
                scored.firing_alerts.push(alert);
            }
        }
    }

    /// What helps, from the entries in their order, nothing twice.
    pub fn solutions(&self) -> Vec<&str> {
        let mut solutions: Vec<&str> = Vec::new();
        for scored in &self.entries {
            let solution = scored.entry.solution.as_str();
            if !solution.is_empty() && !solutions.contains(&solution) {
                solutions.push(solution);
            }
        }
        solutions
    }

    /// The tags of the entries, the commonest first, at most ten.
    pub fn concepts(&self) -> Vec<&str> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for tag in self.entries.iter().flat_map(|scored| &scored.entry.tags) {
            *counts.entry(tag).or_default() += 1;
        }
        let mut concepts: Vec<_> = counts.into_iter().collect();
        concepts.sort_by(|(a, x), (b, y)| y.cmp(x).then_with(|| a.cmp(b)));
        concepts.into_iter().take(10).map(|(tag, _)| tag).collect()
    }
}
