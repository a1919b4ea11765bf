//! Severities that were learned when a word had another meaning: read again.
//!
//! A stored alert keeps its severity as it was sent, so what it means can be asked again when the
//! program or `SEVERITY_MAP` has learned a word. A pattern is raised to the highest that its stored
//! alerts mean now. It is never lowered, because alerts that are deleted may have taught it more,
//! and one that a person has set is theirs.

use std::{collections::HashMap, sync::Arc};

use crate::{
    model::{Category, Clock, Entry, Severity, SeverityWords, TextField},
    store::{Edit, Edited, Group, Result, Store},
};

/// Entries that are written at once.
const PIECE: usize = 500;
/// How often entries are looked at again that others changed meanwhile.
const ATTEMPTS: usize = 5;

/// Raises what was learned too low; how many entries. Does nothing if these meanings were applied
/// before.
///
/// # Errors
/// Those of the store; what is left is done by the next start.
pub async fn reread(store: &dyn Store, words: &SeverityWords, clock: &dyn Clock) -> Result<usize> {
    let signature = words.signature();
    if store.severity_words().await?.as_ref() == Some(&signature) {
        return Ok(0);
    }
    let mut highest: HashMap<String, Severity> = HashMap::new();
    for (entry_id, word) in store.sent_severities().await? {
        let meant = words.of_alert(&word);
        let known = highest.entry(entry_id).or_insert(meant);
        *known = meant.max(*known);
    }
    let mut raised = 0;
    for _ in 0..ATTEMPTS {
        let (done, all) = raise(store, &highest, clock).await?;
        raised += done;
        if all {
            break;
        }
    }
    store.note_severity_words(&signature).await?;
    if raised > 0 {
        tracing::info!(entries = raised, "severities were raised to what their alerts mean now");
    }
    Ok(raised)
}

/// Raises what is too low; how many, and whether these were all.
async fn raise(
    store: &dyn Store,
    highest: &HashMap<String, Severity>,
    clock: &dyn Clock,
) -> Result<(usize, bool)> {
    let entries = store.entries().await?;
    let edits: Vec<Edit> = entries.into_iter().filter_map(|e| raised(e, highest, clock)).collect();
    let mut done = 0;
    for piece in edits.chunks(PIECE) {
        let group = Group { edits: piece.to_vec(), ..Group::default() };
        let edited = store.commit(Arc::new(group.into())).await?.edits;
        done += edited.iter().filter(|edited| **edited == Edited::Done).count();
    }
    Ok((done, done == edits.len()))
}

fn raised(entry: Entry, highest: &HashMap<String, Severity>, clock: &dyn Clock) -> Option<Edit> {
    let meant = *highest.get(&entry.id)?;
    let learned = entry.category == Category::AlertPattern
        && !entry.provenance.is_edited(TextField::Severity);
    if !learned || meant <= entry.severity {
        return None;
    }
    let expected = Some(entry.version);
    let mut after = Entry { version: entry.version + 1, written: clock.now(), ..entry };
    Arc::make_mut(&mut after.text).severity = meant;
    Some(Edit::Write { entry: Arc::new(after), expected })
}
