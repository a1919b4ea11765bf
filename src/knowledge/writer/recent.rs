//! How many alerts were received within a day.
//!
//! Those that come are added as they are written. Those that grow older than a day, and those that
//! other processes wrote, are found by counting again: what was received up to a minute ago, which
//! changes no more, beside all else, and only the rest while nothing is written.

use std::{pin::Pin, time::Duration};

use tokio::time::Instant;

use super::{Writer, operations::Alone};
use crate::{
    knowledge::shared::RECENT_MS,
    model::Time,
    store::{Result, Store},
};

/// How often they are counted again.
const EVERY: Duration = Duration::from_secs(30);
/// Of a day with many alerts counting takes long: at most this part of the time, as a divisor.
const SHARE: u32 = 20;
/// What was received before that is stored, or nobody waits for it any more.
const SETTLED_MS: i64 = 60_000;

/// When they were counted.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// When the last count began, and how long it took.
    began: Option<Instant>,
    took: Duration,
    /// Whether others may have written some since.
    differs: bool,
}

/// Those of a day that were received until a moment.
#[derive(Debug)]
pub(super) struct Settled {
    until: Time,
    alerts: u64,
}

pub(super) type Counting = Pin<Box<dyn Future<Output = Result<Settled>> + Send>>;

impl Settled {
    /// All of the day, counted while nothing is written.
    pub(super) async fn complete(self, store: &dyn Store) -> Result<u64> {
        Ok(self.alerts + store.received_since(self.until).await?)
    }
}

impl Recent {
    /// Others have written some, or what was known is over.
    pub(super) fn may_differ(&mut self) {
        self.differs = true;
    }

    fn is_due(&self) -> bool {
        self.began.is_none_or(|began| {
            let age = began.elapsed();
            age >= EVERY || self.differs && age >= self.took * SHARE
        })
    }
}

impl Writer {
    /// Begins to count, if it is time.
    pub(super) fn count_recent(&mut self) -> Option<Counting> {
        if self.finishing.is_some() || !self.recent.is_due() {
            return None;
        }
        self.recent =
            Recent { began: Some(Instant::now()), took: self.recent.took, differs: false };
        let now = self.shared.clock.now();
        let (from, until) = (now.plus_millis(-RECENT_MS), now.plus_millis(-SETTLED_MS));
        let store = self.shared.store.clone();
        Some(Box::pin(async move {
            let alerts = store.received_counts(from, until).await?.total;
            Ok(Settled { until, alerts })
        }))
    }

    /// What is settled was counted; the rest is, as soon as nothing is written.
    pub(super) fn settled(&mut self, settled: Result<Settled>) {
        match settled {
            Ok(settled) => self.alone.push_back(Alone::Count(settled)),
            Err(_) => self.recent.differs = true,
        }
    }

    /// All were counted.
    pub(super) fn counted(&mut self, counted: Result<u64>) {
        let recent = &mut self.recent;
        recent.took = recent.began.map_or(Duration::ZERO, |began| began.elapsed());
        recent.differs |= counted.is_err();
        if let Ok(counted) = counted
            && self.state.alerts.last24_hours != counted
        {
            self.state.alerts.last24_hours = counted;
            self.state.revision += 1;
            self.publish();
        }
    }
}
