//! What is logged and how.

use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use super::{reader::Reader, variables::variable};

/// What is logged and how.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// `LOG_LEVEL` (or `RUST_LOG`): a level or an `EnvFilter` directive.
    pub filter: String,
    /// `LOG_FORMAT`.
    pub format: LogFormat,
    /// `INSTANCE_ID`, which each line bears, except those for a person at a terminal.
    pub instance: String,
    /// Whether a terminal may be shown colours: not where `NO_COLOR` is set (no-color.org).
    pub colour: bool,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For a person at a terminal.
    Pretty,
    /// One JSON object a line.
    Json,
}

pub(super) fn read(reader: &mut Reader<'_>, instance: Option<&str>) -> Option<LogSettings> {
    let expected = variable("LOG_LEVEL")?.help;
    let filter =
        reader.value("LOG_LEVEL", expected, |text| valid_filter(text).then(|| text.to_owned()));
    let terminal = reader.terminal();
    let format = reader.optional("LOG_FORMAT", "`pretty` or `json`", |text| match text {
        "pretty" => Some(LogFormat::Pretty),
        "json" => Some(LogFormat::Json),
        _ => None,
    });
    let format = format.unwrap_or(if terminal { LogFormat::Pretty } else { LogFormat::Json });
    let shown = match format {
        LogFormat::Pretty => "pretty",
        LogFormat::Json => "json",
    };
    reader.show("LOG_FORMAT", shown);
    let colour = reader.foreign("NO_COLOR").is_none_or(|text| text.is_empty());
    let instance = instance.unwrap_or_default().to_owned();
    Some(LogSettings { filter: filter?, format, instance, colour })
}

/// A lone word must be a level: the filter would take `verbose` for the name of a module, and
/// log nothing at all.
fn valid_filter(text: &str) -> bool {
    let word = text.chars().all(char::is_alphanumeric);
    let known = !word || text.parse::<LevelFilter>().is_ok();
    known && EnvFilter::try_new(text).is_ok()
}
