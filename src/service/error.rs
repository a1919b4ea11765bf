//! Why the service did not start, or did not end well.

use std::{io, net::SocketAddr, path::PathBuf, time::Duration};

use crate::{
    knowledge::{BaseError, search::ModelError},
    security::CertificateError,
    store::{StoreError, migrate::MigrateError},
};

/// Why the service did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The store could not be opened within the time for it.
    #[error("the store could not be opened: {0}")]
    Store(#[from] StoreError),
    /// The schema could not be brought up to date.
    #[error("the schema could not be brought up to date: {0}")]
    Migrate(#[from] MigrateError),
    /// The knowledge could not be loaded; the service never starts without it.
    #[error("the knowledge base could not be loaded: {0}")]
    Base(#[from] BaseError),
    /// The audit log could not be opened.
    #[error("the audit log {path} could not be opened: {cause}")]
    Audit {
        /// Where it was to be.
        path: String,
        /// Why not.
        cause: io::Error,
    },
    /// Another service has the SQLite file.
    #[error("the lock {path} cannot be taken: {cause}", path = path.display())]
    Lock {
        /// The lock's file.
        path: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// The model of `EMBEDDING_MODEL` could not be used.
    #[error("the model in {path} could not be used: {cause}", path = path.display())]
    Model {
        /// The model's folder.
        path: PathBuf,
        /// Why not.
        cause: ModelError,
    },
    /// An address could not be listened on.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// Why not.
        cause: io::Error,
    },
    /// The certificate could not be used.
    #[error("the certificate could not be used: {0}")]
    Certificate(#[from] CertificateError),
    /// Metrics could not be registered: a defect.
    #[error("metrics could not be registered: {0}")]
    Metrics(#[from] prometheus::Error),
    /// Redis' URL cannot be read.
    #[error("{0}")]
    Redis(String),
    /// A task that must run as long as the service has ended.
    #[error("the task {0} has died")]
    TaskDied(&'static str),
    /// Not everything was finished within `SHUTDOWN_TIMEOUT_SECONDS`.
    #[error("not everything was finished within {0:?}")]
    ShutdownTimeout(Duration),
    /// What queries taught could not be written before the end.
    #[error("{0} changes of open questions could not be stored and are lost")]
    Unwritten(usize),
    /// Somebody asked to stop before the service had started.
    #[error("stopped while starting")]
    Interrupted,
}
