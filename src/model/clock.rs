//! Where the time comes from: handed in, so that rules about time are tested on a fake one.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use super::Time;

/// Tells the wall-clock time.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Time;

    /// Time that has passed since some moment, whatever the clock is set to.
    fn steady(&self) -> Duration;
}

/// The machine's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

// The one place that reads the wall clock.
#[allow(clippy::disallowed_methods)]
impl Clock for SystemClock {
    fn now(&self) -> Time {
        jiff::Timestamp::now().into()
    }

    fn steady(&self) -> Duration {
        static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);
        BEGINNING.elapsed()
    }
}

/// A clock that stands still until told to move; for tests of rules about time.
#[derive(Debug)]
pub struct ManualClock {
    now: AtomicI64,
    /// How far it was set wrong, in milliseconds: time that did not pass.
    wrong: AtomicI64,
}

impl ManualClock {
    /// A clock that shows `start`.
    pub fn new(start: Time) -> Self {
        Self { now: AtomicI64::new(start.millis()), wrong: AtomicI64::new(0) }
    }

    /// Shows `time` from now on.
    pub fn set(&self, time: Time) {
        self.now.store(time.millis(), Ordering::SeqCst);
    }

    /// Moves on (or back, if negative) by `ms` milliseconds.
    pub fn advance_millis(&self, ms: i64) {
        self.now.fetch_add(ms, Ordering::SeqCst);
    }

    /// Is set on (or back) by `ms` milliseconds that do not pass.
    pub fn jump_millis(&self, ms: i64) {
        self.wrong.fetch_add(ms, Ordering::SeqCst);
        self.advance_millis(ms);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Time {
        Time::from_millis(self.now.load(Ordering::SeqCst))
    }

    fn steady(&self) -> Duration {
        let passed = self.now.load(Ordering::SeqCst) - self.wrong.load(Ordering::SeqCst);
        Duration::from_millis(u64::try_from(passed).unwrap_or(0))
    }
}
