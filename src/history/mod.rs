//! What happened: counts over periods, beyond the life of single alerts.

mod totals;

pub use totals::{Historical, Period, Totals};
