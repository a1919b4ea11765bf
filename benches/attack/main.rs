//! Attacks the built binary, on this machine only:
//!
//! - 500 slow and 500 non-reading clients over HTTP/1 and HTTP/2, and exports that nobody reads;
//! - 100,000 hostile requests on every route;
//! - a million clients behind a trusted proxy;
//! - a process and disks that fail.
//!
//! `cargo bench --bench attack`, about four minutes; `cargo bench --bench attack -- flood storage`
//! for some of them (`crowds`, `flood`, `addresses`, `storage`). Ends with 1 if one promise was not
//! kept; each is a line that says so. What the machine does not allow says `not run`, and why. The
//! times of `/health` are the service's only where the machine has nothing else to do.

// A bench that cannot go on ends.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod addresses;
#[path = "../../tests/it/harness/attackers.rs"]
mod attackers;
mod crowds;
#[path = "../../tests/it/harness/faults.rs"]
mod faults;
mod flood;
#[path = "../../tests/it/harness/h2.rs"]
#[allow(dead_code)] // why: the tests use more of it
mod h2;
#[path = "../../tests/it/harness/hostile.rs"]
mod hostile;
#[path = "../../tests/it/harness/mutation.rs"]
mod mutation;
mod service;
mod storage;

use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// As many files as the system allows: each client is one.
fn raise_limit() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

#[tokio::main]
async fn main() -> ExitCode {
    raise_limit();
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut good = true;
    if is_wanted("crowds") {
        good &= crowds::run(&at("crowds")).await;
    }
    if is_wanted("flood") {
        good &= flood::run(&at("flood")).await;
    }
    if is_wanted("addresses") {
        good &= addresses::run(&at("addresses")).await;
    }
    if is_wanted("storage") {
        good &= storage::run(&at("storage")).await;
    }
    println!("all of them:");
    let leaked = service::SECRETS.found_in(&service::emitted(folder.path()));
    good &= service::verdict(leaked.is_none(), "no secret in any log or audit log");
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
