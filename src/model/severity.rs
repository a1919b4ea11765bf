//! How bad it is, and what the words mean that senders and authors write for it.

use std::{borrow::Cow, collections::BTreeMap, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use strum::{EnumString, IntoStaticStr};
use utoipa::ToSchema;

/// How bad it is; ordered, `Low` first.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    EnumString,
    IntoStaticStr,
    ToSchema,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Low,
    /// A warning.
    Medium,
    /// An error, or a page.
    High,
    /// Users suffer.
    Critical,
}

impl Severity {
    /// All severities, lowest first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The name in JSON and in the stores.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The severity of exactly that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::from_str(name).ok()
    }

    /// What an alert's severity means for the entry learned from it, where no setting says
    /// otherwise; white space and case aside.
    pub fn of_alert(label: &str) -> Self {
        of_known(&normalized(label)).unwrap_or(Self::Low)
    }
}

/// The words for each severity, highest first; a list may grow, but no word may move.
const WORDS: [(Severity, &[&str]); 4] = [
    (
        Severity::Critical,
        &[
            "critical",
            "crit",
            "fatal",
            "emergency",
            "emerg",
            "disaster",
            "p1",
            "sev1",
            "sev-1",
            "s1",
        ],
    ),
    (
        Severity::High,
        &["error", "err", "high", "major", "page", "urgent", "p2", "sev2", "sev-2", "s2"],
    ),
    (
        Severity::Medium,
        &["warning", "warn", "medium", "average", "moderate", "minor", "p3", "sev3", "sev-3", "s3"],
    ),
    (
        Severity::Low,
        &[
            "low",
            "info",
            "information",
            "informational",
            "notice",
            "debug",
            "none",
            "p4",
            "p5",
            "sev4",
            "sev5",
            "s4",
            "s5",
        ],
    ),
];

/// What counts of words that are not in [`WORDS`] go under.
const OTHER: &str = "other";

fn of_known(word: &str) -> Option<Severity> {
    WORDS.iter().find(|(_, words)| words.contains(&word)).map(|(severity, _)| *severity)
}

/// The word for counts by severity as sent: the known word in lower case, `none` for an empty
/// one, `other` for the rest. So nobody can make a map of counts grow, or put a name into it that
/// a store cannot hold in a key.
pub fn severity_key(word: &str) -> &'static str {
    let word = normalized(word);
    if word.is_empty() {
        return "none";
    }
    let mut known = WORDS.iter().flat_map(|(_, words)| words.iter().copied());
    known.find(|known| *known == word).unwrap_or(OTHER)
}

/// Without white space, in lower case.
fn normalized(word: &str) -> Cow<'_, str> {
    if word.bytes().all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase()) {
        return Cow::Borrowed(word);
    }
    word.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect()
}

/// The meaning of severity words: the usual ones, and over them those of `SEVERITY_MAP`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeverityWords {
    own: BTreeMap<String, Severity>,
}

impl SeverityWords {
    /// Adds a word, or gives it another meaning; `false` if it has got a different one already,
    /// or is blank.
    pub fn add(&mut self, word: &str, severity: Severity) -> bool {
        let word = normalized(word);
        !word.is_empty() && *self.own.entry(word.into_owned()).or_insert(severity) == severity
    }

    /// Tells apart what words mean in one configuration of one version, and in another.
    pub fn signature(&self) -> String {
        hex::encode(Sha256::digest(format!("{WORDS:?}{:?}", self.own)))
    }

    /// What a word means, white space and case aside; `None` if it is not known.
    pub fn meaning(&self, word: &str) -> Option<Severity> {
        let word = normalized(word);
        self.own.get(word.as_ref()).copied().or_else(|| of_known(&word))
    }

    /// What an alert's severity means for the entry learned from it: `Low` if the word is not
    /// known.
    pub fn of_alert(&self, label: &str) -> Severity {
        self.meaning(label).unwrap_or(Severity::Low)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_word_of_the_contract_means_what_it_says_there() {
        for (severity, words) in [
            (
                Severity::Critical,
                "critical, crit, fatal, emergency, emerg, disaster, p1, sev1, sev-1, s1",
            ),
            (Severity::High, "error, err, high, major, page, urgent, p2, sev2, s2"),
            (Severity::Medium, "warning, warn, medium, average, moderate, minor, p3, sev3, s3"),
            (Severity::Low, "low, info, none, notice, p4, sev5, 1, 2, 5, whatever, "),
        ] {
            for word in words.split(", ") {
                assert_eq!(Severity::of_alert(word), severity, "{word:?}");
                assert_eq!(SeverityWords::default().of_alert(word), severity, "{word:?}");
            }
        }
    }

    #[test]
    fn white_space_and_case_do_not_matter() {
        for word in ["critical ", " CRITICAL", "Critical\n", "SEV 1", "sev-1\t", "\u{a0}P1"] {
            assert_eq!(Severity::of_alert(word), Severity::Critical, "{word:?}");
        }
    }

    #[test]
    fn a_name_is_read_as_it_is_written() {
        for severity in Severity::ALL {
            assert_eq!(Severity::parse(severity.as_str()), Some(severity));
            assert_eq!(Severity::of_alert(severity.as_str()), severity);
        }
        assert_eq!(Severity::parse("Critical"), None);
    }

    #[test]
    fn no_word_stands_for_two_severities() {
        let mut words: Vec<_> = WORDS.iter().flat_map(|(_, words)| words.iter()).collect();
        let count = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), count);
        assert!(words.iter().all(|word| normalized(word) == **word && **word != OTHER));
    }

    #[test]
    fn the_operators_words_go_before_the_usual_ones() {
        let mut words = SeverityWords::default();
        assert!(words.add("5", Severity::Critical) && words.add("Page Me", Severity::High));
        assert!(words.add("warning", Severity::Low));
        assert!(words.add("WARNING ", Severity::Low), "the same again is no contradiction");
        assert!(!words.add("5", Severity::Low) && !words.add(" ", Severity::Low));
        assert_eq!(words.of_alert(" 5"), Severity::Critical);
        assert_eq!(words.of_alert("pageme"), Severity::High);
        assert_eq!(words.of_alert("Warning"), Severity::Low);
        assert_eq!(words.of_alert("err"), Severity::High);
        assert_eq!(words.meaning("unheard of"), None);
    }

    #[test]
    fn counts_are_by_known_words_and_other() {
        for (word, key) in [
            ("critical", "critical"),
            (" P1", "p1"),
            ("Warn", "warn"),
            ("", "none"),
            ("None", "none"),
            ("a.b", "other"),
            ("$set", "other"),
            ("\0", "other"),
        ] {
            assert_eq!(severity_key(word), key, "{word:?}");
        }
    }

    proptest! {
        #[test]
        fn a_key_is_its_own_key_and_means_the_same(word in "(\\PC{0,9}|(?i)p[1-9]|[a-z]{3,8} ?)") {
            let key = severity_key(&word);
            prop_assert_eq!(severity_key(key), key);
            prop_assert!(!key.is_empty() && !key.contains(['.', '$', '\0']));
            prop_assert_eq!(Severity::of_alert(key), Severity::of_alert(&word));
        }
    }
}
