//! The knowledge base in SQLite: entries are read and written whole, compare-and-set on their
//! version.

use std::sync::Arc;

use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, Transaction, params};

use super::{columns::Columns, json::json};
use crate::{
    model::{Category, Entry, EntryText, Figures, Provenance, Severity, SummedUp},
    store::{Edit, Edited, Pattern},
};

/// What [`entry`] reads, in its order.
pub const COLUMNS: &str = "id, version, title, category, severity, description, rootCause, solution, \
     prerequisites, steps, expectedOutcome, tags, relatedEntries, runbookUrl, provenance, pattern, \
     firstSeen, lastUpdated, notes, helped, notHelped, summedUp";

/// All entries, without figures.
pub fn entries(connection: &Connection) -> rusqlite::Result<Vec<Entry>> {
    let mut select = connection.prepare(&format!("SELECT {COLUMNS} FROM knowledge_base"))?;
    select.query_map([], entry)?.collect()
}

/// The entry of this id, without figures.
pub fn get(connection: &Connection, id: &str) -> rusqlite::Result<Option<Entry>> {
    let mut select = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM knowledge_base WHERE id = ?1"))?;
    select.query_row([id], entry).optional()
}

/// What came of making patterns.
#[derive(Default)]
pub struct Made {
    /// Those that did not exist.
    pub made: Vec<Arc<Entry>>,
    /// Entries that were there already, and memory did not know.
    pub found: Vec<Entry>,
    /// Those made whose stored instances carried something.
    pub stale: Vec<String>,
    /// Whether anything was forgotten of instances, so that they are to be decided anew.
    pub forgot: bool,
}

/// Those of the patterns that are not known, or that another process has deleted.
pub fn missing<'a>(
    tx: &Transaction<'_>,
    patterns: Vec<&'a Pattern>,
) -> rusqlite::Result<Vec<&'a Pattern>> {
    let mut exists = tx.prepare_cached("SELECT 1 FROM knowledge_base WHERE id = ?1")?;
    let mut missing = Vec::new();
    for pattern in patterns {
        if !pattern.known || !exists.exists([&pattern.id])? {
            missing.push(pattern);
        }
    }
    Ok(missing)
}

/// Makes the patterns that do not exist. What is summed up of their instances went with the entry
/// that was deleted, so the instances count by themselves again.
pub fn make(tx: &Transaction<'_>, patterns: Vec<Arc<Entry>>) -> rusqlite::Result<Made> {
    let mut made = Made::default();
    if patterns.is_empty() {
        return Ok(made);
    }
    let mut forget = tx.prepare_cached(
        "UPDATE alerts SET carried = NULL
         WHERE carried IS NOT NULL AND carried ->> '$.entryId' = ?1",
    )?;
    let mut forget_deleted =
        tx.prepare_cached("DELETE FROM alert_identities WHERE carried ->> '$.entryId' = ?1")?;
    for entry in patterns {
        if let Some(existing) = get(tx, &entry.id)? {
            made.found.push(existing);
            continue;
        }
        put(tx, &entry)?;
        made.forgot |= forget_deleted.execute([&entry.id])? > 0;
        if forget.execute([&entry.id])? > 0 {
            made.forgot = true;
            made.stale.push(entry.id.clone());
        }
        made.made.push(entry);
    }
    Ok(made)
}

/// What edits keep of a stored entry, or go by.
struct Kept {
    version: u64,
    provenance: Provenance,
    summed_up: SummedUp,
}

fn kept(tx: &Transaction<'_>, id: &str) -> rusqlite::Result<Option<Kept>> {
    let mut select = tx
        .prepare_cached("SELECT version, provenance, summedUp FROM knowledge_base WHERE id = ?1")?;
    let kept = |row: &Row<'_>| {
        let mut columns = Columns::of(row);
        let (version, provenance) = (columns.next()?, columns.json()?);
        Ok(Kept { version, provenance, summed_up: columns.json()? })
    };
    select.query_row([id], kept).optional()
}

/// Makes one change; the caller commits.
pub fn edit(tx: &Transaction<'_>, edit: &Edit) -> rusqlite::Result<Edited> {
    let id = edit.entry_id();
    let Some(kept) = kept(tx, id)? else {
        let Edit::Write { entry, expected: None } = edit else { return Ok(Edited::Missing) };
        put(tx, entry)?;
        return Ok(Edited::Done);
    };
    let conflicts = match edit {
        Edit::Write { expected, .. } => *expected != Some(kept.version),
        Edit::Delete { expected, .. } => expected.is_some_and(|version| version != kept.version),
        Edit::AddSources { .. } => false,
    };
    if conflicts {
        let stored = get(tx, id)?.map(Box::new);
        return Ok(stored.map_or(Edited::Missing, Edited::Conflict));
    }
    match edit {
        Edit::Write { entry, .. } => put(tx, &in_place_of(entry, kept))?,
        Edit::AddSources { sources, .. } => {
            let provenance = json(&with_sources(&kept.provenance, sources))?;
            tx.prepare_cached("UPDATE knowledge_base SET provenance = ?2 WHERE id = ?1")?
                .execute([id, &provenance])?;
        }
        Edit::Delete { .. } => {
            tx.prepare_cached("DELETE FROM knowledge_base WHERE id = ?1")?.execute([id])?;
        }
    }
    Ok(Edited::Done)
}

/// What an edit writes: sums are the store's own, but those of questions, and sources only gain.
fn in_place_of(entry: &Entry, kept: Kept) -> Entry {
    let mut provenance = Arc::clone(&entry.provenance);
    provenance.keep_sources_of(&kept.provenance);
    let question = entry.category == Category::Question;
    let summed_up = if question { entry.summed_up } else { kept.summed_up };
    Entry { provenance, summed_up, ..entry.clone() }
}

fn with_sources(provenance: &Provenance, sources: &[String]) -> Provenance {
    let mut provenance = provenance.clone();
    for source in sources {
        if !provenance.derived_from.contains(source) {
            provenance.derived_from.push(source.clone());
        }
    }
    provenance
}

/// Writes an entry whole, in the place of the one of its id if there is one; figures are not stored.
pub fn put(tx: &Transaction<'_>, entry: &Entry) -> rusqlite::Result<()> {
    let mut update = tx.prepare_cached(
        "UPDATE knowledge_base SET version = ?2, title = ?3, category = ?4, severity = ?5,
             description = ?6, rootCause = ?7, solution = ?8, prerequisites = ?9, steps = ?10,
             expectedOutcome = ?11, tags = ?12, relatedEntries = ?13, runbookUrl = ?14,
             provenance = ?15, pattern = ?16, firstSeen = ?17, lastUpdated = ?18, notes = ?19,
             helped = ?20, notHelped = ?21, summedUp = ?22
         WHERE id = ?1",
    )?;
    if write_whole(&mut update, entry)? == 0 {
        let mut insert = tx.prepare_cached(&format!(
            "INSERT INTO knowledge_base ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,
                 ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)"
        ))?;
        write_whole(&mut insert, entry)?;
    }
    Ok(())
}

/// Runs a statement with the fields of an entry in the order of [`COLUMNS`]; how many rows it changed.
fn write_whole(statement: &mut CachedStatement<'_>, entry: &Entry) -> rusqlite::Result<usize> {
    statement.execute(params![
        entry.id,
        entry.version,
        entry.title,
        entry.category.as_str(),
        entry.severity.as_str(),
        entry.description,
        entry.root_cause,
        entry.solution,
        json(&entry.prerequisites)?,
        json(&entry.steps)?,
        entry.expected_outcome,
        json(&entry.tags)?,
        json(&entry.related_entries)?,
        entry.runbook_url,
        json(&*entry.provenance)?,
        entry.pattern.as_deref().map(json).transpose()?,
        entry.first_seen.millis(),
        entry.written.millis(),
        json(&*entry.notes)?,
        entry.helped,
        entry.not_helped,
        json(&entry.summed_up)?,
    ])
}

/// One entry from [`COLUMNS`], without figures.
pub fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let mut columns = Columns::of(row);
    let (id, version) = (columns.next()?, columns.next()?);
    let text = EntryText {
        title: columns.next()?,
        category: Category::parse(columns.text()?).unwrap_or(Category::Troubleshooting),
        severity: Severity::parse(columns.text()?).unwrap_or(Severity::Low),
        description: columns.next()?,
        root_cause: columns.next()?,
        solution: columns.next()?,
        prerequisites: columns.json()?,
        steps: columns.json()?,
        expected_outcome: columns.next()?,
        tags: columns.json()?,
        related_entries: columns.json()?,
        runbook_url: columns.next()?,
    };
    Ok(Entry {
        id,
        version,
        text: Arc::new(text),
        provenance: Arc::new(columns.json()?),
        pattern: columns.json_or_null()?.map(Arc::new),
        first_seen: columns.time()?,
        written: columns.time()?,
        notes: Arc::new(columns.json()?),
        helped: columns.next()?,
        not_helped: columns.next()?,
        summed_up: columns.json()?,
        figures: Figures::default(),
    })
}
