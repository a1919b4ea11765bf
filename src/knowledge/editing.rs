//! What people write: entries by hand and imported runbooks.
//!
//! Unlike what is learned, a change by hand is answered only when it is stored: a store that is
//! away is an error, and memory stays as it is.

use std::{collections::HashSet, sync::Arc};

use super::{
    answer::{Question, QuestionFilter},
    base::{Base, BaseError},
    draft::EntryDraft,
    questions::question_id,
    search::{Hit, IndexChange, Prefilter, Query},
};
use crate::model::{Category, Entry, EntryChange, Provenance, SourceType};

/// What became of an imported entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    /// It was not there.
    Created,
    /// It was there with another text.
    Updated,
    /// It was there as it is.
    Unchanged,
}

impl Base {
    /// Makes an entry that a person wrote; `author` is the label of their key.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn create(
        self: &Arc<Self>,
        draft: EntryDraft,
        author: &str,
    ) -> Result<Entry, BaseError> {
        let now = self.clock.now();
        let id = format!("kb-manual-{}", uuid::Uuid::new_v4().simple());
        let provenance = Provenance {
            source_type: SourceType::Manual,
            source_model: author.to_owned(),
            derived_from: Vec::new(),
            evidence_date: now.to_string().get(..10).map(str::to_owned),
        };
        let entry = Entry { provenance, occurrences: 1, ..draft.into_entry(id, now) };
        let entry = Arc::new(entry);
        self.write(vec![EntryChange::Put(Arc::clone(&entry))]).await?;
        self.hold(vec![Arc::clone(&entry)]).await?;
        Ok(self.entry(&entry.id).unwrap_or_else(|| Entry::clone(&entry)))
    }

    /// Replaces the text of an entry; what was learned about it stays. `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn replace(
        self: &Arc<Self>,
        id: &str,
        draft: EntryDraft,
    ) -> Result<Option<Entry>, BaseError> {
        let known = self.state.read().get(id).cloned();
        let Some(known) = known.filter(|entry| entry.category != Category::Question) else {
            return Ok(None);
        };
        self.rewrite(draft.in_place_of(&known, self.clock.now())).await?;
        Ok(self.entry(id))
    }

    /// Takes an entry away; false if there is none.
    ///
    /// # Errors
    /// If the store cannot.
    pub async fn delete(&self, id: &str) -> Result<bool, BaseError> {
        if self.state.read().get(id).is_none() {
            return Ok(false);
        }
        self.write(vec![EntryChange::Delete(id.to_owned())]).await?;
        let mut state = self.state.write();
        let removed = state.remove(id);
        self.publish_sizes(&state);
        drop(state);
        self.tell_later(vec![IndexChange::Remove(id.to_owned())]);
        Ok(removed)
    }

    /// Makes or updates entries that were read from files, all or none. One that is there keeps
    /// what was learned about it and what open questions it answered.
    ///
    /// # Errors
    /// If they cannot be stored.
    pub async fn import(self: &Arc<Self>, entries: Vec<Entry>) -> Result<Vec<Imported>, BaseError> {
        let (mut outcomes, mut changes, mut held) = (Vec::new(), Vec::new(), Vec::new());
        for entry in entries {
            let known = self.state.read().get(&entry.id).cloned();
            let (outcome, change) = self.compare(known.as_deref(), entry);
            outcomes.push(outcome);
            match &change {
                Some(EntryChange::Rewrite(text)) => {
                    held.extend(known.map(|known| Arc::new(known.with_text_of(text))));
                }
                Some(EntryChange::Put(entry)) => held.push(Arc::clone(entry)),
                _ => {}
            }
            changes.extend(change);
        }
        if !changes.is_empty() {
            self.write(changes).await?;
            self.hold(held).await?;
        }
        Ok(outcomes)
    }

    fn compare(&self, known: Option<&Entry>, entry: Entry) -> (Imported, Option<EntryChange>) {
        let Some(known) = known else {
            return (Imported::Created, Some(EntryChange::Put(Arc::new(entry))));
        };
        let mut text = Entry { last_updated: known.last_updated, ..entry };
        for source in &known.provenance.derived_from {
            if !text.provenance.derived_from.contains(source) {
                text.provenance.derived_from.push(source.clone());
            }
        }
        if known.with_text_of(&text) == *known {
            return (Imported::Unchanged, None);
        }
        text.last_updated = self.clock.now();
        (Imported::Updated, Some(EntryChange::Rewrite(Arc::new(text))))
    }

    async fn rewrite(self: &Arc<Self>, text: Entry) -> Result<(), BaseError> {
        let text = Arc::new(text);
        self.write(vec![EntryChange::Rewrite(Arc::clone(&text))]).await?;
        let known = self.state.read().get(&text.id).cloned();
        match known {
            Some(known) => self.hold(vec![Arc::new(known.with_text_of(&text))]).await,
            None => Ok(()),
        }
    }

    /// Holds stored entries in memory, searchable when this returns, and closes the open
    /// questions that they answer.
    async fn hold(self: &Arc<Self>, entries: Vec<Arc<Entry>>) -> Result<(), BaseError> {
        let told: Vec<_> = {
            let mut state = self.state.write();
            let told = entries.into_iter().filter_map(|entry| state.put(entry));
            let told = told.map(IndexChange::Upsert).collect();
            self.publish_sizes(&state);
            told
        };
        self.tell_later(told);
        let base = Arc::clone(self);
        tokio::task::spawn_blocking(move || base.tell_index()).await??;
        self.close_answered_questions().await;
        Ok(())
    }

    /// Asks every open question of the entries that are new or changed, and closes those that
    /// are answered: the question goes, and the entry's provenance tells of it.
    pub(super) async fn close_answered_questions(self: &Arc<Self>) {
        let new: HashSet<String> = std::mem::take(&mut *self.to_ask.lock()).into_iter().collect();
        if new.is_empty() || self.state.read().stats.open_questions() == 0 {
            return;
        }
        let base = Arc::clone(self);
        let answered = tokio::task::spawn_blocking(move || base.answered_by(&new)).await;
        let Ok(answered) = answered else { return };
        if !answered.is_empty() {
            self.close(answered).await;
        }
    }

    /// Closes a question that is open although all that is known answers it: it was asked within
    /// a filter, or the process ended before it was closed.
    pub(super) async fn close_if_open(&self, question: &Question, answer: &str) {
        let id = question_id(&question.text);
        if question.filter == QuestionFilter::default() && self.state.read().get(&id).is_some() {
            self.close(vec![(id, answer.to_owned())]).await;
        }
    }

    /// Open questions and the new entries that answer them best.
    fn answered_by(&self, new: &HashSet<String>) -> Vec<(String, String)> {
        let questions: Vec<Arc<Entry>> = {
            let state = self.state.read();
            state.iter().filter(|entry| entry.category == Category::Question).cloned().collect()
        };
        let entries: Vec<Arc<Entry>> = {
            let state = self.state.read();
            new.iter().filter_map(|id| state.get(id).cloned()).collect()
        };
        let filter = Prefilter::new(entries.iter().map(AsRef::as_ref));
        let admits = |id: &str| new.contains(id);
        let answered = questions.iter().filter_map(|question| {
            let text = question.description.as_str();
            if !filter.may_answer(text) {
                return None;
            }
            let hits = self.index.search(&Query { text, limit: 1, admits: &admits });
            let best = hits.into_iter().next().filter(Hit::is_sure)?;
            Some((question.id.clone(), best.id))
        });
        answered.collect()
    }

    async fn close(&self, answered: Vec<(String, String)>) {
        let _changing = self.changing.read().await;
        let changes = self.close_in_memory(answered);
        self.persist(changes).await;
    }

    fn close_in_memory(&self, answered: Vec<(String, String)>) -> Vec<EntryChange> {
        let now = self.clock.now();
        let mut changes = Vec::new();
        let mut state = self.state.write();
        for (question, answer) in answered {
            let Some(entry) = state.get(&answer).cloned() else { continue };
            if !state.remove(&question) {
                continue;
            }
            let mut entry = Entry::clone(&entry);
            if !entry.provenance.derived_from.contains(&question) {
                entry.provenance.derived_from.push(question.clone());
            }
            entry.last_updated = entry.last_updated.max(now);
            let entry = Arc::new(entry);
            // Its text is the same, so the index need not hear of it.
            state.put(Arc::clone(&entry));
            tracing::info!(question, entry = answer, "an open question is answered");
            changes.push(EntryChange::Delete(question));
            changes.push(EntryChange::Rewrite(entry));
        }
        self.publish_sizes(&state);
        changes
    }

    /// Entries made from files that `is_there` does not know any more.
    pub fn without_file(&self, is_there: impl Fn(&str) -> bool) -> Vec<String> {
        let from_files = |entry: &&Arc<Entry>| {
            let provenance = &entry.provenance;
            let mut sources = provenance.derived_from.iter();
            provenance.source_type == SourceType::Runbook && !sources.any(|name| is_there(name))
        };
        self.state.read().iter().filter(from_files).map(|entry| entry.id.clone()).collect()
    }
}
