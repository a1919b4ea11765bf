//! Whether the store is there, and since when it is not.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::store::StoreError;

/// Whether the store is there. Starts up.
#[derive(Debug)]
pub struct StoreHealth {
    outage: Mutex<Option<Outage>>,
    /// When it last took a write.
    written: Mutex<Instant>,
    /// When it last refused a group of changes, if it has taken none since.
    refused: Mutex<Option<Instant>>,
}

impl Default for StoreHealth {
    fn default() -> Self {
        Self {
            outage: Mutex::default(),
            written: Mutex::new(Instant::now()),
            refused: Mutex::default(),
        }
    }
}

/// How long after changes were refused a heartbeat is believed again: if nothing is tried
/// meanwhile, it must be seen within 5 s that they would be taken.
const VOUCHES_AFTER: Duration = Duration::from_secs(2);

#[derive(Clone, Debug)]
struct Outage {
    since: Instant,
    /// For the log and never for an answer.
    cause: String,
}

impl StoreHealth {
    /// Whether the store is there, and takes writes, as far as its last operations tell.
    pub fn is_up(&self) -> bool {
        self.outage.lock().is_none()
    }

    /// Whether it took a write so lately.
    pub fn written_within(&self, lately: Duration) -> bool {
        self.written.lock().elapsed() < lately
    }

    /// It took a write that began at `begun`: the end of an outage is logged. A write that began
    /// before the outage tells nothing of its end.
    pub(super) fn wrote(&self, begun: Instant) {
        *self.written.lock() = Instant::now();
        let ended = self.outage.lock().take_if(|outage| outage.since <= begun);
        if let Some(outage) = ended {
            let seconds = outage.since.elapsed().as_secs_f64();
            tracing::info!(seconds, last_error = outage.cause, "the store is back");
        }
    }

    /// A group of changes, begun at `begun`, was taken or not.
    pub(super) fn committed(&self, begun: Instant, taken: bool) {
        *self.refused.lock() = (!taken).then(Instant::now);
        if taken {
            self.wrote(begun);
        }
    }

    /// It took a heartbeat that began at `begun`. On a full disk there is room for that where there
    /// is none for alerts, so it vouches for nothing while those are refused.
    pub(super) fn beat(&self, begun: Instant) {
        if self.refused.lock().is_none_or(|refused| refused.elapsed() > VOUCHES_AFTER) {
            self.wrote(begun);
        }
    }

    /// Since when it has been away; `None` while it is there.
    pub fn down_since(&self) -> Option<Instant> {
        self.outage.lock().as_ref().map(|outage| outage.since)
    }

    /// What the last failure of the outage said, for the log.
    pub fn last_error(&self) -> Option<String> {
        self.outage.lock().as_ref().map(|outage| outage.cause.clone())
    }

    /// An operation found it away; the first one is logged.
    pub(super) fn went_down(&self, error: &StoreError) {
        let mut outage = self.outage.lock();
        match &mut *outage {
            Some(outage) => outage.cause = error.to_string(),
            None => {
                tracing::error!(%error, "the store is away");
                *outage = Some(Outage { since: Instant::now(), cause: error.to_string() });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_outage_lasts_from_its_first_failure_to_the_first_write() {
        let health = StoreHealth::default();
        assert_eq!((health.is_up(), health.down_since()), (true, None));
        let began = Instant::now();
        health.went_down(&StoreError::unavailable("first"));
        tokio::time::advance(Duration::from_secs(4)).await;
        health.went_down(&StoreError::unavailable("second"));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(health.down_since(), Some(began));
        assert!(health.last_error().unwrap().contains("second"));
        assert!(!health.written_within(Duration::from_secs(6)));
        let before = began - Duration::from_secs(1);
        health.wrote(before);
        assert!(!health.is_up());
        health.wrote(Instant::now());
        assert_eq!((health.is_up(), health.down_since(), health.last_error()), (true, None, None));
        assert!(health.written_within(Duration::from_secs(6)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_heartbeat_vouches_for_nothing_while_changes_are_refused() {
        let health = StoreHealth::default();
        let lately = Duration::from_secs(5);
        for _ in 0..6 {
            health.went_down(&StoreError::unavailable("full"));
            health.committed(Instant::now(), false);
            tokio::time::advance(Duration::from_secs(1)).await;
            health.beat(Instant::now());
        }
        assert!(!health.is_up() && !health.written_within(lately));
        health.committed(Instant::now(), true);
        assert!(health.is_up() && health.written_within(lately));
        // Where nobody tries, it is all that is known.
        health.went_down(&StoreError::unavailable("full"));
        health.committed(Instant::now(), false);
        tokio::time::advance(Duration::from_secs(3)).await;
        health.beat(Instant::now());
        assert!(health.is_up() && health.written_within(lately));
    }
}
