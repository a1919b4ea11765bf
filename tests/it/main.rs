//! The integration tests, one binary.

// Clippy knows `#[test]` functions as tests, not those that they call.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod store_contract;
