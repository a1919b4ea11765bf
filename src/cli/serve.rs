//! `orchestrator serve`: the service, from its settings until a signal.

use std::{io, sync::Arc};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Failure, descriptors};
use crate::{
    config::{Credentials, DEV_CREDENTIALS, Problems, Settings},
    model::SystemClock,
    security::AuditLog,
    service::{Secrets, Service, ServiceError},
    shutdown::Phase,
    telemetry::logging,
};

/// Serves until SIGTERM or SIGINT; a second one ends the process at once.
pub(super) fn run() -> Result<(), Failure> {
    let mut settings = Settings::from_process()?;
    let credentials = settings.ensure_credentials()?;
    logging::init_service(&settings.log).map_err(failed)?;
    settings.warnings.extend(descriptors::fit(&mut settings.server));
    settings.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    tell_of(&credentials);
    runtime().map_err(failed)?.block_on(serve(&settings)).map_err(|error| {
        tracing::error!(%error, "stopped");
        failed(error)
    })
}

/// Threads as there are cores.
pub(super) fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

pub(super) fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::Failed(error.to_string())
}

fn tell_of(credentials: &Credentials) {
    match credentials {
        Credentials::Configured => {}
        Credentials::Made(path) => {
            let path = path.display();
            tracing::info!(%path, "no keys are set: made some for development; they are in the file");
        }
        Credentials::Found(path) => {
            let path = path.display();
            tracing::info!(%path, "no keys are set: using those made for development, in the file");
        }
    }
}

async fn serve(settings: &Settings) -> Result<(), ServiceError> {
    let phase = Phase::default();
    if let Err(error) = watch_signals(phase.clone()) {
        tracing::warn!(%error, "signals cannot be watched; only the process' end will stop it");
    }
    // From now on, so that one that comes during the start does not end the process.
    let hang_up = signal(SignalKind::hangup());
    let service = Service::start(settings, Arc::new(SystemClock), phase).await?;
    match hang_up {
        Ok(hang_up) => watch_hang_up(hang_up, service.audit(), service.secrets()),
        Err(error) => {
            tracing::warn!(%error, "SIGHUP cannot be watched; files are read at the start only");
        }
    }
    let address = service.address();
    let metrics = service.metrics_address().map(|address| address.to_string());
    tracing::info!(%address, metrics, version = env!("CARGO_PKG_VERSION"), "serving");
    let ended = service.run().await;
    if ended.is_ok() {
        tracing::info!("stopped: everything under way was finished");
    }
    ended
}

/// Opens the audit log and reads secrets again, whenever SIGHUP comes.
fn watch_hang_up(mut hang_up: Signal, audit: Arc<AuditLog>, secrets: Arc<Secrets>) {
    tokio::spawn(async move {
        while hang_up.recv().await.is_some() {
            match audit.reopen() {
                Ok(()) => tracing::info!("the audit log was opened again"),
                Err(error) => tracing::error!(%error, "the audit log cannot be opened again"),
            }
            let secrets = Arc::clone(&secrets);
            // It says itself what came of it, and files may be slow.
            let reload = move || drop(secrets.reload(settings_again()));
            if let Err(error) = tokio::task::spawn_blocking(reload).await {
                tracing::error!(%error, "secrets are kept as they were");
            }
        }
    });
}

/// The settings as they are now. The process' environment is that of its start; what it names,
/// and `.env`, may have changed.
fn settings_again() -> Result<Settings, Problems> {
    let mut settings = Settings::from_process()?;
    match settings.find_credentials()? {
        Some(_) => Ok(settings),
        None => Err(Problems::one(format!("{DEV_CREDENTIALS}: was deleted"))),
    }
}

/// The first signal drains, the second ends the process at once.
pub(super) fn watch_signals(phase: Phase) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        loop {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            if phase.is_draining() {
                tracing::error!(signal = name, "a second signal: stopping at once");
                logging::flush();
                std::process::exit(1);
            }
            tracing::info!(signal = name, "stopping: requests under way are finished first");
            phase.drain();
        }
    });
    Ok(())
}
