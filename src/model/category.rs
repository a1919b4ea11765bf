//! What kinds of knowledge there are.

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr};
use utoipa::ToSchema;

/// What kind of knowledge an entry is.
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
    EnumString,
    IntoStaticStr,
    ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
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
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The category of that name.
    pub fn parse(name: &str) -> Option<Self> {
        name.parse().ok()
    }
}
