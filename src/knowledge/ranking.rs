//! Names in the order of a score that changes: the best few cost nothing to read.
//!
//! A clone shares what does not change.

use std::hash::Hash;

use imbl::{HashMap, OrdSet};

/// Names, each under a score that whoever takes it out knows.
#[derive(Clone, Debug)]
pub struct Sorted<K: Ord + Clone>(OrdSet<(i64, K)>);

impl<K: Ord + Clone> Default for Sorted<K> {
    fn default() -> Self {
        Self(OrdSet::new())
    }
}

impl<K: Ord + Clone> Sorted<K> {
    /// Puts a name in under a score, or takes it out from under it.
    pub fn set(&mut self, name: &K, score: i64, there: bool) {
        match there {
            true => self.0.insert((score, name.clone())),
            false => self.0.remove(&(score, name.clone())),
        };
    }

    /// The `n` highest, best first; of equal scores the first name first.
    pub fn top(&self, n: usize) -> impl Iterator<Item = (&K, i64)> {
        let floor = self.0.iter().rev().nth(n.saturating_sub(1)).map(|(score, _)| *score);
        let mut best: Vec<_> = match floor {
            // All of the last score are looked at, to choose by name among them; ties are few
            // or the choice is bounded.
            Some(floor) => self
                .0
                .iter()
                .rev()
                .take_while(|(score, _)| *score >= floor)
                .take(n.saturating_mul(20))
                .collect(),
            None => self.0.iter().rev().collect(),
        };
        best.sort_by(|(a, x), (b, y)| b.cmp(a).then_with(|| x.cmp(y)));
        best.into_iter().take(n).map(|(score, name)| (name, *score))
    }

    /// The name of the lowest score.
    pub fn last(&self) -> Option<(&K, i64)> {
        self.0.get_min().map(|(score, name)| (name, *score))
    }

    /// The highest score.
    pub fn first(&self) -> Option<(&K, i64)> {
        self.0.get_max().map(|(score, name)| (name, *score))
    }

    /// All names, the lowest score first.
    pub fn lowest(&self) -> impl Iterator<Item = &K> {
        self.0.iter().map(|(_, name)| name)
    }

    /// How many names.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// Names that are counted, the commonest first.
#[derive(Clone, Debug)]
pub struct Ranking<K: Ord + Hash + Clone> {
    counts: HashMap<K, i64>,
    sorted: Sorted<K>,
    /// Whether it is sorted only when it is [`Ranking::filled`].
    filling: bool,
}

impl<K: Ord + Hash + Clone> Default for Ranking<K> {
    fn default() -> Self {
        Self { counts: HashMap::new(), sorted: Sorted::default(), filling: false }
    }
}

impl<K: Ord + Hash + Clone> Ranking<K> {
    /// One that much is added to before it is asked for anything: it is sorted once, at the end.
    pub fn filling() -> Self {
        Self { filling: true, ..Self::default() }
    }

    /// All is added that there is.
    pub fn filled(&mut self) {
        self.filling = false;
        self.counts.iter().for_each(|(name, count)| self.sorted.set(name, *count, true));
    }

    /// Adds to a count; a name whose count falls to zero is taken out.
    pub fn add(&mut self, name: &K, delta: i64) {
        let before = self.counts.get(name).copied();
        let after = Some(before.unwrap_or(0) + delta).filter(|count| *count > 0);
        match after {
            Some(after) => self.counts.insert(name.clone(), after),
            None => self.counts.remove(name),
        };
        if !self.filling {
            before.into_iter().for_each(|count| self.sorted.set(name, count, false));
            after.into_iter().for_each(|count| self.sorted.set(name, count, true));
        }
    }

    /// The `n` commonest; of equal counts the first name first.
    pub fn top(&self, n: usize) -> impl Iterator<Item = (&K, i64)> {
        self.sorted.top(n)
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
        assert_eq!((ranking.sorted.last(), ranking.sorted.len()), (Some((&"a", 1)), 3));
    }

    #[test]
    fn what_is_filled_is_as_if_it_had_been_added_one_by_one() {
        let (mut ranking, mut filling) = (Ranking::default(), Ranking::filling());
        for (name, delta) in [("a", 1), ("b", 2), ("c", 1), ("a", 3), ("c", -1)] {
            ranking.add(&name, delta);
            filling.add(&name, delta);
        }
        filling.filled();
        assert_eq!(filling.top(9).collect::<Vec<_>>(), ranking.top(9).collect::<Vec<_>>());
        filling.add(&"b", 5);
        assert_eq!(filling.top(1).collect::<Vec<_>>(), [(&"b", 7)]);
    }
}
