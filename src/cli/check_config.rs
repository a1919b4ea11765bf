//! `orchestrator check-config`: what holds, where it comes from, and what to mind. Changes
//! nothing; secrets are shown by their length.

use super::{Failure, output::print};
use crate::config::{Credentials, DEV_CREDENTIALS, Effective, Settings};

pub(super) fn run() -> Result<(), Failure> {
    let mut settings = Settings::from_process()?;
    let credentials = settings.find_credentials()?;
    let mut text = table(settings.describe());
    if let Some(line) = notice(credentials.as_ref()) {
        text.push_str(&format!("\n{line}\n"));
    }
    if !settings.warnings.is_empty() {
        text.push('\n');
    }
    for warning in &settings.warnings {
        text.push_str(&format!("warning: {warning}\n"));
    }
    print(&text)
}

fn table(rows: &[Effective]) -> String {
    let width = |column: fn(&Effective) -> &str, most: usize| {
        rows.iter().map(|row| column(row).chars().count()).filter(|n| *n <= most).max().unwrap_or(0)
    };
    let (names, values) = (width(|row| row.variable, 80), width(|row| &row.value, 40));
    let line = |row: &Effective| {
        format!("{:<names$}  {:<values$}  {}\n", row.variable, row.value, row.source)
    };
    rows.iter().map(line).collect()
}

fn notice(credentials: Option<&Credentials>) -> Option<String> {
    match credentials {
        Some(Credentials::Configured) => None,
        Some(Credentials::Found(path) | Credentials::Made(path)) => {
            Some(format!("No keys are set: those in {} are used.", path.display()))
        }
        None => Some(format!(
            "No keys are set: at its first start the service will make its own, in {DEV_CREDENTIALS}."
        )),
    }
}
