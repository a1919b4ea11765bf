//! The main job on real input: Prometheus' rule on the service's own metric fires, Alertmanager
//! posts, the service stores and learns, a person asks, and the alert resolves.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use regex::Regex;
use serde_json::{Value, json};

use crate::harness::{Place, Process, Running, TOKEN, eventually, free_port};

const ALERT: &str = "OrchestratorAuthFailures";

/// The program under one of its names.
///
/// Without it the test passes unseen, unless `TEST_REQUIRE_SERVICES` says that it must run.
#[allow(clippy::disallowed_methods)]
fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let places: Vec<PathBuf> = std::env::split_paths(&path)
        .flat_map(|folder| names.iter().map(move |name| folder.join(name)))
        .collect();
    let found = places.into_iter().find(|place| place.is_file());
    let required = std::env::var("TEST_REQUIRE_SERVICES").is_ok();
    assert!(
        found.is_some() || !required,
        "TEST_REQUIRE_SERVICES is set, but there is no {names:?}"
    );
    found
}

/// A file of `monitoring/`.
fn monitoring(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("monitoring").join(name)).unwrap()
}

/// The text with these patterns replaced; each must be there.
fn replaced(text: String, replacements: &[(&str, &str)]) -> String {
    replacements.iter().fold(text, |text, (pattern, by)| {
        let pattern = Regex::new(pattern).unwrap();
        assert!(pattern.is_match(&text), "{pattern} is not in {text}");
        pattern.replace_all(&text, *by).into_owned()
    })
}

/// Prometheus and Alertmanager, with the repository's files at other addresses and paces.
struct Monitoring {
    prometheus: String,
    _processes: [Process; 2],
}

impl Monitoring {
    fn start(directory: &Path, service: &Running) -> Option<Self> {
        let prometheus = program(&["prometheus"])?;
        let alertmanager = program(&["prometheus-alertmanager", "alertmanager"])?;
        let addresses = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
        let [prometheus_at, alertmanager_at] = &addresses;
        let write = |name: &str, text: String| fs::write(directory.join(name), text).unwrap();
        // A file as an editor leaves it, with a line end.
        write("webhook-token", format!("{TOKEN}\n"));
        let metrics = service.metrics_address().to_string();
        write(
            "prometheus.yml",
            replaced(
                monitoring("prometheus.yml"),
                &[
                    ("127.0.0.1:9093", alertmanager_at),
                    ("127.0.0.1:9100", &metrics),
                    (": 15s", ": 1s"),
                ],
            ),
        );
        let rules = [(r"for: \d+m", "for: 0s"), (r"\[\d+m\]", "[4s]")];
        write("alert-rules.yml", replaced(monitoring("alert-rules.yml"), &rules));
        let here = service.address().to_string();
        write(
            "alertmanager.yml",
            replaced(
                monitoring("alertmanager.yml"),
                &[
                    ("127.0.0.1:3000", &here),
                    ("group_wait: .*", "group_wait: 0s"),
                    ("group_interval: .*", "group_interval: 1s"),
                ],
            ),
        );
        let start = |program: &Path, arguments: &[String]| {
            let mut command = Command::new(program);
            command.current_dir(directory).args(arguments);
            Process::of(command)
        };
        let alertmanager = start(
            &alertmanager,
            &[
                "--config.file=alertmanager.yml".into(),
                "--storage.path=alertmanager".into(),
                "--cluster.listen-address=".into(),
                format!("--web.listen-address={alertmanager_at}"),
            ],
        );
        let prometheus = start(
            &prometheus,
            &[
                "--config.file=prometheus.yml".into(),
                "--storage.tsdb.path=prometheus".into(),
                format!("--web.listen-address={prometheus_at}"),
            ],
        );
        Some(Self { prometheus: prometheus_at.clone(), _processes: [alertmanager, prometheus] })
    }

    /// The value of an expression as Prometheus sees it now.
    async fn value(&self, expression: &str) -> Option<f64> {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://{}/api/v1/query", self.prometheus);
        let answer = client.post(url).body(format!("query={expression}"));
        let answer = answer.header("content-type", "application/x-www-form-urlencoded");
        let answer: Value = answer.send().await.ok()?.json().await.ok()?;
        answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    }
}

/// The alert as stored, if it has this status.
async fn alert(service: &Running, status: &str) -> Option<Value> {
    let alerts = service.stored("alerts").await;
    alerts.into_iter().find(|alert| alert["name"] == ALERT && alert["status"] == status)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_goes_from_a_metric_to_an_answer_and_resolves() {
    let place = Place::sqlite();
    let service = place.start().await;
    let Some(monitoring) = Monitoring::start(place.directory(), &service) else { return };
    eventually("Prometheus has scraped twice", async || {
        let scrapes = monitoring.value(r#"count_over_time(up{job="orchestrator"}[1m])"#).await?;
        (scrapes >= 2.0).then_some(())
    })
    .await;

    // Someone guesses keys: the service's own metric crosses the rule's threshold.
    for _ in 0..60 {
        service.bearer("guessed").get("/api/auth/me").await.expect(401);
    }
    let firing = eventually("the alert fires", async || alert(&service, "firing").await).await;
    assert_eq!(firing["severity"], "warning");
    assert_eq!(firing["receiver"], "orchestrator");

    let answer = service.operator().ask("many failed authentications, somebody guesses").await;
    let entry = &answer["results"]["entries"][0];
    assert_eq!((&entry["title"], &entry["firing"]), (&json!(ALERT), &json!(1)));
    let solution = answer["results"]["solutions"][0].as_str().unwrap();
    assert!(solution.contains("ops/RUNBOOK.md"), "{solution}");

    // The guessing is over, and so is the alert.
    let over = eventually("the alert resolves", async || alert(&service, "resolved").await).await;
    assert_eq!(over["fingerprint"], firing["fingerprint"]);
    assert_eq!(over["startsAt"], firing["startsAt"]);
    let duration = over["duration"].as_i64().unwrap();
    assert!((1..60_000).contains(&duration), "{duration}");
    let learned = &service.operator().ask(ALERT).await["results"]["entries"][0];
    assert_eq!((&learned["firing"], &learned["occurrences"]), (&json!(0), &json!(1)));
    assert_eq!(
        (&learned["successRate"], &learned["meanTimeToResolveMs"]),
        (&json!(1.0), &json!(duration))
    );
    let accepted = r#"webhook_auth_total{method="bearer",outcome="accepted"}"#;
    assert!(service.sample(accepted).await >= 2.0);
    assert_eq!(service.stored("alerts").await.len(), 1, "no other rule fired");
}
