//! What the service knows, and how it answers.
//!
//! [`Base`] is read from memory; every change passes `writer`, which stores it first.
//! `learning` says what alerts teach, `search` finds, `open_questions` remembers what had no answer,
//! `editing` is what people change, `summary` renders the page that dashboards poll.

mod answer;
mod answering;
mod asking;
mod base;
mod cutting;
mod draft;
mod editing;
mod embedding;
pub mod export;
mod freshness;
mod indexing;
mod learning;
mod links;
mod listing;
mod network;
mod open_questions;
mod question;
mod ranking;
pub mod runbook;
pub mod search;
pub mod severities;
mod shared;
mod state;
mod stats;
mod summary;
mod vocabulary;
mod writer;

pub use answer::{Answer, Gap, ScoredEntry};
pub use answering::{Known, answers};
pub use base::{Base, BaseError, BaseLimits, BaseTasks, Counts};
pub use draft::EntryDraft;
pub use editing::{Change, EditError, Imported};
pub use freshness::Freshness;
pub use listing::{EntryFilter, EntryOrder, EntryPage};
pub use question::{Question, QuestionFilter};
pub use summary::{RenderedSummary, Summary};
pub use writer::request::{ChangeError, EditDone, Receipt};
