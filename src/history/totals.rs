//! Counts over a period of days.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;

use crate::{
    knowledge::Base,
    model::{Clock, Time},
    store::{Result, Store},
};

const DAY_MS: i64 = 24 * 3_600_000;

/// A period that ends now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Period {
    /// When it begins.
    #[schema(value_type = String)]
    pub start_date: Time,
    /// When it ends: now.
    #[schema(value_type = String)]
    pub end_date: Time,
    /// How many days it has.
    pub days: u32,
}

/// One group of a count, as MongoDB's aggregation names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Group {
    /// What is counted.
    #[serde(rename = "_id")]
    pub id: &'static str,
    /// How many.
    pub count: usize,
}

/// The knowledge base as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KnowledgeCounts {
    /// All entries.
    pub total: usize,
    /// By category.
    pub by_category: Vec<Group>,
    /// By severity.
    pub by_severity: Vec<Group>,
}

/// What happened in a period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Historical {
    /// Which period.
    pub period: Period,
    /// Metric samples.
    pub metrics_count: u64,
    /// Alert instances, by the time of their last receipt.
    pub alerts_count: u64,
    /// The same by severity label.
    pub alerts_by_severity: BTreeMap<String, u64>,
    /// Metric samples by name.
    pub metrics_by_name: BTreeMap<String, u64>,
    /// The knowledge base.
    pub knowledge_base: KnowledgeCounts,
    /// Daily consolidations.
    pub consolidations: u64,
}

/// Counts over the history.
pub struct Totals {
    store: Arc<dyn Store>,
    base: Arc<Base>,
    clock: Arc<dyn Clock>,
}

impl Totals {
    /// Over this store.
    pub fn new(store: Arc<dyn Store>, base: Arc<Base>, clock: Arc<dyn Clock>) -> Self {
        Self { store, base, clock }
    }

    /// What happened in the last `days` days.
    pub async fn of_last(&self, days: u32) -> Result<Historical> {
        let end_date = self.clock.now();
        let start_date = end_date.plus_millis(-i64::from(days) * DAY_MS);
        let (alerts, metrics_by_name, consolidations) = tokio::try_join!(
            self.store.alert_counts(start_date),
            self.store.sample_counts(start_date),
            self.store.consolidation_count(start_date),
        )?;
        let known = self.base.counts();
        let groups = |counts: Vec<(&'static str, usize)>| {
            counts.into_iter().map(|(id, count)| Group { id, count }).collect()
        };
        Ok(Historical {
            period: Period { start_date, end_date, days },
            metrics_count: metrics_by_name.values().sum(),
            alerts_count: alerts.total,
            alerts_by_severity: alerts.by_severity,
            metrics_by_name,
            knowledge_base: KnowledgeCounts {
                total: known.total,
                by_category: groups(known.by_category),
                by_severity: groups(known.by_severity),
            },
            consolidations,
        })
    }
}
