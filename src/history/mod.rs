//! What happened: samples of the service's own figures, days summed up, counts and series over
//! periods beyond the life of single alerts, and everything taken out and put back. No HTTP, no
//! SQL; every rule about time takes the time as an argument.

mod breakdown;
mod calendar;
pub mod consolidation;
mod days;
pub mod export;
pub mod import;
pub mod insights;
mod retention;
mod sampler;
mod schedule;
mod series;
mod tasks;
mod totals;

pub use self::{
    breakdown::{AlertDay, TopAlert},
    calendar::{Calendar, Stretch},
    retention::{
        AlertExpiry, ProgressListener, Report, RetentionError, RetentionJob, SETTLE_MS, StoreOnly,
    },
    sampler::Sampler,
    schedule::Schedule,
    series::{Aggregation, AlertPoint, POINTS_MOST, Point},
    tasks::{RetentionTask, audit},
    totals::{Historical, HistoryFilter, Period, Totals},
};
