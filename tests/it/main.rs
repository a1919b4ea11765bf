//! Black-box tests: each file one capability.

// In a test binary everything is a test, not only what bears `#[test]`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cli;
