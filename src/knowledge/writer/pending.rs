//! Changes of open questions that memory has and the store has not yet: the write-behind buffer.
//!
//! What queries taught must not wait for the store, so it is in memory first. Here it waits in
//! order, one record a question however often it is asked, and is written with the next group.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use crate::{
    knowledge::state::State,
    model::Entry,
    store::{Edit, Edited},
};

/// Records that wait at most; beyond it the oldest is dropped and counted.
const MAX_PENDING: usize = 50_000;

/// What waits about one question.
#[derive(Clone, Debug, Default)]
struct Waiting {
    /// The entry that answers it, if it was closed.
    answered_by: Option<String>,
    /// Whether it is to be deleted, before it is written again if it was asked again.
    delete: bool,
    /// How often it was asked since it was last written.
    asks: i64,
    /// The version that the store has; `None` if it has none.
    stored: Option<u64>,
    /// What was written before, and nobody knows whether it arrived.
    unanswered: Option<Unanswered>,
}

/// A write to which the store gave no answer: it is made again as it was, so that the store can
/// tell whether it has it, and only then what was asked since.
#[derive(Clone, Debug)]
struct Unanswered {
    question: Arc<Entry>,
    expected: Option<u64>,
    asks: i64,
}

impl Unanswered {
    fn is(&self, stored: &Entry) -> bool {
        let told = |entry: &Entry| (entry.version, entry.occurrences(), entry.written);
        told(&self.question) == told(stored)
    }
}

/// The buffer.
#[derive(Clone, Debug, Default)]
pub struct Pending {
    order: VecDeque<String>,
    waiting: HashMap<String, Waiting>,
    /// Records dropped because too many waited.
    pub dropped: u64,
}

/// Edits on their way to the store, and which records they are of.
#[derive(Clone, Debug, Default)]
pub struct Flush {
    parts: Vec<(String, Waiting, usize)>,
    /// The edits, in order.
    pub edits: Vec<Edit>,
}

impl Flush {
    /// How many records it holds.
    pub fn len(&self) -> usize {
        self.parts.len()
    }
}

impl Pending {
    /// Whether something waits about this question.
    pub fn holds(&self, id: &str) -> bool {
        self.waiting.contains_key(id)
    }

    /// How many questions wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    fn record(&mut self, id: &str) -> &mut Waiting {
        if !self.waiting.contains_key(id) {
            if self.waiting.len() >= MAX_PENDING
                && let Some(oldest) = self.order.pop_front()
            {
                self.waiting.remove(&oldest);
                self.dropped += 1;
            }
            self.order.push_back(id.to_owned());
        }
        self.waiting.entry(id.to_owned()).or_default()
    }

    /// The question was asked once more; `stored` is the version that the store had before the
    /// first asking that waits.
    pub fn asked(&mut self, id: &str, stored: Option<u64>) {
        let is_new = !self.waiting.contains_key(id);
        let record = self.record(id);
        if is_new {
            record.stored = stored;
        }
        record.asks += 1;
    }

    /// The question was answered, or made room for others.
    pub fn deleted(&mut self, id: &str, answered_by: Option<&str>) {
        let answered_by = answered_by.map(str::to_owned);
        *self.record(id) = Waiting { delete: true, answered_by, ..Waiting::default() };
    }

    /// Takes out up to `limit` records, to be written: one write of a question at most, as the store
    /// tells by what is stored whether it has it.
    pub fn flush(&mut self, state: &State, limit: usize) -> Flush {
        let mut flush = Flush::default();
        // What is put back waits behind these.
        for _ in 0..self.order.len().min(limit) {
            let Some(id) = self.order.pop_front() else { break };
            let Some(mut record) = self.waiting.remove(&id) else { continue };
            let edits = match record.unanswered.take() {
                Some(unanswered) => self.write_again(&id, &mut record, &unanswered),
                None => edits(&id, &record, state),
            };
            flush.parts.push((id, record, edits.len()));
            flush.edits.extend(edits);
        }
        flush
    }

    /// The same write as before. What was asked since waits for what comes of it.
    fn write_again(&mut self, id: &str, record: &mut Waiting, before: &Unanswered) -> Vec<Edit> {
        let Unanswered { question, expected, asks } = before;
        let again = Waiting { asks: *asks, stored: *expected, ..Waiting::default() };
        let since = std::mem::replace(record, again);
        if since.asks > 0 {
            self.order.push_back(id.to_owned());
            self.waiting.insert(id.to_owned(), since);
        }
        vec![Edit::Write { entry: Arc::clone(question), expected: *expected }]
    }

    /// Puts back what could not be written, before what came since. `unanswered`: it is not known
    /// whether it arrived.
    pub fn restore(&mut self, flush: Flush, unanswered: bool) {
        let since = std::mem::take(self);
        self.dropped = since.dropped;
        let mut edits = flush.edits.into_iter();
        for (id, mut record, count) in flush.parts {
            let last = edits.by_ref().take(count).last();
            if let Some(Edit::Write { entry, expected }) = last
                && unanswered
                && !record.delete
            {
                let asks = std::mem::take(&mut record.asks);
                record.stored = Some(entry.version);
                record.unanswered = Some(Unanswered { question: entry, expected, asks });
            }
            self.order.push_back(id.clone());
            self.waiting.insert(id, record);
        }
        for id in since.order {
            let Some(later) = since.waiting.get(&id) else { continue };
            match self.waiting.get_mut(&id) {
                Some(earlier) if !later.delete => earlier.asks += later.asks,
                Some(earlier) => *earlier = later.clone(),
                None => {
                    self.order.push_back(id.clone());
                    self.waiting.insert(id, later.clone());
                }
            }
        }
    }

    /// What came of a flush: questions that other processes changed at the same time are asked
    /// again on top of that; returns them as the store has them, with how often they were asked
    /// since.
    pub fn settle(&mut self, flush: Flush, edited: &[Edited]) -> Vec<(Entry, i64)> {
        let mut conflicts = Vec::new();
        let mut rest = edited;
        for (id, record, count) in flush.parts {
            let (own, others) = rest.split_at(count.min(rest.len()));
            rest = others;
            match own.last() {
                Some(Edited::Conflict(stored)) if record.asks > 0 => {
                    let asks = self.again(&id, record.asks, Some(stored.version));
                    conflicts.extend(asks.map(|asks| (Entry::clone(stored), asks)));
                }
                // Deleted by another process in the meantime: it is open again.
                Some(Edited::Missing) if record.asks > 0 => {
                    self.again(&id, record.asks, None);
                }
                _ => {}
            }
        }
        conflicts
    }

    /// Returns how many askings wait; `None` if the question was deleted in between.
    fn again(&mut self, id: &str, asks: i64, stored: Option<u64>) -> Option<i64> {
        let record = self.record(id);
        if record.delete {
            return None;
        }
        record.asks += asks;
        record.stored = stored;
        Some(record.asks)
    }

    /// Puts what waits over a state that was read anew, and tells by it what had arrived.
    pub fn overlay(&mut self, state: &mut State, before: &State) {
        self.waiting.retain(|id, record| {
            let stored = state.get(id);
            record.unanswered.take_if(|write| stored.is_some_and(|stored| write.is(stored)));
            record.delete || record.asks > 0 || record.unanswered.is_some()
        });
        for id in &self.order {
            let Some(record) = self.waiting.get(id) else { continue };
            let asks = record.asks + record.unanswered.as_ref().map_or(0, |write| write.asks);
            if record.delete {
                state.remove(id);
                add_source(state, record.answered_by.as_deref(), id);
            }
            if asks > 0
                && let Some(known) = before.get(id)
            {
                let mut question = Entry::clone(known);
                if let Some(stored) = state.get(id) {
                    let asked = stored.summed_up.tally.occurrences.saturating_add(asks);
                    question.summed_up.tally.occurrences = asked;
                    question.version = stored.version + 1;
                }
                state.put(question);
            }
        }
    }
}

/// The entry that answers a question tells of it.
pub fn add_source(state: &mut State, entry: Option<&str>, question: &str) {
    let Some(entry) = entry.and_then(|id| state.get(id)).cloned() else { return };
    if !entry.provenance.derived_from.iter().any(|source| source == question) {
        let mut entry = Entry::clone(&entry);
        Arc::make_mut(&mut entry.provenance).derived_from.push(question.to_owned());
        state.put(entry);
    }
}

fn edits(id: &str, record: &Waiting, state: &State) -> Vec<Edit> {
    let mut edits = Vec::new();
    if record.delete {
        edits.extend(
            record.answered_by.as_ref().map(|answer| Edit::AddSources {
                id: answer.clone(),
                sources: vec![id.to_owned()],
            }),
        );
        edits.push(Edit::Delete { id: id.to_owned(), expected: None });
    }
    if record.asks > 0
        && let Some(question) = state.get(id)
    {
        let version = record.stored.map_or(1, |stored| stored + 1);
        let entry = Arc::new(Entry { version, ..Entry::clone(question) });
        edits.push(Edit::Write { entry, expected: record.stored });
    }
    edits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{knowledge::open_questions::question, model::Time, store::Loaded};

    /// A state that holds this question, asked so often, at this version.
    fn state_with(asked: &Entry, version: u64, times: i64) -> State {
        let mut entry = Entry { version, ..asked.clone() };
        entry.summed_up.tally.occurrences = times;
        let mut state = State::load(Loaded::default(), |_| {});
        state.put(entry);
        state
    }

    /// How often each write of a flush says that it was asked.
    fn told(flush: &Flush) -> Vec<i64> {
        let of = |edit: &Edit| match edit {
            Edit::Write { entry, .. } => entry.occurrences(),
            other => panic!("{other:?}"),
        };
        flush.edits.iter().map(of).collect()
    }

    #[test]
    fn what_was_asked_since_waits_for_what_comes_of_a_write_that_nobody_answered() {
        let asked = question("why is the moon wet", Time::from_millis(0));
        let mut pending = Pending::default();
        pending.asked(&asked.id, Some(1));
        let first = pending.flush(&state_with(&asked, 2, 2), 10);
        assert_eq!(told(&first), [2]);
        pending.restore(first, true);
        pending.asked(&asked.id, Some(2));
        let again = pending.flush(&state_with(&asked, 3, 3), 10);
        assert_eq!(told(&again), [2], "the same again, and nothing after it");
        assert!(pending.settle(again, &[Edited::Done]).is_empty());
        let since = pending.flush(&state_with(&asked, 3, 3), 10);
        assert_eq!(told(&since), [3]);
        assert_eq!(pending.len(), 0);
    }
}
