//! One collection as a table: RFC 4180 with a header, nested fields as JSON text.
//!
//! A text that a spreadsheet would take for a formula (it begins with `=`, `+`, `-`, `@`, tab or
//! carriage return) gets an apostrophe before it, and so does a text that begins with one, so
//! that taking one off gives back every text. Numbers and times stay as they are.

use std::{borrow::Cow, io};

use csv::{Terminator, WriterBuilder};
use serde_json::{Map, Value};

use super::{Encoder, Head};
use crate::model::Collection;

/// Where a table of another program's fields has the rest, as one JSON object.
const OTHER: &str = "other";

/// The fields of a collection's documents, in the contract's order.
const fn columns(collection: Collection) -> &'static [&'static str] {
    match collection {
        Collection::Alerts => &[
            "fingerprint",
            "startsAt",
            "name",
            "severity",
            "status",
            "message",
            "timestamp",
            "firstReceived",
            "resolvedAt",
            "duration",
            "labels",
            "annotations",
            "generatorURL",
            "receiver",
        ],
        Collection::Metrics => &["name", "value", "unit", "timestamp", "labels"],
        Collection::KnowledgeBase => &[
            "id",
            "title",
            "category",
            "severity",
            "description",
            "rootCause",
            "solution",
            "prerequisites",
            "steps",
            "expectedOutcome",
            "tags",
            "relatedEntries",
            "firstSeen",
            "lastUpdated",
            "occurrences",
            "successRate",
            "provenance",
            "runbookUrl",
            "meanTimeToResolveMs",
            "firing",
            "resolutions",
            "resolveMs",
        ],
        Collection::Consolidations => &[
            "date",
            "timestamp",
            "alerts",
            "metrics",
            "summary",
            "insights",
            "recommendations",
            "kbEntriesGenerated",
        ],
        Collection::SystemState => &["key", "value"],
    }
}

pub(super) struct Csv {
    columns: &'static [&'static str],
}

impl Csv {
    /// A table of the only collection.
    pub(super) fn new(head: &Head) -> Self {
        Self { columns: head.counts.first().map_or(&[], |(of, _)| columns(*of)) }
    }

    fn rows<R>(&self, rows: impl Iterator<Item = io::Result<R>>) -> io::Result<Vec<u8>>
    where
        R: IntoIterator<Item: AsRef<[u8]>>,
    {
        let mut table = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
        for row in rows {
            table.write_record(row?).map_err(io::Error::other)?;
        }
        table.into_inner().map_err(|error| io::Error::other(error.to_string()))
    }
}

impl Encoder for Csv {
    fn begin(&mut self, _: &Head) -> io::Result<Vec<u8>> {
        self.rows([Ok(self.columns.iter().chain([&OTHER]))].into_iter())
    }

    fn documents(&mut self, _: Collection, documents: &[String]) -> io::Result<Vec<u8>> {
        self.rows(documents.iter().map(|document| {
            let mut fields: Map<String, Value> = serde_json::from_str(document)?;
            let known = self.columns.iter().map(|name| fields.remove(*name));
            let mut row: Vec<String> = known.map(|value| cell(value.as_ref())).collect();
            row.push(match fields.is_empty() {
                true => String::new(),
                false => cell(Some(&Value::Object(fields))),
            });
            Ok(row)
        }))
    }

    fn end(&mut self) -> io::Result<Vec<u8>> {
        Ok(Vec::new())
    }
}

/// What a field is in its cell; empty if it is missing.
pub fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => neutral(text).into_owned(),
        Some(other) => other.to_string(),
    }
}

/// The text that a cell of text stands for.
pub fn cell_value(cell: &str) -> &str {
    cell.strip_prefix('\'').unwrap_or(cell)
}

/// What spreadsheets take for the beginning of a formula, in Latin and in full-width letters; some
/// skip white space before it.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

fn neutral(text: &str) -> Cow<'_, str> {
    match text.starts_with(FORMULA) || text.starts_with('\'') {
        true => format!("'{text}").into(),
        false => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::{model::Time, store::Backend};

    fn table(of: Collection, documents: &[Value]) -> String {
        let head = Head {
            export_date: Time::default(),
            schema_version: 1,
            backend: Backend::Sqlite,
            counts: vec![(of, documents.len() as u64)],
            database_bytes: 0,
        };
        let mut csv = Csv::new(&head);
        let documents: Vec<String> = documents.iter().map(Value::to_string).collect();
        let mut text = csv.begin(&head).unwrap();
        text.extend(csv.documents(of, &documents).unwrap());
        text.extend(csv.end().unwrap());
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_table_has_a_header_and_a_row_a_document() {
        let sample = json!({
            "name": "=SUM(A1)", "value": -1.5, "unit": "a,\"b\"\n", "labels": {"a": "=b"},
            "timestamp": "2026-11-24T10:00:00.000Z", "_id": "x",
        });
        assert_eq!(
            table(Collection::Metrics, &[sample, json!({"name": "n"})]),
            "name,value,unit,timestamp,labels,other\r\n\
             '=SUM(A1),-1.5,\"a,\"\"b\"\"\n\",2026-11-24T10:00:00.000Z,\"{\"\"a\"\":\"\"=b\"\"}\",\
             \"{\"\"_id\"\":\"\"x\"\"}\"\r\n\
             n,,,,,\r\n"
        );
    }

    #[test]
    fn an_empty_collection_is_a_header() {
        assert_eq!(table(Collection::SystemState, &[]), "key,value,other\r\n");
    }

    proptest! {
        /// Every text comes back, and none of them can begin a formula.
        #[test]
        fn any_text_comes_back_and_is_no_formula(
            name in "[=+@＝＠'\t\r\n,\"a-zü-]{0,12}",
            value in any::<f64>().prop_filter("JSON has no others", |f| f.is_finite()),
        ) {
            let text = table(Collection::Metrics, &[json!({"name": name, "value": value})]);
            let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
            let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
            prop_assert_eq!(rows.len(), 1);
            prop_assert!(!rows[0][0].starts_with(FORMULA));
            prop_assert_eq!(cell_value(&rows[0][0]), name);
            prop_assert_eq!(rows[0][1].parse::<f64>().unwrap(), value);
        }
    }
}
