//! Where a runbook's entry is from: a source, a file of it by its path there, and an alert where
//! the file is about several. It stands first among what the entry is derived from.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::model::{Entry, SourceType};

/// Where an entry is from; written `source:path` or `source:path#alert`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The name of the source; empty for what was imported before sources had names.
    pub source: String,
    /// The file's path from the source's folder down, with `/`.
    pub path: String,
    /// The alert's heading in a file about several.
    pub alert: Option<String>,
}

impl Origin {
    /// A file.
    pub fn file(source: &str, path: &str) -> Self {
        Self { source: source.to_owned(), path: path.to_owned(), alert: None }
    }

    /// Where the entry of a runbook is from.
    pub fn of(entry: &Entry) -> Option<Self> {
        let provenance = &entry.provenance;
        let first = provenance.derived_from.first();
        first.filter(|_| provenance.source_type == SourceType::Runbook).map(|text| Self::read(text))
    }

    fn read(text: &str) -> Self {
        let (source, rest) = text.split_once(':').unwrap_or(("", text));
        let (path, alert) = match rest.split_once('#') {
            Some((path, alert)) => (path, Some(alert.to_owned())),
            None => (rest, None),
        };
        Self { source: source.to_owned(), path: path.to_owned(), alert }
    }

    /// The same file, whatever the alert.
    pub fn is_of_file(&self, other: &Self) -> bool {
        (&self.source, &self.path) == (&other.source, &other.path)
    }

    /// The id of a new entry from here, the `n`th of the kind.
    pub(super) fn new_id(&self, n: u32) -> String {
        id(&format!("{}\0{}\0{}\0{n}", self.source, self.path, self.alert.as_deref().unwrap_or("")))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.source.is_empty() {
            write!(f, "{}:", self.source)?;
        }
        write!(f, "{}", self.path)?;
        self.alert.iter().try_for_each(|alert| write!(f, "#{alert}"))
    }
}

/// The name of a source as it may stand in an [`Origin`].
pub fn source_name(name: &str) -> String {
    let plain = |c: char| if c.is_control() || ":#/\\".contains(c) { '-' } else { c };
    let name: String = name.trim().chars().take(100).map(plain).collect();
    if name.is_empty() { "runbooks".to_owned() } else { name }
}

/// A path as it may stand in an [`Origin`].
pub(super) fn plain_path(path: &str) -> String {
    path.chars().map(|c| if c == '#' || c.is_control() { '-' } else { c }).collect()
}

/// The id that an entry had while files were distinguished by their names alone.
pub fn id_for(alert: &str) -> String {
    id(alert)
}

fn id(text: &str) -> String {
    format!("kb-runbook-{}", &hex::encode(Sha256::digest(text.as_bytes()))[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for text in ["a.md", "books:a/b.md", "books:a.md#SvcDown", "books:a:b.md"] {
            assert_eq!(Origin::read(text).to_string(), text);
        }
        assert_eq!(source_name(" a:b/c "), "a-b-c");
        assert_eq!(source_name(""), "runbooks");
    }
}
