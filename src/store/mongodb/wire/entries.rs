//! Entries as documents.
//!
//! The text and what is known about it are fields of their own, as the contract names them; what
//! this service alone reads (sums, notes, who wrote what) is in its JSON form. `lastUpdated` is
//! when anything but figures was last written.

use mongodb::bson::{Bson, Document, doc};

use super::{bson, bson_document, date, json, set, time_in};
use crate::model::{Entry, EntryDocument, SummedUp, Time};

/// All fields of an entry but its sums and `provenance.derivedFrom`, with names as `$set` takes
/// them.
pub(in super::super) fn entry_fields(entry: &Entry) -> Document {
    let text = &entry.text;
    let mut fields = doc! {
        "id": &entry.id,
        "title": &text.title,
        "category": text.category.as_str(),
        "severity": text.severity.as_str(),
        "description": &text.description,
        "solution": &text.solution,
        "prerequisites": &text.prerequisites,
        "steps": &text.steps,
        "expectedOutcome": &text.expected_outcome,
        "tags": &text.tags,
        "relatedEntries": &text.related_entries,
        "firstSeen": date(entry.first_seen),
        "lastUpdated": date(entry.written),
        "version": entry.version as i64,
        "notes": bson(&entry.notes),
        "helped": entry.helped as i64,
        "notHelped": entry.not_helped as i64,
        "provenance.sourceType": entry.provenance.source_type.as_str(),
        "provenance.sourceModel": &entry.provenance.source_model,
    };
    set(&mut fields, "rootCause", text.root_cause.as_deref());
    set(&mut fields, "runbookUrl", text.runbook_url.as_deref());
    set(&mut fields, "pattern", entry.pattern.as_deref().map(bson));
    set(&mut fields, "provenance.evidenceDate", entry.provenance.evidence_date.as_deref());
    let texts = &entry.provenance.texts;
    set(&mut fields, "provenance.texts", (!texts.is_empty()).then(|| bson(texts)));
    fields
}

/// The fields of an entry that it may lack.
pub(in super::super) const ENTRY_OPTIONAL: [&str; 5] =
    ["rootCause", "runbookUrl", "pattern", "provenance.evidenceDate", "provenance.texts"];

/// An entry whole, as it is made: nothing is to be kept of a document of before.
pub(in super::super) fn entry_document(entry: &Entry) -> Document {
    let mut document: Document =
        entry_fields(entry).into_iter().filter(|(name, _)| !name.contains('.')).collect();
    document.insert("provenance", bson(&entry.provenance));
    document.insert("summedUp", summed_up_fields(&entry.summed_up));
    document
}

/// Sums as a document.
pub(in super::super) fn summed_up_fields(sums: &SummedUp) -> Document {
    bson_document(sums)
}

/// The entry in a document, whoever wrote it; `None` for one that cannot be read, which is logged.
pub(in super::super) fn entry(document: Document) -> Option<EntryDocument> {
    let id = document.get("_id").cloned().unwrap_or(Bson::Null);
    let is_current = document.contains_key("summedUp");
    let is_pattern = document.contains_key("pattern");
    let first_seen = time_in(&document, "firstSeen").map(Time::millis);
    let mut value = json(Bson::Document(document));
    if let (Some(first_seen), Some(fields)) = (first_seen, value.as_object_mut()) {
        fields.insert("firstSeen".to_owned(), first_seen.into());
    }
    let entry = match EntryDocument::parse(&value) {
        Some(EntryDocument::Current(entry)) => {
            let pattern = entry.pattern.clone().filter(|_| is_pattern);
            Some(EntryDocument::Current(Box::new(Entry { pattern, ..*entry })))
        }
        // One of today's form that is damaged says nothing about what was counted before.
        old => old.filter(|_| !is_current),
    };
    if entry.is_none() {
        tracing::error!(%id, "a stored entry cannot be read and is left out");
    }
    entry
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use super::*;
    use crate::model::{
        AlertPattern, Author, Category, EntryText, Note, Provenance, Severity, SourceType, Tally,
        TextField, TextSource,
    };

    fn full() -> Entry {
        let at = Time::parse("2026-11-24T10:00:00.123Z").unwrap();
        let text = EntryText {
            root_cause: Some("logs".into()),
            runbook_url: Some("https://r".into()),
            steps: vec!["a".into(), "b\0c".into()],
            ..EntryText::new("Disk: logs", Category::AlertPattern, Severity::High)
        };
        let source = TextSource { by: Author::Person, name: "ops".into(), at };
        Entry {
            provenance: Arc::new(Provenance {
                source_type: SourceType::AlertPattern,
                derived_from: vec!["f".into()],
                evidence_date: Some("2026-11-24".into()),
                texts: BTreeMap::from([(TextField::RunbookUrl, source)]),
                ..Provenance::default()
            }),
            pattern: Some(AlertPattern { alertname: "Disk".into(), cause: "logs".into() }.into()),
            version: 3,
            notes: Arc::new(vec![Note { text: "n".into(), author: "ops".into(), at }]),
            helped: 2,
            summed_up: SummedUp {
                tally: Tally { occurrences: 4, resolve_ms: i64::MAX, ..Tally::default() },
                last_fired: Some(at),
                batch: 9,
                stated_success_rate: Some(0.5),
                ..SummedUp::default()
            },
            ..Entry::new("kb-alert-1".into(), text, at)
        }
    }

    #[test]
    fn an_entry_comes_back_as_it_went() {
        let plain = Entry::new(
            "kb".into(),
            EntryText::new("t", Category::Runbook, Severity::Low),
            Time::from_millis(5),
        );
        for expected in [full(), plain] {
            let read = entry(entry_document(&expected));
            assert_eq!(read, Some(EntryDocument::Current(Box::new(expected))));
        }
    }
}
