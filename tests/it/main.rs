//! The integration tests, one binary: each file one capability, black box first.

// In a test binary everything is a test, not only what bears `#[test]`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod access;
mod alerts;
mod answers;
mod assistants;
mod attack;
mod auditing;
mod cli;
mod connections;
mod cors;
mod crash;
mod documents;
mod drift;
mod end_to_end;
mod entries;
mod faults;
mod following;
mod fuzzing;
mod hardening;
mod harness;
mod history;
mod intake;
mod keys;
mod knowledge;
mod life;
mod meaning;
mod model;
mod old_database;
mod outage;
mod page;
mod persistence;
mod properties;
mod questions;
mod rate_limits;
mod reloading;
mod replicas;
mod runbooks;
mod searching;
mod severities;
mod store_contract;
mod summary;
mod tls;
mod watching;
mod webhook_auth;
