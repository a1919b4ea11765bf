//! Getting at the server: timeouts, the pool, what a write waits for, and what the topology can do.

use std::{sync::Arc, time::Duration};

use mongodb::{
    Client,
    bson::{Document, doc},
    options::{Acknowledgment, ClientOptions, WriteConcern},
};
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use uuid::Uuid;

use super::{MongoStore, error::MongoError, follow};
use crate::store::{Result, StoreError};

/// How long an operation looks for a server before it reports that there is none.
const SELECT_WITHIN: Duration = Duration::from_secs(3);
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// How long a write waits for the majority.
const MAJORITY_WITHIN: Duration = Duration::from_secs(5);
const POOL_MIN: u32 = 4;
const POOL_MAX: u32 = 32;

/// The only write concern used: on disk at a majority.
pub(super) fn write_concern() -> WriteConcern {
    WriteConcern::builder()
        .w(Acknowledgment::Majority)
        .journal(true)
        .w_timeout(MAJORITY_WITHIN)
        .build()
}

/// The same for a command that is written out.
pub(super) fn write_concern_document() -> Document {
    doc! { "w": "majority", "j": true, "wtimeout": MAJORITY_WITHIN.as_millis() as i64 }
}

/// Connects, fills the pool and asks what the server can do.
///
/// # Errors
/// `Refused` for a connection string that cannot be read, `Unavailable` for a server that does
/// not answer or does not let us in.
pub(super) async fn open(uri: &SecretString, database: &str) -> Result<MongoStore> {
    let options = options(uri).await?;
    let client = Client::with_options(options.clone()).map_err(MongoError::from)?;
    let probes = Client::with_options(for_probes(options)).map_err(MongoError::from)?;
    let (db, probes) = (client.database(database), probes.database(database));
    let hello = db.run_command(doc! { "hello": 1 }).await.map_err(MongoError::from)?;
    // `hello` answers strangers too: a wrong password must come out here, not at the first write.
    db.run_command(doc! { "count": "system_state" }).await.map_err(MongoError::from)?;
    client.warm_connection_pool().await;
    Ok(MongoStore {
        client,
        db,
        probes,
        snapshots: has_snapshots(&hello),
        clock: Arc::new(Mutex::new((follow::clock_of(&hello)?, Instant::now()))),
        id: Uuid::new_v4().to_string(),
        marks: Arc::default(),
        followed: Arc::default(),
        unsettled: Arc::default(),
        unanswered: Arc::default(),
        suspects: Arc::default(),
        late: Arc::default(),
        presence: Arc::default(),
        watch: Arc::default(),
        pace: Arc::default(),
        fence: None,
    })
}

/// One connection, opened when it is first asked for.
fn for_probes(mut options: ClientOptions) -> ClientOptions {
    options.min_pool_size = None;
    options.max_pool_size = Some(1);
    options
}

/// The driver's own message may quote the string, so it is not passed on.
async fn options(uri: &SecretString) -> Result<ClientOptions> {
    let parsed = ClientOptions::parse(uri.expose_secret()).await;
    let mut options = parsed.map_err(|error| match &*error.kind {
        mongodb::error::ErrorKind::DnsResolve { .. } => {
            StoreError::unavailable("the host of the MongoDB connection string was not resolved")
        }
        _ => StoreError::refused(
            "the MongoDB connection string cannot be read; a user or password with @ : / ? # % \
             in it must be percent-encoded",
        ),
    })?;
    options.app_name.get_or_insert_with(|| env!("CARGO_PKG_NAME").to_owned());
    options.server_selection_timeout = Some(SELECT_WITHIN);
    options.connect_timeout = Some(CONNECT_WITHIN);
    options.min_pool_size.get_or_insert(POOL_MIN);
    options.max_pool_size.get_or_insert(POOL_MAX);
    options.write_concern = Some(write_concern());
    Ok(options)
}

/// Members of a replica set and routers of a cluster have snapshots, a lone server has not.
fn has_snapshots(hello: &Document) -> bool {
    hello.contains_key("setName") || hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_string_that_cannot_be_read_is_not_quoted() {
        for uri in ["mongodb://user:p@ss/word@host/db", "mongodb://u:secret%zz@host", "secret"] {
            let error = options(&SecretString::from(uri)).await.unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(!text.contains("ss/word") && !text.contains("secret"), "{text}");
            assert!(!error.is_unavailable());
        }
    }

    #[tokio::test]
    async fn an_encoded_password_arrives_decoded() {
        let uri = SecretString::from("mongodb://user:p%40ss%2Fw%3Ard@host/db");
        let options = options(&uri).await.unwrap();
        assert_eq!(options.credential.unwrap().password.as_deref(), Some("p@ss/w:rd"));
    }

    #[test]
    fn only_a_lone_server_lacks_snapshots() {
        assert!(has_snapshots(&doc! { "setName": "rs0" }));
        assert!(has_snapshots(&doc! { "msg": "isdbgrid" }));
        assert!(!has_snapshots(&doc! { "isWritablePrimary": true }));
    }
}
