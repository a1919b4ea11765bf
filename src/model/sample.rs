//! Samples of metrics, as the service takes them of itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Time;

/// The unit of what is measured and not counted.
pub const SECONDS: &str = "seconds";

/// What samples of one name and moment are together, whatever their labels: counts add up, of
/// measured times the longest counts.
pub fn together(unit: &str, one: f64, other: f64) -> f64 {
    if unit == SECONDS { one.max(other) } else { one + other }
}

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
