//! What the words that senders write for a severity mean here.

use super::reader::Reader;
use crate::model::{Severity, SeverityWords};

/// `SEVERITY_MAP`: `word=severity`, separated by commas.
pub(super) fn read(reader: &mut Reader<'_>) -> SeverityWords {
    let mut words = SeverityWords::default();
    let Some(found) = reader.text("SEVERITY_MAP") else { return words };
    for pair in found.value.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let Some((word, severity)) = parsed(pair) else {
            let expected = "expected `word=critical`, `=high`, `=medium` or `=low`";
            reader.problem("SEVERITY_MAP", format!("{expected}, found {pair:?}"));
            continue;
        };
        if !words.add(word, severity) {
            reader.problem("SEVERITY_MAP", format!("gives {word:?} two meanings"));
        }
    }
    words
}

fn parsed(pair: &str) -> Option<(&str, Severity)> {
    let (word, severity) = pair.rsplit_once('=')?;
    let severity = Severity::parse(&severity.trim().to_ascii_lowercase())?;
    Some((word.trim(), severity)).filter(|(word, _)| !word.is_empty())
}
