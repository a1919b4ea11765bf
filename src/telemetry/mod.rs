//! What the service tells of itself: log lines and metrics.
//!
//! Nothing here decides anything; those who do hand in what happened.

mod labels;
mod listener;
pub mod logging;
pub mod metrics;
mod route;

pub use self::{
    labels::{method_label, severity_label},
    listener::{ListenerMetrics, OpenConnection},
    metrics::{Metrics, StoreOperation},
    route::{InFlight, RouteMetrics},
};
