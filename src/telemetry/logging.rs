//! Log lines: for a person at a terminal, or one JSON object a line.
//!
//! They go to standard error: container runtimes and systemd collect both streams alike, and
//! standard output stays clean for what a subcommand hands out (an export, a signature). A panic
//! is a line like any other.

use std::{
    io::{self, IsTerminal},
    panic::{self, PanicHookInfo},
};

use thiserror::Error;
use tracing::{Level, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::ParseError,
    fmt::MakeWriter,
    layer::SubscriberExt,
    util::{SubscriberInitExt, TryInitError},
};

pub use super::log_queue::flush;
use super::{
    log_lines::{JsonLines, JsonSpans, LogWriter},
    log_queue::LogQueue,
    throttle::Throttle,
};
use crate::config::{LogFormat, LogSettings};

/// Why logging cannot begin.
#[derive(Debug, Error)]
pub enum LogError {
    /// The filter is not a level or a list of directives.
    #[error("LOG_LEVEL is not a level or filter directive: {0}")]
    Filter(#[from] ParseError),
    /// There can be no thread that writes.
    #[error("the log's thread cannot be started: {0}")]
    Thread(#[from] io::Error),
    /// Something else of this process logs already.
    #[error("logging was begun before: {0}")]
    Begun(#[from] TryInitError),
}

/// Begins logging for a command, for the whole process and once, panics included.
pub fn init(settings: &LogSettings) -> Result<(), LogError> {
    let writer = writer(settings, io::stderr);
    subscriber(settings, None, writer)?.try_init()?;
    log_panics();
    Ok(())
}

/// As [`init`], for the service: what strangers do to it must not fill the disk, so each place in
/// the code has so many lines a minute; and nobody waits until a line is written.
pub fn init_service(settings: &LogSettings) -> Result<(), LogError> {
    let throttle = Throttle::default();
    let queue = LogQueue::start(writer(settings, io::stderr()))?;
    subscriber(settings, Some(throttle.clone()), queue.clone())?.try_init()?;
    queue.flushed_at_the_end();
    throttle.report_always();
    log_panics();
    Ok(())
}

/// What cleans and writes lines, in the settings' format.
fn writer<W>(settings: &LogSettings, out: W) -> LogWriter<W> {
    let for_people = settings.format == LogFormat::Pretty;
    LogWriter { out, for_people, ansi: ansi(settings) }
}

/// Whether lines are coloured.
fn ansi(settings: &LogSettings) -> bool {
    settings.colour && settings.format == LogFormat::Pretty && io::stderr().is_terminal()
}

fn subscriber<W>(
    settings: &LogSettings,
    throttle: Option<Throttle>,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().parse(&settings.filter)?;
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(ansi(settings))
        .with_writer(writer)
        .log_internal_errors(false);
    let lines: Box<dyn Layer<_> + Send + Sync> = match settings.format {
        LogFormat::Pretty => Box::new(lines),
        LogFormat::Json => {
            let format = JsonLines { instance: settings.instance.clone() };
            Box::new(lines.fmt_fields(JsonSpans).event_format(format))
        }
    };
    Ok(Box::new(Registry::default().with(filter).with(throttle).with(lines)))
}

/// Logs a panic as one line; where nobody listens for errors, as Rust itself would print it.
fn log_panics() {
    let printed = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if tracing::enabled!(Level::ERROR) { log_panic(panic) } else { printed(panic) }
    }));
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string);
    let message = panic.payload_as_str().unwrap_or("not a text");
    let thread = std::thread::current();
    // Debug of a text has no line ends in it.
    tracing::error!(panic = ?message, location, thread = thread.name(), "panicked");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;
    use serde_json::Value;
    use tracing::field::Empty;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(filter: &str, format: LogFormat, events: impl FnOnce()) -> String {
        let written = Written::default();
        let writer = written.clone();
        let settings =
            LogSettings { filter: filter.into(), format, instance: "node-1".into(), colour: false };
        let out = super::writer(&settings, move || writer.clone());
        let subscriber = subscriber(&settings, None, out).unwrap();
        tracing::subscriber::with_default(subscriber, events);
        let bytes = written.0.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_is_one_object_a_line_whatever_is_logged() {
        let text = logged("info", LogFormat::Json, || {
            tracing::info_span!("request", requestId = "r-1").in_scope(|| {
                tracing::warn!(value = "a\nb", "first\nmessage");
            });
            tracing::info!(count = 2, "second");
        });
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["level"], "WARN");
        assert_eq!(lines[0]["instance"], "node-1");
        assert_eq!(
            (&lines[0]["message"], &lines[0]["value"]),
            (&"first\\u{a}message".into(), &"a\\u{a}b".into())
        );
        assert_eq!(lines[0]["requestId"], "r-1");
        assert_eq!(lines[1]["count"], 2);
        assert!(lines.iter().all(|line| line["timestamp"].is_string()));
    }

    #[test]
    fn the_details_of_an_audit_event_are_an_object_and_an_id_has_one_name() {
        let text = logged("info", LogFormat::Json, || {
            tracing::info_span!("request", requestId = "r-1").in_scope(|| {
                let details = serde_json::json!({"reason": "unknown"});
                tracing::warn!(requestId = "r-1", %details, "security event");
            });
        });
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["details"], serde_json::json!({"reason": "unknown"}));
        assert_eq!(text.matches("r-1").count(), 1, "{text}");
    }

    #[test]
    fn fields_of_all_spans_around_a_line_are_its_own_also_those_that_came_later() {
        let text = logged("info", LogFormat::Json, || {
            let outer = tracing::info_span!("task", name = "retention", count = Empty, id = 1);
            outer.record("count", 1).record("count", 2);
            let _outer = outer.entered();
            tracing::info_span!("request", id = 3).in_scope(|| tracing::info!("done"));
        });
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&line["name"], &line["count"]), (&"retention".into(), &2.into()));
        assert_eq!(line["id"], 3, "the inner one counts more");
        assert_eq!(text.matches("\"id\"").count(), 1, "{text}");
    }

    #[test]
    fn no_value_breaks_a_line_or_acts_on_a_terminal() {
        let hostile =
            format!("a\n2026 ERROR forged \u{1b}[2J\u{9b}2J\u{202e}{}", "x".repeat(60_000));
        for format in [LogFormat::Json, LogFormat::Pretty] {
            let text = logged("info", format, || {
                tracing::info_span!("request", requestId = hostile).in_scope(|| {
                    tracing::warn!(value = hostile, shown = %hostile, debug = ?hostile, "{hostile}");
                });
            });
            assert_eq!(text.lines().count(), 1, "{text}");
            assert!(text.len() < 20_000, "{}", text.len());
            let harmful = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
            assert!(!text.contains(harmful), "{text:?}");
        }
    }

    /// A full disk: standard error takes nothing.
    #[derive(Clone)]
    struct Full;

    impl io::Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_cannot_be_written_is_counted_and_nothing_else() {
        let before = super::super::log_lines::FAILURES.get();
        for format in [LogFormat::Json, LogFormat::Pretty] {
            let settings = LogSettings {
                filter: "info".into(),
                format,
                instance: "node-1".into(),
                colour: false,
            };
            let subscriber =
                subscriber(&settings, None, super::writer(&settings, || Full)).unwrap();
            tracing::subscriber::with_default(subscriber, || tracing::error!("lost"));
        }
        assert!(super::super::log_lines::FAILURES.get() - before >= 2);
    }

    #[test]
    fn a_file_or_pipe_gets_no_colours() {
        let text = logged("info", LogFormat::Pretty, || tracing::error!(n = 1, "plain"));
        assert!(text.contains("ERROR") && text.contains("plain") && text.contains("n=1"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn a_level_or_a_directive_filters() {
        let events = || {
            tracing::info!(target: "loud", "from loud");
            tracing::info!(target: "quiet", "from quiet");
        };
        assert_eq!(logged("warn", LogFormat::Json, events), "");
        let text = logged("info,quiet=off", LogFormat::Json, events);
        assert!(text.contains("from loud") && !text.contains("from quiet"), "{text}");
    }

    #[test]
    fn a_filter_that_says_nothing_sensible_is_refused() {
        let settings = LogSettings {
            filter: "orchestrator=lots".into(),
            format: LogFormat::Json,
            instance: "node-1".into(),
            colour: false,
        };
        let refused = subscriber(&settings, None, io::sink).err();
        assert!(matches!(refused, Some(LogError::Filter(_))));
    }

    #[test]
    fn a_panic_is_one_line_that_says_where() {
        let text = logged("info", LogFormat::Json, || {
            let before = panic::take_hook();
            log_panics();
            let result = panic::catch_unwind(|| panic!("two\nlines"));
            panic::set_hook(before);
            assert!(result.is_err());
        });
        let line: Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!(text.lines().count(), 1);
        assert_eq!(line["level"], "ERROR");
        assert!(line["panic"].as_str().unwrap().contains("two"), "{text}");
        assert!(line["location"].as_str().unwrap().contains("logging.rs:"), "{text}");
    }
}
