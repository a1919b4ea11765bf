//! Samples of metrics, as the service takes them of itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Time;

/// The units of what is counted. Such samples of one name and moment add up, whatever their labels
/// and whichever replica they are of; of any other unit each sample stands for itself.
pub const COUNTED: [&str; 4] = ["alerts", "entries", "queries", "requests"];

/// The value that a metric had at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// The metric's name, as Prometheus knows it.
    pub name: String,
    /// The value; always finite.
    pub value: f64,
    /// What is counted or measured: `alerts`, `requests`, `seconds`.
    #[serde(default)]
    pub unit: String,
    /// When it was taken.
    pub timestamp: Time,
    /// What distinguishes it from samples of the same name and time.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}
