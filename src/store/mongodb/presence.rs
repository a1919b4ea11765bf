//! Which other processes write, where no change stream tells.
//!
//! A lone server is asked again and again what others changed, and goes through all that was changed
//! of late for it, most of which the asking process did itself. So there a process says that it writes
//! before it does, again every [`SAID_EVERY`], by a lease of its own: where nobody else writes, there
//! is nothing to go through.

use std::time::Duration;

use mongodb::bson::{Document, doc};

use super::{MongoStore, error::MongoError, lease, wire::date};
use crate::model::{Clock, Collection, SystemClock, Time};

const SAID_EVERY: Duration = Duration::from_secs(60);
/// Longer than that by what a write may take, and by what may hold a process up in one.
const HOLDS_FOR: Duration = Duration::from_secs(5 * 60);
/// How long it stays in the store of whom it does not hold any more.
const KEPT_MS: i64 = 24 * 60 * 60 * 1000;

/// What the names of these leases begin with.
const WRITER: &str = "writer:";

/// Says that this process writes, if it has not of late.
pub(super) async fn say(store: &MongoStore) -> Result<(), MongoError> {
    // The wall clock goes on while the machine is suspended.
    let now = SystemClock.now();
    let holds = |said: Time| said <= now && now < said.plus(SAID_EVERY);
    if store.snapshots || store.said.lock().is_some_and(holds) {
        return Ok(());
    }
    let name = format!("{WRITER}{}", store.id);
    lease::acquire(store, &name, &store.id, HOLDS_FOR).await?;
    *store.said.lock() = Some(now);
    let over = store.clock.lock().0.plus_millis(-KEPT_MS);
    let ended = of_others(store, doc! { "$lt": date(over) });
    store.documents(Collection::SystemState).delete_many(ended).await?;
    Ok(())
}

/// Whether another process may have written since then, by the server's clock.
pub(super) async fn others_wrote(store: &MongoStore, since: Time) -> Result<bool, MongoError> {
    if store.snapshots {
        return Ok(true);
    }
    let writing = of_others(store, doc! { "$gte": date(since) });
    Ok(store.documents(Collection::SystemState).find_one(writing).await?.is_some())
}

fn of_others(store: &MongoStore, expires_at: Document) -> Document {
    let (first, end) = (format!("{}{WRITER}", lease::PREFIX), format!("{}writer;", lease::PREFIX));
    doc! {
        "_id": { "$gte": first, "$lt": end },
        "holder": { "$ne": &store.id },
        "expiresAt": expires_at,
    }
}
