//! Open questions: in memory at once, in the store with the next group.

use super::{Writer, pending::add_source};
use crate::{
    knowledge::{
        answer::Gap,
        open_questions::{question, question_id},
    },
    model::Entry,
};

impl Writer {
    /// Remembers that a question was asked and not answered.
    pub(super) fn ask(&mut self, text: &str) -> Gap {
        let (id, now) = (question_id(text), self.shared.clock.now());
        let known = self.state.get(&id).cloned();
        let stored = known.as_ref().map(|known| known.version);
        let waits = self.pending.holds(&id);
        self.pending.asked(&id, stored);
        let asked = match known {
            Some(known) => {
                let mut asked = Entry::clone(&known);
                let times = &mut asked.summed_up.tally.occurrences;
                *times = times.saturating_add(1);
                asked.written = asked.written.max(now);
                if !waits {
                    asked.version += 1;
                }
                asked
            }
            None => question(text, now),
        };
        let occurrences = asked.occurrences();
        self.put(asked);
        self.evict_questions();
        Gap { id, occurrences }
    }

    /// The least recently asked questions make room.
    fn evict_questions(&mut self) {
        while self.state.stats.open_questions() > self.max_questions {
            let Some(id) = self.state.stats.least_recently_asked().map(str::to_owned) else {
                return;
            };
            self.state.remove(&id);
            self.pending.deleted(&id, None);
        }
    }

    /// Closes questions that are answered: the question is deleted, and the provenance of the
    /// entry that answers it tells of it.
    pub(super) fn close(&mut self, answered: Vec<(String, String)>) {
        for (question, answer) in answered {
            if self.state.get(&answer).is_none() || !self.state.remove(&question) {
                continue;
            }
            tracing::info!(question, entry = answer, "an open question is answered");
            add_source(&mut self.state, Some(&answer), &question);
            self.pending.deleted(&question, Some(&answer));
        }
    }
}
