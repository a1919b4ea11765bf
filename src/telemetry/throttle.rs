//! So many lines a minute of each place in the code, and no more: what strangers do must not
//! fill the disk with log lines. What is left out is counted, and said once a minute.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use prometheus::IntCounter;
use tracing::{Event, Level, Metadata, Subscriber, callsite::Identifier};
use tracing_subscriber::layer::{Context, Layer};

/// Lines a minute of one place in the code.
const MOST: u32 = 120;
const MINUTE: Duration = Duration::from_secs(60);

/// Lines that were left out, of this process.
pub(super) static LEFT_OUT: LazyLock<IntCounter> = LazyLock::new(|| {
    super::counter(
        "log_lines_suppressed_total",
        "Log lines left out because their place in the code had logged too many in a minute.",
    )
});

/// Lets through the first lines of a minute. Debugging lines are not counted: whoever asks for
/// them wants them all.
#[derive(Clone, Default)]
pub(super) struct Throttle(Arc<Mutex<HashMap<Identifier, Window>>>);

struct Window {
    metadata: &'static Metadata<'static>,
    began: Instant,
    lines: u32,
    left_out: u64,
}

impl Throttle {
    fn admits(&self, metadata: &'static Metadata<'static>, now: Instant) -> bool {
        let mut windows = self.0.lock();
        let window = windows.entry(metadata.callsite()).or_insert(Window {
            metadata,
            began: now,
            lines: 0,
            left_out: 0,
        });
        if now.duration_since(window.began) >= MINUTE {
            (window.began, window.lines) = (now, 0);
        }
        window.lines = window.lines.saturating_add(1);
        let admitted = window.lines <= MOST;
        if !admitted {
            window.left_out += 1;
            LEFT_OUT.inc();
        }
        admitted
    }

    /// Says how many lines were left out since the last time.
    fn report(&self) {
        let left_out: Vec<_> = self
            .0
            .lock()
            .values_mut()
            .filter(|window| window.left_out > 0)
            .map(|window| (window.metadata, std::mem::take(&mut window.left_out)))
            .collect();
        for (metadata, lines) in left_out {
            let place = format!("{}:{}", metadata.target(), metadata.line().unwrap_or_default());
            tracing::warn!(lines, place, "log lines were left out: too many in a minute");
        }
    }

    /// Reports once a minute, for as long as the process lives.
    pub(super) fn report_always(self) {
        // Without the thread the metric still counts.
        let _ = std::thread::Builder::new().name("log report".into()).spawn(move || {
            loop {
                std::thread::sleep(MINUTE);
                self.report();
            }
        });
    }
}

impl<S: Subscriber> Layer<S> for Throttle {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        *metadata.level() > Level::INFO || self.admits(metadata, Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Counts what gets through.
    #[derive(Clone, Default)]
    struct Through(Arc<Mutex<u32>>);

    impl<S: Subscriber> Layer<S> for Through {
        fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
            *self.0.lock() += 1;
        }
    }

    #[test]
    fn each_place_has_its_own_lines_and_debugging_has_all() {
        let (throttle, through) = (Throttle::default(), Through::default());
        let subscriber =
            tracing_subscriber::registry().with(throttle.clone()).with(through.clone());
        let left_out = LEFT_OUT.get();
        tracing::subscriber::with_default(subscriber, || {
            (0..MOST + 30).for_each(|_| tracing::info!("one"));
            tracing::warn!("another");
            (0..MOST + 30).for_each(|_| tracing::debug!("closely"));
            assert_eq!(*through.0.lock(), MOST + 1 + MOST + 30);
            throttle.report();
            throttle.report();
        });
        assert_eq!(*through.0.lock(), MOST + 1 + MOST + 30 + 1, "said once");
        // Other tests of this process count here, too.
        assert!(LEFT_OUT.get() - left_out >= 30);
    }

    #[test]
    fn the_next_minute_has_lines_again() {
        let (throttle, through) = (Throttle::default(), Through::default());
        let subscriber =
            tracing_subscriber::registry().with(throttle.clone()).with(through.clone());
        tracing::subscriber::with_default(subscriber, || {
            let line = || tracing::info!("one");
            (0..MOST + 1).for_each(|_| line());
            for window in throttle.0.lock().values_mut() {
                window.began -= MINUTE;
            }
            line();
        });
        assert_eq!(*through.0.lock(), MOST + 1);
    }
}
