//! One model test: random histories against a fold in memory that is written for clarity.
//!
//! A history is a list of [`Step`](steps::Step)s: alerts that fire, repeat, resolve, open again,
//! move their start, change their cause or come out of order; edits and deletions of entries;
//! questions; retention at a moved clock; restarts and crashes. After each step every process and
//! the store must show what the [`Reference`](reference::Reference) says.
//!
//! Each run prints its seed; `MODEL_SEED` runs one again. A failing history is shrunk to the steps
//! that it takes. `MODEL_HISTORIES` sets how many are run.

mod processes;
mod reference;
mod steps;

use proptest::{
    strategy::Strategy,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner},
};

use self::{
    processes::{Backing, Processes},
    steps::{History, Mode, history},
};
use crate::harness::Server;

#[test]
fn one_process_on_sqlite_shows_what_its_history_says() {
    check(Mode::One, 1_200, Backing::sqlite);
}

#[test]
fn two_processes_on_sqlite_show_what_their_history_says() {
    check(Mode::InStep, 400, Backing::sqlite);
}

#[test]
fn two_processes_on_sqlite_that_lag_agree_once_they_have_followed() {
    check(Mode::Lagging, 400, Backing::sqlite);
}

#[test]
fn one_process_on_mongodb_shows_what_its_history_says() {
    check_on(Mode::One, 12, Server::replica_set);
}

#[test]
fn two_processes_on_mongodb_show_what_their_history_says() {
    check_on(Mode::InStep, 8, Server::replica_set);
}

#[test]
fn two_processes_on_mongodb_that_lag_agree_once_they_have_followed() {
    check_on(Mode::Lagging, 8, Server::replica_set);
}

#[test]
fn one_process_on_a_lone_mongodb_shows_what_its_history_says() {
    check_on(Mode::One, 12, Server::lone);
}

#[test]
fn two_processes_on_a_lone_mongodb_show_what_their_history_says() {
    check_on(Mode::InStep, 8, Server::lone);
}

/// A variable that a person sets to look into a failure.
#[allow(clippy::disallowed_methods)]
fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// On a MongoDB, if there is one.
fn check_on(mode: Mode, histories: u32, server: impl AsyncFn() -> Option<Server>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let Some(server) = runtime.block_on(server()) else { return };
    check_in(&runtime, mode, histories, &Backing::Server(server));
}

fn check(mode: Mode, histories: u32, backing: impl Fn() -> Backing) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    check_in(&runtime, mode, histories, &backing());
}

fn check_in(runtime: &tokio::runtime::Runtime, mode: Mode, histories: u32, backing: &Backing) {
    let seed = variable("MODEL_SEED").unwrap_or_else(rand::random);
    let cases = variable("MODEL_HISTORIES").map_or(histories, |n| n as u32);
    println!("{cases} histories; run them again with MODEL_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config =
        Config { cases, failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
    let steps = history(mode).prop_map(History);
    let ran = TestRunner::new_with_rng(config, rng).run(&steps, |history| {
        runtime.block_on(run(mode, &history, backing)).map_err(TestCaseError::fail)
    });
    if let Err(error) = ran {
        panic!("MODEL_SEED={seed}: {error}");
    }
}

/// Plays one history.
async fn run(mode: Mode, history: &History, backing: &Backing) -> Result<(), String> {
    let mut processes = Processes::start(mode, backing).await;
    for (place, step) in history.0.iter().enumerate() {
        processes.play(step).await;
        processes.compare().await.map_err(|error| format!("after step {}: {error}", place + 1))?;
    }
    processes.reload().await;
    processes.compare().await.map_err(|error| format!("all read again: {error}"))?;
    processes.end().await;
    Ok(())
}
