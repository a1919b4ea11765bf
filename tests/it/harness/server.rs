//! The MongoDB servers that tests share.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU32, Ordering},
};

use mongodb::{Client, Database, options::ClientOptions};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::SecretString;
use tokio::sync::{Mutex, MutexGuard};

use super::require;

/// A MongoDB server and the name of a database that nobody else uses.
///
/// The database is left where it is, for whoever started the server to throw away: a test may end
/// with a transaction still open, and SecantusDB waits for that in `dropDatabase` with a lock held
/// that keeps everybody else out. For the same reason one test at a time has the server: what one
/// client does at length is felt by all others, up to their deadlines.
pub struct Server {
    pub uri: SecretString,
    pub text: String,
    pub database: String,
    client: Client,
    _turn: MutexGuard<'static, ()>,
}

impl Server {
    /// The server that most tests run on.
    pub async fn replica_set() -> Option<Self> {
        static TURN: Mutex<()> = Mutex::const_new(());
        Self::from_environment("TEST_MONGODB_URI", &TURN).await
    }

    /// The server without transactions.
    pub async fn lone() -> Option<Self> {
        static TURN: Mutex<()> = Mutex::const_new(());
        Self::from_environment("TEST_MONGODB_STANDALONE_URI", &TURN).await
    }

    /// The server whose connection string is in this variable.
    async fn from_environment(variable: &str, turn: &'static Mutex<()>) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let text = require(variable)?;
        let turn = turn.lock().await;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let database =
            format!("test_{}_{number}_{:08x}", std::process::id(), rand::random::<u32>());
        let client = Client::with_uri_str(&text).await.unwrap();
        Some(Self { uri: SecretString::from(text.clone()), text, database, client, _turn: turn })
    }

    /// The database as another program sees it.
    pub fn raw(&self) -> Database {
        self.client.database(&self.database)
    }

    async fn options(&self) -> ClientOptions {
        ClientOptions::parse(&self.text).await.unwrap()
    }

    /// Where it listens.
    pub async fn address(&self) -> String {
        self.options().await.hosts[0].to_string()
    }

    /// The connection string by way of another address, and no other.
    pub async fn through(&self, address: SocketAddr) -> String {
        let direct = self.text.replace(&self.address().await, &address.to_string());
        with_option(&direct, "directConnection=true")
    }

    /// The connection string of a client that the server knows by this name.
    pub fn known_as(&self, name: &str) -> String {
        with_option(&self.text, &format!("appName={name}"))
    }

    /// A connection string for a user of the test's own database.
    pub fn with_credentials(&self, user: &str, password: &str) -> String {
        let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let (_, host) = self.text.rsplit_once('@').expect("credentials in TEST_MONGODB_URI");
        let host = host.split('/').next().unwrap();
        let (user, password) = (encode(user), encode(password));
        format!("mongodb://{user}:{password}@{host}/?authSource={}", self.database)
    }
}

fn with_option(text: &str, option: &str) -> String {
    let separator = if text.contains('?') { '&' } else { '?' };
    format!("{text}{separator}{option}")
}
