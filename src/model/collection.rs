//! The names of what is kept, the same as MongoDB collections and as SQLite tables.

use std::{fmt, str::FromStr};

/// One kind of stored data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Collection {
    /// One document an alert instance.
    Alerts,
    /// Samples of the service's own gauges and counters.
    Metrics,
    /// Entries of the knowledge base.
    KnowledgeBase,
    /// One document a day.
    Consolidations,
    /// Schema version, applied migrations, leases.
    SystemState,
}

impl Collection {
    /// All, in the order in which they are exported.
    pub const ALL: [Self; 5] =
        [Self::Alerts, Self::Metrics, Self::KnowledgeBase, Self::Consolidations, Self::SystemState];

    /// The name in either store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alerts => "alerts",
            Self::Metrics => "metrics",
            Self::KnowledgeBase => "knowledge_base",
            Self::Consolidations => "consolidations",
            Self::SystemState => "system_state",
        }
    }
}

impl fmt::Display for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Collection {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|collection| collection.name() == name).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            format!("must be one of {known}")
        })
    }
}
