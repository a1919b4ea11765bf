//! Taking alerts in: a webhook's bytes become a batch of valid alerts ([`payload`]), which goes to
//! the one [writer](crate::knowledge::Base::receive).

pub mod fingerprint;
mod labels;
pub mod payload;

pub use payload::AlertBatch;
