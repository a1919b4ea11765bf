//! Alert intake and operations knowledge.
//!
//! The floors, top to bottom; imports point downward only: `cli`, `service`, `http`, then
//! `alerts` / `knowledge` / `history`, then `store` and `coordination`, `model`, and the ground
//! of `config`, `telemetry`, `security` and `validation`. `ARCHITECTURE.md` walks an alert and a
//! question through them.

pub mod alerts;
pub mod cli;
pub mod config;
pub mod coordination;
pub mod history;
pub mod http;
pub mod knowledge;
pub mod model;
pub mod security;
pub mod service;
pub mod shutdown;
pub mod store;
pub mod telemetry;
pub mod validation;

/// A webhook allocates about a hundred times; the C library's allocator takes twice as long for it.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
