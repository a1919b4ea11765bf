//! What the service knows and how it is asked.

// export
pub mod runbook;
pub mod search;
mod vocabulary;
