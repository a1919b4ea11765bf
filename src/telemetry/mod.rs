//! What the service reports about itself: log lines and metrics.
//!
//! Nothing here decides anything; those who do hand in what happened.

mod client_text;
mod families;
mod labels;
mod listener;
mod log_lines;
mod log_queue;
pub mod logging;
pub mod metrics;
mod route;
mod throttle;

pub use self::{
    client_text::{ClientText, harmless, harmless_json},
    labels::{method_label, severity_label},
    listener::{ListenerMetrics, OpenConnection},
    metrics::{Metrics, StoreOperation},
    route::{InFlight, RouteMetrics},
};

/// A counter of the whole process, which every registry shows.
#[allow(clippy::expect_used)] // why: its name and help are written down where it is made
fn counter(name: &str, help: &str) -> prometheus::IntCounter {
    prometheus::IntCounter::new(name, help).expect("a valid name")
}
