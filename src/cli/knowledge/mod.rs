//! `orchestrator knowledge import`: runbooks into the knowledge base.

mod files;

use std::{fmt::Write, path::PathBuf, sync::Arc};

use clap::Subcommand;
use serde_json::json;

use self::files::{Found, Skipped};
use super::{
    Failure, output, progress,
    serve::{failed, runtime},
    store,
};
use crate::{
    config::Settings,
    knowledge::{Base, Change, ChangeError, EditError, Imported, runbook},
    model::{Clock, Entry, SeverityWords, SystemClock},
    security::{AuditContext, Event},
    service::OfflineTools,
    telemetry::logging,
};

/// Entries that are stored together.
const BATCH: usize = 200;

const HELP: &str = "\
Markdown (.md, .markdown, whatever the case) and AsciiDoc (.adoc, .asciidoc) are read; a file that is
about several alerts becomes one entry for each. An entry belongs to its source and the path of its
file there: importing again changes nothing, a changed file updates its entry, and a file that was
renamed keeps it. Name the source (--source) where several folders have the same name.

Only regular files of up to 4 MiB inside the folders are read. Links in them are not followed; what is
not read is listed at the end.

Exit codes: 0 done, 1 failed, 64 wrong usage, 78 wrong configuration.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Import runbooks: files, or folders with all runbooks below them
    #[command(after_help = HELP)]
    Import(ImportArgs),
}

#[derive(Debug, clap::Args)]
struct ImportArgs {
    /// Files or folders
    #[arg(required_unless_present = "own")]
    paths: Vec<PathBuf>,
    /// The service's own runbook, which the binary carries: a section for each of its alerts
    #[arg(long, conflicts_with_all = ["source", "prune"])]
    own: bool,
    /// What the files' source is called [default: as the folder]
    #[arg(long)]
    source: Option<String>,
    /// Remove entries of these sources whose file is not there any more
    #[arg(long)]
    prune: bool,
}

/// Does what the arguments say on the store that is configured.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let Action::Import(args) = &args.action;
    let settings = Settings::from_process()?;
    logging::init(&settings.log).map_err(failed)?;
    let mut found = files::find(&args.paths, args.source.as_deref())?;
    if args.own {
        found.files.push(files::own());
    }
    if args.prune && (found.files.is_empty() || args.paths.iter().any(|path| !path.is_dir())) {
        let message = "--prune takes folders with runbooks: it removes all entries without a file";
        return Err(Failure::Failed(message.to_owned()));
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut summary = Summary::default();
    let parsed = read(&mut found, &mut summary, clock.as_ref(), &settings.severity_words);
    runtime().map_err(failed)?.block_on(async {
        let tools = OfflineTools::open(&settings, Arc::clone(&clock)).await;
        let tools = tools.map_err(|error| store::service_failure(&settings, &error))?;
        let done = import(&tools.base, &found, parsed, args.prune, &mut summary).await;
        if let Err(error) = done {
            tools.close().await.map_err(failed)?;
            return Err(error);
        }
        let details = json!({
            "action": "import", "by": "command line", "created": summary.created, "updated": summary.updated,
            "unchanged": summary.unchanged, "pruned": summary.pruned,
        });
        tools.audit.record(Event::KnowledgeChanged, AuditContext::default(), details);
        tools.close().await.map_err(failed)
    })?;
    output::print(&summary.text(&found))?;
    match found.skipped.get(&Skipped::Unreadable) {
        None => Ok(()),
        Some(files) => Err(Failure::Failed(format!("{} files could not be read", files.len()))),
    }
}

#[derive(Default)]
struct Summary {
    created: usize,
    updated: usize,
    unchanged: usize,
    renamed: usize,
    removed: usize,
    pruned: usize,
    warnings: usize,
}

/// How many files of one kind the summary names.
const MAX_NAMED: usize = 20;

impl Summary {
    fn count(&mut self, outcome: Imported) {
        match outcome {
            Imported::Created => self.created += 1,
            Imported::Updated => self.updated += 1,
            Imported::Unchanged => self.unchanged += 1,
        }
    }

    fn warn(&mut self, warning: &str) {
        self.warnings += 1;
        tracing::warn!("{warning}");
    }

    fn text(&self, found: &Found) -> String {
        let Self { created, updated, unchanged, renamed, removed, pruned, warnings } = self;
        let mut text = format!("{created} created, {updated} updated, {unchanged} unchanged");
        for (count, what) in
            [(renamed, "renamed"), (removed, "removed"), (pruned, "pruned"), (warnings, "warnings")]
        {
            if *count > 0 {
                let _ = write!(text, ", {count} {what}");
            }
        }
        text.push('\n');
        for (why, files) in &found.skipped {
            let named: Vec<_> = files.iter().take(MAX_NAMED).map(|name| plain(name)).collect();
            let _ = write!(text, "{} {}: {}", files.len(), why.as_str(), named.join(", "));
            let more = files.len().saturating_sub(MAX_NAMED);
            text.push_str(&if more > 0 { format!(" and {more} more\n") } else { "\n".to_owned() });
        }
        text
    }
}

/// A name of a file, as it may be shown on a terminal.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// All that the files say; their bytes are given up on the way.
fn read(
    found: &mut Found,
    summary: &mut Summary,
    clock: &dyn Clock,
    words: &SeverityWords,
) -> Vec<runbook::Parsed> {
    let bar = progress::bar("reading", found.files.len() as u64);
    let mut all = Vec::new();
    for file in std::mem::take(&mut found.files) {
        bar.inc(1);
        let Some(decoded) = runbook::decode(&file.bytes) else {
            found.skip(Skipped::Empty, file.path);
            continue;
        };
        let (source, path, now) = (&file.source, &file.path, clock.now());
        let parsed = runbook::read_file(source, path, &decoded.text, now, words);
        if parsed.is_empty() {
            found.skip(Skipped::Empty, file.path);
            continue;
        }
        let encoding = decoded.warning.map(|warning| format!("{}: {warning}", file.path));
        let warnings = parsed.iter().flat_map(|parsed| &parsed.warnings);
        for warning in encoding.iter().chain(warnings) {
            bar.suspend(|| summary.warn(warning));
        }
        all.extend(parsed);
    }
    bar.finish_and_clear();
    all
}

async fn import(
    base: &Base,
    found: &Found,
    parsed: Vec<runbook::Parsed>,
    prune: bool,
    summary: &mut Summary,
) -> Result<(), Failure> {
    let known = base.entries();
    let placed = runbook::place(&known, parsed, &|origin| found.is_gone(origin));
    for (from, to) in &placed.renamed {
        tracing::info!(from, to, "a runbook was renamed");
    }
    for path in &placed.unplaced {
        summary.warn(&format!(
            "{}: imported by an older version, and in none of {}: import its folder, or delete its \
             entry",
            plain(path),
            found.sources().into_iter().collect::<Vec<_>>().join(", ")
        ));
    }
    summary.renamed = placed.renamed.len();
    let bar = progress::bar("storing", placed.entries.len() as u64);
    let mut entries = placed.entries.into_iter();
    loop {
        let batch: Vec<Entry> = entries.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            break;
        }
        bar.inc(batch.len() as u64);
        let outcomes = base.import(batch).await.map_err(failed)?;
        outcomes.into_iter().for_each(|outcome| summary.count(outcome));
    }
    bar.finish_and_clear();
    for id in &placed.superseded {
        summary.removed += usize::from(delete(base, id).await?);
    }
    for id in placed.gone.iter().filter(|_| prune) {
        summary.pruned += usize::from(delete(base, id).await?);
    }
    Ok(())
}

/// Deletes an entry; false if there is none.
async fn delete(base: &Base, id: &str) -> Result<bool, Failure> {
    match base.edit(id, None, Change::Delete, "command line").await {
        Ok(_) => Ok(true),
        Err(ChangeError::Edit(EditError::Missing)) => Ok(false),
        Err(error) => Err(failed(error)),
    }
}
