//! Names in the order of a score that changes: the best few cost nothing to read.

use std::hash::Hash;

use imbl::{HashMap, OrdSet};

/// A set of names, each with a score; kept sorted as scores change.
///
/// A clone shares what does not change.
#[derive(Clone, Debug)]
pub struct Ranking<K: Ord + Hash + Clone> {
    scores: HashMap<K, i64>,
    sorted: OrdSet<(i64, K)>,
}

impl<K: Ord + Hash + Clone> Default for Ranking<K> {
    fn default() -> Self {
        Self { scores: HashMap::new(), sorted: OrdSet::new() }
    }
}

impl<K: Ord + Hash + Clone> Ranking<K> {
    /// Sets a score, or takes the name out.
    pub fn set(&mut self, name: &K, score: Option<i64>) {
        let old = match score {
            Some(score) => self.scores.insert(name.clone(), score),
            None => self.scores.remove(name),
        };
        if old == score {
            return;
        }
        if let Some(old) = old {
            self.sorted.remove(&(old, name.clone()));
        }
        if let Some(score) = score {
            self.sorted.insert((score, name.clone()));
        }
    }

    /// Adds to a score; a name whose score falls to zero is taken out.
    pub fn add(&mut self, name: &K, delta: i64) {
        let score = self.scores.get(name).copied().unwrap_or(0) + delta;
        self.set(name, (score > 0).then_some(score));
    }

    /// The `n` highest, best first; of equal scores the first name first.
    pub fn top(&self, n: usize) -> impl Iterator<Item = (&K, i64)> {
        let floor = self.sorted.iter().rev().nth(n.saturating_sub(1)).map(|(score, _)| *score);
        let mut best: Vec<_> = match floor {
            // All of the last score are looked at, to choose by name among them; ties are few
            // or the choice is bounded.
            Some(floor) => self
                .sorted
                .iter()
                .rev()
                .take_while(|(score, _)| *score >= floor)
                .take(n.saturating_mul(20))
                .collect(),
            None => self.sorted.iter().rev().collect(),
        };
        best.sort_by(|(a, x), (b, y)| b.cmp(a).then_with(|| x.cmp(y)));
        best.into_iter().take(n).map(|(score, name)| (name, *score))
    }

    /// The name of the lowest score.
    pub fn last(&self) -> Option<(&K, i64)> {
        self.sorted.get_min().map(|(score, name)| (name, *score))
    }

    /// The highest score.
    pub fn first(&self) -> Option<(&K, i64)> {
        self.sorted.get_max().map(|(score, name)| (name, *score))
    }

    /// All names, the lowest score first.
    pub fn lowest(&self) -> impl Iterator<Item = &K> {
        self.sorted.iter().map(|(_, name)| name)
    }

    /// How many names.
    pub fn len(&self) -> usize {
        self.scores.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_come_first_and_ties_by_name() {
        let mut ranking = Ranking::default();
        for (name, score) in [("a", 1), ("d", 3), ("c", 3), ("b", 2)] {
            ranking.add(&name, score);
        }
        assert_eq!(ranking.top(3).collect::<Vec<_>>(), [(&"c", 3), (&"d", 3), (&"b", 2)]);
        ranking.add(&"c", -3);
        assert_eq!(ranking.top(9).map(|(name, _)| *name).collect::<String>(), "dba");
        assert_eq!((ranking.last(), ranking.len()), (Some((&"a", 1)), 3));
    }
}
