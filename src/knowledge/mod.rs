//! What the service knows, and how it answers.
//!
//! [`Base`] holds all entries in memory for reading; every change goes to the store as well.
//! `learning` turns alerts into changes, `search` finds, `questions` remembers what had no
//! answer, `editing` takes what people write, `summary` renders the page that dashboards poll.

mod answer;
mod answering;
mod base;
mod cutting;
mod draft;
mod editing;
pub mod export;
mod freshness;
mod keeping;
mod learning;
mod network;
mod questions;
mod ranking;
pub mod runbook;
pub mod search;
mod state;
mod stats;
mod summary;
mod unpersisted;
mod vocabulary;

pub use answer::{Answer, FiringAlert, Gap, Question, QuestionFilter, ScoredEntry};
pub use answering::{Known, answers};
pub use base::{Base, BaseError, Counts};
pub use draft::EntryDraft;
pub use editing::Imported;
pub use freshness::Freshness;
pub use learning::{learn_from_alerts, pattern_id};
pub use summary::RenderedSummary;
