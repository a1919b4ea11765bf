//! How a log line is written: harmless and bounded whatever is in it, and never a reason to fail.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    io::{self, Write},
    sync::LazyLock,
};

use prometheus::IntCounter;
use serde::ser::{SerializeMap, Serializer as _};
use serde_json::value::RawValue;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    field::RecordFields,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

use super::client_text::{clean, is_harmful};

/// Characters of one value; causes of failures can be long.
const MAX_VALUE: usize = 2_000;
/// Characters of one line for people.
const MAX_LINE: usize = 8_000;

/// Lines that could not be written, of this process: the log has no place of its own to say so.
pub(super) static FAILURES: LazyLock<IntCounter> =
    LazyLock::new(|| super::counter("log_write_failures_total", "Log lines that were lost."));

/// One JSON object a line. The fields of the spans around it are its own, and `details`, which
/// is JSON, is an object and not a text.
pub(super) struct JsonLines {
    /// Which replica logs.
    pub instance: String,
}

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        // Of the request's span its id; what the event says itself counts more.
        for span in context.event_scope().into_iter().flatten() {
            let extensions = span.extensions();
            let around = extensions.get::<FormattedFields<N>>().map_or("", |text| text);
            let around = serde_json::Deserializer::from_str(around).into_iter();
            let around = around.map_while(Result::ok).flat_map(BTreeMap::<String, _>::into_iter);
            // Of a field that it got twice the later value.
            for (name, value) in around.collect::<BTreeMap<_, _>>() {
                if !fields.0.iter().any(|(known, _)| *known == name) {
                    fields.0.push((name.into(), value));
                }
            }
        }
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let line =
            line(&time, &self.instance, event.metadata(), &fields).map_err(|_| fmt::Error)?;
        writer.write_str(&line)?;
        writer.write_char('\n')
    }
}

fn line(
    time: &str,
    instance: &str,
    metadata: &tracing::Metadata<'_>,
    fields: &Fields,
) -> Result<String, Box<dyn std::error::Error>> {
    let mut bytes = Vec::with_capacity(256);
    let mut serializer = serde_json::Serializer::new(&mut bytes);
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry("timestamp", time)?;
    map.serialize_entry("level", metadata.level().as_str())?;
    for (name, value) in &fields.0 {
        map.serialize_entry(name, value)?;
    }
    map.serialize_entry("target", metadata.target())?;
    map.serialize_entry("instance", instance)?;
    SerializeMap::end(map)?;
    Ok(String::from_utf8(bytes)?)
}

/// A span's fields, as [`JsonLines`] reads them: one JSON object each time that it gets some.
pub(super) struct JsonSpans;

impl<'writer> FormatFields<'writer> for JsonSpans {
    fn format_fields<R: RecordFields>(
        &self,
        mut writer: Writer<'writer>,
        fields: R,
    ) -> fmt::Result {
        let mut recorded = Fields::default();
        fields.record(&mut recorded);
        let named = recorded.0.iter().map(|(name, value)| (name, value));
        let mut bytes = Vec::with_capacity(64);
        serde_json::Serializer::new(&mut bytes).collect_map(named).map_err(|_| fmt::Error)?;
        writer.write_str(str::from_utf8(&bytes).map_err(|_| fmt::Error)?)
    }
}

fn raw(value: &impl serde::Serialize) -> Box<RawValue> {
    // Texts, numbers and truths always serialise.
    serde_json::value::to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// The fields of an event in their order, as JSON.
#[derive(Default)]
struct Fields(Vec<(Cow<'static, str>, Box<RawValue>)>);

impl Fields {
    fn add(&mut self, field: &Field, value: impl serde::Serialize) {
        self.0.push((field.name().into(), raw(&value)));
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, clean(value, MAX_VALUE));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        // The audit log has bounded and escaped it already.
        if field.name() == "details"
            && let Ok(object) = serde_json::from_str::<Box<RawValue>>(&text)
        {
            self.0.push((field.name().into(), object));
            return;
        }
        self.record_str(field, &text);
    }
}

/// Writes to `out`, and counts what cannot be written instead of failing: the subscriber would
/// print its complaint on standard error, which is the very place that fails, and panic.
#[derive(Clone)]
pub(super) struct LogWriter<W> {
    pub out: W,
    /// Lines for people are cleaned as a whole: one line each, and nothing in them acts on the terminal.
    pub for_people: bool,
    /// Escape sequences are colours of our own; those of values are escaped by the subscriber.
    pub ansi: bool,
}

impl<'w, W: MakeWriter<'w>> MakeWriter<'w> for LogWriter<W> {
    type Writer = LogWriter<W::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        let Self { for_people, ansi, .. } = *self;
        LogWriter { out: self.out.make_writer(), for_people, ansi }
    }
}

impl<W: Write> Write for LogWriter<W> {
    /// The subscriber hands over one line at a time.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let written = match self.for_people {
            true => self.out.write_all(self.legible(&String::from_utf8_lossy(line)).as_bytes()),
            false => self.out.write_all(line),
        };
        if written.and_then(|()| self.out.flush()).is_err() {
            FAILURES.inc();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W> LogWriter<W> {
    fn legible(&self, line: &str) -> String {
        let line = line.strip_suffix('\n').unwrap_or(line);
        let mut legible = String::with_capacity(line.len() + 1);
        for c in line.chars().take(MAX_LINE) {
            if is_harmful(c) && !(self.ansi && c == '\u{1b}') {
                legible.extend(c.escape_default());
            } else {
                legible.push(c);
            }
        }
        if line.chars().nth(MAX_LINE).is_some() {
            legible.push_str(if self.ansi { "\u{1b}[0m…" } else { "…" });
        }
        legible.push('\n');
        legible
    }
}
