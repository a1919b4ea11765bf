//! Committing a group: its patterns are made, its alerts decided and written, then its entries changed.

use rusqlite::Transaction;

use super::{
    alerts,
    knowledge::{self, Made},
};
use crate::store::{Committed, Group};

/// Writes a group; the caller commits.
pub fn commit(tx: &Transaction<'_>, group: &Group) -> rusqlite::Result<Committed> {
    let mut fold = alerts::decide(tx, &group.alerts)?;
    let missing = knowledge::missing(tx, group.patterns_of(&fold.changes))?;
    let Made { made, found, stale, forgot } = knowledge::make(tx, group.learn(&missing))?;
    if forgot {
        fold = alerts::decide(tx, &group.alerts)?;
    }
    alerts::write(tx, &fold.writes)?;
    let edits = group.all_edits().map(|edit| knowledge::edit(tx, edit));
    let edits = edits.collect::<rusqlite::Result<_>>()?;
    Ok(Committed { outcomes: fold.outcomes, changes: fold.changes, made, found, stale, edits })
}
