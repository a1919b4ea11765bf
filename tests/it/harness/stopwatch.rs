//! How long something takes, as a claim about it counts.

use std::{
    sync::{LazyLock, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// How often the machine is looked at.
const BEAT: Duration = Duration::from_millis(10);
/// A shorter delay is none of the machine's: a service that takes the processor from others is not
/// to be excused for it.
const STALL: Duration = Duration::from_millis(250);

/// Time since a moment, without that for which the machine stood still: a virtual one is paused now
/// and then, and what a service promises does not depend on that.
pub struct Stopwatch {
    begun: Instant,
    stood_still: Duration,
}

/// A thread that should wake up at each beat, and how much later it did.
struct Heart {
    last: Instant,
    late: Duration,
}

static HEART: LazyLock<Mutex<Heart>> = LazyLock::new(|| {
    thread::spawn(|| {
        loop {
            thread::sleep(BEAT);
            let mut heart = HEART.lock().unwrap_or_else(PoisonError::into_inner);
            // Not before the lock is held: the sum would fall for whoever looked in between.
            let now = Instant::now();
            let late = heart.late_at(now);
            heart.late += late;
            heart.last = now;
        }
    });
    Mutex::new(Heart { last: Instant::now(), late: Duration::ZERO })
});

impl Heart {
    fn late_at(&self, now: Instant) -> Duration {
        let late = now.saturating_duration_since(self.last);
        if late < STALL { Duration::ZERO } else { late }
    }
}

fn now() -> (Instant, Duration) {
    let heart = HEART.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    (now, heart.late + heart.late_at(now))
}

impl Stopwatch {
    pub fn start() -> Self {
        let (begun, stood_still) = now();
        Self { begun, stood_still }
    }

    pub fn elapsed(&self) -> Duration {
        let (now, stood_still) = now();
        (now - self.begun).saturating_sub(stood_still - self.stood_still)
    }
}
