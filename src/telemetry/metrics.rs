//! Stand-in with the handles that `store::observed` counts on.

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts};

/// The handles of the store.
pub struct Metrics {
    /// Seconds an operation took.
    pub store_operation_duration_seconds: HistogramVec,
    /// Operations that failed.
    pub store_errors_total: IntCounterVec,
    /// 1 while the store answers.
    pub store_up: IntGauge,
}

impl Metrics {
    /// A fresh set.
    pub fn new() -> prometheus::Result<Self> {
        Ok(Self {
            store_operation_duration_seconds: HistogramVec::new(
                HistogramOpts::new("store_operation_duration_seconds", "Seconds an operation took"),
                &["operation"],
            )?,
            store_errors_total: IntCounterVec::new(
                Opts::new("store_errors_total", "Operations that failed"),
                &["operation"],
            )?,
            store_up: IntGauge::new("store_up", "1 while the store answers")?,
        })
    }
}
