//! Committing a group: patterns first, then the alerts that belong to them, then edits.
//!
//! There is no transaction: each document is written by itself, every step may be repeated, and a
//! crash between two of them leaves a pattern without instances, never the other way round. So a
//! lone server is as exact as a replica set, and no open transaction of another client holds up
//! more than the document that it has locked.

use std::time::Duration;

use tokio::time::Instant;

use super::{MongoStore, alerts, edits, error::MongoError, patterns::Patterns, record::Recording};
use crate::store::{Committed, Edited, Group};

/// A connection that breaks later than this into a commit broke after a search for another server,
/// which is not repeated.
const TRIED_AGAIN_WITHIN: Duration = Duration::from_secs(1);

pub(super) async fn commit(store: &MongoStore, group: &Group) -> Result<Committed, MongoError> {
    let mut recording = Recording::new(store, group);
    let mut patterns = Patterns::new(store, group);
    let begun = Instant::now();
    let first = run(store, group, &mut recording, &mut patterns).await;
    let edits = match first {
        // The server has come back, and what this process knew of it is over, as are its
        // connections. What the first try did is found done.
        Err(error) if error.is_broken_connection() && begun.elapsed() < TRIED_AGAIN_WITHIN => {
            patterns.unsettle();
            run(store, group, &mut recording, &mut patterns).await?
        }
        first => first?,
    };
    let (made, found, mut stale) = patterns.settle();
    stale.extend(store.unsettled().iter().cloned());
    let (outcomes, changes) = recording.into_parts();
    Ok(Committed { outcomes, changes, made, found, stale: stale.into_iter().collect(), edits })
}

async fn run(
    store: &MongoStore,
    group: &Group,
    recording: &mut Recording<'_>,
    patterns: &mut Patterns<'_>,
) -> Result<Vec<Edited>, MongoError> {
    alerts::mark_late(store).await?;
    recording.run(patterns).await?;
    edits::edit_all(store, group.all_edits()).await
}
