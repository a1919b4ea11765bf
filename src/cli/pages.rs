//! `orchestrator completions` and `orchestrator man`: the command line described to shells and to
//! people, from its own definition.

use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate};

use super::{CommandLine, Failure, output::print, serve::failed};

#[derive(Debug, clap::Args)]
pub(super) struct CompletionsArgs {
    /// The shell that is to complete
    shell: Shell,
}

#[derive(Debug, clap::Args)]
pub(super) struct ManArgs {
    /// The command to describe, like `knowledge import` [default: all in short]
    command: Vec<String>,
}

/// Prints a script for the shell.
pub(super) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    generate(args.shell, &mut CommandLine::command(), "orchestrator", &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// Prints a page in the form of `man`.
pub(super) fn man(args: &ManArgs) -> Result<(), Failure> {
    let mut command: Command = CommandLine::command();
    command.build();
    for name in &args.command {
        let found = command.find_subcommand(name).cloned();
        command = found.ok_or_else(|| Failure::Usage(format!("there is no command {name}")))?;
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page).map_err(failed)?;
    print(&String::from_utf8_lossy(&page))
}
