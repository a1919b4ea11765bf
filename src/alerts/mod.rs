//! Taking alerts in: a webhook's bytes become a batch ([`payload`]), and the batch becomes
//! durable together with whatever else has gathered ([`intake`]).

mod faults;
pub mod fingerprint;
pub mod intake;
mod labels;
pub mod payload;
mod sent;
mod times;
mod trimming;

pub use faults::Refused;
pub use intake::{Intake, Receipt};
pub use payload::AlertBatch;
pub use trimming::{Trimmed, TrimmedExample};
