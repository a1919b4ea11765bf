//! Committing a group: its alerts are decided and written, or put into the inbox, then its entries
//! are changed.

use rusqlite::Transaction;

use super::{
    alerts,
    inbox::Inbox,
    knowledge::{self, Made},
};
use crate::store::{Committed, Group};

/// Writes a group; the caller commits. `hurry`: groups follow one another, so that the alerts may
/// wait in the inbox. Those of new patterns do not, as making one may change what is stored of it.
pub fn commit(
    tx: &Transaction<'_>,
    inbox: &mut Inbox,
    hurry: bool,
    group: &Group,
) -> rusqlite::Result<Committed> {
    let mut fold = alerts::decide(tx, inbox, &group.alerts)?;
    let missing = knowledge::missing(tx, group.patterns_of(&fold.changes))?;
    let mut made = Made::default();
    if hurry && missing.is_empty() && inbox.has_room_for(fold.writes.len()) {
        inbox.add(tx, fold.writes)?;
    } else {
        inbox.settle(tx)?;
        made = knowledge::make(tx, missing)?;
        if made.forgot {
            fold = alerts::decide(tx, inbox, &group.alerts)?;
        }
        alerts::write(tx, &fold.writes)?;
    }
    let edits = group.all_edits().map(|edit| knowledge::edit(tx, edit));
    let edits = edits.collect::<rusqlite::Result<_>>()?;
    let Made { made, found, stale, .. } = made;
    Ok(Committed { outcomes: fold.outcomes, changes: fold.changes, made, found, stale, edits })
}
