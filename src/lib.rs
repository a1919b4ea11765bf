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
