//! Questions that had no answer: one entry a normalised text, counting how often it was asked.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::model::{Category, Entry, Learning, Provenance, Severity, SourceType, Time};

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
    format!("kb-question-{}", hex::encode(&Sha256::digest(key)[..8]))
}

/// Whether an id is that of an open question.
pub fn is_question_id(id: &str) -> bool {
    id.starts_with("kb-question-")
}

/// What asking once more without an answer teaches.
pub fn asked(text: &str, now: Time) -> Learning {
    let title: String = text.trim().chars().take(500).collect();
    let seed = Entry {
        description: text.trim().to_owned(),
        provenance: Provenance {
            source_type: SourceType::Query,
            source_model: "operator".into(),
            derived_from: Vec::new(),
            evidence_date: now.to_string().get(..10).map(str::to_owned),
        },
        ..Entry::new(question_id(text), title, Category::Question, Severity::Low, now)
    };
    Learning { occurrences: 1, ..Learning::none(Arc::new(seed)) }
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
