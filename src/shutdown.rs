//! The phases of the process' life, and the signal to stop.
//!
//! Whoever runs the service owns the signal: [`Phase`] is handed in, nothing here is global.

use std::time::Duration;

use tokio::sync::watch;

/// Where the process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Starting,
    Serving,
    Draining,
}

/// The phase, as everyone may read it and its owner may move it on.
#[derive(Clone, Debug)]
pub struct Phase(watch::Sender<Stage>);

impl Default for Phase {
    fn default() -> Self {
        Self(watch::Sender::new(Stage::Starting))
    }
}

impl Phase {
    /// The listeners are open.
    pub fn serve(&self) {
        self.0.send_if_modified(|stage| {
            let starting = *stage == Stage::Starting;
            if starting {
                *stage = Stage::Serving;
            }
            starting
        });
    }

    /// No new work; there is no way back.
    pub fn drain(&self) {
        self.0.send_replace(Stage::Draining);
    }

    /// Whether requests are served as usual.
    pub fn is_serving(&self) -> bool {
        *self.0.borrow() == Stage::Serving
    }

    /// Whether the end has begun.
    pub fn is_draining(&self) -> bool {
        *self.0.borrow() == Stage::Draining
    }

    /// Returns when draining begins, at once if it has.
    pub async fn draining(&self) {
        let mut stages = self.0.subscribe();
        // The sender lives in `self`, so this ends only by the stage.
        let _ = stages.wait_for(|stage| *stage == Stage::Draining).await;
    }

    /// Waits for `period`; false if draining began first.
    pub async fn pause(&self, period: Duration) -> bool {
        tokio::time::timeout(period, self.draining()).await.is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_with_the_period_or_with_the_phase() {
        let phase = Phase::default();
        assert!(phase.pause(Duration::from_secs(60)).await);
        phase.serve();
        assert!(phase.is_serving());
        phase.drain();
        phase.serve();
        assert!(phase.is_draining() && !phase.is_serving());
        assert!(!phase.pause(Duration::from_secs(60)).await);
    }
}
