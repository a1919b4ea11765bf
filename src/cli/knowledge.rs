//! `orchestrator knowledge import`: Markdown runbooks into the knowledge base.

use std::{
    collections::BTreeSet,
    fmt::Write,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Subcommand;
use serde_json::json;

use super::{
    Failure, output, progress,
    serve::{failed, runtime},
};
use crate::{
    config::Settings,
    knowledge::{Base, Change, ChangeError, EditError, Imported, runbook},
    model::{Clock, SystemClock},
    security::{AuditContext, Event},
    service::OfflineTools,
    telemetry::logging,
};

/// Files that are read and stored together.
const BATCH: usize = 200;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Import Markdown runbooks: files, or folders with all `.md` files below them
    Import(ImportArgs),
}

#[derive(Debug, clap::Args)]
struct ImportArgs {
    /// Files or folders
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Remove entries of runbooks whose file is in none of the folders any more
    #[arg(long)]
    prune: bool,
}

/// Does what the arguments say on the store that is configured.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let Action::Import(args) = &args.action;
    let settings = Settings::from_process()?;
    logging::init(&settings.log).map_err(failed)?;
    let files = find(&args.paths)?;
    if args.prune && (files.is_empty() || args.paths.iter().any(|path| !path.is_dir())) {
        let message = "--prune takes folders with runbooks: it removes all entries without a file";
        return Err(Failure::Failed(message.to_owned()));
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let summary = runtime().map_err(failed)?.block_on(async {
        let tools = OfflineTools::open(&settings, Arc::clone(&clock)).await.map_err(failed)?;
        let imported = import(&tools.base, &files, args.prune, clock.as_ref()).await;
        let summary = match imported {
            Ok(summary) => summary,
            Err(error) => {
                tools.close().await.map_err(failed)?;
                return Err(error);
            }
        };
        let details = json!({
            "action": "import", "created": summary.created, "updated": summary.updated,
            "unchanged": summary.unchanged, "pruned": summary.pruned,
        });
        tools.audit.record(Event::KnowledgeChanged, AuditContext::default(), details);
        tools.close().await.map_err(failed)?;
        Ok::<_, Failure>(summary)
    })?;
    output::print(&summary.text())?;
    match summary.unreadable {
        0 => Ok(()),
        n => Err(Failure::Failed(format!("{n} files could not be read"))),
    }
}

#[derive(Default)]
struct Summary {
    created: usize,
    updated: usize,
    unchanged: usize,
    pruned: usize,
    warnings: usize,
    unreadable: usize,
}

impl Summary {
    fn count(&mut self, outcome: Imported) {
        match outcome {
            Imported::Created => self.created += 1,
            Imported::Updated => self.updated += 1,
            Imported::Unchanged => self.unchanged += 1,
        }
    }

    fn text(&self) -> String {
        let Self { created, updated, unchanged, pruned, warnings, unreadable } = self;
        let mut text = format!("{created} created, {updated} updated, {unchanged} unchanged");
        for (count, what) in
            [(pruned, "pruned"), (warnings, "warnings"), (unreadable, "unreadable")]
        {
            if *count > 0 {
                let _ = write!(text, ", {count} {what}");
            }
        }
        text.push('\n');
        text
    }
}

/// Markdown files with the name that their entries tell of, from the folder down; several
/// folders may hold files of one name.
type Files = BTreeSet<(String, PathBuf)>;

/// All Markdown files in `paths`.
fn find(paths: &[PathBuf]) -> Result<Files, Failure> {
    let mut files = Files::new();
    for path in paths {
        let unreadable =
            |error: io::Error| Failure::Failed(format!("cannot read {}: {error}", path.display()));
        if fs::metadata(path).map_err(unreadable)?.is_dir() {
            walk(path, path, &mut files).map_err(unreadable)?;
        } else {
            let name = path.file_name().unwrap_or(path.as_os_str());
            files.insert((name.to_string_lossy().into_owned(), path.clone()));
        }
    }
    Ok(files)
}

fn walk(root: &Path, folder: &Path, files: &mut Files) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if hidden {
            continue;
        }
        if entry.file_type()?.is_dir() {
            walk(root, &path, files)?;
        } else if path.extension().is_some_and(|ending| ending == "md" || ending == "markdown") {
            let name = path.strip_prefix(root).unwrap_or(&path);
            files.insert((name.to_string_lossy().into_owned(), path));
        }
    }
    Ok(())
}

async fn import(
    base: &Base,
    files: &Files,
    prune: bool,
    clock: &dyn Clock,
) -> Result<Summary, Failure> {
    let mut summary = Summary::default();
    let bar = progress::bar("runbooks", files.len() as u64);
    let (mut found, mut made) = (BTreeSet::new(), BTreeSet::new());
    let named: Vec<_> = files.iter().collect();
    for batch in named.chunks(BATCH) {
        let mut entries = Vec::new();
        for (name, path) in batch {
            found.insert(name.as_str());
            bar.inc(1);
            let Some(text) = read(path, &mut summary) else { continue };
            for parsed in runbook::read(name, &text, clock.now()) {
                summary.warnings += parsed.warnings.len();
                parsed.warnings.iter().for_each(|warning| bar.suspend(|| warn(warning)));
                if made.insert(parsed.entry.id.clone()) {
                    entries.push(parsed.entry);
                } else {
                    summary.warnings += 1;
                    bar.suspend(|| warn(&format!("{name}: another file is for the same alert")));
                }
            }
        }
        let outcomes = base.import(entries).await.map_err(failed)?;
        outcomes.into_iter().for_each(|outcome| summary.count(outcome));
    }
    bar.finish_and_clear();
    if prune {
        for id in base.without_file(|name| found.contains(name)) {
            match base.edit(&id, None, Change::Delete, "command line").await {
                Ok(_) => summary.pruned += 1,
                Err(ChangeError::Edit(EditError::Missing)) => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }
    Ok(summary)
}

/// The text of a file; what is no UTF-8 in it is replaced, with a warning.
fn read(path: &Path, summary: &mut Summary) -> Option<String> {
    match fs::read(path) {
        Ok(bytes) => Some(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                summary.warnings += 1;
                warn(&format!("{}: is not UTF-8 throughout", path.display()));
                String::from_utf8_lossy(error.as_bytes()).into_owned()
            }
        }),
        Err(error) => {
            summary.unreadable += 1;
            warn(&format!("{}: cannot be read: {error}", path.display()));
            None
        }
    }
}

fn warn(warning: &str) {
    tracing::warn!("{warning}");
}
