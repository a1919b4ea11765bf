//! Documents that an export left out, because no import could put them back.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;

use crate::model::Collection;

/// So many are named; all are counted.
const NAMED: usize = 20;
/// How much is shown of a document, in characters.
const SHOWN: usize = 120;

/// What was left out so far; known in full once the export is at its end.
#[derive(Clone, Debug, Default)]
pub struct Skipped(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    count: u64,
    names: Vec<String>,
}

impl Skipped {
    /// How many.
    pub fn count(&self) -> u64 {
        self.0.lock().count
    }

    /// The first of them: what each is, and why it was left out.
    pub fn names(&self) -> Vec<String> {
        self.0.lock().names.clone()
    }

    pub(super) fn note(&self, of: Collection, document: &str, reason: &str) {
        let mut inner = self.0.lock();
        inner.count += 1;
        if inner.names.len() < NAMED {
            let document = shown(document);
            tracing::warn!(collection = %of, document, reason, "an export leaves a document out");
            inner.names.push(format!("{of} {document}: it {reason}"));
        }
    }
}

/// What identifies a document, else its beginning.
fn shown(document: &str) -> String {
    let fields: Value = serde_json::from_str(document).unwrap_or_default();
    let identity = ["id", "_id", "key", "fingerprint", "name", "date", "title"]
        .into_iter()
        .find_map(|name| Some(format!("{name}={}", fields.get(name).filter(|v| !v.is_null())?)));
    identity.unwrap_or_else(|| document.to_owned()).chars().take(SHOWN).collect()
}
