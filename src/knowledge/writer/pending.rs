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
        let record = self.record(id);
        record.answered_by = answered_by.map(str::to_owned);
        (record.delete, record.asks, record.stored) = (true, 0, None);
    }

    /// Takes out up to `limit` records, to be written.
    pub fn flush(&mut self, state: &State, limit: usize) -> Flush {
        let mut flush = Flush::default();
        while flush.parts.len() < limit {
            let Some(id) = self.order.pop_front() else { break };
            let Some(record) = self.waiting.remove(&id) else { continue };
            let edits = edits(&id, &record, state);
            flush.parts.push((id, record, edits.len()));
            flush.edits.extend(edits);
        }
        flush
    }

    /// Puts back what could not be written, before what came since.
    pub fn restore(&mut self, flush: Flush) {
        let since = std::mem::take(self);
        self.dropped = since.dropped;
        for (id, record, _) in flush.parts {
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
    /// again on top of that; returns them as the store has them.
    pub fn settle(&mut self, flush: Flush, edited: &[Edited]) -> Vec<(Entry, i64)> {
        let mut conflicts = Vec::new();
        let mut rest = edited;
        for (id, record, count) in flush.parts {
            let (own, others) = rest.split_at(count.min(rest.len()));
            rest = others;
            match own.last() {
                Some(Edited::Conflict(stored)) if record.asks > 0 => {
                    self.again(&id, record.asks, Some(stored.version));
                    conflicts.push((Entry::clone(stored), record.asks));
                }
                // Deleted by another process in the meantime: it is open again.
                Some(Edited::Missing) if record.asks > 0 => self.again(&id, record.asks, None),
                _ => {}
            }
        }
        conflicts
    }

    fn again(&mut self, id: &str, asks: i64, stored: Option<u64>) {
        let record = self.record(id);
        if !record.delete {
            record.asks += asks;
            record.stored = stored;
        }
    }

    /// Puts what waits over a state that was read anew.
    pub fn overlay(&self, state: &mut State, before: &State) {
        for id in &self.order {
            let Some(record) = self.waiting.get(id) else { continue };
            if record.delete {
                state.remove(id);
                add_source(state, record.answered_by.as_deref(), id);
            }
            if record.asks > 0
                && let Some(known) = before.get(id)
            {
                let mut question = Entry::clone(known);
                if let Some(stored) = state.get(id) {
                    let asked = stored.summed_up.tally.occurrences + record.asks;
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
