//! What the service knows: one entry a pattern, runbook, note or open question.
//!
//! An [`Entry`] keeps apart what people and annotations write ([`EntryText`]), where that comes
//! from ([`Provenance`]), and what its alert instances say ([`Figures`]). Outward it is one flat
//! JSON object ([`EntryJson`](super::EntryJson)).

use std::{ops::Deref, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    category::Category,
    figures::{Figures, SummedUp},
    provenance::Provenance,
    severity::Severity,
    time::{Time, epoch_ms},
};

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
