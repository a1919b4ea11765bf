//! `orchestrator import FILE`: puts an ndjson export back, into whichever store is configured.

use std::{path::PathBuf, sync::Arc};

use indicatif::ProgressBar;
use parking_lot::Mutex;
use serde_json::json;

use super::{
    Failure, output, progress,
    serve::{failed, runtime},
};
use crate::{
    config::Settings,
    history::import::{ImportError, Imported, Progress, Step, import},
    model::SystemClock,
    security::{AuditContext, AuditLog, Event},
    service::{apply_migrations, open_command_audit_log},
    store::Store,
    telemetry::logging,
};

pub(super) const HELP: &str = "\
The file is checked from end to end before anything is changed: one that is cut, of another
program or of a newer schema is refused. Documents replace those with the same key, so importing
twice equals importing once. Stop the service meanwhile: it knows only what it read at its start.

Exit codes: 0 done, 1 failed, 64 wrong usage, 78 wrong configuration.";

/// Who changes something, in the audit log.
const BY: &str = "command line";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An export in the format ndjson, compressed with gzip or not
    pub file: PathBuf,
}

/// Imports into the store that is configured.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let settings = Settings::from_process()?;
    logging::init(&settings.log).map_err(failed)?;
    // A mistyped name makes no new database.
    std::fs::File::open(&args.file).map_err(|error| {
        Failure::Failed(format!("cannot read {}: {error}", args.file.display()))
    })?;
    let imported = runtime().map_err(failed)?.block_on(async {
        let audit = open_command_audit_log(&settings).map_err(failed)?;
        let store = super::store::open(&settings).await?;
        let imported = put_back(&settings, store.as_ref(), &audit, args).await;
        store.close().await;
        imported
    })?;
    let (header, left_out) = (&imported.header, imported.documents - imported.written);
    output::print(&format!(
        "imported {} documents of the export of {} from {} (schema {}); {left_out} records of the \
         old database itself were left out\n",
        imported.written, header.export_date, header.backend, header.schema_version
    ))
}

async fn put_back(
    settings: &Settings,
    store: &dyn Store,
    audit: &AuditLog,
    args: &Args,
) -> Result<Imported, Failure> {
    if settings.store.migrate_on_start {
        apply_migrations(settings, store, &SystemClock, audit, BY).await.map_err(failed)?;
    }
    let shown: Mutex<Option<(Step, ProgressBar)>> = Mutex::default();
    let progress: Arc<Progress> = Arc::new(move |step, behind, all| {
        let mut shown = shown.lock();
        if shown.as_ref().is_none_or(|(known, _)| *known != step) {
            let what = if step == Step::Checking { "checking" } else { "writing" };
            if let Some((_, over)) = shown.replace((step, progress::bar(what, all))) {
                over.finish();
            }
        }
        if let Some((_, bar)) = shown.as_ref() {
            bar.set_position(behind);
        }
    });
    let imported = import(store, &args.file, progress).await;
    audit_import(audit, &imported).await?;
    imported.map_err(failed)
}

/// Writes down what was changed, also by an import that did not come to its end.
async fn audit_import(
    audit: &AuditLog,
    imported: &Result<Imported, ImportError>,
) -> Result<(), Failure> {
    let details = match imported {
        Ok(Imported { header, written, .. }) => json!({
            "by": BY, "documents": written, "exportDate": header.export_date,
        }),
        Err(ImportError::Store { documents, error }) if *documents > 0 => json!({
            "by": BY, "documents": documents, "error": error.to_string(),
        }),
        Err(_) => return Ok(()),
    };
    audit
        .record_confirmed(Event::DataImport, AuditContext::default(), details)
        .await
        .map_err(failed)
}
