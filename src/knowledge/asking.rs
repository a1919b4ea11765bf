//! A question from its text to its answer: searched, remembered if nothing is sure, shown with what
//! fires now.

use std::{sync::Arc, time::Duration};

use tokio::sync::oneshot;

use super::{
    answer::{Answer, Gap, ScoredEntry},
    answering,
    base::{Base, BaseError},
    open_questions::{question, question_id},
    question::{Question, QuestionFilter},
    search::{Confidence, Query},
    writer::request::Request,
};

/// How long an answer waits for what fires.
const FIRING_WITHIN: Duration = Duration::from_millis(500);

impl Base {
    /// What is known about a question; what is not becomes an open question.
    ///
    /// # Errors
    /// Only of defects: a store that is away does not keep it from answering.
    pub async fn ask(&self, asked: Question) -> Result<Answer, BaseError> {
        self.shared.indexer.settled().await;
        // An error only of a semaphore that was closed, which this one never is.
        let turn = Arc::clone(&self.shared.searches).acquire_owned().await.ok();
        let base = self.clone();
        let (asked, entries) = tokio::task::spawn_blocking(move || {
            // Held until it is done, even if nobody waits for it any more.
            let _turn = turn;
            let entries = base.search(&asked);
            (asked, entries)
        })
        .await?;
        // A weak answer is given, and the question stays open all the same.
        let sure = entries.first().filter(|best| best.confidence == Confidence::High);
        let gap = match sure {
            None => Some(self.note_question(&asked.text).await),
            Some(best) => {
                self.close_if_open(&asked, &best.entry.id);
                None
            }
        };
        let outcome = if gap.is_some() { "gap" } else { "answered" };
        self.shared.metrics.knowledge_queries_total.with_label_values(&[outcome]).inc();
        let freshness = self.shared.state().stats.freshness(self.shared.clock.now());
        let mut answer = Answer { question: asked, entries, gap, freshness };
        self.show_firing(&mut answer).await;
        Ok(answer)
    }

    /// Shows what fires of the answers' patterns; without it if the store does not tell at once.
    async fn show_firing(&self, answer: &mut Answer) {
        let patterns = answer.firing_patterns();
        if patterns.is_empty() {
            return;
        }
        let firing = self.shared.store.firing_of(patterns);
        match tokio::time::timeout(FIRING_WITHIN, firing).await {
            Ok(Ok(alerts)) => answer.show_firing(alerts),
            Ok(Err(error)) => tracing::debug!(%error, "an answer does not show what fires"),
            Err(_) => tracing::debug!("an answer does not show what fires: the store is slow"),
        }
    }

    /// The entries that answer a question, best first, as the index was last committed.
    pub fn search(&self, asked: &Question) -> Vec<ScoredEntry> {
        let state = self.shared.state();
        // An entry that is gone and still in the index is left out below.
        let all = asked.filter == QuestionFilter::default();
        let admits =
            |id: &str| all || state.get(id).is_some_and(|entry| asked.filter.admits(entry));
        // What is folded into one answer must not make fewer of them.
        let limit = asked.limit.saturating_mul(2);
        let query = Query { text: &asked.text, limit, admits: &admits };
        answering::answers(&*state, &self.shared.indexer.index().find(&query), asked.limit)
    }

    async fn note_question(&self, text: &str) -> Gap {
        let (answer, noted) = oneshot::channel();
        let request = Request::Ask { text: text.to_owned(), answer };
        let noted = match self.requests.send(request) {
            Ok(()) => noted.await.ok(),
            Err(_) => None,
        };
        // The service is stopping: nobody remembers the question any more.
        noted.unwrap_or_else(|| {
            let asked = question(text, self.shared.clock.now());
            Gap { occurrences: asked.occurrences(), id: asked.id }
        })
    }

    /// Closes a question that is open although all that is known answers it: it was asked within
    /// a filter, or the process ended before it was closed.
    fn close_if_open(&self, asked: &Question, answer: &str) {
        let id = question_id(&asked.text);
        if asked.filter == QuestionFilter::default() && self.shared.state().get(&id).is_some() {
            self.shared.close_questions(vec![(id, answer.to_owned())]);
        }
    }
}
