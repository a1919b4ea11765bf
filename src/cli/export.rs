//! `orchestrator export`: everything that is stored, to a file or to standard output. The same
//! bytes as over HTTP.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use futures::StreamExt;
use serde_json::json;

use super::{
    Failure, progress,
    serve::{failed, runtime},
};
use crate::{
    config::Settings,
    history::export::{Format, gzip, open_export},
    model::{Collection, SystemClock, Time},
    security::{AuditContext, Event},
    service::open_command_audit_log,
    store::{ExportScope, Store},
    telemetry::logging,
};

pub(super) const HELP: &str = "\
ndjson is what `orchestrator import` puts back: a document that could not be put back is left out,
named on standard error, and makes the exit code 1. csv is a table of exactly one collection. A file
appears under its name only when it is whole.

Exit codes: 0 done, 1 failed, 64 wrong usage, 78 wrong configuration.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How it is written [default: what the name of the file ends in, else json]
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(Format::NAMES))]
    pub format: Option<String>,
    /// Only this collection; may repeat
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(Collection::ALL.map(Collection::name)))]
    pub collection: Vec<String>,
    /// Only alerts first received, and samples taken, from this time on (RFC 3339)
    #[arg(long, value_parser = time)]
    pub from: Option<Time>,
    /// Only alerts first received, and samples taken, before this time
    #[arg(long, value_parser = time)]
    pub to: Option<Time>,
    /// The file to write; compressed if its name ends in .gz [default: standard output]
    #[arg(long, short)]
    pub output: Option<PathBuf>,
}

fn time(text: &str) -> Result<Time, &'static str> {
    Time::parse(text).ok_or("not an RFC 3339 time, as 2026-11-25T08:00:00Z")
}

impl Args {
    fn format(&self) -> Format {
        let named = self.format.as_deref().and_then(Format::named);
        let by_file = || {
            let name = self.output.as_ref()?.file_name()?.to_str()?;
            let (_, ending) = name.strip_suffix(".gz").unwrap_or(name).rsplit_once('.')?;
            Format::named(ending)
        };
        named.or_else(by_file).unwrap_or(Format::Json)
    }

    fn collections(&self) -> Vec<Collection> {
        let mut named: Vec<Collection> =
            self.collection.iter().filter_map(|name| name.parse().ok()).collect();
        named.sort();
        named.dedup();
        if named.is_empty() { Collection::ALL.to_vec() } else { named }
    }

    fn compressed(&self) -> bool {
        self.output.as_ref().is_some_and(|path| path.extension().is_some_and(|end| end == "gz"))
    }
}

/// Exports from the store that is configured.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let (format, collections) = (args.format(), args.collections());
    if format == Format::Csv && collections.len() != 1 {
        let what = "csv is a table of exactly one collection: name it with --collection";
        return Err(Failure::Usage(what.to_owned()));
    }
    let settings = Settings::from_process()?;
    logging::init(&settings.log).map_err(failed)?;
    runtime().map_err(failed)?.block_on(async {
        let store = super::store::open_existing(&settings).await?;
        let done = write_all(&settings, store.as_ref(), args, format, &collections).await;
        store.close().await;
        done
    })
}

async fn write_all(
    settings: &Settings,
    store: &dyn Store,
    args: &Args,
    format: Format,
    collections: &[Collection],
) -> Result<(), Failure> {
    super::require_schema(store).await?;
    let scope = ExportScope { collections: collections.to_vec(), from: args.from, until: args.to };
    let export = open_export(store, &SystemClock, format, scope).await.map_err(failed)?;
    let skipped = export.skipped;
    let documents: u64 = export.head.counts.iter().map(|(_, count)| count).sum();
    let size = export.head.database_bytes.max(1);
    let mut bytes = if args.compressed() { gzip(export.bytes) } else { export.bytes };
    let mut target = Target::open(args.output.as_deref()).map_err(failed)?;
    // What cannot be audited does not leave.
    audit(settings, format, collections).await?;
    let bar = progress::bytes(documents, size);
    while let Some(piece) = bytes.next().await {
        let piece = piece.map_err(failed)?;
        target.write(&piece).map_err(failed)?;
        bar.inc(piece.len() as u64);
    }
    bar.finish_and_clear();
    target.finish().map_err(failed)?;
    match skipped.count() {
        0 => Ok(()),
        count => Err(Failure::Failed(format!(
            "{count} documents could not be put back and were left out:\n{}",
            skipped.names().join("\n")
        ))),
    }
}

/// Where the bytes go.
enum Target {
    Output(BufWriter<io::Stdout>),
    /// Under another name until it is whole.
    File {
        file: BufWriter<File>,
        part: tempfile::TempPath,
        path: PathBuf,
    },
}

impl Target {
    fn open(path: Option<&Path>) -> io::Result<Self> {
        let Some(path) = path else { return Ok(Self::Output(BufWriter::new(io::stdout()))) };
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        // Everything that is known, for its owner alone.
        let options =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part);
        let file = options.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot write {}: {error}", part.display()))
        })?;
        let part = tempfile::TempPath::try_from_path(part)?;
        Ok(Self::File { file: BufWriter::new(file), part, path: path.to_owned() })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Output(output) => output.write_all(bytes),
            Self::File { file, .. } => file.write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Output(mut output) => output.flush(),
            Self::File { mut file, part, path } => {
                file.flush()?;
                file.get_ref().sync_all()?;
                part.persist(path).map_err(|error| error.error)
            }
        }
    }
}

async fn audit(
    settings: &Settings,
    format: Format,
    collections: &[Collection],
) -> Result<(), Failure> {
    let log = open_command_audit_log(settings);
    let names: Vec<_> = collections.iter().map(|collection| collection.name()).collect();
    let details = json!({ "by": "command line", "format": format.as_str(), "collections": names });
    let log = log.map_err(failed)?;
    log.record_confirmed(Event::DataExport, AuditContext::default(), details).await.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(format: Option<&str>, output: Option<&str>) -> Args {
        let format = format.map(str::to_owned);
        Args {
            format,
            collection: Vec::new(),
            from: None,
            to: None,
            output: output.map(PathBuf::from),
        }
    }

    #[test]
    fn the_format_is_what_is_asked_for_else_what_the_file_is_called() {
        assert_eq!(args(None, None).format(), Format::Json);
        assert_eq!(args(None, Some("a/b.ndjson")).format(), Format::Ndjson);
        assert_eq!(args(None, Some("b.ndjson.gz")).format(), Format::Ndjson);
        assert_eq!(args(Some("csv"), Some("b.ndjson")).format(), Format::Csv);
        assert_eq!(args(None, Some("backup.2026")).format(), Format::Json);
        assert!(args(None, Some("b.ndjson.gz")).compressed());
        assert!(!args(None, Some("b.gzip")).compressed());
    }

    #[test]
    fn a_file_appears_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("export.json");
        let mut cut = Target::open(Some(&path)).unwrap();
        cut.write(b"{").unwrap();
        drop(cut);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let mut whole = Target::open(Some(&path)).unwrap();
        whole.write(b"{}").unwrap();
        whole.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"{}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
