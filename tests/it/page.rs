//! The page in a real browser: Debian's Chromium, driven against the built binary with real data.

mod ask;
mod browser;
mod chromium;
mod data;
mod editing;
mod figures;
mod history;
mod looks;
mod markdown;
mod now;
mod safety;
mod served;
mod signing_in;

pub use self::{browser::Browser, data::Scene};
