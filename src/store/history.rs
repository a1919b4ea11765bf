//! What the store is asked about the past, and what it answers.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::model::{Alert, Collection, Consolidation, Entry, OldEntry, Sample, Time, severity_key};

/// Alerts counted by when they were received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertCounts {
    /// All of the period.
    pub total: u64,
    /// The same by the severity as sent: known words, `none` and `other`.
    pub by_severity: BTreeMap<String, u64>,
}

impl AlertCounts {
    /// Counts alerts of a severity as it was sent, under a key of which there are few.
    pub fn add(&mut self, severity: &str, alerts: u64) {
        self.total += alerts;
        *self.by_severity.entry(severity_key(severity).to_owned()).or_default() += alerts;
    }

    /// Counts those of another period, too.
    pub fn merge(&mut self, other: Self) {
        self.total += other.total;
        for (severity, alerts) in other.by_severity {
            *self.by_severity.entry(severity).or_default() += alerts;
        }
    }
}

/// Alerts of one name within one stretch of time, by their first receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertBucket {
    /// Its number, as a [`Bucket`]'s.
    pub number: i64,
    /// How many began to fire.
    pub fired: u64,
    /// How many of them are resolved.
    pub resolved: u64,
}

/// Alerts of one name, cause and severity that were first received in a period.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Issue {
    /// The label `alertname`.
    pub name: String,
    /// The label `cause`; empty if there is none.
    pub cause: String,
    /// The severity label.
    pub severity: String,
    /// How many instances.
    pub count: u64,
    /// How many of them are resolved.
    pub resolved: u64,
    /// How long the resolved ones fired together, in milliseconds.
    pub resolve_ms: i64,
}

/// The samples of one metric within one stretch of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Its number: `(milliseconds since 1970 + offset) / width`, rounded down.
    pub number: i64,
    /// How many samples.
    pub count: u64,
    /// The least value.
    pub min: f64,
    /// The greatest value.
    pub max: f64,
    /// The values added up.
    pub sum: f64,
    /// The value of the latest sample.
    pub last: f64,
}

/// How samples are put into buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buckets {
    /// Samples at or after this.
    pub from: Time,
    /// Samples before this.
    pub until: Time,
    /// The length of a bucket in milliseconds, positive.
    pub width_ms: i64,
    /// Added to a time before it is divided: a zone's offset, in milliseconds.
    pub offset_ms: i64,
}

/// What is exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportScope {
    /// These collections, in this order.
    pub collections: Vec<Collection>,
    /// Of alerts those first received, of samples those taken, at or after this.
    pub from: Option<Time>,
    /// The same before this.
    pub until: Option<Time>,
}

impl ExportScope {
    /// The period of a collection that has one, if it is limited.
    pub fn period_of(&self, collection: Collection) -> Option<(Time, Time)> {
        let dated = matches!(collection, Collection::Alerts | Collection::Metrics);
        let limited = self.from.is_some() || self.until.is_some();
        let from = self.from.unwrap_or(Time::from_millis(i64::MIN));
        let until = self.until.unwrap_or(Time::from_millis(i64::MAX));
        (dated && limited).then_some((from, until))
    }
}

impl From<Vec<Collection>> for ExportScope {
    /// All of these collections.
    fn from(collections: Vec<Collection>) -> Self {
        Self { collections, from: None, until: None }
    }
}

/// A document to be written over the one with the same natural key.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant)] // why: most of what is put are alerts, and a box each costs more
pub enum Stored {
    /// By fingerprint and start.
    Alert(Alert),
    /// By name, time and labels.
    Sample(Sample),
    /// By id.
    Entry(Box<Entry>),
    /// By id; what its counters say beyond the stored instances is taken as summed up.
    OldEntry(Box<OldEntry>),
    /// By date.
    Consolidation(Box<Consolidation>),
    /// By key: a record of another program, in `system_state`.
    State(String, Map<String, Value>),
}

impl Stored {
    /// Where it is kept.
    pub fn collection(&self) -> Collection {
        match self {
            Self::Alert(_) => Collection::Alerts,
            Self::Sample(_) => Collection::Metrics,
            Self::Entry(_) | Self::OldEntry(_) => Collection::KnowledgeBase,
            Self::Consolidation(_) => Collection::Consolidations,
            Self::State(..) => Collection::SystemState,
        }
    }
}
