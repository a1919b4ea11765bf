//! A million alerts listed, counted, exported, put back, and deleted, while requests go on.
//!
//! `cargo bench --bench history [-- ALERTS] [list|move|retain]` fills SQLite with alerts of the
//! usual size and prints how fast each goes, how much memory it takes, and how long requests beside
//! it wait. `list` asks for pages and for history while 5,000 alerts a second arrive.

#![allow(clippy::unwrap_used)] // why: a bench that cannot go on has nothing to print

mod stored;

use std::{
    collections::BTreeMap,
    io::Write,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures::StreamExt;
use orchestrator::{
    config::Settings,
    history::{
        export::{Format, open_export},
        import::import,
    },
    model::{Clock, Collection, SystemClock, Time},
    service::Service,
    shutdown::Phase,
    store::{Store, Stored, migrate, sqlite::SqliteStore},
};
use serde_json::json;

use self::stored::stored_alert;

const TOKEN: &str = "webhook-token-of-the-history-bench-0123456789";
const KEY: &str = "api-key-of-the-history-bench-0123456789abcdef";
const DATABASE: &str = "data/orchestrator.db";
const HOUR_MS: i64 = 3_600_000;

fn main() {
    let alerts = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(1_000_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let parts = ["list", "move", "retain"];
    let named: Vec<String> = std::env::args().filter(|arg| parts.contains(&arg.as_str())).collect();
    let wanted = |part: &str| named.is_empty() || named.iter().any(|name| name == part);
    runtime.block_on(async {
        if wanted("list") {
            list(folder().path(), alerts).await;
        }
        if wanted("move") {
            export_and_import(folder().path(), alerts).await;
        }
        if wanted("retain") {
            retain(folder().path(), alerts).await;
        }
    });
}

/// Beside the build, because a RAM disk would make every sync free.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

async fn open(folder: &Path, name: &str) -> SqliteStore {
    let store = SqliteStore::open(&folder.join(name)).await.unwrap();
    migrate::up(&store, "bench", &SystemClock, false).await.unwrap();
    store
}

async fn fill(store: &SqliteStore, numbers: std::ops::Range<u64>, at: Time) {
    let mut numbers = numbers.into_iter().peekable();
    while numbers.peek().is_some() {
        let batch = numbers.by_ref().take(5_000).map(|n| Stored::Alert(stored_alert(n, at)));
        store.put(batch.collect()).await.unwrap();
    }
}

async fn start(folder: &Path) -> (String, Phase) {
    let variables = [
        ("PORT", "0"),
        ("METRICS_PORT", "0"),
        ("API_KEY", KEY),
        ("WEBHOOK_TOKEN", TOKEN),
        ("RATE_LIMIT_WEBHOOK", "0"),
        ("RATE_LIMIT_HEALTH", "0"),
        ("RATE_LIMIT_PUBLIC", "0"),
        ("RATE_LIMIT_EXPORT", "0"),
        ("RATE_LIMIT_API", "0"),
    ];
    let variables: BTreeMap<String, String> =
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let settings = Settings::load(&variables, folder).unwrap();
    let phase = Phase::default();
    let service = Service::start(&settings, Arc::new(SystemClock), phase.clone()).await.unwrap();
    let url = format!("http://{}", service.address());
    tokio::spawn(service.run());
    (url, phase)
}

/// Alerts that arrive beside, a second, and how many of them at once.
const ARRIVING: usize = 5_000;
const AT_ONCE: usize = 250;

/// Pages and history, while new alerts arrive.
async fn list(folder: &Path, alerts: u64) {
    let now = SystemClock.now();
    let store = open(folder, DATABASE).await;
    // Over the two days that alerts are kept.
    for hour in 0..47u64 {
        let at = now.plus_millis(-(47 - hour as i64) * HOUR_MS);
        fill(&store, alerts * hour / 47..alerts * (hour + 1) / 47, at).await;
    }
    store.note_retention(now).await.unwrap();
    store.close().await;
    let (url, phase) = start(folder).await;
    let stop = Arc::new(AtomicBool::new(false));
    let sender = tokio::spawn(arrive(url.clone(), Arc::clone(&stop)));
    let day_ago = now.plus_millis(-24 * HOUR_MS);
    let old = format!("/api/alerts?to={}", now.plus_millis(-40 * HOUR_MS).millis());
    let period =
        format!("/api/persistence/historical?from={}&to={}", day_ago.millis(), now.millis());
    println!("{alerts} alerts are stored, and {ARRIVING} a second arrive:");
    for (what, path, times) in [
        ("GET /api/alerts", "/api/alerts", 500),
        ("  ?status=firing", "/api/alerts?status=firing", 500),
        ("  ?status=resolved", "/api/alerts?status=resolved", 500),
        ("  ?alertname=", "/api/alerts?alertname=HighErrorRate7", 500),
        ("  ?severity=&status=", "/api/alerts?severity=critical&status=firing", 500),
        ("  ?to= 40 hours ago", &old, 500),
        ("historical?days=30", "/api/persistence/historical?days=30", 100),
        ("historical of a day", &period, 100),
        (
            "historical of a name, by the hour",
            "/api/persistence/historical?days=30&alertname=HighErrorRate7&aggregation=hourly",
            50,
        ),
        ("GET /health", "/health", 200),
    ] {
        let client = reqwest::Client::new();
        let mut took = Vec::new();
        for _ in 0..times {
            let began = Instant::now();
            let answer = client.get(format!("{url}{path}")).bearer_auth(KEY).send().await.unwrap();
            let status = answer.status();
            let body = answer.bytes().await.unwrap();
            assert!(status.is_success(), "{status} {}", String::from_utf8_lossy(&body));
            took.push(began.elapsed());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        print_times(what, took);
    }
    stop.store(true, Ordering::Relaxed);
    let (sent, took) = sender.await.unwrap();
    rate("arrived meanwhile", sent, took);
    phase.drain();
}

/// Sends new alerts at the rate wanted, or as fast as they are taken.
async fn arrive(url: String, stop: Arc<AtomicBool>) -> (u64, Duration) {
    let (client, began) = (reqwest::Client::new(), Instant::now());
    let mut pace = tokio::time::interval(Duration::from_secs(1) * AT_ONCE as u32 / ARRIVING as u32);
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        pace.tick().await;
        let alert = |n: u64| {
            json!({
                "status": "firing",
                "labels": {
                    "alertname": format!("HighErrorRate{}", n % 50), "n": n.to_string(),
                    "instance": format!("node{n}.example.org:9100"), "severity": "critical",
                },
                "annotations": {"summary": format!("Error rate of node{n} is above 5 %")},
            })
        };
        let body = json!({"alerts": (sent..sent + AT_ONCE as u64).map(alert).collect::<Vec<_>>()});
        let request = client.post(format!("{url}/webhook/alerts")).bearer_auth(TOKEN);
        let answer = request.body(body.to_string()).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
        sent += AT_ONCE as u64;
    }
    (sent, began.elapsed())
}

async fn export_and_import(folder: &Path, alerts: u64) {
    let now = SystemClock.now();
    let store = open(folder, DATABASE).await;
    fill(&store, 0..alerts, now).await;
    store.note_retention(now).await.unwrap();

    let file = folder.join("export.ndjson");
    let memory = Memory::watch();
    let began = Instant::now();
    let export = open_export(&store, &SystemClock, Format::Ndjson, Collection::ALL.to_vec().into())
        .await
        .unwrap();
    let (mut bytes, mut written) = (export.bytes, 0);
    let mut output = std::fs::File::create(&file).unwrap();
    while let Some(piece) = bytes.next().await {
        let piece = piece.unwrap();
        written += piece.len();
        output.write_all(&piece).unwrap();
    }
    rate("export to a file", alerts, began.elapsed());
    println!("{:<44}{:>9} MB", "  its size", written / 1_000_000);
    println!("{:<44}{:>9.1} MB", "  memory grew by", memory.growth());
    store.close().await;

    let (url, phase) = start(folder).await;
    println!("requests without an export:");
    let quiet = Beside::start(&url);
    tokio::time::sleep(Duration::from_secs(4)).await;
    quiet.print().await;
    let memory = Memory::watch();
    let beside = Beside::start(&url);
    let began = Instant::now();
    let path = format!("{url}/api/persistence/export?format=ndjson");
    let answer = reqwest::Client::new().get(path).bearer_auth(KEY).send().await.unwrap();
    let mut body = answer.bytes_stream();
    let mut last = Vec::new();
    while let Some(piece) = body.next().await {
        last = piece.unwrap().to_vec();
    }
    assert!(String::from_utf8_lossy(&last).contains("\"end\":true"));
    rate("export over HTTP", alerts, began.elapsed());
    println!("{:<44}{:>9.1} MB", "  memory grew by", memory.growth());
    println!("requests beside it:");
    beside.print().await;
    phase.drain();

    let target = open(folder, "target.db").await;
    let began = Instant::now();
    let imported = import(&target, &file, Arc::new(|_, _, _| {})).await.unwrap();
    rate("import", imported.documents, began.elapsed());
    let began = Instant::now();
    import(&target, &file, Arc::new(|_, _, _| {})).await.unwrap();
    rate("import again", imported.documents, began.elapsed());
    target.close().await;
}

/// A service that starts with old alerts deletes them at once.
async fn retain(folder: &Path, alerts: u64) {
    let now = SystemClock.now();
    let store = open(folder, DATABASE).await;
    fill(&store, 0..alerts, now.plus_millis(-72 * HOUR_MS)).await;
    fill(&store, alerts..alerts + alerts / 5, now).await;
    store.close().await;
    let (url, phase) = start(folder).await;
    let began = Instant::now();
    let beside = Beside::start(&url);
    let watcher = SqliteStore::open(&folder.join(DATABASE)).await.unwrap();
    while watcher.last_retention().await.unwrap().is_none() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    rate("retention", alerts, began.elapsed());
    println!("requests beside it:");
    beside.print().await;
    let left = watcher.collection_counts().await.unwrap();
    println!("{:<44}{:>9?}", "  alerts left", left[0].1);
    phase.drain();
    watcher.close().await;
}

fn rate(what: &str, documents: u64, took: Duration) {
    let per_second = documents as f64 / took.as_secs_f64();
    println!("{what:<44}{per_second:>9.0} documents/s  ({:.1} s)", took.as_secs_f64());
}

/// Requests one after the other while something else goes on.
struct Beside {
    stop: Arc<AtomicBool>,
    health: tokio::task::JoinHandle<Vec<Duration>>,
    webhooks: tokio::task::JoinHandle<Vec<Duration>>,
}

impl Beside {
    fn start(url: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (client, over) = (reqwest::Client::new(), Arc::clone(&stop));
        let path = format!("{url}/health");
        let health = tokio::spawn(async move {
            let mut took = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let began = Instant::now();
                assert!(client.get(&path).send().await.unwrap().status().is_success());
                took.push(began.elapsed());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            took
        });
        let (client, over) = (reqwest::Client::new(), Arc::clone(&stop));
        let path = format!("{url}/webhook/alerts");
        let webhooks = tokio::spawn(async move {
            let mut took = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let labels = json!({"alertname": "Beside", "n": took.len().to_string()});
                let body = json!({"alerts": [{"status": "firing", "labels": labels}]}).to_string();
                let began = Instant::now();
                let answer = client.post(&path).bearer_auth(TOKEN).body(body).send().await.unwrap();
                assert!(answer.status().is_success(), "{}", answer.status());
                took.push(began.elapsed());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            took
        });
        Self { stop, health, webhooks }
    }

    async fn print(self) {
        self.stop.store(true, Ordering::Relaxed);
        for (what, task) in [("GET /health", self.health), ("POST an alert", self.webhooks)] {
            print_times(what, task.await.unwrap());
        }
    }
}

fn print_times(what: &str, mut took: Vec<Duration>) {
    took.sort();
    let ms = |part: usize| {
        let place = (took.len() * part / 1000).min(took.len().saturating_sub(1));
        took.get(place).map_or(0.0, |took| took.as_secs_f64() * 1000.0)
    };
    let (p50, p99, max) = (ms(500), ms(990), ms(1000));
    let count = took.len();
    println!("  {what:<42}{p50:>9.2} ms p50 {p99:>9.2} ms p99 {max:>9.2} ms max  ({count})");
}

/// The resident memory of this process, watched from a thread.
struct Memory {
    before: u64,
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<u64>,
}

impl Memory {
    fn watch() -> Self {
        let (before, stop) = (resident(), Arc::new(AtomicBool::new(false)));
        let over = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut most = 0;
            while !over.load(Ordering::Relaxed) {
                most = most.max(resident());
                std::thread::sleep(Duration::from_millis(20));
            }
            most
        });
        Self { before, stop, thread }
    }

    /// In megabytes, at most.
    fn growth(self) -> f64 {
        self.stop.store(true, Ordering::Relaxed);
        let most = self.thread.join().unwrap();
        most.saturating_sub(self.before) as f64 / (1024.0 * 1024.0)
    }
}

fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    let kilobytes: u64 = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
    kilobytes * 1024
}
