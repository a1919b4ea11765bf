//! The service's own runbook, which the binary carries: a section for each of its alerts.

use super::{Parsed, decode, read_file};
use crate::model::{SeverityWords, Time};

/// What its source is called.
pub const SOURCE: &str = "orchestrator";
/// Its path there.
pub const PATH: &str = "RUNBOOK.md";
/// Its text.
pub const BYTES: &[u8] = include_bytes!("../../../ops/RUNBOOK.md");

/// What it says about each of the alerts.
pub fn parsed(now: Time, words: &SeverityWords) -> Vec<Parsed> {
    decode(BYTES).map_or_else(Vec::new, |text| read_file(SOURCE, PATH, &text.text, now, words))
}
