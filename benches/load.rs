//! The service beside a bare axum handler, under `wrk -t1 -c32`, in one run.
//!
//! `cargo bench --bench load [-- SECONDS]` starts both in this process, drives them with Debian's
//! `wrk`, five times in turns, so many seconds each (2), and prints of each route the middle turn and
//! its share. The service has all its guards on, with limits set to 0; each webhook is answered only
//! when its alert is on the disk. On MongoDB too, if `TEST_MONGODB_URI` is set. Then comes the plan's
//! profile.
//!
//! `cargo bench --bench load -- --model DIR [SECONDS]` is webhooks alone, without a model and while the
//! one in that folder embeds 10,000 entries.
//!
//! `cargo bench --bench load -- profile [SECONDS]` is the profile alone: 100 requests a second, mixed,
//! with the default limits, for a minute. Either writes `target/load/report.md` and a plot, and ends
//! with 1 if an aim of the plan does not hold.

#![allow(clippy::unwrap_used)] // why: a bench that cannot go on has nothing to tell

mod profile;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    routing::{get, post},
};
use orchestrator::{config::Settings, model::SystemClock, service::Service, shutdown::Phase};

const TOKEN: &str = "webhook-token-of-the-load-bench-0123456789";
const KEY: &str = "api-key-of-the-load-bench-0123456789abcdef";

/// How often webhooks are sent in turns without and beside embedding.
const ROUNDS: usize = 4;

/// How often a bare handler and a route take turns.
const TURNS: usize = 5;

/// One line of the table.
struct Row {
    what: String,
    per_second: f64,
    p50: String,
    p99: String,
    failed: u64,
}

fn main() -> ExitCode {
    let given = std::env::args().find_map(|arg| arg.parse().ok());
    let mut after_model = std::env::args().skip_while(|arg| arg != "--model").skip(1);
    if let Some(model) = after_model.next() {
        beside_embedding(&model, given.unwrap_or(5));
        return ExitCode::SUCCESS;
    }
    let only_profile = std::env::args().any(|arg| arg == "profile");
    if !only_profile {
        throughput(given.unwrap_or(2));
    }
    let seconds = given.filter(|_| only_profile).unwrap_or(60);
    if profile::run(seconds, &report_folder()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// `LOAD_REPORT`, or `load` where the build goes.
#[allow(clippy::disallowed_methods)] // why: a bench takes its place as the tests do
fn report_folder() -> PathBuf {
    let beside = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("load");
    std::env::var_os("LOAD_REPORT").map_or(beside, PathBuf::from)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

/// What wrk is told to send.
struct Scripts {
    fresh: PathBuf,
    same: PathBuf,
    query: PathBuf,
    _folder: tempfile::TempDir,
}

impl Scripts {
    /// `None` without wrk.
    fn write() -> Option<Self> {
        if Command::new("wrk").arg("--version").output().is_err() {
            println!("this bench needs wrk (Debian's package wrk)");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let write = |name, text| write_script(folder.path(), name, text);
        Some(Self {
            fresh: write("fresh.lua", FRESH_ALERTS),
            same: write("same.lua", SAME_ALERT),
            query: write("query.lua", QUERY),
            _folder: folder,
        })
    }
}

fn print_head() {
    println!("{:<44}{:>12}{:>11}{:>11}{:>9}", "", "requests/s", "p50", "p99", "failed");
}

/// Webhooks of a service without a model, and of one that embeds all the while, in turns.
fn beside_embedding(model: &str, seconds: u64) {
    let Some(scripts) = Scripts::write() else { return };
    let runtime = runtime();
    print_head();
    let mut sums = [[0.0; 2]; 2];
    for _ in 0..ROUNDS {
        for (sums, model) in sums.iter_mut().zip([None, Some(model)]) {
            let more = model.map(|model| ("EMBEDDING_MODEL", model.to_owned()));
            let started = runtime.block_on(Started::service(more.as_slice()));
            runtime.block_on(teach(started.address, 10_000));
            let url = format!("http://{}/webhook/alerts", started.address);
            let scripts = [("known", &scripts.same), ("new", &scripts.fresh)];
            for (sum, (what, script)) in sums.iter_mut().zip(scripts) {
                let beside = model.map_or("without a model", |_| "beside embedding");
                let what = format!("POST one {what} alert, {beside}");
                let row = wrk(&what, &url, Some(script), seconds);
                println!("{}", line(&row));
                *sum += row.per_second;
            }
            runtime.block_on(started.stop());
        }
    }
    let [[known, new], [known_beside, new_beside]] = sums;
    println!();
    println!(
        "beside embedding, of without a model: known {:.2}, new {:.2}",
        known_beside / known,
        new_beside / new
    );
}

/// Sends alerts of so many names, a thousand at a time.
async fn teach(service: SocketAddr, patterns: usize) {
    let client = reqwest::Client::new();
    for first in (0..patterns).step_by(1000) {
        let alert = |n: usize| {
            let summary = format!(
                "Service {n} of the shop answers slowly: requests wait for a connection to database \
                 {} and some of them are refused",
                n % 97
            );
            serde_json::json!({
                "status": "firing",
                "labels": {"alertname": format!("Taught{n}"), "severity": "warning", "service": n.to_string()},
                "annotations": {"summary": summary, "description": "Look at the pool's limits first."},
                "startsAt": "2026-11-24T07:00:27.468Z", "endsAt": "0001-01-01T00:00:00Z",
            })
        };
        let alerts: Vec<_> = (first..first + 1000).map(alert).collect();
        let request = client.post(format!("http://{service}/webhook/alerts")).bearer_auth(TOKEN);
        let body = serde_json::json!({"version": "4", "receiver": "bench", "alerts": alerts});
        request.json(&body).send().await.unwrap().error_for_status().unwrap();
    }
}

/// Each route beside a bare handler, in turns of so many seconds each.
fn throughput(seconds: u64) {
    let Some(Scripts { fresh, same, query, _folder }) = Scripts::write() else { return };
    let runtime = runtime();

    let bare = runtime.block_on(start_bare());
    let started = runtime.block_on(Started::service(&[]));
    let drive = |what, address: SocketAddr, path, script: Option<&Path>| {
        wrk(what, &format!("http://{address}{path}"), script, seconds)
    };
    let get = |what, path| {
        let bare = || drive("bare axum GET", bare, "/health", None);
        in_turns(bare, || drive(what, started.address, path, None), 0.5);
    };
    let post = |what, script: &Path| {
        let path = "/webhook/alerts";
        let bare = || drive("bare axum POST", bare, path, Some(&fresh));
        in_turns(bare, || drive(what, started.address, path, Some(script)), 0.15);
    };
    print_head();
    get("GET /health", "/health");
    get("GET /api/knowledge/summary", "/api/knowledge/summary");
    post("POST one new alert, SQLite", &fresh);
    post("POST one known alert, SQLite", &same);
    let row = drive("POST a query", started.address, "/api/knowledge/query", Some(&query));
    println!("{}", line(&row));
    #[allow(clippy::disallowed_methods)] // why: a bench takes its server as the tests do
    if let Ok(uri) = std::env::var("TEST_MONGODB_URI") {
        let started = runtime.block_on(Started::service(&[
            ("DATABASE_URL", uri),
            ("DB_NAME", format!("bench_{}", std::process::id())),
        ]));
        let what = "POST one new alert, MongoDB";
        let rows =
            (0..TURNS).map(|_| drive(what, started.address, "/webhook/alerts", Some(&fresh)));
        rows.for_each(|row| println!("{}", line(&row)));
    }
}

/// A bare handler and a route, one after the other again and again, because a machine's own speed
/// changes; prints the turn with the middle share, and what share that is.
fn in_turns(bare: impl Fn() -> Row, route: impl Fn() -> Row, aim: f64) {
    let share = |(bare, route): &(Row, Row)| route.per_second / bare.per_second;
    let mut turns: Vec<_> = (0..TURNS).map(|_| (bare(), route())).collect();
    turns.sort_by(|one, other| share(one).total_cmp(&share(other)));
    let middle @ (bare, route) = &turns[TURNS / 2];
    println!("{}", line(bare));
    println!("{}", line(route));
    let (least, most) = (share(&turns[0]), share(&turns[TURNS - 1]));
    println!(
        "{:<44}{:>8.2} of {}, {least:.2} to {most:.2} (aim: {aim})",
        "",
        share(middle),
        bare.what
    );
}

/// A handler that does nothing, for comparison.
async fn start_bare() -> SocketAddr {
    let router = Router::new()
        .route("/health", get(|| async { "{\"status\":\"healthy\"}" }))
        .route("/webhook/alerts", post(|_: axum::body::Bytes| async { "{\"status\":\"ok\"}" }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, router).await });
    address
}

/// A service in this process.
struct Started {
    address: SocketAddr,
    phase: Phase,
    task: tokio::task::JoinHandle<()>,
    _directory: tempfile::TempDir,
}

impl Started {
    async fn service(more: &[(&str, String)]) -> Self {
        // Beside the build, because a RAM disk would make every sync free.
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut environment: BTreeMap<String, String> = [
            ("PORT", "0"),
            ("METRICS_PORT", "0"),
            ("API_KEY", KEY),
            ("WEBHOOK_TOKEN", TOKEN),
            ("RATE_LIMIT_WEBHOOK", "0"),
            ("RATE_LIMIT_API", "0"),
            ("RATE_LIMIT_PUBLIC", "0"),
            ("RATE_LIMIT_HEALTH", "0"),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
        environment.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let settings = Settings::load(&environment, directory.path()).unwrap();
        let phase = Phase::default();
        let service =
            Service::start(&settings, Arc::new(SystemClock), phase.clone()).await.unwrap();
        let address = service.address();
        let task = tokio::spawn(async {
            service.run().await.unwrap();
        });
        Self { address, phase, task, _directory: directory }
    }

    async fn stop(self) {
        self.phase.drain();
        self.task.await.unwrap();
    }
}

fn write_script(folder: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text.replace("$TOKEN", TOKEN).replace("$KEY", KEY)).unwrap();
    path
}

fn wrk(what: &str, url: &str, script: Option<&Path>, seconds: u64) -> Row {
    let mut command = Command::new("wrk");
    command.args(["-t1", "-c32", "--latency", &format!("-d{seconds}s")]);
    command.args(script.map(|path| format!("-s{}", path.display())));
    let output = command.arg(url).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let value = |name: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(name));
        line.and_then(|line| line.split_whitespace().last()).unwrap_or("?").to_owned()
    };
    std::thread::sleep(Duration::from_millis(500)); // why: lets the last connections close
    Row {
        what: what.to_owned(),
        per_second: value("Requests/sec:").parse().unwrap_or(0.0),
        p50: value("50%"),
        p99: value("99%"),
        failed: value("Non-2xx").parse().unwrap_or(0),
    }
}

fn line(row: &Row) -> String {
    let Row { what, per_second, p50, p99, failed } = row;
    format!("{what:<44}{per_second:>12.0}{p50:>11}{p99:>11}{failed:>9}")
}

/// Each request is about an instance of its own, of one of ten alert names.
const FRESH_ALERTS: &str = r#"
local counter = 0
math.randomseed(os.time())
local run = math.random(1, 1000000000)
wrk.method = "POST"
wrk.headers["Authorization"] = "Bearer $TOKEN"
wrk.headers["Content-Type"] = "application/json"
request = function()
  counter = counter + 1
  local body = string.format('{"version":"4","status":"firing","receiver":"bench","alerts":[{"status":"firing","labels":{"alertname":"BenchAlert%d","severity":"warning","instance":"node%d-%d:9100","job":"node"},"annotations":{"summary":"Something is wrong on node %d","runbook_url":"https://runbooks.example.org/bench"},"startsAt":"2026-11-24T07:00:27.468Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://prometheus:9090/graph"}]}', counter % 10, run, counter, counter)
  return wrk.format(nil, nil, nil, body)
end
"#;

const SAME_ALERT: &str = r#"
wrk.method = "POST"
wrk.headers["Authorization"] = "Bearer $TOKEN"
wrk.body = '{"version":"4","status":"firing","receiver":"bench","alerts":[{"status":"firing","labels":{"alertname":"BenchAlert","severity":"warning","instance":"node1:9100","job":"node"},"annotations":{"summary":"Something is wrong"},"startsAt":"2026-11-24T07:00:27.468Z","endsAt":"0001-01-01T00:00:00Z"}]}'
"#;

const QUERY: &str = r#"
wrk.method = "POST"
wrk.headers["Authorization"] = "Bearer $KEY"
wrk.body = '{"query":"bench alert on a node"}'
"#;
