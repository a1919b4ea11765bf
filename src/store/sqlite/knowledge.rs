//! The knowledge base in SQLite: counters change by addition, entries are written whole.

use rusqlite::{Connection, Row, ToSql, Transaction, named_params};
use serde_json::Value;

use super::json::json;
use crate::model::{Entry, EntryChange, Learning, entry_from_json};

/// Lowest first, so that the place of a name tells its rank.
const SEVERITY_RANKS: &str = "low medium high critical";

/// All entries; one that cannot be understood is logged and left where it is.
pub fn entries(connection: &Connection) -> rusqlite::Result<Vec<Entry>> {
    let mut select = connection.prepare("SELECT * FROM knowledge_base")?;
    let mut rows = select.query([])?;
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
        EntryChange::Put(entry) => write(tx, entry, "INSERT OR REPLACE", "", &[]),
        EntryChange::Delete(id) => {
            tx.prepare_cached("DELETE FROM knowledge_base WHERE id = ?1")?.execute([id])?;
            Ok(())
        }
    }
}

fn learn(tx: &Transaction<'_>, learning: &Learning) -> rusqlite::Result<()> {
    let mut made = Entry::clone(&learning.seed);
    learning.apply_to(&mut made);
    let on_conflict = "ON CONFLICT (id) DO UPDATE SET
        severity = CASE WHEN instr(:ranks, excluded.severity) > instr(:ranks, severity)
            THEN excluded.severity ELSE severity END,
        firstSeen = min(firstSeen, excluded.firstSeen),
        lastUpdated = max(lastUpdated, excluded.lastUpdated),
        occurrences = occurrences + :addOccurrences,
        resolutions = resolutions + :addResolutions,
        resolveMs = resolveMs + :addResolveMs,
        firing = CASE category WHEN 'alert_pattern'
            THEN max(0, coalesce(firing, 0) + :addFiring) ELSE firing END";
    let additions: &[(&str, &dyn ToSql)] = named_params! {
        ":ranks": SEVERITY_RANKS,
        ":addOccurrences": learning.occurrences,
        ":addResolutions": learning.resolutions,
        ":addResolveMs": learning.resolve_ms,
        ":addFiring": learning.firing,
    };
    write(tx, &made, "INSERT", on_conflict, additions)
}

fn write(
    tx: &Transaction<'_>,
    entry: &Entry,
    insert: &str,
    on_conflict: &str,
    more: &[(&str, &dyn ToSql)],
) -> rusqlite::Result<()> {
    let sql = format!(
        "{insert} INTO knowledge_base (id, title, category, severity, description, rootCause,
             solution, prerequisites, steps, expectedOutcome, tags, relatedEntries, firstSeen,
             lastUpdated, occurrences, successRate, provenance, runbookUrl, meanTimeToResolveMs,
             firing, resolutions, resolveMs)
         VALUES (:id, :title, :category, :severity, :description, :rootCause, :solution,
             :prerequisites, :steps, :expectedOutcome, :tags, :relatedEntries, :firstSeen,
             :lastUpdated, :occurrences, :successRate, :provenance, :runbookUrl,
             :meanTimeToResolveMs, :firing, :resolutions, :resolveMs) {on_conflict}"
    );
    let whole: &[(&str, &dyn ToSql)] = named_params! {
        ":id": entry.id,
        ":title": entry.title,
        ":category": entry.category.as_str(),
        ":severity": entry.severity.as_str(),
        ":description": entry.description,
        ":rootCause": entry.root_cause,
        ":solution": entry.solution,
        ":prerequisites": json(&entry.prerequisites)?,
        ":steps": json(&entry.steps)?,
        ":expectedOutcome": entry.expected_outcome,
        ":tags": json(&entry.tags)?,
        ":relatedEntries": json(&entry.related_entries)?,
        ":firstSeen": entry.first_seen.millis(),
        ":lastUpdated": entry.last_updated.millis(),
        ":occurrences": entry.occurrences,
        ":successRate": entry.success_rate,
        ":provenance": json(&entry.provenance)?,
        ":runbookUrl": entry.runbook_url,
        ":meanTimeToResolveMs": entry.mean_time_to_resolve_ms,
        ":firing": entry.firing,
        ":resolutions": entry.resolutions,
        ":resolveMs": entry.resolve_ms,
    };
    let params: Vec<_> = whole.iter().chain(more).copied().collect();
    tx.prepare_cached(&sql)?.execute(params.as_slice())?;
    Ok(())
}

/// One entry, by way of the same lenient reader that MongoDB's documents take.
pub fn entry(row: &Row<'_>) -> rusqlite::Result<Option<Entry>> {
    let mut document = serde_json::Map::new();
    for (index, name) in row.as_ref().column_names().into_iter().enumerate() {
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
