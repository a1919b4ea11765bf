//! `orchestrator backup FILE`: the SQLite database as one file, while the service writes.

use std::path::PathBuf;

use serde_json::json;

use super::{Failure, output, serve::failed, store};
use crate::{
    config::{Settings, StoreTarget},
    security::{AuditContext, Event},
    service::open_command_audit_log,
    store::sqlite::backup,
    telemetry::logging,
};

pub(super) const HELP: &str = "\
The copy is of one moment, whole, checked, and on the disk when the command ends; the service may go on
writing meanwhile. To restore it, stop the service and put the file where the database was, without
the old -wal and -shm files. A MongoDB is backed up by mongodump.

Exit codes: 0 done, 1 failed, 64 wrong usage, 78 wrong configuration.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file to make; it must not be there
    file: PathBuf,
}

/// Copies the database that is configured.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let settings = Settings::from_process()?;
    logging::init(&settings.log).map_err(failed)?;
    let StoreTarget::Sqlite { path } = &settings.store.target else {
        return Err(Failure::Failed(format!(
            "{}: a MongoDB is backed up by mongodump (with --oplog on a replica set)",
            store::name(&settings.store.target)
        )));
    };
    store::require_file(&settings)?;
    let size = backup(path, &args.file).map_err(|error| store::failure(&settings, &error))?;
    let log = open_command_audit_log(&settings);
    let details = json!({ "by": "command line", "format": "sqlite" });
    log.map_err(failed)?.record(Event::DataExport, AuditContext::default(), details);
    output::print(&format!("backed up {size} bytes to {}\n", args.file.display()))
}
