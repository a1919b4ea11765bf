//! The command line: what can be called, and how it ends. One file a subcommand; no logic that
//! the service itself needs.
//!
//! Exit codes are promised: 0 done, 1 failed, 64 usage, 78 configuration (those of `sysexits.h`).

mod ask;
mod backup;
mod check_config;
mod descriptors;
mod export;
mod healthcheck;
mod import;
mod keygen;
mod knowledge;
mod migrate;
mod output;
mod pages;
mod progress;
mod retention;
mod serve;
mod sign;
mod store;
mod tls;

use std::{io::ErrorKind, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{config::Problems, store::Store, telemetry::logging};

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed, 64 wrong usage, 78 wrong configuration.

Settings come from the environment and from one .env file in the working directory;
`orchestrator check-config` shows them all.";

/// Takes in alerts, learns from them, and answers questions about them.
#[derive(Debug, Parser)]
#[command(name = "orchestrator", version, after_help = EXIT_CODES)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Default, Subcommand)]
enum Command {
    /// Run the service until SIGTERM or SIGINT (what happens without a command)
    #[default]
    #[command(after_help = EXIT_CODES)]
    Serve,
    /// Bring the schema of the store up to date, or show where it stands
    #[command(after_help = EXIT_CODES)]
    Migrate(migrate::Args),
    /// Work on the knowledge base
    #[command(after_help = EXIT_CODES)]
    Knowledge(knowledge::Args),
    /// Sum up days that ended and delete what is old, once, as the service does every day
    #[command(after_help = EXIT_CODES)]
    Retention(retention::Args),
    /// Write out everything that is stored
    #[command(after_help = export::HELP)]
    Export(export::Args),
    /// Put an ndjson export back, into either store
    #[command(after_help = import::HELP)]
    Import(import::Args),
    /// Copy the SQLite database to a new file, while the service writes
    #[command(after_help = backup::HELP)]
    Backup(backup::Args),
    /// Ask the running service a question
    #[command(after_help = ask::HELP)]
    Query(ask::QueryArgs),
    /// List the alerts of the running service, the newest first
    #[command(after_help = ask::HELP)]
    Alerts(ask::AlertsArgs),
    /// Make new random keys, as lines for .env
    #[command(after_help = EXIT_CODES)]
    Keygen(keygen::Args),
    /// Sign a webhook's body from standard input, and print the headers to send with it
    #[command(after_help = sign::HELP)]
    Sign(sign::Args),
    /// Ask the running service how it is; for containers
    #[command(after_help = EXIT_CODES)]
    Healthcheck(healthcheck::Args),
    /// Show the effective settings, secrets redacted, or all that is wrong with them
    #[command(after_help = EXIT_CODES)]
    CheckConfig,
    /// Print the script that completes commands in a shell
    #[command(after_help = EXIT_CODES)]
    Completions(pages::CompletionsArgs),
    /// Print the manual page, or that of one command
    #[command(after_help = EXIT_CODES)]
    Man(pages::ManArgs),
}

/// Why a command did not do what it was called for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Exit code 1.
    #[error("{0}")]
    Failed(String),
    /// Exit code 64.
    #[error("{0}")]
    Usage(String),
    /// Exit code 78.
    #[error("the configuration is wrong")]
    Configuration(#[from] Problems),
}

impl Failure {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Failed(_) => ExitCode::FAILURE,
            Self::Usage(_) => ExitCode::from(USAGE),
            Self::Configuration(_) => ExitCode::from(78),
        }
    }
}

const USAGE: u8 = 64;

/// Does what the command line says.
pub fn main() -> ExitCode {
    let command_line = match CommandLine::try_parse() {
        Ok(command_line) => command_line,
        Err(answer) => {
            // `--help` and `--version` come this way too.
            let printed = answer.print();
            return match printed {
                _ if answer.use_stderr() => ExitCode::from(USAGE),
                // Whoever reads may stop reading at any time (`| head`).
                Err(error) if error.kind() != ErrorKind::BrokenPipe => ExitCode::FAILURE,
                _ => ExitCode::SUCCESS,
            };
        }
    };
    let done = run(command_line.command.unwrap_or_default());
    logging::flush();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::complain(&failure);
            failure.exit_code()
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve => serve::run(),
        Command::Migrate(args) => migrate::run(&args),
        Command::Knowledge(args) => knowledge::run(&args),
        Command::Retention(args) => retention::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Backup(args) => backup::run(&args),
        Command::Query(args) => ask::query(&args),
        Command::Alerts(args) => ask::alerts(&args),
        Command::Completions(args) => pages::completions(&args),
        Command::Man(args) => pages::man(&args),
        Command::Keygen(args) => keygen::run(&args),
        Command::Sign(args) => sign::run(&args),
        Command::Healthcheck(args) => healthcheck::run(&args),
        Command::CheckConfig => check_config::run(),
    }
}

/// Refuses a store whose schema is not this binary's.
async fn require_schema(store: &dyn Store) -> Result<(), Failure> {
    let found = store.schema_version().await.map_err(serve::failed)?;
    let newest = store.schema().migrations().last().map_or(0, |newest| newest.number);
    if found == newest {
        return Ok(());
    }
    Err(Failure::Failed(format!(
        "the schema is at version {found}, not {newest}: run `orchestrator migrate` first"
    )))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn without_a_command_it_serves() {
        let command_line = CommandLine::try_parse_from(["orchestrator"]).unwrap();
        assert!(matches!(command_line.command.unwrap_or_default(), Command::Serve));
    }
}
