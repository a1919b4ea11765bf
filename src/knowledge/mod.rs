//! What the service knows and how it is asked.

pub mod export;
pub mod runbook;
pub mod search;
mod vocabulary;
