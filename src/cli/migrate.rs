//! `orchestrator migrate`: its arguments.

use clap::ValueEnum;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to do
    #[arg(value_enum, default_value_t)]
    pub action: Action,
    /// Show what `up` would do, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Action {
    /// Apply the migrations that are missing
    #[default]
    Up,
    /// List the migrations, applied and missing
    Status,
}
