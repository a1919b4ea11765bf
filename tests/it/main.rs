//! The integration tests, one binary: each file one capability, black box first.

// In a test binary everything is a test, not only what bears `#[test]`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cli;
mod history;
mod store_contract;
