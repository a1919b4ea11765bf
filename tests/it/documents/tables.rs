//! The tables of the pages in docs/ are those of the code.

use std::{collections::BTreeSet, process::Command};

use orchestrator::{
    config::{VARIABLES, Variable},
    http::{guard::Access, routes},
    model::Severity,
};

use super::{
    markdown::{code_spans, rows, section},
    read,
};

fn setting(variable: &Variable) -> String {
    let aliases = variable.aliases.iter().map(|alias| format!(" or `{alias}`"));
    let secret = if variable.secret { "\\*" } else { "" };
    let default = match variable.default {
        "" => String::new(),
        default => format!("`{default}`"),
    };
    let names = format!("`{}`{}{secret}", variable.name, aliases.collect::<String>());
    // Angle brackets and braces of a help text would be read as HTML.
    let help = variable.help.replace("{\"", "`{\"").replace("\"}", "\"}`");
    format!("| {names} | {default} | {help} |\n")
}

#[test]
fn every_setting_is_listed_as_the_code_has_it() {
    let page = read("docs/settings.md");
    let (_, rest) = page.split_once("<!-- settings:").unwrap();
    let (written, _) = rest.split_once("<!-- end of settings -->").unwrap();
    let (_, written) = written.split_once("-->\n").unwrap();
    let rows: String = VARIABLES.iter().map(setting).collect();
    let expected = format!("\n| Setting | Default | What for |\n|---|---|---|\n{rows}\n");
    assert!(written == expected, "the table of settings should be:\n{expected}");
}

/// The route, its caller and its limit as docs/api.md says it.
type Row = (String, String, String);

#[test]
fn every_route_is_listed_with_its_caller_and_limit() {
    let page = read("docs/api.md");
    let rows = rows(section(&page, "## Routes"));
    let written: BTreeSet<Row> = rows
        .iter()
        .flat_map(|row| {
            let [routes, who, limit] = &row[..] else { panic!("{row:?}") };
            code_spans(routes).map(|route| (route.to_owned(), who.clone(), limit.clone()))
        })
        .filter(|(route, ..)| route != "GET /metrics")
        .collect();
    let expected: BTreeSet<Row> = routes()
        .iter()
        .map(|route| {
            let who = match route.guarded.access {
                Access::Anyone => "anyone".to_owned(),
                Access::WebhookSender => "signature or webhook token".to_owned(),
                Access::Role(role) => role.as_str().to_owned(),
            };
            let bucket = route.bucket.as_str();
            let variable = format!("RATE_LIMIT_{}", bucket.to_uppercase());
            let limit = VARIABLES.iter().find(|known| known.name == variable).unwrap().default;
            (format!("{} {}", route.method, route.path), who, format!("`{bucket}` {limit}"))
        })
        .collect();
    assert_eq!(written, expected);
}

#[test]
fn every_command_is_listed() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_orchestrator")).arg("--help").output().unwrap().stdout;
    let help = String::from_utf8(output).unwrap();
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let (commands, _) = commands.split_once("\n\n").unwrap();
    let known = commands.lines().filter_map(|line| line.split_whitespace().next());
    let known: BTreeSet<&str> = known.filter(|name| *name != "help").collect();
    let page = read("docs/settings.md");
    let rows = rows(section(&page, "## Commands"));
    let written: BTreeSet<&str> = rows
        .iter()
        .flat_map(|row| code_spans(&row[0]))
        .filter_map(|span| span.strip_prefix("orchestrator ")?.split(' ').next())
        .collect();
    assert_eq!(written, known);
}

#[test]
fn every_word_for_a_severity_is_listed() {
    let page = read("docs/alertmanager.md");
    let rows = rows(&page);
    let words = rows.iter().flat_map(|row| code_spans(&row[1]).map(|word| (word, row[0].as_str())));
    let words: Vec<_> = words.collect();
    assert!(words.len() > 20);
    for (word, meant) in words {
        assert_eq!(Severity::of_alert(word).as_str(), meant, "{word}");
    }
}
