//! Alert intake and operations knowledge.
//!
//! The floors, top to bottom; imports point downward only: `cli`, `service`, `http`, then
//! `alerts` / `knowledge` / `history`, then `store`, `model`, and the ground of `config`,
//! `telemetry` and `security`. `ARCHITECTURE.md` walks an alert and a question through them.

pub mod config;
pub mod knowledge;
pub mod model;
pub mod security;
