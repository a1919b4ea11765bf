//! The network of concepts: which tags stand together in entries.

use std::sync::Arc;

use imbl::HashMap;

use super::ranking::Ranking;

/// Concepts and the links between them, kept up to date by change.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// Each name's number, so that a link is two numbers.
    ids: HashMap<Arc<str>, u32>,
    /// How many entries hold both, the smaller number first.
    links: HashMap<(u32, u32), u32>,
    /// How many other concepts each is linked to.
    degrees: Ranking<Arc<str>>,
    /// How many entries hold each.
    uses: HashMap<Arc<str>, u32>,
}

impl Network {
    /// See [`Ranking::filling`].
    pub fn filling() -> Self {
        Self { degrees: Ranking::filling(), ..Self::default() }
    }

    /// See [`Ranking::filled`].
    pub fn filled(&mut self) {
        self.degrees.filled();
    }

    /// An entry with these tags is there.
    pub fn add(&mut self, tags: &[String]) {
        let tags = self.numbered(tags);
        for (_, tag) in &tags {
            *self.uses.entry(Arc::clone(tag)).or_default() += 1;
        }
        self.each_pair(&tags, |links, pair| {
            let count = links.entry(pair).or_default();
            *count += 1;
            if *count == 1 { 1 } else { 0 }
        });
    }

    /// An entry with these tags was removed.
    pub fn remove(&mut self, tags: &[String]) {
        let tags = self.numbered(tags);
        self.each_pair(&tags, |links, pair| match links.get_mut(&pair) {
            Some(1) => {
                links.remove(&pair);
                -1
            }
            Some(count) => {
                *count -= 1;
                0
            }
            None => 0,
        });
        for (_, tag) in &tags {
            if let Some(count) = self.uses.get_mut(tag) {
                *count -= 1;
                if *count == 0 {
                    self.uses.remove(tag);
                }
            }
        }
    }

    fn numbered(&mut self, tags: &[String]) -> Vec<(u32, Arc<str>)> {
        let mut numbered = Vec::with_capacity(tags.len());
        for tag in tags {
            let next = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
            let name = match self.ids.get_key_value(tag.as_str()) {
                Some((name, _)) => Arc::clone(name),
                None => Arc::from(tag.as_str()),
            };
            let number = *self.ids.entry(Arc::clone(&name)).or_insert(next);
            numbered.push((number, name));
        }
        numbered.sort();
        numbered.dedup();
        numbered
    }

    /// Changes every link among `tags`; `change` tells whether a link came (1) or went (-1).
    fn each_pair(
        &mut self,
        tags: &[(u32, Arc<str>)],
        change: impl Fn(&mut HashMap<(u32, u32), u32>, (u32, u32)) -> i64,
    ) {
        for (index, (a, first)) in tags.iter().enumerate() {
            for (b, second) in &tags[index + 1..] {
                let delta = change(&mut self.links, (*a, *b));
                if delta != 0 {
                    self.degrees.add(first, delta);
                    self.degrees.add(second, delta);
                }
            }
        }
    }

    /// How many concepts.
    pub fn concepts(&self) -> usize {
        self.uses.len()
    }

    /// How many pairs of concepts stand together somewhere.
    pub fn links(&self) -> usize {
        self.links.len()
    }

    /// The concepts that are linked to most others.
    pub fn most_connected(&self, n: usize) -> impl Iterator<Item = (&str, i64)> {
        self.degrees.top(n).map(|(name, degree)| (name.as_ref(), degree))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(names: &str) -> Vec<String> {
        names.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn links_come_and_go_with_the_entries_that_make_them() {
        let mut network = Network::default();
        network.add(&tags("disk node alert"));
        network.add(&tags("disk node"));
        network.add(&tags("disk etcd etcd"));
        assert_eq!((network.concepts(), network.links()), (4, 4));
        assert_eq!(network.most_connected(1).collect::<Vec<_>>(), [("disk", 3)]);
        network.remove(&tags("disk node alert"));
        assert_eq!((network.concepts(), network.links()), (3, 2));
        network.remove(&tags("disk node"));
        network.remove(&tags("disk etcd etcd"));
        assert_eq!((network.concepts(), network.links()), (0, 0));
        assert_eq!(network.most_connected(5).count(), 0);
    }
}
