//! Taking alerts in: a webhook's bytes become a batch ([`payload`]), and the batch becomes
//! durable together with whatever else has gathered ([`intake`]).

pub mod fingerprint;
pub mod intake;
mod labels;
pub mod payload;

pub use intake::{Intake, Receipt};
pub use payload::AlertBatch;
