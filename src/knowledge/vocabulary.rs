//! The operations vocabulary: which words people use for which, as data in `vocabulary.txt`.
//!
//! Someone types "disk behind the datastore is sluggish"; the runbook says "etcd fsync duration
//! high". The file bridges the two and is general knowledge of the trade, not of any one set of
//! runbooks. Here it is read once and asked by stems.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

/// Longest phrase, in words.
const LONGEST_PHRASE: usize = 6;

/// A word or phrase, as stems.
pub(crate) type Phrase = Vec<String>;

/// The vocabulary, ready to be asked.
#[derive(Debug, Default)]
pub(crate) struct Vocabulary {
    stop: HashSet<String>,
    low: HashSet<String>,
    generic: HashSet<String>,
    log: HashSet<String>,
    others: HashMap<Phrase, Vec<Phrase>>,
}

static VOCABULARY: LazyLock<Vocabulary> =
    LazyLock::new(|| Vocabulary::read(include_str!("vocabulary.txt")));

/// The vocabulary of operations.
pub(crate) fn vocabulary() -> &'static Vocabulary {
    &VOCABULARY
}

impl Vocabulary {
    /// Whether the word (as written, lower case) says nothing about the matter: "the", "how".
    pub fn is_stop_word(&self, word: &str) -> bool {
        self.stop.contains(word)
    }

    /// Whether the word says little about the matter: "keeps", "again".
    pub fn is_low(&self, word: &str) -> bool {
        self.low.contains(word)
    }

    /// Whether entries about anything have the word of this stem: "server", "error".
    pub fn is_generic(&self, stem: &str) -> bool {
        self.generic.contains(stem)
    }

    /// Whether any log line, query or stack trace has the word: "level", "caller".
    pub fn is_log_word(&self, word: &str) -> bool {
        self.log.contains(word)
    }

    /// The longest phrase known that `stems` begins with: its length and what else it is called.
    pub fn longest<'a>(&'a self, stems: &[String]) -> Option<(usize, &'a [Phrase])> {
        (1..=stems.len().min(LONGEST_PHRASE)).rev().find_map(|length| {
            let others = self.others.get(&stems[..length])?;
            Some((length, others.as_slice()))
        })
    }

    fn read(text: &str) -> Self {
        let mut vocabulary = Self::default();
        let mut section = "";
        for line in text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()) {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = name;
            } else if !line.is_empty() {
                vocabulary.read_line(section, line);
            }
        }
        vocabulary
    }

    fn read_line(&mut self, section: &str, line: &str) {
        let words = || line.split_whitespace().map(str::to_owned);
        match (section, line.split_once("->")) {
            ("stop", _) => self.stop.extend(words()),
            ("low", _) => self.low.extend(words()),
            ("generic", _) => self.generic.extend(words().map(|word| stems(&word).concat())),
            ("log", _) => self.log.extend(words()),
            (_, Some((typed, meant))) => self.link(&phrases(typed), &phrases(meant)),
            (_, None) => {
                let group = phrases(line);
                self.link(&group, &group);
            }
        }
    }

    fn link(&mut self, typed: &[Phrase], meant: &[Phrase]) {
        for phrase in typed {
            let others = self.others.entry(phrase.clone()).or_default();
            for other in meant.iter().filter(|other| *other != phrase) {
                if !others.contains(other) {
                    others.push(other.clone());
                }
            }
        }
    }
}

fn phrases(list: &str) -> Vec<Phrase> {
    list.split(',').map(stems).filter(|phrase| !phrase.is_empty()).collect()
}

fn stems(phrase: &str) -> Phrase {
    let names = super::search::words::names(phrase);
    names.flat_map(|name| name.parts).map(|w| super::search::words::stem(&w).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn others(typed: &str) -> Vec<String> {
        let found = vocabulary().longest(&stems(typed)).map(|(_, others)| others);
        found.unwrap_or_default().iter().map(|phrase| phrase.join(" ")).collect()
    }

    fn bridges(typed: &str, meant: &str) -> bool {
        others(typed).contains(&stems(meant).join(" "))
    }

    #[test]
    fn what_people_say_is_bridged_to_what_alerts_are_called() {
        for (typed, meant) in [
            ("disk", "filesystem"),
            ("machine", "node"),
            ("worker", "node"),
            ("nic", "network interface"),
            ("in charge", "leader"),
            ("autoscaler", "hpa"),
            ("out of memory", "oom"),
            ("sluggish", "latency"),
            ("certificate", "tls"),
            ("control plane", "apiserver"),
            ("datastore", "etcd"),
            ("copies", "replicas"),
            ("long-term storage", "remote write"),
        ] {
            assert!(bridges(typed, meant), "{typed} -> {meant}: {:?}", others(typed));
        }
    }

    #[test]
    fn a_longer_phrase_wins_over_its_first_word() {
        let typed = stems("out of memory on node");
        assert_eq!(vocabulary().longest(&typed).map(|(length, _)| length), Some(3));
    }

    #[test]
    fn an_arrow_leads_one_way_only() {
        let vocabulary = Vocabulary::read("[same]\nbig, large\n[means]\nlog in -> authentication");
        assert_eq!(vocabulary.longest(&stems("log in")).unwrap().1, [stems("authentication")]);
        assert!(vocabulary.longest(&stems("authentication")).is_none());
        assert_eq!(vocabulary.longest(&stems("large")).unwrap().1, [stems("big")]);
    }

    #[test]
    fn every_line_of_the_file_is_well_formed() {
        let text = include_str!("vocabulary.txt");
        let mut section = "";
        for line in text.lines().map(|l| l.split('#').next().unwrap().trim()) {
            match line {
                "" => {}
                "[stop]" | "[low]" | "[generic]" | "[log]" | "[same]" | "[means]" => section = line,
                _ => match section {
                    "[stop]" | "[low]" | "[generic]" | "[log]" => {
                        assert_eq!(line, line.to_lowercase())
                    }
                    "[same]" => assert!(!line.contains("->") && line.contains(','), "{line}"),
                    "[means]" => assert_eq!(line.matches("->").count(), 1, "{line}"),
                    _ => panic!("outside any section: {line}"),
                },
            }
            for phrase in line.split([',']).flat_map(|part| part.split("->")) {
                if section == "[same]" || section == "[means]" {
                    assert!(stems(phrase).len() <= LONGEST_PHRASE, "{phrase}");
                }
            }
        }
    }

    #[test]
    fn no_stop_word_stands_in_the_vocabulary_alone() {
        for phrase in vocabulary().others.keys().filter(|phrase| phrase.len() == 1) {
            assert!(!vocabulary().is_stop_word(&phrase[0]), "{phrase:?}");
        }
    }
}
