//! What watches the service: the table of metrics, the alert rules and their own tests.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    process::{Command, Stdio},
};

use orchestrator::{
    alerts::AlertBatch,
    model::{SeverityWords, Status, Time},
    security::Event,
    telemetry::Metrics,
};
use regex::Regex;
use serde_json::{Value, json};
use strum::VariantArray;

use super::{
    is_there,
    markdown::{blocks, code_spans, rows, section},
    path, read,
};

/// The metrics as the service shows them, each with a sample.
fn rendered() -> String {
    let metrics = Metrics::new().unwrap();
    // These have no sample before something has happened.
    metrics.http_requests_total.with_label_values(&["/health", "GET", "200"]);
    metrics.http_request_duration_seconds.with_label_values(&["/health", "GET"]);
    metrics.validation_failures_total.with_label_values(&["/health"]);
    metrics.store_operation("ping");
    metrics.redis_up();
    metrics.show_instance("node-1");
    metrics.alert_received("critical", Status::Firing);
    metrics.render()
}

/// Each metric with its labels.
fn families() -> BTreeMap<String, BTreeSet<String>> {
    let text = rendered();
    let mut families: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut family = String::new();
    let label = Regex::new(r#"(\w+)=""#).unwrap();
    for line in text.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            family = declared.split(' ').next().unwrap().to_owned();
        } else if !line.starts_with('#') {
            let labels = label.captures_iter(line).map(|found| found[1].to_owned());
            let labels = labels.filter(|name| name != "le");
            families.entry(family.clone()).or_default().extend(labels);
        }
    }
    families
}

#[test]
fn the_table_of_metrics_is_complete() {
    let document = read("ops/MONITORING.md");
    let written: BTreeMap<String, BTreeSet<String>> = rows(section(&document, "## Metrics"))
        .iter()
        .map(|row| {
            let name = code_spans(&row[0]).next().unwrap_or_else(|| panic!("{row:?}"));
            let (name, labels) = name.split_once('{').unwrap_or((name, ""));
            let labels = labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty());
            (name.to_owned(), labels.map(str::to_owned).collect())
        })
        .collect();
    assert_eq!(written, families());
}

#[test]
fn the_table_of_audit_events_is_complete() {
    let document = read("ops/MONITORING.md");
    let rows = rows(section(&document, "## Audit log"));
    let written: BTreeSet<&str> = rows.iter().flat_map(|row| code_spans(&row[0])).collect();
    let known: BTreeSet<&str> = Event::VARIANTS.iter().map(|event| event.as_str()).collect();
    assert_eq!(written, known);
}

/// A rule's expression, where it says what to do, and where that is published.
struct Rule {
    expression: String,
    solution: String,
    runbook: String,
}

fn rules() -> BTreeMap<String, Rule> {
    let file: Value = serde_saphyr::from_str(&read("monitoring/alert-rules.yml")).unwrap();
    let groups = file["groups"].as_array().unwrap();
    let rules = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rule = |rule: &Value| {
        let solution = text(&rule["annotations"]["solution"]);
        let runbook = text(&rule["annotations"]["runbook_url"]);
        (text(&rule["alert"]), Rule { expression: text(&rule["expr"]), solution, runbook })
    };
    rules.map(rule).collect()
}

/// The names of metrics in an expression: what is neither a label, nor a function, nor a word
/// of the language.
fn metrics_of(expression: &str) -> BTreeSet<String> {
    const WORDS: [&str; 8] = ["and", "or", "unless", "by", "on", "without", "offset", "bool"];
    let aside = Regex::new(r"\{[^}]*\}|\[[^\]]*\]|\b(by|on|without|ignoring)\s*\([^)]*\)").unwrap();
    let name = Regex::new(r"[a-zA-Z_:][a-zA-Z0-9_:]*\s*\(?").unwrap();
    let rest = aside.replace_all(expression, " ");
    let names = name.find_iter(&rest).map(|found| found.as_str().trim());
    let names = names.filter(|name| !name.ends_with('(') && !WORDS.contains(name));
    names.map(str::to_owned).collect()
}

/// Each metric of the expression is one that the service shows, or one of Prometheus' own.
fn assert_known(families: &BTreeMap<String, BTreeSet<String>>, who: &str, expression: &str) {
    let metrics = metrics_of(expression);
    assert!(!metrics.is_empty(), "{who}");
    for metric in metrics {
        let known = |name: &str| matches!(name, "up" | "ALERTS") || families.contains_key(name);
        let parts = ["_bucket", "_sum", "_count"];
        let part = parts.iter().filter_map(|part| metric.strip_suffix(part)).any(known);
        assert!(known(&metric) || part, "{who} asks for {metric}");
    }
}

#[test]
fn alert_rules_ask_only_for_metrics_that_there_are() {
    let families = families();
    for (alert, rule) in rules() {
        assert_known(&families, &alert, &rule.expression);
    }
}

#[test]
fn dashboards_ask_only_for_metrics_that_there_are() {
    let families = families();
    for name in ["service", "alerts-and-knowledge"] {
        let dashboard = read(&format!("monitoring/grafana/dashboards/{name}.json"));
        let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                if let Some(expression) = target["expr"].as_str() {
                    assert_known(&families, &panel["title"].to_string(), expression);
                }
            }
        }
    }
}

#[test]
fn every_alert_rule_is_explained_and_tested() {
    let document = read("ops/MONITORING.md");
    let rows = rows(section(&document, "## Alert rules"));
    let explained: BTreeSet<&str> = rows.iter().flat_map(|row| code_spans(&row[0])).collect();
    let rules = rules();
    let known: BTreeSet<&str> = rules.keys().map(String::as_str).collect();
    assert_eq!(explained, known);
    let tests = read("monitoring/alert-rules.test.yml");
    for rule in known {
        assert!(tests.contains(&format!("alertname: {rule}\n")), "{rule} has no test");
    }
}

/// The service learns a rule's annotation `solution`, so these stand in its own answers.
#[test]
fn an_alert_rule_says_what_to_do_or_where_that_is_written() {
    for (alert, rule) in rules() {
        if let Some((document, heading)) = rule.solution.split_once(".md, ") {
            let text = read(&format!("{document}.md"));
            let there = text.lines().any(|line| {
                line.starts_with("##") && line.trim_start_matches('#').trim() == heading
            });
            assert!(there, "{alert} names {}", rule.solution);
        }
    }
}

#[test]
fn every_alert_rule_links_to_its_section_of_the_runbook() {
    let document = read("ops/RUNBOOK.md");
    let manifest = read("Cargo.toml");
    let repository =
        manifest.lines().find_map(|line| line.strip_prefix("repository = \"")).unwrap();
    let repository = repository.trim_end_matches('"');
    for (alert, rule) in rules() {
        let section = section(&document, &format!("## {alert}"));
        for part in ["### Meaning", "### Diagnosis", "### Mitigation"] {
            assert!(section.contains(&format!("{part}\n")), "{alert} has no {part}");
        }
        let rest = rule.runbook.strip_prefix(repository).unwrap_or_else(|| panic!("{alert}"));
        assert!(rest.ends_with(&format!("/ops/RUNBOOK.md#{}", alert.to_lowercase())), "{rest}");
    }
}

/// `mongodb_collection_count` is named by the contract, though it is a gauge.
#[test]
fn prometheus_has_no_complaint_about_other_metrics_than_one() {
    if !is_there("promtool") {
        return;
    }
    let mut tool = Command::new("promtool");
    tool.args(["check", "metrics"]).stdin(Stdio::piped());
    let mut tool = tool.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    tool.stdin.take().unwrap().write_all(rendered().as_bytes()).unwrap();
    let done = tool.wait_with_output().unwrap();
    let text = [done.stdout, done.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    let complaints = text.lines().filter(|line| !line.starts_with("mongodb_collection_count "));
    assert_eq!(complaints.collect::<Vec<_>>(), Vec::<&str>::new());
}

fn passes(program: &str, arguments: &[&str]) {
    if !is_there(program) {
        return;
    }
    let done = Command::new(program).args(arguments).current_dir(path("monitoring")).output();
    let done = done.unwrap();
    let text = [done.stdout, done.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    assert!(done.status.success(), "{program} {arguments:?}: {text}");
}

#[test]
fn alert_rules_pass_their_own_tests() {
    passes("promtool", &["check", "rules", "alert-rules.yml"]);
    passes("promtool", &["test", "rules", "alert-rules.test.yml"]);
}

#[test]
fn prometheus_and_alertmanager_take_their_configurations() {
    passes("promtool", &["check", "config", "--syntax-only", "prometheus.yml"]);
    passes("amtool", &["check-config", "alertmanager.yml"]);
}

fn receivers(yaml: &str) -> Value {
    let file: Value = serde_saphyr::from_str(yaml).unwrap();
    file["receivers"].clone()
}

/// The composition's is compared with the shipped one, too.
#[test]
fn the_documents_show_the_receiver_that_is_shipped() {
    let shown = blocks(&read("docs/alertmanager.md"));
    let shown = shown.into_iter().find(|block| block.info == "yaml").unwrap().text;
    let shown = shown
        .replace("http://orchestrator.example.org:3000", "http://127.0.0.1:3000")
        .replace("/etc/alertmanager/webhook-token", "webhook-token");
    assert_eq!(receivers(&shown), receivers(&read("monitoring/alertmanager.yml")));
}

#[test]
fn the_receiver_sends_as_many_alerts_as_are_taken_and_the_advice_says_so() {
    let receivers = receivers(&read("monitoring/alertmanager.yml"));
    let most = receivers[0]["webhook_configs"][0]["max_alerts"].as_u64().unwrap();
    let taken = |count: u64| {
        let alerts = vec![json!({"status": "firing", "labels": {}}); count.try_into().unwrap()];
        let body = json!({ "alerts": alerts }).to_string();
        AlertBatch::parse(body.as_bytes(), Time::EPOCH, &SeverityWords::default()).is_ok()
    };
    assert!(taken(most) && !taken(most + 1));
    let advice = &rules()["OrchestratorAlertsTruncated"].solution;
    assert!(advice.contains(&format!("{most} at most")), "{advice}");
}
