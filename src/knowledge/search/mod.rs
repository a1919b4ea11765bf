//! The full-text index: which entries answer a question, best first.
//!
//! It lives in RAM and hears only of changes to text: counters and severities change without
//! it. What a caller filters by is asked of the caller while searching. It promises that a
//! change is found as soon as [`Index::apply`] has returned, that whatever holds the query as a
//! substring in title, description or tags is found, and that no query is an error.

mod best;
mod dictionary;
mod fields;
mod literal;
mod plan;
mod substring;
mod texts;
pub(crate) mod words;

use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use tantivy::query::{BooleanQuery, BoostQuery, DisjunctionMaxQuery, Occur, TermQuery};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{IndexReader, IndexWriter, ReloadPolicy, Searcher, Term};

use self::best::{Best, Found};
use self::dictionary::Dictionary;
use self::fields::Fields;
use self::plan::{Alternative, Concept};
use self::substring::Needle;
use self::texts::Texts;
use crate::model::{Category, Entry};

/// A name says more about an entry than a word of its text.
const NAME_BOOST: f32 = 2.5;
/// How much the lesser ways to write a concept add to the best one.
const TIE_BREAKER: f32 = 0.15;
/// Documents that are ranked closely, for each one asked for.
const CANDIDATES: usize = 50;

/// The index cannot go on: out of memory, or its writing thread is gone.
#[derive(Debug, thiserror::Error)]
#[error("the search index failed")]
pub struct SearchError(#[from] tantivy::TantivyError);

/// One change to the text of an entry.
#[derive(Clone, Debug)]
pub enum IndexChange {
    /// The entry is new, or its text has changed.
    Upsert(Arc<Entry>),
    /// The entry of this id is gone.
    Remove(String),
}

/// What is asked.
#[derive(Clone, Copy)]
pub struct Query<'a> {
    /// As typed; no character is syntax.
    pub text: &'a str,
    /// At most so many hits.
    pub limit: usize,
    /// Whether the entry of this id may be an answer.
    pub admits: &'a (dyn Fn(&str) -> bool + Sync),
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The entry.
    pub id: String,
    /// How well it answers; higher is better. Comparable within one search only.
    pub score: f32,
}

/// The full-text index.
pub struct Index {
    fields: Fields,
    reader: IndexReader,
    writer: Mutex<IndexWriter>,
    texts: RwLock<Texts>,
}

impl Index {
    /// An empty index.
    ///
    /// # Errors
    /// When its threads cannot be started.
    pub fn new() -> Result<Self, SearchError> {
        let (schema, fields) = Fields::new();
        let index = tantivy::Index::create_in_ram(schema);
        let options = IndexWriterOptions::builder().num_worker_threads(1).num_merge_threads(1);
        let writer: IndexWriter = index.writer_with_options(options.build())?;
        let mut merging = LogMergePolicy::default();
        merging.set_del_docs_ratio_before_merge(0.3);
        writer.set_merge_policy(Box::new(merging));
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Self { fields, reader, writer: Mutex::new(writer), texts: RwLock::default() })
    }

    /// How many entries it knows.
    pub fn len(&self) -> usize {
        self.texts.read().len()
    }

    /// Whether it knows none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes all `changes` searchable, together; they are when this returns.
    ///
    /// An open question is no answer and is not indexed; an entry that becomes one is removed.
    ///
    /// # Errors
    /// When the index cannot be written any more.
    pub fn apply(&self, changes: &[IndexChange]) -> Result<(), SearchError> {
        let mut writer = self.writer.lock();
        let mut freed = Vec::new();
        for change in changes {
            match change {
                IndexChange::Upsert(entry) if entry.category != Category::Question => {
                    let slot = self.texts.write().keep(entry);
                    self.delete(&writer, slot);
                    writer.add_document(self.fields.document(slot, entry))?;
                }
                IndexChange::Upsert(entry) => freed.extend(self.remove(&writer, &entry.id)),
                IndexChange::Remove(id) => freed.extend(self.remove(&writer, id)),
            }
        }
        writer.commit()?;
        self.reader.reload()?;
        self.texts.write().free(freed);
        Ok(())
    }

    fn remove(&self, writer: &IndexWriter, id: &str) -> Option<u32> {
        let slot = self.texts.write().forget(id)?;
        self.delete(writer, slot);
        Some(slot)
    }

    fn delete(&self, writer: &IndexWriter, slot: u32) {
        writer.delete_term(Term::from_field_u64(self.fields.slot, u64::from(slot)));
    }

    /// The entries that answer `query`, best first; equal scores in the order of their ids.
    pub fn search(&self, query: &Query<'_>) -> Vec<Hit> {
        let typed = texts::lower_case(query.text.trim());
        if typed.is_empty() || query.limit == 0 {
            return Vec::new();
        }
        // The texts are held while searching: a slot is given to another entry only under the
        // write lock and after the reader no longer sees the one it belonged to.
        let texts = self.texts.read();
        let searcher = self.reader.searcher();
        let admitted = |slot: u32| texts.id(slot).filter(|id| (query.admits)(id));
        let mut found = self.ranked(&searcher, query, &admitted);
        let needle = Needle::new(&typed);
        let holding = literal::raise(&mut found, &texts, &needle, &admitted);
        found.sort_unstable();
        literal::keep_holding(&mut found, &holding, query.limit);
        found.into_iter().map(hit).collect()
    }

    /// The best documents by their words.
    fn ranked<'a>(
        &self,
        searcher: &Searcher,
        query: &Query<'_>,
        admitted: &'a (dyn Fn(u32) -> Option<&'a str> + Sync),
    ) -> Vec<Found<'a>> {
        let concepts = plan::concepts(query.text, &Dictionary::new(searcher, self.fields));
        if concepts.is_empty() {
            return Vec::new();
        }
        let best = Best { limit: query.limit.max(CANDIDATES), admitted };
        let found = searcher.search(&self.any_of(&concepts), &best).unwrap_or_default();
        let found = found.into_iter();
        found.filter_map(|(score, slot)| Some(Found { score, slot, id: admitted(slot)? })).collect()
    }

    fn any_of(&self, concepts: &[Concept]) -> BooleanQuery {
        BooleanQuery::union(concepts.iter().map(|concept| self.best_of(concept)).collect())
    }

    fn best_of(&self, concept: &Concept) -> Box<dyn tantivy::query::Query> {
        let weighed = |alternative| self.all_of(alternative, concept.weight);
        let disjuncts = concept.alternatives.iter().flat_map(weighed).collect();
        Box::new(DisjunctionMaxQuery::with_tie_breaker(disjuncts, TIE_BREAKER))
    }

    fn all_of(
        &self,
        alternative: &Alternative,
        weight: f32,
    ) -> Vec<Box<dyn tantivy::query::Query>> {
        let share = alternative.weight * weight / alternative.stems.len().max(1) as f32;
        let in_fields = |stem: &String| -> Vec<Box<dyn tantivy::query::Query>> {
            vec![
                self.term(self.fields.name, stem, share * NAME_BOOST),
                self.term(self.fields.text, stem, share),
            ]
        };
        match alternative.stems.as_slice() {
            [stem] => in_fields(stem),
            stems => {
                let each = stems.iter().map(|stem| {
                    let either =
                        DisjunctionMaxQuery::with_tie_breaker(in_fields(stem), TIE_BREAKER);
                    (Occur::Must, Box::new(either) as Box<dyn tantivy::query::Query>)
                });
                vec![Box::new(BooleanQuery::new(each.collect()))]
            }
        }
    }

    fn term(&self, field: Field, stem: &str, boost: f32) -> Box<dyn tantivy::query::Query> {
        let term = Term::from_field_text(field, stem);
        let query = TermQuery::new(term, IndexRecordOption::WithFreqs);
        Box::new(BoostQuery::new(Box::new(query), boost))
    }
}

fn hit(found: Found<'_>) -> Hit {
    Hit { id: found.id.to_owned(), score: found.score }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Severity, Time};

    fn entry(id: &str, title: &str, description: &str) -> Entry {
        let mut entry = Entry::new(
            id.to_owned(),
            title.to_owned(),
            Category::Runbook,
            Severity::Low,
            Time::default(),
        );
        entry.description = description.to_owned();
        entry
    }

    fn index(entries: &[(&str, &str, &str)]) -> Index {
        let index = Index::new().unwrap();
        let upsert = |(id, title, text): &(&str, &str, &str)| {
            IndexChange::Upsert(Arc::new(entry(id, title, text)))
        };
        index.apply(&entries.iter().map(upsert).collect::<Vec<_>>()).unwrap();
        index
    }

    fn ask(index: &Index, text: &str) -> Vec<String> {
        ask_for(index, text, 10)
    }

    fn ask_for(index: &Index, text: &str, limit: usize) -> Vec<String> {
        let hits = index.search(&Query { text, limit, admits: &|_| true });
        hits.into_iter().map(|hit| hit.id).collect()
    }

    #[test]
    fn a_change_is_found_as_soon_as_it_is_applied() {
        let index = index(&[("a", "DiskFull", "no space")]);
        assert_eq!(ask(&index, "disk full"), ["a"]);
        index.apply(&[IndexChange::Upsert(Arc::new(entry("a", "ClockSkew", "time")))]).unwrap();
        assert_eq!(ask(&index, "clock"), ["a"]);
        assert!(ask(&index, "no space").is_empty());
        index.apply(&[IndexChange::Remove("a".into()), IndexChange::Remove("b".into())]).unwrap();
        assert!(ask(&index, "clock").is_empty());
        assert!(index.is_empty());
    }

    #[test]
    fn a_slot_used_again_answers_for_its_new_entry_only() {
        let index = index(&[("a", "DiskFull", ""), ("b", "ClockSkew", "")]);
        index.apply(&[IndexChange::Remove("a".into())]).unwrap();
        index.apply(&[IndexChange::Upsert(Arc::new(entry("c", "NodeDown", "")))]).unwrap();
        assert!(ask(&index, "full").is_empty());
        assert_eq!(ask(&index, "node down"), ["c"]);
    }

    #[test]
    fn an_open_question_is_no_answer() {
        let index = index(&[("a", "DiskFull", "")]);
        let mut question = entry("a", "DiskFull", "");
        question.category = Category::Question;
        index.apply(&[IndexChange::Upsert(Arc::new(question))]).unwrap();
        assert!(ask(&index, "DiskFull").is_empty());
    }

    #[test]
    fn any_way_to_write_a_name_finds_it_first() {
        let index = index(&[
            ("hpa", "KubeHPAMaxedOut", ""),
            ("sts", "KubeStatefulSetReplicasMismatch", ""),
            ("cm", "KubeControllerManagerDown", ""),
            ("api", "KubeAPIDown", "the node is down"),
        ]);
        for typed in ["KubeHPAMaxedOut", "kubehpamaxedout", "kube_hpa_maxed_out", "hpa-maxed"] {
            assert_eq!(ask(&index, typed)[0], "hpa", "{typed}");
        }
        for typed in ["statefulset mismatch", "stateful set replicas", "kubestateful"] {
            assert_eq!(ask(&index, typed)[0], "sts", "{typed}");
        }
        for typed in ["controler manager", "contorller", "ControllerManager", "manag"] {
            assert_eq!(ask(&index, typed)[0], "cm", "{typed}");
        }
    }

    #[test]
    fn whatever_holds_the_query_is_found_even_among_many_better_ones() {
        let mut entries: Vec<(String, String)> =
            (0..200).map(|n| (format!("n{n:03}"), format!("NodeDown on node {n}"))).collect();
        entries.push(("odd".into(), "xyzNodeDo".into()));
        let index = Index::new().unwrap();
        let changes: Vec<_> = entries
            .iter()
            .map(|(id, title)| IndexChange::Upsert(Arc::new(entry(id, title, "node down"))))
            .collect();
        index.apply(&changes).unwrap();
        for typed in ["yznode", "XYZNODEDO", "yz"] {
            assert!(ask_for(&index, typed, 3).contains(&"odd".to_owned()), "{typed}");
        }
        assert!(ask_for(&index, "zNodeDo", 1).contains(&"odd".to_owned()));
    }

    #[test]
    fn query_syntax_is_text() {
        let index = index(&[("a", "DiskFull AND more", "see (a): \"b\"")]);
        for typed in ["AND", "\"", ":", "(", "title:disk", "disk AND OR NOT (", "+ -", "^2 ~ *"] {
            ask(&index, typed);
        }
        assert_eq!(ask(&index, "\"disk full\" AND ("), ["a"]);
        assert_eq!(ask(&index, "(a): \"b\""), ["a"]);
    }

    #[test]
    fn equal_hits_come_in_the_order_of_their_ids_whatever_the_limit() {
        let index = index(&[("c", "Disk", ""), ("a", "Disk", ""), ("b", "Disk", "")]);
        assert_eq!(ask(&index, "disk"), ["a", "b", "c"]);
        assert_eq!(ask_for(&index, "disk", 2), ["a", "b"]);
    }

    #[test]
    fn a_filter_finds_the_admitted_however_far_down_they_are() {
        let entries: Vec<_> = (0..300).map(|n| format!("e{n:03}")).collect();
        let index = Index::new().unwrap();
        let changes: Vec<_> = entries
            .iter()
            .map(|id| IndexChange::Upsert(Arc::new(entry(id, "Disk", "disk disk"))))
            .collect();
        index.apply(&changes).unwrap();
        let admits = |id: &str| id == "e299";
        let hits = index.search(&Query { text: "filesystem", limit: 1, admits: &admits });
        assert_eq!(hits.first().map(|hit| hit.id.as_str()), Some("e299"));
    }

    #[test]
    fn only_stop_words_find_what_holds_them() {
        let index = index(&[("a", "What to do", ""), ("b", "Disk", "")]);
        assert_eq!(ask(&index, "what to do"), ["a"]);
        assert!(ask(&index, "how is the").is_empty());
        assert!(ask(&index, "   ").is_empty());
    }
}
