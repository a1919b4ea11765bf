//! Plain data that every floor above shares: what an alert, an entry, a sample and a
//! consolidation are. No I/O, no HTTP, no SQL, no BSON; times are milliseconds on every store.

mod alert;
mod category;
mod clock;
mod collection;
mod consolidation;
mod entry;
mod entry_json;
mod figures;
mod old_entry;
mod pattern;
mod provenance;
mod refusal;
mod sample;
mod severity;
mod text_map;
mod time;
mod web_url;

pub use alert::{
    Alert, AlertKey, FiringAlert, InstanceChange, Outcome, ReceivedAlert, Remembered, Status,
};
pub use category::Category;
pub use clock::{Clock, ManualClock, SystemClock};
pub use collection::Collection;
pub use consolidation::{
    Consolidation, DayAlerts, DayMetrics, DayName, MetricDay, TopIssue, consolidation_from_json,
};
pub use entry::{AlertPattern, Entry, EntryText, Note};
pub use entry_json::{EntryJson, ExportedEntry};
pub use figures::{BatchSums, Carried, Figures, Instance, SummedUp, Tally};
pub use old_entry::{EntryDocument, OldEntry};
pub use pattern::{OTHER_CAUSES, pattern_id, pattern_of, pattern_title};
pub use provenance::{Author, Provenance, QUESTION_PREFIX, SourceType, TextField, TextSource};
pub use refusal::{RefusalReason, TrimmedField};
pub use sample::{COUNTED, Sample};
pub use severity::{Severity, SeverityWords, severity_key};
pub use text_map::TextMap;
pub use time::{Time, epoch_ms, epoch_ms_opt};
pub use web_url::is_web_url;
