//! What the service knows and how it is asked.

// export
// runbook
pub mod search;
mod vocabulary;
