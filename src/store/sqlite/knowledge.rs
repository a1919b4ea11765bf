//! The knowledge base in SQLite: counters change by addition, entries are written whole.

use rusqlite::{Connection, Row, ToSql, Transaction, named_params};
use serde_json::Value;

use super::json::json;
use crate::model::{Entry, EntryChange, Learning, Time, entry_from_json};

/// Lowest first, so that the place of a name tells its rank.
const SEVERITY_RANKS: &str = "low medium high critical";

/// Entries that changed at or after `since`; one that cannot be understood is logged and left
/// where it is.
pub fn entries(connection: &Connection, since: Option<Time>) -> rusqlite::Result<Vec<Entry>> {
    let sql = match since {
        Some(_) => "SELECT * FROM knowledge_base WHERE lastUpdated >= ?1",
        None => "SELECT * FROM knowledge_base WHERE ?1 IS NULL",
    };
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query([since.map(Time::millis)])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        match entry(row)? {
            Some(entry) => entries.push(entry),
            None => tracing::warn!("an entry of the knowledge base has neither id nor title"),
        }
    }
    Ok(entries)
}

/// Makes one change; the caller commits.
pub fn apply(tx: &Transaction<'_>, change: &EntryChange) -> rusqlite::Result<()> {
    match change {
        EntryChange::Learn(learning) => learn(tx, learning),
        EntryChange::Put(entry) => put(tx, entry),
        EntryChange::Rewrite(entry) => rewrite(tx, entry),
        EntryChange::Delete(id) => {
            tx.prepare_cached("DELETE FROM knowledge_base WHERE id = ?1")?.execute([id])?;
            Ok(())
        }
    }
}

/// Adds to the counters of an entry, or makes it from the seed.
pub fn learn(tx: &Transaction<'_>, learning: &Learning) -> rusqlite::Result<()> {
    let mut update = tx.prepare_cached(
        "UPDATE knowledge_base SET
             severity = CASE WHEN instr(:ranks, :severity) > instr(:ranks, severity)
                 THEN :severity ELSE severity END,
             firstSeen = min(firstSeen, :firstSeen),
             lastUpdated = max(lastUpdated, :lastUpdated),
             occurrences = occurrences + :occurrences,
             resolutions = resolutions + :resolutions,
             resolveMs = resolveMs + :resolveMs,
             firing = CASE category WHEN 'alert_pattern'
                 THEN max(0, coalesce(firing, 0) + :firing) ELSE firing END
         WHERE id = :id",
    )?;
    let updated = update.execute(named_params! {
        ":id": learning.seed.id,
        ":ranks": SEVERITY_RANKS,
        ":severity": learning.severity.as_str(),
        ":firstSeen": learning.seed.first_seen.millis(),
        ":lastUpdated": learning.seen.millis(),
        ":occurrences": learning.occurrences,
        ":resolutions": learning.resolutions,
        ":resolveMs": learning.resolve_ms,
        ":firing": learning.firing,
    })?;
    if updated > 0 {
        return Ok(());
    }
    let mut made = Entry::clone(&learning.seed);
    learning.apply_to(&mut made);
    put(tx, &made)
}

/// Writes an entry whole, over the one of its id if there is one.
fn put(tx: &Transaction<'_>, entry: &Entry) -> rusqlite::Result<()> {
    let mut insert = tx.prepare_cached(
        "INSERT OR REPLACE INTO knowledge_base (id, title, category, severity, description,
             rootCause, solution, prerequisites, steps, expectedOutcome, tags, relatedEntries,
             firstSeen, lastUpdated, occurrences, successRate, provenance, runbookUrl,
             meanTimeToResolveMs, firing, resolutions, resolveMs)
         VALUES (:id, :title, :category, :severity, :description, :rootCause, :solution,
             :prerequisites, :steps, :expectedOutcome, :tags, :relatedEntries, :firstSeen,
             :lastUpdated, :occurrences, :successRate, :provenance, :runbookUrl,
             :meanTimeToResolveMs, :firing, :resolutions, :resolveMs)",
    )?;
    let text = text_params(entry)?;
    let counters: &[(&str, &dyn ToSql)] = named_params! {
        ":firstSeen": entry.first_seen.millis(),
        ":occurrences": entry.occurrences,
        ":successRate": entry.success_rate,
        ":meanTimeToResolveMs": entry.mean_time_to_resolve_ms,
        ":firing": entry.firing,
        ":resolutions": entry.resolutions,
        ":resolveMs": entry.resolve_ms,
    };
    let text = text.iter().map(|(name, value)| (*name, value.as_ref()));
    let params: Vec<_> = text.chain(counters.iter().copied()).collect();
    insert.execute(params.as_slice())?;
    Ok(())
}

/// Writes the text of an entry anew and leaves its counters alone.
fn rewrite(tx: &Transaction<'_>, entry: &Entry) -> rusqlite::Result<()> {
    let mut update = tx.prepare_cached(
        "UPDATE knowledge_base SET title = :title, category = :category, severity = :severity,
             description = :description, rootCause = :rootCause, solution = :solution,
             prerequisites = :prerequisites, steps = :steps, expectedOutcome = :expectedOutcome,
             tags = :tags, relatedEntries = :relatedEntries, provenance = :provenance,
             runbookUrl = :runbookUrl, lastUpdated = max(lastUpdated, :lastUpdated)
         WHERE id = :id",
    )?;
    let text = text_params(entry)?;
    let params: Vec<_> = text.iter().map(|(name, value)| (*name, value.as_ref())).collect();
    update.execute(params.as_slice())?;
    Ok(())
}

/// What people write, and when.
fn text_params(entry: &Entry) -> rusqlite::Result<Vec<(&'static str, Box<dyn ToSql>)>> {
    Ok(vec![
        (":id", Box::new(entry.id.clone())),
        (":title", Box::new(entry.title.clone())),
        (":category", Box::new(entry.category.as_str())),
        (":severity", Box::new(entry.severity.as_str())),
        (":description", Box::new(entry.description.clone())),
        (":rootCause", Box::new(entry.root_cause.clone())),
        (":solution", Box::new(entry.solution.clone())),
        (":prerequisites", Box::new(json(&entry.prerequisites)?)),
        (":steps", Box::new(json(&entry.steps)?)),
        (":expectedOutcome", Box::new(entry.expected_outcome.clone())),
        (":tags", Box::new(json(&entry.tags)?)),
        (":relatedEntries", Box::new(json(&entry.related_entries)?)),
        (":provenance", Box::new(json(&entry.provenance)?)),
        (":runbookUrl", Box::new(entry.runbook_url.clone())),
        (":lastUpdated", Box::new(entry.last_updated.millis())),
    ])
}

/// One entry, by way of the same lenient reader that MongoDB's documents take.
pub fn entry(row: &Row<'_>) -> rusqlite::Result<Option<Entry>> {
    let mut document = serde_json::Map::new();
    for (index, name) in row.as_ref().column_names().enumerate() {
        document.insert(name.to_owned(), value(name, row.get_ref(index)?));
    }
    Ok(entry_from_json(&Value::Object(document)))
}

fn value(column: &str, value: rusqlite::types::ValueRef<'_>) -> Value {
    use rusqlite::types::ValueRef;
    match value {
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(text) => {
            let text = String::from_utf8_lossy(text).into_owned();
            match column {
                "prerequisites" | "steps" | "tags" | "relatedEntries" | "provenance" => {
                    serde_json::from_str(&text).unwrap_or(Value::String(text))
                }
                _ => text.into(),
            }
        }
        ValueRef::Null | ValueRef::Blob(_) => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Severity;

    #[test]
    fn the_place_of_a_severity_in_the_ranks_is_its_rank() {
        let place = |severity: Severity| SEVERITY_RANKS.find(severity.as_str()).unwrap();
        assert!(Severity::ALL.is_sorted_by_key(|severity| place(*severity)));
    }
}
