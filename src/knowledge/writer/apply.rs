//! What the store answered, applied to memory: then published, then told to whoever asked.

use std::sync::Arc;

use super::{
    Alone, FLUSH_AT_ONCE, Writer,
    group::{Batch, MAX_TRIES, Part, Sent, refuse},
    request::{Answer, ChangeError, EditDone, Receipt},
};
use crate::{
    knowledge::{
        editing::EditError, indexing::Urgency, learning::is_learned, search::IndexChange,
        state::State,
    },
    model::{Entry, InstanceChange, Outcome, Status},
    store::{Committed, Edit, Edited, Expired, Followed, Loaded, Result, StoreError},
};

impl Writer {
    /// Readers see the state from now on.
    pub(super) fn publish(&mut self) {
        let waiting = i64::try_from(self.pending.len()).unwrap_or(i64::MAX);
        self.shared.metrics.knowledge_unpersisted_entries.set(waiting);
        self.shared.publish(&self.state);
    }

    /// Holds an entry. What a question's answer added to its sources meanwhile stays.
    pub(super) fn put(&mut self, mut entry: Entry) {
        let mut urgency = Urgency::Now;
        if self.state.is_orphaned(&entry.id) {
            self.refold(vec![entry.id.clone()], &[]);
        }
        if let Some(known) = self.state.get(&entry.id) {
            if is_learned(known, &entry) {
                urgency = Urgency::Seldom;
            }
            entry.provenance.keep_sources_of(&known.provenance);
        }
        if let Some(entry) = self.state.put(entry) {
            self.shared.indexer.enqueue(IndexChange::Upsert(entry), urgency);
        }
    }

    /// Holds an entry no more. Its instances stay.
    fn remove(&mut self, id: &str) {
        if self.state.remove(id) {
            self.shared.indexer.enqueue(IndexChange::Remove(id.to_owned()), Urgency::Now);
        }
    }

    pub(super) fn committed(&mut self, batch: Batch, committed: Committed) {
        let Batch { group, sent, requested, flush, assignment, .. } = batch;
        let group = group.close();
        for pattern in committed.made {
            // Another process had deleted the one that is known.
            self.remove(&pattern.id);
            self.put(Entry::clone(&pattern));
        }
        committed.found.into_iter().for_each(|entry| self.put(entry));
        self.state.apply(&committed.changes);
        self.count(&committed.outcomes, &committed.changes, assignment.limited);
        self.refold(committed.stale, &committed.changes);

        let (edited, learned) = committed.edits.split_at(group.edits.len());
        for (edit, done) in group.learned.iter().zip(learned) {
            self.learned(edit, done);
        }
        let all_flushed = flush.len() < self.flush_limit;
        for (stored, asks) in self.pending.settle(flush, &edited[requested..]) {
            let mut question = stored;
            question.version += 1;
            let times = &mut question.summed_up.tally.occurrences;
            *times = times.saturating_add(asks);
            self.put(question);
        }
        if all_flushed {
            self.flush_limit = FLUSH_AT_ONCE;
        }
        let answers = self.settle(sent, &committed.outcomes, &edited[..requested]);
        self.publish();
        answers.into_iter().for_each(|answer| answer());
    }

    fn count(&mut self, outcomes: &[Outcome], changes: &[InstanceChange], limited: u64) {
        let metrics = &self.shared.metrics;
        for outcome in outcomes {
            metrics.alerts_stored_total.with_label_values(&[outcome.as_str()]).inc();
        }
        let superseded = |instance: &Option<crate::model::Instance>| {
            instance.as_ref().is_some_and(|instance| instance.status == Status::Superseded)
        };
        let newly = changes.iter().filter(|c| !superseded(&c.before) && superseded(&c.after));
        metrics.alerts_superseded_total.inc_by(newly.count() as u64);
        if limited > 0 {
            metrics.knowledge_patterns_limited_total.inc_by(limited);
            self.shared.warn_of_limited(limited);
        }
        let new = outcomes.iter().filter(|outcome| **outcome == Outcome::New).count();
        self.state.alerts.last24_hours += new as u64;
    }

    /// Entries whose figures must be read again: the latest times of those that lost an instance
    /// to another entry, or while there was no entry, cannot be told from what is known.
    fn refold(&mut self, mut stale: Vec<String>, changes: &[InstanceChange]) {
        for change in changes {
            if let (Some(before), Some(after)) = (&change.before, &change.after)
                && before.entry_id != after.entry_id
            {
                stale.push(before.entry_id.clone());
            }
        }
        if !stale.is_empty() {
            self.alone.push_front(Alone::Figures(stale));
        }
    }

    /// A text that alerts refreshed, or a pattern that made room.
    fn learned(&mut self, edit: &Edit, done: &Edited) {
        match (edit, done) {
            (Edit::Write { entry, .. }, Edited::Done) => {
                self.put(Entry::clone(entry));
            }
            (Edit::Delete { id, .. }, Edited::Done) => self.remove(id),
            // The next alert of it learns on top of what is there.
            (_, Edited::Conflict(stored)) => self.put(Entry::clone(stored)),
            (edit, Edited::Missing) => self.remove(edit.entry_id()),
            (Edit::AddSources { .. }, Edited::Done) => {}
        }
    }

    /// Takes over what became of the requests; returns their answers, to be given once the state
    /// is published.
    fn settle(
        &mut self,
        sent: Vec<Sent>,
        outcomes: &[Outcome],
        edited: &[Edited],
    ) -> Vec<Box<dyn FnOnce()>> {
        let (mut outcomes, mut edited) = (outcomes, edited.iter());
        let mut answers: Vec<Box<dyn FnOnce()>> = Vec::with_capacity(sent.len());
        // Whoever asked may be gone; what they asked for is done all the same.
        for sent in sent {
            match sent {
                Sent::Alerts { count, answer } => {
                    let (own, others) = outcomes.split_at(count.min(outcomes.len()));
                    outcomes = others;
                    let receipt = Receipt::of(own);
                    answers.push(Box::new(move || drop(answer.send(Ok(receipt)))));
                }
                Sent::Create { entry, answer } => {
                    edited.next();
                    let id = entry.id.clone();
                    self.put(*entry);
                    let view = self.view(&id);
                    answers.push(Box::new(move || {
                        drop(answer.send(view.ok_or(EditError::Missing.into())));
                    }));
                }
                Sent::Edit { wanted, before, after, answer } => match edited.next() {
                    Some(Edited::Done) => {
                        let id = wanted.id.clone();
                        match after {
                            Some(after) => self.put(*after),
                            None => self.remove(&id),
                        }
                        let done = EditDone { before: *before, after: self.view(&id) };
                        answers.push(Box::new(move || drop(answer.send(Ok(done)))));
                    }
                    Some(Edited::Conflict(stored)) => {
                        self.put(Entry::clone(stored));
                        if wanted.seen.is_none() && wanted.tries < MAX_TRIES {
                            let edit = super::WantedEdit { tries: wanted.tries + 1, ..wanted };
                            self.waiting.push_front(Part::Edit { edit, answer });
                        } else {
                            let now = self.view(&wanted.id).unwrap_or_else(|| Entry::clone(stored));
                            let error = EditError::Conflict(Box::new(now));
                            answers.push(Box::new(move || drop(answer.send(Err(error.into())))));
                        }
                    }
                    Some(Edited::Missing) | None => {
                        self.remove(&wanted.id);
                        answers.push(Box::new(move || {
                            drop(answer.send(Err(EditError::Missing.into())));
                        }));
                    }
                },
                Sent::Import { entries, mut done, sent, tries, answer } => {
                    let mut again = false;
                    for (place, entry, outcome) in sent {
                        match edited.next() {
                            Some(Edited::Done) => {
                                done[place] = Some(outcome);
                                self.put(Entry::clone(&entry));
                            }
                            Some(Edited::Conflict(stored)) => {
                                again = true;
                                self.put(Entry::clone(stored));
                            }
                            Some(Edited::Missing) | None => {
                                again = true;
                                self.remove(&entry.id);
                            }
                        }
                    }
                    if again && tries < MAX_TRIES {
                        let tries = tries + 1;
                        self.waiting.push_front(Part::Import { entries, done, tries, answer });
                    } else {
                        let outcomes: Option<Vec<_>> = done.into_iter().collect();
                        let outcomes = outcomes.ok_or(ChangeError::Overloaded);
                        answers.push(Box::new(move || drop(answer.send(outcomes))));
                    }
                }
            }
        }
        answers
    }

    /// The store has an entry that memory did not have when it was asked for.
    pub(super) fn found(&mut self, entry: Entry) -> Option<Entry> {
        let id = entry.id.to_string();
        if self.state.get(&id).is_none() && !self.pending.holds(&id) {
            self.state.set_figures(&id, entry.figures);
            self.put(entry);
            self.publish();
        }
        self.view(&id)
    }

    fn view(&self, id: &str) -> Option<Entry> {
        self.state.get(id).map(|entry| self.state.view(entry))
    }

    /// A group that had nothing for the store: imports of what is there already.
    pub(super) fn answer_without_store(&mut self, batch: Batch) {
        let answers = self.settle(batch.sent, &[], &[]);
        answers.into_iter().for_each(|answer| answer());
    }

    pub(super) fn failed(&mut self, batch: Batch, error: StoreError) {
        let (parts, flush) = batch.into_parts();
        if error.is_unavailable() {
            self.stale = true;
            self.gave_up = self.finishing.is_some();
            if flush.len() > 0 {
                tracing::warn!(%error, questions = flush.len(), "what was asked waits for the store");
            }
            self.pending.restore(flush, true);
            refuse_all(parts, &Arc::new(error));
        } else if parts.len() + flush.len() > 1 {
            // One change that the store refuses must not take the others down with it.
            tracing::warn!(%error, "a group was refused: its changes are written one by one");
            self.singly = parts.len();
            self.flush_limit = 1;
            self.pending.restore(flush, false);
            parts.into_iter().rev().for_each(|part| self.waiting.push_front(part));
        } else {
            tracing::error!(%error, "a change cannot be stored");
            refuse_all(parts, &Arc::new(error));
        }
        self.publish();
    }

    /// The store is away: whoever waits is told now and tries again.
    pub(super) fn give_up_waiting(&mut self, error: &Arc<StoreError>) {
        self.stale = true;
        let parts: Vec<_> = self.waiting.drain(..).collect();
        refuse_all(parts, error);
    }
    pub(super) fn expired(&mut self, expired: &Expired) {
        self.state.apply(&expired.changes);
        for (id, (batch, sums)) in &expired.sums {
            if let Some(entry) = self.state.get(id) {
                let mut entry = Entry::clone(entry);
                entry.summed_up.add_batch(*batch, sums);
                self.put(entry);
            }
        }
    }

    pub(super) fn followed(&mut self, followed: Followed) {
        match followed {
            Followed::Nothing => return,
            Followed::Some { entries, deleted, figures, position } => {
                for entry in entries {
                    if !self.pending.holds(&entry.id) {
                        self.put(entry);
                    }
                }
                for id in deleted {
                    if !self.pending.holds(&id) {
                        self.remove(&id);
                    }
                }
                if !figures.is_empty() {
                    self.recent.may_differ();
                }
                figures.into_iter().for_each(|(id, figures)| self.state.set_figures(&id, figures));
                self.position = position;
            }
            Followed::Everything(loaded) => return self.reloaded(loaded),
        }
        self.publish();
    }

    pub(super) fn reloaded(&mut self, loaded: Loaded) {
        self.position = loaded.position;
        let mut state = State::load(loaded, |_| {});
        self.pending.overlay(&mut state, &self.state);
        state.alerts.last24_hours = self.state.alerts.last24_hours;
        state.revision = self.state.revision + 1;
        for gone in self.state.iter().filter(|entry| state.get(&entry.id).is_none()) {
            self.shared.indexer.enqueue(IndexChange::Remove(gone.id.clone()), Urgency::Now);
        }
        for entry in state.iter() {
            if self.state.get(&entry.id).is_none_or(|known| known.text != entry.text) {
                self.shared.indexer.enqueue(IndexChange::Upsert(Arc::clone(entry)), Urgency::Now);
            }
        }
        self.state = state;
        self.stale = false;
        self.recent.may_differ();
        self.publish();
    }
}

/// Answers somebody who may not have asked.
pub(super) fn tell(answer: Option<Answer<()>>, done: Result<(), Arc<StoreError>>) {
    if let Some(answer) = answer {
        let _ = answer.send(done.map_err(ChangeError::from));
    }
}

fn refuse_all(parts: Vec<Part>, error: &Arc<StoreError>) {
    parts.into_iter().for_each(|part| refuse(part, || Arc::clone(error).into()));
}
