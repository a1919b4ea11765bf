//! How changes get to the store and to the index, and how memory and store are made to agree.
//!
//! A change that the store cannot take now stays in memory, is counted as unpersisted, and is
//! written once the store is back ([`Base::flush`]). The index is told apart from the writing,
//! so that intake never waits for it, and always before the next search.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{
    base::{Base, BaseError},
    search::{IndexChange, SearchError},
    summary::AlertActivity,
};
use crate::{
    model::{Entry, EntryChange, Time},
    shutdown::Phase,
    store::StoreError,
};

const DAY_MS: i64 = 24 * 3_600_000;

impl Base {
    /// Writes changes, or keeps them for later if the store is away.
    pub(super) async fn persist(&self, changes: Vec<EntryChange>) {
        if self.unpersisted.lock().len() > 0 {
            // Those that wait go first.
            self.keep_for_later(changes);
            return;
        }
        if let Err(error) = self.store.apply(changes.clone()).await {
            tracing::warn!(%error, "knowledge is kept in memory until the store takes it");
            self.keep_for_later(changes);
        }
    }

    pub(super) fn keep_for_later(&self, changes: Vec<EntryChange>) {
        let mut unpersisted = self.unpersisted.lock();
        changes.into_iter().for_each(|change| unpersisted.push(change));
        self.metrics.knowledge_unpersisted_entries.set(unpersisted.len() as i64);
    }

    /// Writes what waits; true if nothing waits any more.
    pub async fn flush(&self) -> bool {
        let _changing = self.changing.read().await;
        let _writing = self.writing.lock().await;
        self.write_waiting().await.is_ok() && self.unpersisted.lock().len() == 0
    }

    /// Writes what a person changed, and first what waits: later, that would bring back what they
    /// took away or replaced.
    pub(super) async fn write(&self, changes: Vec<EntryChange>) -> Result<(), StoreError> {
        let _changing = self.changing.read().await;
        let _writing = self.writing.lock().await;
        self.write_waiting().await?;
        self.store.apply(changes).await
    }

    async fn write_waiting(&self) -> Result<(), StoreError> {
        let changes = self.unpersisted.lock().take();
        if changes.is_empty() {
            return Ok(());
        }
        let count = changes.len();
        let result = match self.store.apply(changes.clone()).await {
            Err(error) if error.is_unavailable() => Err((error, changes)),
            Err(_) => self.write_one_by_one(changes).await,
            Ok(()) => {
                tracing::info!(changes = count, "knowledge from the outage is stored");
                Ok(())
            }
        };
        let mut unpersisted = self.unpersisted.lock();
        let result = result.map_err(|(error, changes)| {
            tracing::debug!(%error, changes = count, "knowledge still waits for the store");
            unpersisted.give_back(changes);
            error
        });
        self.metrics.knowledge_unpersisted_entries.set(unpersisted.len() as i64);
        result
    }

    /// Writes changes of which the store refuses one together with the others, which are not to
    /// wait for it forever: what it refuses alone too, a defect, is given up, and memory has it
    /// until everything is read again. Gives back what is left if the store goes away.
    async fn write_one_by_one(
        &self,
        changes: Vec<EntryChange>,
    ) -> Result<(), (StoreError, Vec<EntryChange>)> {
        let mut left = changes.into_iter();
        while let Some(change) = left.next() {
            match self.store.apply(vec![change.clone()]).await {
                Err(error) if error.is_unavailable() => {
                    return Err((error, std::iter::once(change).chain(left).collect()));
                }
                Err(error) => {
                    let entry = change.entry_id();
                    tracing::error!(%error, entry, "what is known of an entry cannot be stored");
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Reads all entries again: after an outage the store may know what memory does not (a
    /// write whose answer was lost, or another process' changes).
    ///
    /// # Errors
    /// If they cannot be read; memory stays as it is.
    pub async fn reload(&self) -> Result<(), BaseError> {
        self.read_again(None).await?;
        self.count_alerts().await
    }

    /// Takes over what other processes changed since `since`.
    ///
    /// # Errors
    /// If it cannot be read; memory stays as it is.
    pub async fn catch_up(&self, since: Time) -> Result<(), BaseError> {
        self.read_again(Some(since)).await
    }

    async fn read_again(&self, since: Option<Time>) -> Result<(), BaseError> {
        let _reading = self.reading.lock().await;
        {
            let _settled = self.changing.write().await;
            self.state.write().begin_comparing();
        }
        match self.store.entries(since).await {
            Ok(entries) => {
                // What was committed while reading is now to be taken over before the comparison.
                drop(self.changing.write().await);
                self.merge(entries, since.is_none());
                Ok(())
            }
            Err(error) => {
                self.state.write().end_comparing();
                Err(error.into())
            }
        }
    }

    /// Counts firing and recent alerts in the store.
    ///
    /// # Errors
    /// If the store is away.
    pub async fn count_alerts(&self) -> Result<(), BaseError> {
        let since = self.clock.now().plus_millis(-DAY_MS);
        let last24_hours = self.store.alert_counts(since).await?.total;
        let alerts = AlertActivity { firing: self.store.firing_alerts().await?, last24_hours };
        let mut state = self.state.write();
        if state.alerts != alerts {
            state.alerts = alerts;
            state.revision += 1;
        }
        Ok(())
    }

    /// Makes memory hold what is `stored` and what waits to be stored, except for entries that
    /// changed meanwhile. If `stored` is `complete`, what is not in it has gone.
    pub(super) fn merge(&self, stored: Vec<Entry>, complete: bool) {
        let mut changes = Vec::new();
        {
            let unpersisted = self.unpersisted.lock();
            let mut state = self.state.write();
            let touched = state.end_comparing();
            let mut stored: HashMap<String, Entry> =
                stored.into_iter().map(|entry| (entry.id.clone(), entry)).collect();
            for change in unpersisted.iter() {
                if complete || stored.contains_key(change.entry_id()) {
                    overlay(&mut stored, change);
                }
            }
            if complete {
                let gone: HashSet<String> = state
                    .iter()
                    .map(|entry| &entry.id)
                    .filter(|id| !stored.contains_key(*id) && !touched.contains(*id))
                    .cloned()
                    .collect();
                for id in gone {
                    state.remove(&id);
                    changes.push(IndexChange::Remove(id));
                }
            }
            for (id, entry) in stored {
                if !touched.contains(&id) {
                    changes.extend(state.put(Arc::new(entry)).map(IndexChange::Upsert));
                }
            }
            self.publish_sizes(&state);
        }
        self.tell_later(changes);
    }

    /// Leaves changes for the index, which is told soon or before the next search.
    pub(super) fn tell_later(&self, changes: Vec<IndexChange>) {
        if !changes.is_empty() {
            self.untold.lock().extend(changes);
            self.wake.notify_one();
        }
    }

    /// Tells the index what it has not heard; blocks until it is searchable.
    pub(super) fn tell_index(&self) -> Result<(), SearchError> {
        let _telling = self.telling.lock();
        let changes = std::mem::take(&mut *self.untold.lock());
        if changes.is_empty() {
            return Ok(());
        }
        self.index.apply(&changes)?;
        let upserted = changes.into_iter().filter_map(|change| match change {
            IndexChange::Upsert(entry) => Some(entry.id.clone()),
            IndexChange::Remove(_) => None,
        });
        self.to_ask.lock().extend(upserted);
        self.wake.notify_one();
        Ok(())
    }

    /// Tells the index soon after a change, and asks open questions of what is new, until the
    /// phase turns to draining.
    pub async fn keep_index(self: Arc<Self>, phase: Phase) {
        loop {
            tokio::select! {
                () = self.wake.notified() => {}
                () = phase.draining() => return,
            }
            let base = Arc::clone(&self);
            let told = tokio::task::spawn_blocking(move || base.tell_index()).await;
            match told {
                Ok(Ok(())) => self.close_answered_questions().await,
                Ok(Err(error)) => tracing::error!(%error, "the index could not be told"),
                Err(error) => tracing::error!(%error, "telling the index broke down"),
            }
        }
    }
}

fn overlay(stored: &mut HashMap<String, Entry>, change: &EntryChange) {
    match change {
        EntryChange::Learn(learning) => {
            let id = learning.seed.id.clone();
            let entry = stored.entry(id).or_insert_with(|| Entry::clone(&learning.seed));
            learning.apply_to(entry);
        }
        EntryChange::Put(entry) => {
            stored.insert(entry.id.clone(), Entry::clone(entry));
        }
        EntryChange::Rewrite(text) => {
            if let Some(entry) = stored.get_mut(&text.id) {
                *entry = entry.with_text_of(text);
            }
        }
        EntryChange::Delete(id) => {
            stored.remove(id);
        }
    }
}
