//! What a query looks for, as plain stems: to compare titles with, and to show where it was found.

use std::collections::HashMap;

use super::dictionary::Dictionary;
use super::plan::{Kind, Plan};
use super::words::stem;

/// The stems of a query, each with how much it tells.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    stems: HashMap<String, Term>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Term {
    /// Of 1, how well it stands for what was typed.
    likeness: f32,
    /// How much a passage that holds it tells.
    weight: f32,
}

impl Terms {
    /// The terms of a plan.
    pub(super) fn new(plan: &Plan, dictionary: &Dictionary) -> Self {
        let mut terms = Self::default();
        for clause in &plan.clauses {
            let counts = if clause.kind == Kind::Low { 0.0 } else { clause.weight };
            for alternative in &clause.alternatives {
                for stem in &alternative.stems {
                    let weight = counts * alternative.weight;
                    let term = terms.stems.entry(stem.clone()).or_default();
                    term.likeness = term.likeness.max(alternative.weight);
                    term.weight = term.weight.max(weight);
                }
            }
        }
        for (stem, term) in &mut terms.stems {
            term.weight *= dictionary.idf(stem);
        }
        terms
    }

    /// Of 1, how well a stem stands for something that was typed; 0 for any other.
    pub(super) fn likeness(&self, stem: &str) -> f32 {
        self.stems.get(stem).map_or(0.0, |term| term.likeness)
    }

    /// How much a passage tells that holds `word`, which is in lower case; 0 for any other.
    pub(super) fn weight(&self, word: &str) -> f32 {
        self.stems.get(&*stem(word)).map_or(0.0, |term| term.weight)
    }
}
