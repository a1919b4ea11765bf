//! Where the time comes from: handed in, so that rules about time are tested on a fake one.

use std::sync::atomic::{AtomicI64, Ordering};

use super::Time;

/// Tells the wall-clock time.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Time;
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
}

/// A clock that stands still until told to move; for tests of rules about time.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `start`.
    pub fn new(start: Time) -> Self {
        Self(AtomicI64::new(start.millis()))
    }

    /// Shows `time` from now on.
    pub fn set(&self, time: Time) {
        self.0.store(time.millis(), Ordering::SeqCst);
    }

    /// Moves on (or back, if negative) by `ms` milliseconds.
    pub fn advance_millis(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Time {
        Time::from_millis(self.0.load(Ordering::SeqCst))
    }
}
