//! `orchestrator migrate`: brings the schema up to date, or shows where it stands.

use std::fmt::Write;

use clap::ValueEnum;

use super::{
    Failure, output,
    serve::{failed, runtime},
};
use crate::{
    config::Settings,
    model::SystemClock,
    service::{apply_migrations, open_command_audit_log},
    store::{Store, migrate},
    telemetry::logging,
};

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

/// Does what the arguments say on the store that is configured.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let settings = Settings::from_process()?;
    logging::init(&settings.log).map_err(failed)?;
    let text = runtime().map_err(failed)?.block_on(async {
        let store = super::store::open_existing(&settings).await?;
        let text = match args.action {
            Action::Status => status(store.as_ref()).await,
            Action::Up => up(&settings, store.as_ref(), args.dry_run).await,
        };
        store.close().await;
        text
    })?;
    output::print(&text)
}

async fn status(store: &dyn Store) -> Result<String, Failure> {
    let mut text = String::new();
    for row in migrate::status(store).await.map_err(failed)? {
        let _ = writeln!(text, "{:04}_{}  {}", row.number, row.name, row.state.as_str());
    }
    Ok(text)
}

async fn up(settings: &Settings, store: &dyn Store, dry_run: bool) -> Result<String, Failure> {
    let report = match dry_run {
        true => migrate::up(store, "", &SystemClock, true).await,
        false => {
            let audit = open_command_audit_log(settings).map_err(failed)?;
            apply_migrations(settings, store, &SystemClock, &audit, "command line").await
        }
    };
    let report = report.map_err(failed)?;
    let mut text = String::new();
    let did = if report.dry_run { "would apply" } else { "applied" };
    for migration in &report.applied {
        let _ = writeln!(text, "{did} {migration}");
    }
    let would = if report.dry_run { "would be" } else { "is" };
    let _ = writeln!(text, "the schema {would} at version {}", report.to);
    Ok(text)
}
