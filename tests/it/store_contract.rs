//! What every store promises, checked on every backend.
//!
//! A promise is a function over `&dyn Store` in one of the files beside; [`each_backend`] makes a
//! test of it for SQLite and for MongoDB, each on a database of its own.

mod alerts;
mod export;
mod knowledge;
mod leases;
mod migrations;
mod mongodb_only;
mod samples;
mod under_test;

/// Makes a test on each backend of each promise.
macro_rules! each_backend {
    ($($promise:ident),* $(,)?) => {
        mod on_mongodb {
            $(
                #[tokio::test]
                async fn $promise() {
                    crate::store_contract::under_test::on_mongodb(super::$promise).await;
                }
            )*
        }
    };
}
use each_backend;
