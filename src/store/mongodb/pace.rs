//! How long a group stays open for more while groups follow one another.
//!
//! Much of what a group costs, the ways to the server and its disk, is the same for one alert and for
//! a hundred. Whoever was answered with a group sends the next alert right then: without a pause the
//! group after it is made up of the others alone, and two halves take turns.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

/// A group of fewer alerts had nobody who would come back together.
const SEVERAL: usize = 8;
/// The pause, as a share of what the group before took: what it costs at most.
const SHARE: u32 = 20;
/// The longest pause.
const LONGEST: Duration = Duration::from_millis(5);

/// The group before.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<Option<Before>>);

#[derive(Clone, Copy, Debug)]
struct Before {
    ended: Instant,
    took: Duration,
    alerts: usize,
}

impl Pace {
    /// Waits for those that were answered just now.
    pub(super) async fn gather(&self) {
        let before = *self.0.lock();
        if let Some(before) = before
            && before.alerts >= SEVERAL
            && before.ended.elapsed() < before.took
        {
            sleep((before.took / SHARE).min(LONGEST)).await;
        }
    }

    /// Writes a group of so many alerts.
    pub(super) async fn of<T>(&self, alerts: usize, writing: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let done = writing.await;
        let ended = Instant::now();
        *self.0.lock() = Some(Before { ended, took: ended - began, alerts });
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pause(pace: &Pace) -> Duration {
        let asked = Instant::now();
        pace.gather().await;
        asked.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_group_waits_for_those_that_were_answered_just_now() {
        const TOOK: Duration = Duration::from_millis(40);
        let pace = Pace::default();
        assert_eq!(pause(&pace).await, Duration::ZERO);
        pace.of(SEVERAL, sleep(TOOK)).await;
        assert_eq!(pause(&pace).await, TOOK / SHARE);
        pace.of(SEVERAL, sleep(Duration::from_secs(9))).await;
        assert_eq!(pause(&pace).await, LONGEST);
        // Nobody comes back so late, and one sender alone is not held up.
        sleep(Duration::from_secs(9)).await;
        assert_eq!(pause(&pace).await, Duration::ZERO);
        pace.of(SEVERAL - 1, sleep(TOOK)).await;
        assert_eq!(pause(&pace).await, Duration::ZERO);
    }
}
