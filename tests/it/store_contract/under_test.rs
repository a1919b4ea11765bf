//! The stores under test: each test gets an empty database of its own.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU32, Ordering},
};

use mongodb::{Client, Database, options::ClientOptions};
use orchestrator::{
    model::SystemClock,
    store::{Store, migrate, mongodb::MongoStore, sqlite::SqliteStore},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::SecretString;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Mutex, MutexGuard, watch},
};

/// What a store has when a promise is made.
#[derive(Clone, Copy, PartialEq)]
pub enum Schema {
    Migrated,
    Empty,
}

/// On a file of its own.
pub async fn on_sqlite(schema: Schema, promise: impl AsyncFn(&dyn Store)) {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&directory.path().join("test.db")).await.unwrap();
    keep_promise(&store, schema, promise).await;
}

/// On the replica set of `TEST_MONGODB_URI`.
pub async fn on_mongodb(schema: Schema, promise: impl AsyncFn(&dyn Store)) {
    if let Some(server) = Server::replica_set().await {
        on_server(server, schema, promise).await;
    }
}

/// On the server without transactions of `TEST_MONGODB_STANDALONE_URI`.
pub async fn on_lone_mongodb(schema: Schema, promise: impl AsyncFn(&dyn Store)) {
    if let Some(server) = Server::lone().await {
        on_server(server, schema, promise).await;
    }
}

async fn on_server(server: Server, schema: Schema, promise: impl AsyncFn(&dyn Store)) {
    let store = MongoStore::open(&server.uri, &server.database).await.unwrap();
    keep_promise(&store, schema, promise).await;
}

async fn keep_promise(store: &dyn Store, schema: Schema, promise: impl AsyncFn(&dyn Store)) {
    if schema == Schema::Migrated {
        migrate::up(store, "test", &SystemClock, false).await.unwrap();
    }
    promise(store).await;
    store.close().await;
}

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
    ///
    /// Without it the test passes unseen, unless `TEST_REQUIRE_SERVICES` says that it must run.
    #[allow(clippy::disallowed_methods)]
    async fn from_environment(variable: &str, turn: &'static Mutex<()>) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let Ok(text) = std::env::var(variable) else {
            assert!(
                std::env::var("TEST_REQUIRE_SERVICES").is_err(),
                "TEST_REQUIRE_SERVICES is set, but {variable} is not"
            );
            return None;
        };
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
}

impl Server {
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
        let separator = if direct.contains('?') { '&' } else { '?' };
        format!("{direct}{separator}directConnection=true")
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

/// What stands between the store and its server, to be cut or to fall silent.
pub struct Proxy {
    pub address: SocketAddr,
    mode: watch::Sender<Mode>,
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Open,
    Silent,
    Cut,
}

impl Proxy {
    pub async fn start(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mode, seen) = watch::channel(Mode::Open);
        tokio::spawn(serve(Some(listener), address, target, seen));
        Self { address, mode }
    }

    pub fn open(&self) {
        self.mode.send_replace(Mode::Open);
    }

    /// Connections stay, nothing passes.
    pub fn silence(&self) {
        self.mode.send_replace(Mode::Silent);
    }

    /// Connections break, new ones are refused.
    pub fn cut(&self) {
        self.mode.send_replace(Mode::Cut);
    }
}

async fn serve(
    mut listener: Option<TcpListener>,
    address: SocketAddr,
    target: String,
    mut mode: watch::Receiver<Mode>,
) {
    loop {
        let now = *mode.borrow_and_update();
        if now == Mode::Cut {
            listener = None;
            if mode.changed().await.is_err() {
                return;
            }
            continue;
        }
        let accepting = match &listener {
            Some(listener) => listener,
            None => listener.insert(TcpListener::bind(address).await.unwrap()),
        };
        tokio::select! {
            accepted = accepting.accept() => {
                let (client, _) = accepted.unwrap();
                tokio::spawn(pass(client, target.clone(), mode.clone()));
            }
            changed = mode.changed() => if changed.is_err() { return },
        }
    }
}

async fn pass(mut client: TcpStream, target: String, mut mode: watch::Receiver<Mode>) {
    if *mode.borrow_and_update() == Mode::Open {
        let Ok(mut server) = TcpStream::connect(target).await else { return };
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut client, &mut server) => return,
            _ = mode.changed() => {}
        }
    }
    if *mode.borrow_and_update() == Mode::Silent {
        drop(mode.changed().await);
    }
}
