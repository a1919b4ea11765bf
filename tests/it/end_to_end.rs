//! The main job on real input: Prometheus' rule on the service's own metric fires, Alertmanager
//! posts, the service stores and learns, a person asks, and the alert resolves.

mod dashboards;

use std::{
    collections::BTreeSet,
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

/// A program with these arguments in `directory`.
fn start(directory: &Path, program: &Path, arguments: &[String]) -> Process {
    let mut command = Command::new(program);
    command.current_dir(directory).args(arguments);
    Process::of(command)
}

/// Alertmanager with the repository's file, at another address and pace.
struct Alertmanager {
    address: String,
    _process: Process,
}

impl Alertmanager {
    fn start(directory: &Path, service: &Running, group_wait: &str) -> Option<Self> {
        let alertmanager = program(&["prometheus-alertmanager", "alertmanager"])?;
        let address = format!("127.0.0.1:{}", free_port());
        let write = |name: &str, text: String| fs::write(directory.join(name), text).unwrap();
        // A file as an editor leaves it, with a line end.
        write("webhook-token", format!("{TOKEN}\n"));
        let here = service.address().to_string();
        let group_wait = format!("group_wait: {group_wait}");
        write(
            "alertmanager.yml",
            replaced(
                monitoring("alertmanager.yml"),
                &[
                    ("127.0.0.1:3000", &here),
                    ("group_wait: .*", &group_wait),
                    ("group_interval: .*", "group_interval: 1s"),
                ],
            ),
        );
        let arguments = [
            "--config.file=alertmanager.yml".to_owned(),
            "--storage.path=alertmanager".to_owned(),
            "--cluster.listen-address=".to_owned(),
            format!("--web.listen-address={address}"),
        ];
        Some(Self { address, _process: start(directory, &alertmanager, &arguments) })
    }

    /// Gives it alerts as Prometheus does, once it is there.
    async fn fire(&self, alerts: &Value) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://{}/api/v2/alerts", self.address);
        let status = eventually("Alertmanager answers", async || {
            Some(client.post(&url).json(alerts).send().await.ok()?.status())
        });
        assert_eq!(status.await, 200);
    }
}

/// Prometheus and Alertmanager, with the repository's files at other addresses and paces.
struct Monitoring {
    prometheus: String,
    _prometheus: Process,
    _alertmanager: Alertmanager,
}

impl Monitoring {
    fn start(directory: &Path, service: &Running) -> Option<Self> {
        let prometheus = program(&["prometheus"])?;
        let alertmanager = Alertmanager::start(directory, service, "0s")?;
        let address = format!("127.0.0.1:{}", free_port());
        let write = |name: &str, text: String| fs::write(directory.join(name), text).unwrap();
        let metrics = service.metrics_address().to_string();
        write(
            "prometheus.yml",
            replaced(
                monitoring("prometheus.yml"),
                &[
                    ("127.0.0.1:9093", &alertmanager.address),
                    ("127.0.0.1:9100", &metrics),
                    (": 15s", ": 1s"),
                ],
            ),
        );
        let rules = [(r"for: \d+m", "for: 0s"), (r"\[\d+m\]", "[4s]")];
        write("alert-rules.yml", replaced(monitoring("alert-rules.yml"), &rules));
        let arguments = [
            "--config.file=prometheus.yml".to_owned(),
            "--storage.tsdb.path=prometheus".to_owned(),
            format!("--web.listen-address={address}"),
        ];
        let process = start(directory, &prometheus, &arguments);
        Some(Self { prometheus: address, _prometheus: process, _alertmanager: alertmanager })
    }

    /// What an expression selects as Prometheus sees it now; `None` if it cannot be asked.
    async fn query(&self, expression: &str) -> Option<Vec<Value>> {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://{}/api/v1/query", self.prometheus);
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        let answer = client.post(url).body(form.append_pair("query", expression).finish());
        let answer = answer.header("content-type", "application/x-www-form-urlencoded");
        let answer: Value = answer.send().await.ok()?.json().await.ok()?;
        answer["data"]["result"].as_array().cloned()
    }

    /// The value of an expression as Prometheus sees it now.
    async fn value(&self, expression: &str) -> Option<f64> {
        self.query(expression).await?.first()?["value"][1].as_str()?.parse().ok()
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

/// An alert as Prometheus' rules for Kubernetes make it: 1.3 KB in Alertmanager's payload.
fn of_kubernetes(n: usize) -> Value {
    let pod = format!("checkout-payments-worker-{:08x}-{n:05}", n * 2_654_435_761 % (1 << 32));
    let node = format!("ip-10-{}-{}-17.eu-central-1.compute.internal", n / 250, n % 250);
    let expression = "increase%28kube_pod_container_status_restarts_total%7Bjob%3D%22kube-state-\
        metrics%22%2C+namespace%3D~%22.%2A%22%7D%5B10m%5D%29+%3E+0+and+kube_pod_container_status\
        _waiting%7Bjob%3D%22kube-state-metrics%22%7D+%3D%3D+1&g0.tab=1";
    json!({
        "labels": {
            "alertname": "KubePodCrashLooping", "cluster": "production-eu-central-1",
            "container": "worker", "endpoint": "http", "instance": "10.17.3.9:8080",
            "job": "kube-state-metrics", "namespace": "checkout-production", "node": node,
            "pod": pod, "prometheus": "monitoring/kube-prometheus-stack-prometheus",
            "reason": "CrashLoopBackOff", "service": "kube-prometheus-stack-kube-state-metrics",
            "severity": "warning", "uid": format!("5f0c9a7e-41d2-4b7e-9a3f-{n:012x}"),
        },
        "annotations": {
            "description": format!(
                "Pod checkout-production/{pod} (worker) is in waiting state (reason: \
                 CrashLoopBackOff) on cluster production-eu-central-1 for more than 15 \
                 minutes; its last exit code was 137."
            ),
            "runbook_url":
                "https://runbooks.prometheus-operator.dev/runbooks/kubernetes/kubepodcrashlooping",
            "summary": "Pod is crash looping.",
        },
        "generatorURL":
            format!("http://prometheus.monitoring.example.org:9090/graph?g0.expr={expression}"),
    })
}

/// Exactly the receiver that is shipped, and the settings as they are by default; only the pace of
/// the route is a test's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_a_thousand_alerts_arrives_whole() {
    let place = Place::sqlite();
    let service = place.start().await;
    // Long enough for Alertmanager to take all of them in before it notifies.
    let Some(alertmanager) = Alertmanager::start(place.directory(), &service, "3s") else { return };
    let alerts: Vec<Value> = (0..1000).map(of_kubernetes).collect();
    alertmanager.fire(&Value::from(alerts)).await;

    let stored = eventually("all alerts are stored", async || {
        let stored = service.stored("alerts").await;
        (stored.len() >= 1000).then_some(stored)
    });
    let stored = stored.await;
    let pods: BTreeSet<_> = stored.iter().map(|alert| alert["labels"]["pod"].as_str()).collect();
    assert_eq!((stored.len(), pods.len()), (1000, 1000));
    let size: usize = stored.iter().map(sent_size).sum();
    assert!(size > 1_300_000, "they came as {size} bytes");
    let answered = r#"http_requests_total{method="POST",route="/webhook/alerts",status="200"}"#;
    assert_eq!(service.sample(answered).await, 1.0, "in one notification");
    for lost in ["alerts_truncated_total", "alerts_rejected_total", "alerts_trimmed_total"] {
        let text = service.scrape().await;
        let samples = text.lines().filter(|line| line.starts_with(lost));
        assert!(
            samples.clone().count() > 0 && samples.into_iter().all(|line| line.ends_with(" 0"))
        );
    }
}

/// How many bytes Alertmanager sends for it.
fn sent_size(stored: &Value) -> usize {
    let fields = ["status", "labels", "annotations", "startsAt", "generatorURL", "fingerprint"];
    let sent: Value =
        fields.iter().map(|name| ((*name).to_owned(), stored[name].clone())).collect();
    sent.to_string().len() + r#","endsAt":"0001-01-01T00:00:00Z""#.len()
}
