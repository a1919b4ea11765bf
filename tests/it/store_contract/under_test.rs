//! The stores under test: each test gets an empty database of its own.

use orchestrator::{
    model::SystemClock,
    store::{Store, migrate, mongodb::MongoStore, sqlite::SqliteStore},
};

use crate::harness::Server;

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
