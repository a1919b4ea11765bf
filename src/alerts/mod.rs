//! Taking alerts in: a webhook's bytes become a batch of valid alerts ([`payload`]), which goes to
//! the one [writer](crate::knowledge::Base::receive).

mod faults;
pub mod fingerprint;
mod labels;
pub mod payload;
mod sent;
mod times;
mod trimming;

pub use faults::Refused;
pub use payload::AlertBatch;
pub use trimming::{Trimmed, TrimmedExample};
