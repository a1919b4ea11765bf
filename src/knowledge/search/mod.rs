//! The full-text index: which entries answer a question, best first.
//!
//! It lives in RAM and hears only of changes to text: counters and severities change without
//! it. What a caller filters by is asked of the caller while searching. It promises that a
//! change is found as soon as [`Index::apply`] has returned, that whatever holds the query as a
//! substring in title, description or tags is found, and that no query is an error.

mod dictionary;
mod fields;
mod highlights;
mod limits;
mod literal;
mod meaning;
mod paste;
mod plan;
mod postings;
mod prefilter;
mod ranking;
mod stems;
mod substring;
mod terms;
mod texts;
mod titles;
mod weights;
pub(crate) mod words;

use std::borrow::Borrow;
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, RwLock};
use tantivy::indexer::{
    IndexWriterOptions, LogMergePolicy, MergeCandidate, MergePolicy, NoMergePolicy,
};
use tantivy::{IndexReader, IndexWriter, ReloadPolicy, Searcher, Term};

pub use self::highlights::{Fragment, best_line, highlights};
pub use self::meaning::{Embedding, Meaning, Model, ModelError, Progress, Section, Waiting};
pub use self::prefilter::Prefilter;
pub use self::terms::Terms;

use self::dictionary::Dictionary;
use self::fields::Fields;
use self::plan::Plan;
use self::ranking::{Bounds, Scored};
use self::substring::Needle;
use self::texts::Texts;
use crate::model::{Category, Entry};

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
    /// Whether the entry of this id may be an answer: category, severity, tag, whatever the
    /// caller knows. It is called while the index is held for reading, so no lock that it takes
    /// may be held while calling [`Index::apply`].
    pub admits: &'a (dyn Fn(&str) -> bool + Sync),
}

/// Whether to rely on an answer.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// A hint at best: the question stays open.
    Low,
    /// It answers the question.
    High,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The entry.
    pub id: String,
    /// How well it answers; higher is better. Comparable within one search only.
    pub score: f32,
    /// Whether to rely on it.
    pub confidence: Confidence,
}

impl Hit {
    /// Whether to rely on it.
    pub fn is_sure(&self) -> bool {
        self.confidence == Confidence::High
    }
}

/// The answers to a query, and what was looked for.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Best first.
    pub hits: Vec<Hit>,
    /// The query's stems: to highlight them in the answers.
    pub terms: Terms,
}

/// The full-text index.
pub struct Index {
    fields: Fields,
    reader: IndexReader,
    writer: Mutex<IndexWriter>,
    texts: RwLock<Texts>,
    meaning: OnceLock<Arc<Meaning>>,
}

impl Index {
    /// An empty index.
    ///
    /// # Errors
    /// When its threads cannot be started.
    pub fn new() -> Result<Self, SearchError> {
        let (schema, fields) = Fields::new();
        let index = tantivy::Index::create_in_ram(schema);
        let options = IndexWriterOptions::builder()
            .num_worker_threads(1)
            .num_merge_threads(1)
            .memory_budget_per_thread(limits::INDEXING_BYTES);
        let writer: IndexWriter = index.writer_with_options(options.build())?;
        writer.set_merge_policy(Box::new(NoMergePolicy));
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Self {
            fields,
            reader,
            writer: Mutex::new(writer),
            texts: RwLock::default(),
            meaning: OnceLock::new(),
        })
    }

    /// Ranks by meaning, too, from now on; `entries` are those that it knows. Once only.
    pub fn understand<'a>(&self, model: Model, entries: impl Iterator<Item = &'a Arc<Entry>>) {
        let texts = self.texts.read();
        let meaning = self.meaning.get_or_init(|| Arc::new(Meaning::new(model)));
        for entry in entries {
            if let Some(slot) = texts.slot(&entry.id) {
                meaning.enqueue(slot, entry);
            }
        }
    }

    /// What it ranks by beside words, if it does.
    pub fn meaning(&self) -> Option<Arc<Meaning>> {
        self.meaning.get().cloned()
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
    pub fn apply<C: Borrow<IndexChange>>(
        &self,
        changes: impl IntoIterator<Item = C>,
    ) -> Result<(), SearchError> {
        let mut changes = changes.into_iter().peekable();
        if changes.peek().is_none() {
            return Ok(());
        }
        let mut writer = self.writer.lock();
        let mut freed = Vec::new();
        for change in changes {
            match change.borrow() {
                IndexChange::Upsert(entry) if entry.category != Category::Question => {
                    let kept = self.texts.write().keep(entry);
                    // tantivy keeps each deletion, with its query; a start would make one an entry.
                    if kept.anew {
                        self.delete(&writer, kept.slot);
                    }
                    writer.add_document(self.fields.document(kept.slot, entry))?;
                    if let Some(meaning) = self.meaning.get() {
                        meaning.enqueue(kept.slot, entry);
                    }
                }
                IndexChange::Upsert(entry) => freed.extend(self.remove(&writer, &entry.id)),
                IndexChange::Remove(id) => freed.extend(self.remove(&writer, id)),
            }
        }
        writer.commit()?;
        merge(&mut writer)?;
        self.reader.reload()?;
        self.texts.write().free(freed);
        Ok(())
    }

    fn remove(&self, writer: &IndexWriter, id: &str) -> Option<u32> {
        let slot = self.texts.write().forget(id)?;
        self.delete(writer, slot);
        if let Some(meaning) = self.meaning.get() {
            meaning.forget(slot);
        }
        Some(slot)
    }

    fn delete(&self, writer: &IndexWriter, slot: u32) {
        writer.delete_term(Term::from_field_u64(self.fields.slot, u64::from(slot)));
    }

    /// The entries that answer `query`, best first; equal scores in the order of their ids.
    pub fn search(&self, query: &Query<'_>) -> Vec<Hit> {
        self.find(query).hits
    }

    /// Whether the entry of this id answers the question, so that one need not ask any more: a
    /// weak hit is none. Ask a [`Prefilter`] first if there are many questions.
    pub fn answers(&self, question: &str, id: &str) -> bool {
        let hits = self.search(&Query { text: question, limit: 1, admits: &|known| known == id });
        hits.first().is_some_and(Hit::is_sure)
    }

    /// The entries that answer `query`, and what was looked for.
    pub fn find(&self, query: &Query<'_>) -> Found {
        let typed = words::lower_case(query.text.trim());
        if typed.is_empty() || query.limit == 0 {
            return Found::default();
        }
        let meant = self.meaning.get();
        let meant = meant.and_then(|meaning| Some((meaning, meaning.of_question(query.text)?)));
        // The texts are held while searching: a slot is given to another entry only under the
        // write lock and after the reader no longer sees the one it belonged to.
        let texts = self.texts.read();
        let searcher = self.reader.searcher();
        let admitted = |slot: u32| texts.id(slot).filter(|id| (query.admits)(id));
        let by_words = self.by_words(&searcher, query, &texts, &admitted);
        let (mut scored, terms) = by_words.unwrap_or_else(|error| {
            tracing::error!(%error, "the search index cannot be read; only literal hits answer");
            Default::default()
        });
        if let Some((meaning, question)) = &meant {
            meaning.mix(question, &mut scored, &admitted);
        }
        if query.text.len() <= limits::LITERAL_BYTES {
            let needle = Needle::new(&typed);
            let holding = literal::raise(&mut scored, &texts, &needle, query.limit, &admitted);
            scored.sort_unstable();
            literal::keep_holding(&mut scored, &holding, query.limit);
        }
        scored.sort_unstable();
        scored.truncate(query.limit);
        let bar = match meant {
            Some(_) => weights::CONFIDENT_MEANING,
            None => weights::CONFIDENT,
        };
        Found { hits: scored.into_iter().map(|scored| hit(scored, bar)).collect(), terms }
    }

    /// The best documents by their words, and which words these are.
    fn by_words<'a>(
        &self,
        searcher: &Searcher,
        query: &Query<'_>,
        texts: &Texts,
        admitted: &'a (dyn Fn(u32) -> Option<&'a str> + Sync),
    ) -> tantivy::Result<(Vec<Scored<'a>>, Terms)> {
        let dictionary = Dictionary::new(searcher, self.fields)?;
        let plan = Plan::new(query.text, &dictionary);
        let terms = Terms::new(&plan, &dictionary);
        if plan.clauses.is_empty() {
            return Ok((Vec::new(), terms));
        }
        let candidates = query.limit.max(limits::CANDIDATES);
        let bounds = Bounds { candidates, postings: limits::POSTINGS };
        let mut scored = ranking::best(searcher, self.fields, &plan, bounds, admitted)?;
        titles::compare(&mut scored, &terms, texts, &dictionary);
        Ok((scored, terms))
    }
}

/// Merges segments of like size, so that there are never many of them.
///
/// Done here and not in the background: tantivy's merging thread holds a lock while it cleans up,
/// for which a reload at the same moment would sleep a tenth of a second.
fn merge(writer: &mut IndexWriter) -> Result<(), SearchError> {
    let mut policy = LogMergePolicy::default();
    policy.set_del_docs_ratio_before_merge(limits::DELETED_SHARE);
    // Few levels far apart: a change rarely waits for more than some hundred documents.
    policy.set_min_layer_size(500);
    policy.set_level_log_size(3.0);
    policy.set_min_num_segments(5);
    let segments = writer.index().searchable_segment_metas()?;
    for MergeCandidate(ids) in policy.compute_merge_candidates(&segments) {
        writer.merge(&ids).wait()?;
    }
    Ok(())
}

fn hit(scored: Scored<'_>, bar: f32) -> Hit {
    let sure = scored.literal || scored.score >= bar;
    Hit {
        id: scored.id.to_owned(),
        score: scored.score.min(1.0),
        confidence: if sure { Confidence::High } else { Confidence::Low },
    }
}

#[cfg(test)]
mod tests;
