//! `orchestrator retention`: sums up days that ended and deletes what is old, once, as the
//! service does every day; or shows what it would do.

use std::{fmt::Write, sync::Arc};

use indicatif::ProgressBar;
use parking_lot::Mutex;

use super::{
    Failure, output, progress,
    serve::{failed, runtime, watch_signals},
};
use crate::{
    config::Settings,
    history::{AlertExpiry, Calendar, ProgressListener, Report, RetentionJob, StoreOnly, audit},
    model::SystemClock,
    service::open_command_audit_log,
    shutdown::Phase,
    store::Store,
    telemetry::logging,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Show what would be done, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Does it on the store that is configured.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let settings = Settings::from_process()?;
    logging::init(&settings.log).map_err(failed)?;
    let text = runtime().map_err(failed)?.block_on(async {
        let store = super::store::open_existing(&settings).await?;
        let done = retain(&settings, &store, args.dry_run).await;
        store.close().await;
        done
    })?;
    output::print(&text)
}

async fn retain(
    settings: &Settings,
    store: &Arc<dyn Store>,
    dry_run: bool,
) -> Result<String, Failure> {
    super::require_schema(store.as_ref()).await?;
    let (clock, calendar) = (Arc::new(SystemClock), Calendar::local());
    let shown = Arc::new(Shown::default());
    let listener: Arc<dyn ProgressListener> = Arc::<Shown>::clone(&shown);
    let expiry: Arc<dyn AlertExpiry> = Arc::new(StoreOnly);
    let (kept, settings_of) = (Arc::clone(store), settings.retention);
    let job = RetentionJob::new(kept, clock, calendar, settings_of, (expiry, listener))
        .of_instance(&settings.instance);
    if dry_run {
        return Ok(described(&job.preview().await.map_err(failed)?, "would be"));
    }
    let stop = Phase::default();
    watch_signals(stop.clone()).map_err(failed)?;
    let report = job.run(&stop).await.map_err(failed)?;
    shown.finish();
    let log = open_command_audit_log(settings);
    audit(log.map_err(failed)?.as_ref(), &report, "command line");
    match report.stopped {
        true => {
            Err(Failure::Failed(format!("stopped before its end; {}", described(&report, "are"))))
        }
        false => Ok(described(&report, "are")),
    }
}

fn described(report: &Report, verb: &str) -> String {
    let mut text = String::new();
    for day in &report.consolidated {
        let _ = writeln!(text, "{day} {} summed up", verb.replace("are", "is"));
    }
    let Report { alerts, samples, alerts_before, samples_before, .. } = report;
    let _ = writeln!(text, "{alerts} alerts last received before {alerts_before} {verb} deleted");
    let _ = writeln!(text, "{samples} samples taken before {samples_before} {verb} deleted");
    text
}

/// Shows a bar.
#[derive(Default)]
struct Shown(Mutex<Option<ProgressBar>>);

impl Shown {
    fn behind(&self, deleted: u64) {
        if let Some(bar) = self.0.lock().as_ref() {
            bar.inc(deleted);
        }
    }

    fn finish(&self) {
        if let Some(bar) = self.0.lock().take() {
            bar.finish_and_clear();
        }
    }
}

impl ProgressListener for Shown {
    fn expects(&self, alerts: u64, samples: u64) {
        *self.0.lock() = Some(progress::bar("deleting", alerts + samples));
    }

    fn alerts_expired(&self, deleted: u64) {
        self.behind(deleted);
    }

    fn samples_expired(&self, deleted: u64) {
        self.behind(deleted);
    }
}
