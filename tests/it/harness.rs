//! What the black-box tests stand on: a place of its own for each test (a directory and an empty
//! database), the service started there in process or as the built binary, and the people who
//! call it.

mod actor;
pub mod attackers;
mod balancer;
pub mod faults;
pub mod h2;
pub mod hostile;
mod mongod;
pub mod mutation;
mod payload;
mod place;
mod process;
mod proxy;
mod raw;
mod redis;
mod running;
mod server;
mod stopwatch;
pub mod world;

pub use self::{
    actor::{Actor, Answer, TOKEN, hmac_hex, keys},
    balancer::Balancer,
    h2::H2,
    mongod::{Mongod, Topology},
    payload::{Alert, payload},
    place::{Place, on_lone_mongodb, on_mongodb, on_sqlite, require},
    process::{Process, free_port},
    proxy::Proxy,
    raw::Raw,
    redis::Redis,
    running::Running,
    server::Server,
    stopwatch::Stopwatch,
    world::World,
};

use std::time::{Duration, Instant};

/// How long another process or task may take before a test gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Makes a test of each of these claims on each store.
macro_rules! on_each_store {
    ($($claim:ident),* $(,)?) => {
        mod on_sqlite {
            $(
                #[tokio::test]
                async fn $claim() {
                    $crate::harness::on_sqlite(super::$claim).await;
                }
            )*
        }
        mod on_mongodb {
            $(
                #[tokio::test]
                async fn $claim() {
                    $crate::harness::on_mongodb(super::$claim).await;
                }
            )*
        }
    };
}
pub(crate) use on_each_store;

/// Asks again and again until there is an answer; for what happens in another process or task.
pub async fn eventually<T>(what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
    within(PATIENCE, what, ask).await
}

/// The same, where it is a promise how soon.
pub async fn within<T>(time: Duration, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + time;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "this did not happen: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
