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

/// Every request makes and drops hundreds of small texts on several threads, and the system's
/// allocator takes a quarter of that work.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
