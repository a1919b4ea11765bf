//! Which other processes write, where no change stream tells.
//!
//! A lone server is asked again and again what others changed, and goes through all that was changed
//! of late for it, most of which the asking process did itself. So there a process says that it writes
//! before it does, again every [`SAID_EVERY`], by a lease of its own: where nobody else writes, there
//! is nothing to go through.

use std::time::Duration;

use mongodb::bson::{Document, doc};

use super::{
    MongoStore,
    error::MongoError,
    lease,
    wire::{beginning_with, date},
};
use crate::{
    model::{Clock, Collection, SystemClock, Time},
    store::Position,
};

const SAID_EVERY: Duration = Duration::from_secs(60);
/// Longer than that by what a write may take, and by what may hold a process up in one.
const HOLDS_FOR: Duration = Duration::from_secs(5 * 60);
/// How long it stays in the store of whom it does not hold any more.
const KEPT_MS: i64 = 24 * 60 * 60 * 1000;
/// How far back the first look goes once somebody says so: should a clock have been set, or a lease
/// deleted, whoever writes says so again within half of that.
const LOOK_BACK_MS: i64 = 2 * 60 * 1000;

/// What the names of these leases begin with.
const WRITER: &str = "writer";

/// What this process said, and what it looked at.
#[derive(Debug, Default)]
pub(super) struct Presence {
    /// When it last said that it writes, by its own clock, which goes on while the machine is suspended.
    said: Option<Time>,
    /// Up to where it went through what was changed.
    looked: Position,
}

/// Says that this process writes, if it has not of late.
pub(super) async fn say(store: &MongoStore) -> Result<(), MongoError> {
    let now = SystemClock.now();
    let holds = |said: Time| said <= now && now < said.plus(SAID_EVERY);
    if store.snapshots || store.presence.lock().said.is_some_and(holds) {
        return Ok(());
    }
    let name = format!("{WRITER}:{}", store.id);
    lease::acquire(store, &name, &store.id, HOLDS_FOR).await?;
    store.presence.lock().said = Some(now);
    let over = store.clock.lock().0.plus_millis(-KEPT_MS);
    let ended = of_others(store, doc! { "$lt": date(over) });
    store.documents(Collection::SystemState).delete_many(ended).await?;
    Ok(())
}

/// From where to go through what was changed, to find what others did since `from`; `None` if nobody
/// else writes.
pub(super) async fn others_since(
    store: &MongoStore,
    from: Position,
) -> Result<Option<Position>, MongoError> {
    if store.snapshots {
        return Ok(Some(from));
    }
    let writing = of_others(store, doc! { "$gte": date(Time::from_millis(from.0)) });
    if store.documents(Collection::SystemState).find_one(writing).await?.is_none() {
        return Ok(None);
    }
    let Position(looked) = store.presence.lock().looked;
    Ok(Some(Position(looked.clamp(from.0.saturating_sub(LOOK_BACK_MS), from.0))))
}

/// Notes that all that was changed up to there was gone through.
pub(super) fn looked(store: &MongoStore, position: Position) {
    store.presence.lock().looked = position;
}

fn of_others(store: &MongoStore, expires_at: Document) -> Document {
    doc! {
        "_id": beginning_with(&format!("{}{WRITER}", lease::PREFIX), b':'),
        "holder": { "$ne": &store.id },
        "expiresAt": expires_at,
    }
}
