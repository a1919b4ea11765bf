//! Questions that had no answer: one entry a normalised text, counting how often it was asked.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::model::{
    Category, Entry, EntryText, Provenance, QUESTION_PREFIX, Severity, SourceType, Time,
};

/// A question's text as two askings of it are compared: case, white space and what stands at
/// its end make no difference.
pub fn normalise(text: &str) -> String {
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower.split_whitespace().collect();
    words.join(" ").trim_end_matches(['?', '!', '.', ' ']).to_owned()
}

/// The id of the open question with this text.
pub fn question_id(text: &str) -> String {
    let normal = normalise(text);
    // A question of nothing but marks is compared as it is.
    let key = if normal.is_empty() { text } else { &normal };
    format!("{QUESTION_PREFIX}{}", hex::encode(&Sha256::digest(key)[..8]))
}

/// The open question with this text, asked for the first time.
pub fn question(text: &str, now: Time) -> Entry {
    let title: String = text.trim().chars().take(500).collect();
    let text_of = EntryText {
        description: text.trim().to_owned(),
        ..EntryText::new(title, Category::Question, Severity::Low)
    };
    let provenance = Provenance {
        source_type: SourceType::Query,
        source_model: "operator".into(),
        evidence_date: now.to_string().get(..10).map(str::to_owned),
        ..Provenance::default()
    };
    let mut question =
        Entry { provenance: Arc::new(provenance), ..Entry::new(question_id(text), text_of, now) };
    question.summed_up.tally.occurrences = 1;
    question
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn askings_of_one_question_have_one_id() {
        let id = question_id("Why is the disk full?");
        assert_eq!(question_id("  why IS the\tdisk full "), id);
        assert_ne!(question_id("why is the disk fuller"), id);
        assert_ne!(question_id("???"), question_id("!!!"));
    }
}
