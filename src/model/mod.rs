//! Plain data that every floor above shares: what an alert, an entry, a sample and a
//! consolidation are. No I/O, no HTTP, no SQL, no BSON; times are milliseconds on every store.

mod alert;
mod clock;
mod collection;
mod consolidation;
mod entry;
mod learning;
mod lenient;
mod refusal;
mod sample;
mod severity;
mod time;

pub use alert::{Alert, AlertKey, AlertState, Outcome, ReceivedAlert, Recorded, Status};
pub use clock::{Clock, ManualClock, SystemClock};
pub use collection::Collection;
pub use consolidation::{
    Consolidation, DayAlerts, DayMetrics, MetricDay, TopIssue, consolidation_from_json,
};
pub use entry::{Category, Entry, Provenance, SourceType};
pub use learning::{EntryChange, Learning};
pub use lenient::entry_from_json;
pub use refusal::{RefusalReason, TrimmedField};
pub use sample::Sample;
pub use severity::{Severity, SeverityWords, severity_key};
pub use time::{Time, epoch_ms, epoch_ms_opt};
