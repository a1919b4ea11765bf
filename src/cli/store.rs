//! The store of a command: opened only where it is there, and named once, in plain words, where
//! it fails.

use std::{error::Error, sync::Arc};

use super::Failure;
use crate::{
    config::{Settings, StoreTarget},
    service::{ServiceError, open_store},
    store::{Store, StoreError},
};

/// Opens the store for a command that may make one.
pub(super) async fn open(settings: &Settings) -> Result<Arc<dyn Store>, Failure> {
    open_store(settings).await.map_err(|error| failure(settings, &error))
}

/// Opens the store for a command that makes none: a mistyped path is a failure, and no new
/// database.
pub(super) async fn open_existing(settings: &Settings) -> Result<Arc<dyn Store>, Failure> {
    require_file(settings)?;
    open(settings).await
}

/// Fails if the store is a file that is not there.
pub(super) fn require_file(settings: &Settings) -> Result<(), Failure> {
    match &settings.store.target {
        StoreTarget::Sqlite { path } => std::fs::metadata(path)
            .map(|_| ())
            .map_err(|error| failed_at(settings, &error.to_string())),
        StoreTarget::Mongodb { .. } => Ok(()),
    }
}

/// How a failure of the store is reported.
pub(super) fn failure(settings: &Settings, error: &StoreError) -> Failure {
    let cause = match error {
        StoreError::Unavailable(cause) | StoreError::Refused(cause) => cause.to_string(),
        StoreError::LeaseLost(lost) => lost.to_string(),
    };
    failed_at(settings, &in_words(&cause))
}

/// How a failure of the service's parts is reported.
pub(super) fn service_failure(settings: &Settings, error: &ServiceError) -> Failure {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<StoreError>() {
            return failure(settings, error);
        }
        cause = error.source();
    }
    Failure::Failed(error.to_string())
}

fn failed_at(settings: &Settings, what: &str) -> Failure {
    Failure::Failed(format!("{}: {what}", name(&settings.store.target)))
}

/// The store as people know it; no user, no password.
pub(super) fn name(target: &StoreTarget) -> String {
    match target {
        StoreTarget::Sqlite { path } => format!("SQLite at {}", path.display()),
        StoreTarget::Mongodb { uri, .. } => {
            use secrecy::ExposeSecret;
            format!("MongoDB at {}", hosts(uri.expose_secret()))
        }
    }
}

/// The hosts of a connection string.
fn hosts(uri: &str) -> &str {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts)
}

/// The driver's errors without their inner life.
fn in_words(cause: &str) -> String {
    if let Some((_, topology)) = cause.split_once("Server selection timeout") {
        return server_selection(topology);
    }
    let text = without_labels(cause);
    let text = text.strip_prefix("Kind: ").unwrap_or(text);
    text.strip_prefix("Command failed: ").unwrap_or(text).to_owned()
}

/// The reason that is inside the description of the topology, if there is one.
fn server_selection(message: &str) -> String {
    let Some((_, inner)) = message.split_once("Error: ") else {
        return "no server answers".to_owned();
    };
    let reason = without_labels(inner);
    let reason = reason.rsplit_once("Kind: ").map_or(reason, |(_, kind)| kind);
    let reason = reason.strip_prefix("I/O error: ").unwrap_or(reason);
    format!("no server answers: {}", reason.trim_end_matches([' ', '}', ']', ',']))
}

fn without_labels(text: &str) -> &str {
    text.split_once(", labels: ").map_or(text, |(before, _)| before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_named_without_credentials() {
        assert_eq!(hosts("mongodb://u:p%40@db-1:27017,db-2/x?y=z"), "db-1:27017,db-2");
        assert_eq!(hosts("mongodb+srv://cluster.example.org"), "cluster.example.org");
    }

    #[test]
    fn the_reason_is_found_in_what_the_driver_says() {
        let message = "Server selection timeout: No available servers. Topology: { Type: Unknown, \
            Set Name: , Servers: [ { Address: db-1:1, Type: Unknown, Error: Kind: I/O error: \
            Connection refused (os error 111), labels: {} } ] }";
        let message = format!("Kind: {message}, labels: {{}}");
        assert_eq!(in_words(&message), "no server answers: Connection refused (os error 111)");
        assert_eq!(in_words("Kind: Server selection timeout: Topology: {}"), "no server answers");
        assert_eq!(in_words("Kind: Command failed: no, labels: {\"a\"}, source: b"), "no");
    }
}
