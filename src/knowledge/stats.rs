//! Figures about all entries, kept up to date by change: reading them costs the same for ten
//! entries and for a hundred thousand.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    freshness::{Ages, Freshness},
    network::Network,
    ranking::{Ranking, Sorted},
};
use crate::model::{Author, Category, Entry, QUESTION_PREFIX, Severity, SourceType, Time};

type Id = Arc<str>;

/// The figures.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    total: usize,
    by_category: BTreeMap<Category, usize>,
    by_severity: BTreeMap<Severity, usize>,
    by_tag: Ranking<Id>,
    by_source_type: BTreeMap<SourceType, usize>,
    by_source_model: BTreeMap<&'static str, usize>,
    derived_from: BTreeMap<&'static str, usize>,
    unknown_provenance: usize,
    ages: Ages,
    updated: Sorted<Id>,
    learned: Sorted<Id>,
    critical: Sorted<Id>,
    frequent: Sorted<Id>,
    /// Patterns that may make room for others.
    evictable: Sorted<Id>,
    asked: Sorted<Id>,
    asked_last: Sorted<Id>,
    network: Network,
}

impl Stats {
    /// Figures that all entries are added to before they are asked for; see [`Ranking::filling`].
    pub fn filling() -> Self {
        Self { by_tag: Ranking::filling(), network: Network::filling(), ..Self::default() }
    }

    /// All entries are added.
    pub fn filled(&mut self) {
        self.by_tag.filled();
        self.network.filled();
    }

    /// An entry is there.
    pub fn add(&mut self, id: &Id, entry: &Entry) {
        self.add_counted(id, entry);
        self.text(entry, 1);
        if answers(entry) {
            self.network.add(&entry.tags);
        }
    }

    /// An entry was removed.
    pub fn remove(&mut self, id: &Id, entry: &Entry) {
        self.remove_counted(id, entry);
        self.text(entry, -1);
        if answers(entry) {
            self.network.remove(&entry.tags);
        }
    }

    /// The part that changes with counters, severity and times.
    pub fn add_counted(&mut self, id: &Id, entry: &Entry) {
        self.total += 1;
        *self.by_category.entry(entry.category).or_default() += 1;
        *self.by_severity.entry(entry.severity).or_default() += 1;
        self.ages.add(entry.last_updated());
        self.rank(id, entry, true);
    }

    /// The same, taken away.
    pub fn remove_counted(&mut self, id: &Id, entry: &Entry) {
        self.total -= 1;
        decrement(&mut self.by_category, entry.category);
        decrement(&mut self.by_severity, entry.severity);
        self.ages.remove(entry.last_updated());
        self.rank(id, entry, false);
    }

    /// Whatever is taken out is as it was when it was put in, and so is its score.
    fn rank(&mut self, id: &Id, entry: &Entry, there: bool) {
        let (first, last) = (entry.first_seen.millis(), entry.last_updated().millis());
        if entry.category == Category::Question {
            self.asked.set(id, entry.occurrences(), there);
            self.asked_last.set(id, last, there);
            return;
        }
        self.updated.set(id, last, there);
        self.learned.set(id, first, there);
        if entry.category == Category::AlertPattern {
            self.frequent.set(id, entry.occurrences(), there);
            if is_evictable(entry) {
                self.evictable.set(id, last, there);
            }
        }
        if entry.severity == Severity::Critical {
            self.critical.set(id, last, there);
        }
    }

    fn text(&mut self, entry: &Entry, delta: i64) {
        for tag in &entry.tags {
            self.by_tag.add(&Id::from(tag.as_str()), delta);
        }
        let provenance = &entry.provenance;
        count(&mut self.by_source_type, provenance.source_type, delta);
        if provenance.source_type == SourceType::Unknown {
            self.unknown_provenance = self.unknown_provenance.saturating_add_signed(delta as isize);
        }
        if !provenance.source_model.is_empty() {
            count(&mut self.by_source_model, model_kind(provenance.source_type), delta);
        }
        for source in &provenance.derived_from {
            count(&mut self.derived_from, source_kind(provenance.source_type, source), delta);
        }
    }

    /// All entries, open questions too.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Entries by category; categories without any are left out.
    pub fn by_category(&self) -> &BTreeMap<Category, usize> {
        &self.by_category
    }

    /// Entries by severity.
    pub fn by_severity(&self) -> &BTreeMap<Severity, usize> {
        &self.by_severity
    }

    /// Entries by what they were made from.
    pub fn by_source_type(&self) -> &BTreeMap<SourceType, usize> {
        &self.by_source_type
    }

    /// How many have no provenance.
    pub fn unknown_provenance(&self) -> usize {
        self.unknown_provenance
    }

    /// Open questions.
    pub fn open_questions(&self) -> usize {
        self.asked.len()
    }

    /// How fresh the knowledge is at `now`; open questions are part of it.
    pub fn freshness(&self, now: Time) -> Freshness {
        let newest = [self.updated.first(), self.asked_last.first()];
        let oldest = [self.updated.last(), self.asked_last.last()];
        let time = |score: Option<(&Id, i64)>| score.map(|(_, ms)| Time::from_millis(ms));
        let newest = newest.into_iter().filter_map(time).max();
        let oldest = oldest.into_iter().filter_map(time).min();
        self.ages.freshness(now, newest, oldest)
    }

    /// The most used tags.
    pub fn top_tags(&self, n: usize) -> impl Iterator<Item = (&str, i64)> {
        named(&self.by_tag, n)
    }

    /// Entries by the kind of who made them: the page is public, so it names no key and no file.
    pub fn by_source_model(&self) -> &BTreeMap<&'static str, usize> {
        &self.by_source_model
    }

    /// What entries rest on, by kind.
    pub fn derived_from(&self) -> &BTreeMap<&'static str, usize> {
        &self.derived_from
    }

    /// Ids of the entries that changed last.
    pub fn last_updated(&self, n: usize) -> impl Iterator<Item = &str> {
        ids(&self.updated, n)
    }

    /// Ids of the entries that are newest.
    pub fn last_learned(&self, n: usize) -> impl Iterator<Item = &str> {
        ids(&self.learned, n)
    }

    /// Ids of the critical entries that changed last.
    pub fn critical(&self, n: usize) -> impl Iterator<Item = &str> {
        ids(&self.critical, n)
    }

    /// Ids of the alert patterns that occur most.
    pub fn most_frequent(&self, n: usize) -> impl Iterator<Item = &str> {
        ids(&self.frequent, n)
    }

    /// Quiet patterns that nobody has edited, the one that changed longest ago first.
    pub fn evictable(&self) -> impl Iterator<Item = &str> {
        self.evictable.lowest().map(AsRef::as_ref)
    }

    /// Alert patterns.
    pub fn patterns(&self) -> usize {
        self.frequent.len()
    }

    /// Ids of all open questions.
    pub fn questions(&self) -> impl Iterator<Item = &str> {
        self.asked_last.lowest().map(AsRef::as_ref)
    }

    /// Ids of the open questions asked most.
    pub fn most_asked(&self, n: usize) -> impl Iterator<Item = &str> {
        ids(&self.asked, n)
    }

    /// The open question that was asked least recently.
    pub fn least_recently_asked(&self) -> Option<&str> {
        self.asked_last.last().map(|(id, _)| id.as_ref())
    }

    /// The network of concepts.
    pub fn network(&self) -> &Network {
        &self.network
    }
}

fn is_evictable(entry: &Entry) -> bool {
    let untouched = entry.notes.is_empty() && entry.helped == 0 && entry.not_helped == 0;
    let edited = entry.provenance.texts.values().any(|source| source.by == Author::Person);
    entry.figures.firing <= 0 && untouched && !edited
}

fn answers(entry: &Entry) -> bool {
    entry.category != Category::Question
}

fn named(ranking: &Ranking<Id>, n: usize) -> impl Iterator<Item = (&str, i64)> {
    ranking.top(n).map(|(name, count)| (name.as_ref(), count))
}

fn ids(sorted: &Sorted<Id>, n: usize) -> impl Iterator<Item = &str> {
    sorted.top(n).map(|(id, _)| id.as_ref())
}

/// What kind of author made the entry: a person, whatever the key's label.
fn model_kind(source: SourceType) -> &'static str {
    match source {
        SourceType::AlertPattern => "alertmanager",
        SourceType::MetricPattern => "sampler",
        SourceType::Manual => "person",
        SourceType::Runbook => "runbook",
        SourceType::Query => "operator",
        SourceType::Unknown => "unknown",
    }
}

/// What kind of thing an entry of that type rests on: a question, or what it was made from.
fn source_kind(of: SourceType, source: &str) -> &'static str {
    match of {
        _ if source.starts_with(QUESTION_PREFIX) => "question",
        SourceType::AlertPattern => "alert",
        SourceType::MetricPattern => "metric",
        SourceType::Runbook => "runbook",
        SourceType::Manual | SourceType::Query | SourceType::Unknown => "other",
    }
}

fn count<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K, delta: i64) {
    if delta > 0 {
        *counts.entry(key).or_default() += 1;
    } else {
        decrement(counts, key);
    }
}

fn decrement<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}
