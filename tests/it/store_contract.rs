//! What every store promises, checked on every backend.
//!
//! A promise is a function over `&dyn Store` in one of the files beside. [`each_backend`] makes
//! a test of it for each of the stores under test, each on a database of its own.

mod alerts;
mod export;
mod history;
mod knowledge;
mod leases;
mod listing;
mod migrations;
mod mongodb_only;
mod paused;
mod replicas;
mod samples;
pub mod under_test;

/// Makes a test on each backend of each promise, for a store that is `Migrated` or still `Empty`.
macro_rules! each_backend {
    ($schema:ident: $($promise:ident),* $(,)?) => {
        $crate::store_contract::on_backend!(on_sqlite, $schema: $($promise),*);
        $crate::store_contract::on_backend!(on_mongodb, $schema: $($promise),*);
        $crate::store_contract::on_backend!(on_lone_mongodb, $schema: $($promise),*);
    };
}
use each_backend;

/// The tests of one backend: the function of its name in `under_test`.
macro_rules! on_backend {
    ($backend:ident, $schema:ident: $($promise:ident),*) => {
        mod $backend {
            use $crate::store_contract::under_test::{$backend, Schema};
            $(
                #[tokio::test]
                async fn $promise() {
                    $backend(Schema::$schema, super::$promise).await;
                }
            )*
        }
    };
}
use on_backend;
