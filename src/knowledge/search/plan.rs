//! From what was typed or pasted to what is looked for.
//!
//! A query is a list of clauses, one a word that matters, one a known phrase. Each clause is
//! looked for by its alternatives: the word itself, the word run together with its neighbour,
//! longer words that begin with it, words one typing error away, and what the vocabulary knows
//! it to be called. A document scores the best alternative of each clause, so that a word with
//! many synonyms does not outweigh one with none, and a word that is typed twice counts once.
//! No character of a query is syntax.

use std::collections::HashSet;

use super::dictionary::Dictionary;
use super::words::{names, stem};
use super::{limits, paste, weights};
use crate::knowledge::vocabulary::{Phrase, Vocabulary, vocabulary};

/// What is looked for.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Each once.
    pub clauses: Vec<Clause>,
    /// Whether the text was pasted and not typed.
    pub pasted: bool,
}

/// Something that the query is about.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Clause {
    /// How much it counts.
    pub weight: f32,
    /// What its words say about the matter.
    pub kind: Kind,
    /// How it may be written.
    pub alternatives: Vec<Alternative>,
}

/// What the words of a clause say about the matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// What it is about.
    Word,
    /// A word that entries of every kind have in their titles: `server`, `error`.
    Generic,
    /// Several words, or a name of several parts: they count besides, where they are known.
    Compound,
    /// Too little to find an answer by.
    Low,
}

/// One way to write a clause: stems that must all occur.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Alternative {
    /// The stems.
    pub stems: Phrase,
    /// Of 1.
    pub weight: f32,
}

impl Clause {
    fn new(kind: Kind, weight: f32) -> Self {
        Self { weight, kind, alternatives: Vec::new() }
    }

    /// Adds an alternative, or raises the weight of the one that is there.
    fn add(&mut self, stems: Phrase, weight: f32) {
        match self.alternatives.iter_mut().find(|known| known.stems == stems) {
            Some(known) => known.weight = known.weight.max(weight),
            None => self.alternatives.push(Alternative { stems, weight }),
        }
    }
}

impl Plan {
    /// The plan for a query; no clauses if it holds only stop words.
    pub fn new(query: &str, dictionary: &Dictionary) -> Self {
        let cleaned = paste::pasted(query);
        let pasted = cleaned.is_some();
        let mut words = Words::of(cleaned.as_deref().unwrap_or(query));
        if pasted {
            words.keep_telling(dictionary);
        } else {
            words.words.truncate(limits::TYPED_WORDS);
        }
        let mut clauses = words.whole_names();
        let stems: Phrase = words.words.iter().map(|word| stem(word).into_owned()).collect();
        let mut singles: Vec<Clause> =
            words.words.iter().map(|word| single(word, dictionary, pasted)).collect();
        join_neighbours(&words.words, &mut singles, dictionary);
        clauses.extend(synonyms(&stems, &mut singles, pasted));
        let mut seen = HashSet::new();
        for (stem, clause) in stems.iter().zip(singles) {
            if !clause.alternatives.is_empty() && seen.insert(stem) {
                clauses.push(clause);
            }
        }
        if clauses.iter().all(|clause| clause.kind == Kind::Low) {
            clauses.iter_mut().for_each(|clause| clause.kind = Kind::Generic);
        }
        Self { clauses, pasted }
    }
}

/// The words of a query in their order, and the names that it has.
struct Words {
    words: Vec<String>,
    wholes: Vec<String>,
}

impl Words {
    fn of(text: &str) -> Self {
        let mut read = Self { words: Vec::new(), wholes: Vec::new() };
        for name in names(text) {
            if let Some(whole) = name.whole()
                && !read.wholes.contains(&whole)
                && read.wholes.len() < limits::TYPED_WORDS
            {
                read.wholes.push(whole);
            }
            read.words.extend(name.parts);
        }
        read
    }

    /// Leaves out the words of a pasted text that tell nothing: numbers, ids, what is in every log
    /// line; and what is beyond the bound on different words.
    fn keep_telling(&mut self, dictionary: &Dictionary) {
        let vocabulary = vocabulary();
        let mut seen: HashSet<String> = HashSet::new();
        let mut kept = Vec::new();
        for word in std::mem::take(&mut self.words) {
            let numbered = word.contains(|c: char| c.is_ascii_digit());
            let says_nothing = numbered && !dictionary.knows(&stem(&word));
            if word.len() < 2 || says_nothing || vocabulary.is_log_word(&word) {
                continue;
            }
            let known = seen.contains(&word);
            if seen.len() >= limits::PASTED_WORDS && !known || kept.len() >= limits::KEPT_WORDS {
                continue;
            }
            // Said again it only counts as part of another phrase.
            if !known {
                seen.insert(word.clone());
            }
            kept.push(word);
        }
        self.words = kept;
        self.wholes.retain(|whole| dictionary.knows(&stem(whole)));
    }

    fn whole_names(&self) -> Vec<Clause> {
        let clause = |whole: &String| {
            let mut clause = Clause::new(Kind::Compound, 1.0);
            clause.add(vec![stem(whole).into_owned()], 1.0);
            clause
        };
        self.wholes.iter().map(clause).collect()
    }
}

/// A word as typed, cut short, or mistyped. Nothing for a stop word.
fn single(word: &str, dictionary: &Dictionary, pasted: bool) -> Clause {
    let vocabulary = vocabulary();
    let mut clause = Clause::new(Kind::Word, 1.0);
    if vocabulary.is_stop_word(word) {
        return clause;
    }
    let typed = stem(word);
    clause.add(vec![typed.to_string()], 1.0);
    (clause.kind, clause.weight) = kind_of(word, &typed, vocabulary);
    if clause.kind == Kind::Low || pasted {
        return clause;
    }
    for longer in dictionary.beginning_with(word) {
        clause.add(vec![stem(&longer).into_owned()], weights::BEGINS_WITH);
    }
    let known = dictionary.knows(&typed);
    let near = if known { weights::NEAR_A_KNOWN_WORD } else { weights::MISSPELT };
    for similar in dictionary.similar_to(word, known) {
        clause.add(vec![stem(&similar).into_owned()], near);
    }
    clause
}

fn kind_of(word: &str, stem: &str, vocabulary: &Vocabulary) -> (Kind, f32) {
    let is_number = word.starts_with(|c: char| c.is_ascii_digit());
    if vocabulary.is_low(word) || is_number {
        (Kind::Low, weights::LOW)
    } else if vocabulary.is_generic(stem) {
        (Kind::Generic, weights::GENERIC)
    } else {
        (Kind::Word, 1.0)
    }
}

/// "stateful set" also stands for `statefulset`: the run-together form counts for both words.
fn join_neighbours(words: &[String], singles: &mut [Clause], dictionary: &Dictionary) {
    for at in 1..words.len() {
        let joined = format!("{}{}", words[at - 1], words[at]);
        let joined = stem(&joined).into_owned();
        if !dictionary.knows(&joined) {
            continue;
        }
        for clause in &mut singles[at - 1..=at] {
            if !clause.alternatives.is_empty() {
                clause.add(vec![joined.clone()], weights::JOINED);
            }
        }
    }
}

/// What the vocabulary knows: for a word, more alternatives; for a phrase, a clause of its own.
///
/// In a pasted text nobody chose a generic word for what it may stand for.
fn synonyms(stems: &[String], singles: &mut [Clause], pasted: bool) -> Vec<Clause> {
    let may_stand = |clause: &Clause| !(pasted && clause.kind == Kind::Generic);
    let mut phrases: Vec<Clause> = Vec::new();
    let mut at = 0;
    while at < stems.len() {
        let Some((length, others)) = vocabulary().longest(&stems[at..]) else {
            at += 1;
            continue;
        };
        if length == 1 {
            if may_stand(&singles[at]) {
                add_others(&mut singles[at], others, weights::SYNONYM);
            }
        } else {
            for inside in at..at + length {
                singles[inside].weight *= weights::INSIDE_A_PHRASE;
                if let Some((1, others)) = vocabulary().longest(&stems[inside..=inside]) {
                    add_others(&mut singles[inside], others, weights::SYNONYM);
                }
            }
            let mut clause = Clause::new(Kind::Compound, 1.0);
            add_others(&mut clause, std::slice::from_ref(&stems[at..at + length].to_vec()), 1.0);
            add_others(&mut clause, others, 1.0);
            if !phrases.contains(&clause) {
                phrases.push(clause);
            }
        }
        at += length;
    }
    phrases
}

fn add_others(clause: &mut Clause, others: &[Phrase], weight: f32) {
    for other in others {
        let stems: Phrase =
            other.iter().filter(|stem| !vocabulary().is_stop_word(stem)).cloned().collect();
        if !stems.is_empty() {
            clause.add(stems, weight);
        }
    }
}
