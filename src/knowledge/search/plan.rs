//! From what was typed to what is looked for.
//!
//! A query is a list of concepts, one a word that matters, one a known phrase. Each concept is
//! looked for by its alternatives: the word itself, the word run together with its neighbour,
//! longer words that begin with it, words one typing error away, and what the vocabulary knows
//! it to be called. A document scores the best alternative of each concept, so that a word with
//! many synonyms does not outweigh one with none. No character of a query is syntax.

use super::dictionary::Dictionary;
use super::words::{names, stem};
use crate::knowledge::vocabulary::{Phrase, vocabulary};

/// What each kind of alternative is worth, of 1 for what was typed.
const JOINED: f32 = 0.9;
const SYNONYM: f32 = 0.5;
const PHRASE_SYNONYM: f32 = 0.8;
const BEGINS_WITH: f32 = 0.5;
const MISSPELT: f32 = 0.8;
const NEAR_A_KNOWN_WORD: f32 = 0.3;

/// What a word that says little about the matter weighs.
const LIGHT: f32 = 0.25;
/// What is left of the weight of words that a known phrase is made of: they say it twice.
const INSIDE_A_PHRASE: f32 = 0.4;
/// What a whole name typed as one weighs, on top of its parts.
const WHOLE_NAME: f32 = 1.5;

/// Words looked at in one query; more are a pasted log, of which the first say enough.
const MOST_WORDS: usize = 64;

/// Something that the query is about.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Concept {
    /// How much it counts.
    pub weight: f32,
    /// Whether it says too little to find an answer by.
    pub light: bool,
    /// How it may be written.
    pub alternatives: Vec<Alternative>,
}

/// One way to write a concept: stems that must all occur.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Alternative {
    /// The stems.
    pub stems: Phrase,
    /// Of 1.
    pub weight: f32,
}

impl Concept {
    fn new(weight: f32) -> Self {
        Self { weight, light: false, alternatives: Vec::new() }
    }

    /// Adds an alternative, or raises the weight of the one that is there.
    fn add(&mut self, stems: Phrase, weight: f32) {
        match self.alternatives.iter_mut().find(|known| known.stems == stems) {
            Some(known) => known.weight = known.weight.max(weight),
            None => self.alternatives.push(Alternative { stems, weight }),
        }
    }
}

/// The concepts of a query; none if it holds only stop words.
pub(super) fn concepts(query: &str, dictionary: &Dictionary<'_>) -> Vec<Concept> {
    let mut words: Vec<String> = Vec::new();
    let mut concepts = Vec::new();
    for name in names(query) {
        if let Some(whole) = name.whole() {
            let mut concept = Concept::new(WHOLE_NAME);
            concept.add(vec![stem(&whole).into_owned()], 1.0);
            concepts.push(concept);
        }
        words.extend(name.parts);
    }
    words.truncate(MOST_WORDS);
    let stems: Phrase = words.iter().map(|word| stem(word).into_owned()).collect();
    let mut singles: Vec<Concept> = words.iter().map(|word| single(word, dictionary)).collect();
    join_neighbours(&words, &mut singles, dictionary);
    concepts.extend(synonyms(&stems, &mut singles));
    concepts.extend(singles.into_iter().filter(|concept| !concept.alternatives.is_empty()));
    if concepts.iter().all(|concept| concept.light) {
        concepts.iter_mut().for_each(|concept| concept.light = false);
    }
    concepts
}

/// A word as typed, cut short, or mistyped. Nothing for a stop word.
fn single(word: &str, dictionary: &Dictionary<'_>) -> Concept {
    let vocabulary = vocabulary();
    let mut concept = Concept::new(1.0);
    if vocabulary.is_stop_word(word) {
        return concept;
    }
    let typed = stem(word);
    concept.add(vec![typed.to_string()], 1.0);
    if vocabulary.is_light(word) {
        (concept.weight, concept.light) = (LIGHT, true);
        return concept;
    }
    for longer in dictionary.beginning_with(word) {
        concept.add(vec![stem(&longer).into_owned()], BEGINS_WITH);
    }
    let known = dictionary.knows(&typed);
    let near = if known { NEAR_A_KNOWN_WORD } else { MISSPELT };
    for similar in dictionary.similar_to(word, known) {
        concept.add(vec![stem(&similar).into_owned()], near);
    }
    concept
}

/// "stateful set" also stands for `statefulset`: the run-together form counts for both words.
fn join_neighbours(words: &[String], singles: &mut [Concept], dictionary: &Dictionary<'_>) {
    for at in 1..words.len() {
        let joined = format!("{}{}", words[at - 1], words[at]);
        let joined = stem(&joined).into_owned();
        if !dictionary.knows(&joined) {
            continue;
        }
        for concept in &mut singles[at - 1..=at] {
            if !concept.alternatives.is_empty() {
                concept.add(vec![joined.clone()], JOINED);
            }
        }
    }
}

/// What the vocabulary knows: for a word, more alternatives; for a phrase, a concept of its own.
fn synonyms(stems: &[String], singles: &mut [Concept]) -> Vec<Concept> {
    let mut phrases = Vec::new();
    let mut at = 0;
    while at < stems.len() {
        let Some((length, others)) = vocabulary().longest(&stems[at..]) else {
            at += 1;
            continue;
        };
        if length == 1 {
            add_others(&mut singles[at], others, SYNONYM);
        } else {
            let inside = &mut singles[at..at + length];
            inside.iter_mut().for_each(|concept| concept.weight *= INSIDE_A_PHRASE);
            let mut concept = Concept::new(1.0);
            add_others(&mut concept, others, PHRASE_SYNONYM);
            phrases.push(concept);
        }
        at += length;
    }
    phrases
}

fn add_others(concept: &mut Concept, others: &[Phrase], weight: f32) {
    for other in others {
        let stems: Phrase =
            other.iter().filter(|stem| !vocabulary().is_stop_word(stem)).cloned().collect();
        if !stems.is_empty() {
            concept.add(stems, weight);
        }
    }
}
