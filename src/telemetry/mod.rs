//! Stand-in: the metrics registry is built on a branch of its own.

mod metrics;

pub use metrics::Metrics;
