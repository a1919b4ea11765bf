//! `orchestrator query` and `orchestrator alerts`: asking a running service from a terminal. A
//! page for people on a terminal; elsewhere, or with `--json`, the service's own JSON.

mod client;
mod page;

use std::io::IsTerminal;

use serde_json::{Value, json};

use self::client::Client;
use super::{Failure, output::print};
use crate::telemetry::harmless_json;

pub(super) const HELP: &str = "\
The service is the one at ORCHESTRATOR_URL, asked with ORCHESTRATOR_API_KEY; where no URL is set, the
one of this machine. NO_COLOR is honoured.

Exit codes: 0 done, 1 failed or nothing found, 64 wrong usage, 78 wrong configuration.";

#[derive(Debug, clap::Args)]
pub(super) struct QueryArgs {
    /// The question
    #[arg(required = true)]
    text: Vec<String>,
    /// How many answers
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    limit: u16,
    /// Only answers of this category
    #[arg(long)]
    category: Option<String>,
    /// Only answers of this severity
    #[arg(long)]
    severity: Option<String>,
    /// Only answers with this tag
    #[arg(long)]
    tag: Option<String>,
    /// Print the service's JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct AlertsArgs {
    /// Only alerts that fire, or that are resolved
    #[arg(long, value_parser = ["firing", "resolved"])]
    status: Option<String>,
    /// Only alerts of this name
    #[arg(long)]
    alertname: Option<String>,
    /// Only alerts of this severity
    #[arg(long)]
    severity: Option<String>,
    /// Only alerts with this label, as NAME=VALUE; may repeat
    #[arg(long)]
    label: Vec<String>,
    /// Only alerts of this fingerprint
    #[arg(long)]
    fingerprint: Option<String>,
    /// Only alerts first received from this time on
    #[arg(long)]
    from: Option<String>,
    /// Only alerts first received before this time
    #[arg(long)]
    to: Option<String>,
    /// How many
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// Go on where an earlier answer ended
    #[arg(long)]
    cursor: Option<String>,
    /// Print the service's JSON
    #[arg(long)]
    json: bool,
}

/// Asks a question.
pub(super) fn query(args: &QueryArgs) -> Result<(), Failure> {
    let filter: serde_json::Map<String, Value> =
        [("category", &args.category), ("severity", &args.severity), ("tag", &args.tag)]
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), Value::from(value.clone()?))))
            .collect();
    let question = json!({ "text": args.text.join(" "), "limit": args.limit, "filter": filter });
    let answer = Client::from_process()?.post("/api/knowledge/query", &question)?;
    let found = answer["results"]["entries"].as_array().map_or(0, Vec::len);
    show(&answer, args.json, page::answers)?;
    something(found, "no answer; the question is remembered")
}

/// Lists alerts.
pub(super) fn alerts(args: &AlertsArgs) -> Result<(), Failure> {
    let mut query: Vec<(&str, String)> = [
        ("status", &args.status),
        ("alertname", &args.alertname),
        ("severity", &args.severity),
        ("fingerprint", &args.fingerprint),
        ("from", &args.from),
        ("to", &args.to),
        ("cursor", &args.cursor),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value.clone()?)))
    .collect();
    query.push(("limit", args.limit.to_string()));
    query.extend(args.label.iter().map(|label| ("label", label.clone())));
    let client = Client::from_process()?;
    let mut answer = client.get("/api/alerts", &query)?;
    // A page that found nothing so far tells where to look on.
    while let ([], Some(next)) =
        (answer["alerts"].as_array().map_or(&[][..], Vec::as_slice), answer["next"].as_str())
    {
        query.retain(|(name, _)| *name != "cursor");
        query.push(("cursor", next.to_owned()));
        answer = client.get("/api/alerts", &query)?;
    }
    let found = answer["alerts"].as_array().map_or(0, Vec::len);
    show(&answer, args.json, page::alerts)?;
    something(found, "no alerts")
}

fn show(answer: &Value, json: bool, page: fn(&Value, usize) -> String) -> Result<(), Failure> {
    if json || !std::io::stdout().is_terminal() {
        return print(&format!("{}\n", harmless_json(&answer.to_string())));
    }
    let width = usize::from(console::Term::stdout().size().1).clamp(40, 400);
    print(&page(answer, width))
}

fn something(found: usize, otherwise: &str) -> Result<(), Failure> {
    if found > 0 { Ok(()) } else { Err(Failure::Failed(otherwise.to_owned())) }
}
