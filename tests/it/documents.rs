//! The documents say what is so: recipes run as written, tables are those of the code, links
//! lead somewhere, and nothing is named that is not there.

mod checklist;
mod composition;
mod kubernetes;
mod markdown;
mod monitoring;
mod naming;
mod recipes;
mod tables;

use std::path::{Path, PathBuf};

/// Every document of the repository.
const DOCUMENTS: [&str; 18] = [
    "README.md",
    "ARCHITECTURE.md",
    "SECURITY.md",
    "HARDENING.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "docs/alertmanager.md",
    "docs/api.md",
    "docs/figures.md",
    "docs/first-steps.md",
    "docs/page.md",
    "docs/settings.md",
    "fuzz/README.md",
    "ops/DEPLOYMENT.md",
    "ops/GO-LIVE.md",
    "ops/INCIDENTS.md",
    "ops/RUNBOOK.md",
    "ops/MONITORING.md",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn path(name: &str) -> PathBuf {
    root().join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Whether a program is there. Where the test script runs, what is missing is a failure.
#[allow(clippy::disallowed_methods)]
pub fn is_there(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).any(|folder| folder.join(program).is_file());
    let required = std::env::var_os("TEST_REQUIRE_SERVICES").is_some();
    assert!(found || !required, "TEST_REQUIRE_SERVICES is set, but there is no {program}");
    found
}
