//! Attacks the built binary, on this machine only: 500 slow and 500 non-reading clients, over
//! HTTP/1 and HTTP/2, from several addresses, from one, and more than there is room for.
//!
//! `cargo bench --bench attack`, about a minute and a half. Ends with 1 if others noticed: if the
//! 95th percentile of `/health` rose to more than three times its quiet value, if a probe was not
//! answered, or if a client held its connection for longer than the limits say.

// A bench that cannot go on ends.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../tests/it/harness/attackers.rs"]
mod attackers;
#[path = "../tests/it/harness/h2.rs"]
#[allow(dead_code)] // why: the tests use more of it
mod h2;

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    process::{Child, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::time::{sleep, timeout};

const CLIENTS: usize = 1000;
/// `REQUEST_TIMEOUT_SECONDS`, from which all limits follow.
const REQUEST: Duration = Duration::from_secs(10);
/// The longest of the limits: a connection without a request. And how exactly it is kept.
const LONGEST: Duration = Duration::from_secs(2 * 10 + 3);
/// Below this a p95 says more about the machine than about the service.
const NOISE: Duration = Duration::from_millis(3);
const ADMIN: &str = "attack-admin-5f1c8e0b7d2a94635f1c8e0b7d2a9463";
const SECRET: &str = "attack-hmac-94635f1c8e0b7d2a94635f1c8e0b7d2a";
const TOKEN: &str = "attack-token-b7d2a94635f1c8e0b7d2a94635f1c8e0";

/// The service under attack; killed at the end.
struct Service {
    process: Child,
    address: SocketAddr,
    metrics: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Service {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (address, metrics) = (port(), port());
        let mut command = Command::new(env!("CARGO_BIN_EXE_orchestrator"));
        command.current_dir(folder.path()).env_clear().envs([
            ("PORT", address.port().to_string()),
            ("METRICS_PORT", metrics.port().to_string()),
            ("REQUEST_TIMEOUT_SECONDS", REQUEST.as_secs().to_string()),
            ("API_KEY", ADMIN.to_owned()),
            ("WEBHOOK_TOKEN", TOKEN.to_owned()),
            // So that bodies are read, to see who signed them.
            ("WEBHOOK_SECRET", SECRET.to_owned()),
            ("RATE_LIMIT_HEALTH", "0".to_owned()),
            // So that answers are large, and soon fill what sockets hold.
            ("RATE_LIMIT_PUBLIC", "0".to_owned()),
            ("RATE_LIMIT_EXPORT", "0".to_owned()),
            ("RATE_LIMIT_WEBHOOK", "0".to_owned()),
        ]);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        for _ in 0..500 {
            if tokio::net::TcpStream::connect(address).await.is_ok() {
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
        Self { process, address, metrics, _folder: folder }
    }

    /// One sample of its metrics.
    async fn sample(&self, series: &str) -> f64 {
        let text = reqwest::get(format!("http://{}/metrics", self.metrics)).await.unwrap();
        let text = text.text().await.unwrap();
        let found = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        found.map_or(0.0, |value| value.parse().unwrap())
    }

    async fn open(&self) -> f64 {
        self.sample(r#"connections{listener="main"}"#).await
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Both fail where it has ended already, which is as well.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs a crowd to its end: whether others did not notice, and all were gone in time.
async fn round(service: &Service, name: &str, clients: usize, addresses: u8) -> bool {
    let quiet = attackers::p95(service.address, Duration::from_secs(3)).await;
    let begun = Instant::now();
    let mut crowd = attackers::crowd(clients, addresses, service.address);
    let busy = attackers::p95(service.address, Duration::from_secs(8)).await;
    let mut longest: BTreeMap<String, Duration> = BTreeMap::new();
    let all = timeout(3 * LONGEST, async {
        while let Some(held) = crowd.join_next().await {
            let (way, held) = held.unwrap();
            let most = longest.entry(format!("{way:?}")).or_default();
            *most = held.max(*most);
        }
    });
    let ended = all.await.is_ok();
    let in_time = ended && longest.values().all(|held| *held <= LONGEST);
    let unnoticed = busy <= (3 * quiet).max(NOISE);
    println!("{name}: {clients} clients from {addresses} addresses");
    println!("  /health p95: {busy:.2?}, quiet {quiet:.2?}: {}", verdict(unnoticed));
    println!("  held at most: {longest:.1?}; all in {:.1?}: {}", begun.elapsed(), verdict(in_time));
    sleep(Duration::from_secs(1)).await;
    let left = service.open().await;
    println!("  connections left: {left}: {}", verdict(left == 0.0));
    unnoticed && in_time && left == 0.0
}

/// Two exports that are not read: whether a third one is given within the limits.
async fn exports(service: &Service) -> bool {
    let client = reqwest::Client::builder().no_gzip().build().unwrap();
    let summary = "x".repeat(16_000);
    for batch in 0..20 {
        let alerts: Vec<_> = (0..50)
            .map(|n| {
                json!({"status": "firing", "startsAt": "2026-01-01T00:00:00Z",
                    "labels": {"alertname": "A", "n": format!("{batch}-{n}")},
                    "annotations": {"summary": summary}})
            })
            .collect();
        let url = format!("http://{}/webhook/alerts", service.address);
        let body = json!({ "alerts": alerts }).to_string();
        let answer = client.post(url).bearer_auth(TOKEN).body(body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    let export = async || {
        let url = format!("http://{}/api/persistence/export", service.address);
        client.get(url).bearer_auth(ADMIN).send().await.unwrap()
    };
    let (_first, _second) = (export().await, export().await);
    let begun = Instant::now();
    while export().await.status() != 200 && begun.elapsed() < 3 * LONGEST {
        sleep(Duration::from_millis(500)).await;
    }
    let waited = begun.elapsed();
    let good = waited < Duration::from_secs(20);
    println!("exports: two unread ones held their places for {waited:.1?}: {}", verdict(good));
    good
}

fn verdict(good: bool) -> &'static str {
    if good { "ok" } else { "NOT OK" }
}

/// As many files as the system allows: each client is one.
fn raise_limit() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

#[tokio::main]
async fn main() -> ExitCode {
    raise_limit();
    let service = Service::start().await;
    let rounds = [
        round(&service, "several addresses", CLIENTS, 8).await,
        round(&service, "one address", CLIENTS, 1).await,
        round(&service, "more than there is room for", CLIENTS * 3 / 2, 12).await,
        exports(&service).await,
    ];
    for reason in ["max_connections", "max_connections_per_client", "too_slow"] {
        let series = format!(r#"connections_refused_total{{reason="{reason}"}}"#);
        println!("{series} {}", service.sample(&series).await);
    }
    if rounds.into_iter().all(|good| good) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
