//! The plan's profile: 100 requests a second, mixed, at the built binary with its default limits.
//!
//! The load is open: a request leaves when its time has come, whether others were answered or not,
//! and its latency counts from that time. Limits are the service's own, so much of the load is
//! refused, and exactly as much as the limits say must be.

mod report;

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use reqwest::{Client, RequestBuilder};
use serde_json::json;
use tokio::{sync::mpsc, time::sleep_until};

use super::{KEY, TOKEN};

/// How often a request leaves.
const EVERY: Duration = Duration::from_millis(10);
/// What a route may take at most for all but one of a hundred requests, by the plan.
const HEALTH_AIM: Duration = Duration::from_millis(100);
const QUERY_AIM: Duration = Duration::from_millis(200);

/// One kind of request of the mix.
pub struct Kind {
    pub name: &'static str,
    /// How many of twenty are of this kind.
    share: usize,
    /// The limit that it counts against, a minute, by default, and what is answered beyond it.
    bucket: &'static str,
    refused: u16,
    /// What the plan allows, if it says so.
    pub aim: Option<Duration>,
}

pub const KINDS: [Kind; 6] = [
    kind("GET /health", 6, "health", 429, Some(HEALTH_AIM)),
    kind("GET /api/knowledge/summary", 3, "public", 429, None),
    // Alertmanager tries again after 503, but not after 429.
    kind("POST /webhook/alerts", 4, "webhook", 503, None),
    kind("POST /api/knowledge/query", 5, "api", 429, Some(QUERY_AIM)),
    kind("GET /api/alerts", 1, "api", 429, None),
    kind("GET /api/auth/me", 1, "api", 429, None),
];

const fn kind(
    name: &'static str,
    share: usize,
    bucket: &'static str,
    refused: u16,
    aim: Option<Duration>,
) -> Kind {
    Kind { name, share, bucket, refused, aim }
}

/// The default limit of a bucket, requests a minute.
fn limit(bucket: &str) -> f64 {
    let name = format!("RATE_LIMIT_{}", bucket.to_uppercase());
    let variable = orchestrator::config::VARIABLES.iter().find(|known| known.name == name);
    variable.unwrap().default.parse().unwrap()
}

/// What became of one request.
#[derive(Clone, Copy)]
pub struct Sample {
    pub kind: usize,
    /// When it was due, after the start.
    pub at: Duration,
    pub latency: Duration,
    /// 0 where nothing was answered.
    pub status: u16,
}

/// What was measured.
pub struct Measured {
    pub seconds: u64,
    pub samples: Vec<Sample>,
    /// Resident memory once a second, in KiB.
    pub memory: Vec<u64>,
    /// The most that was ever resident, in KiB.
    pub peak: u64,
}

/// Runs the profile and writes what it showed to `folder`; true if all of the plan's aims hold.
pub fn run(seconds: u64, folder: &Path) -> bool {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let measured = runtime.block_on(measure(seconds));
    let faults = faults(&measured);
    std::fs::create_dir_all(folder).unwrap();
    let text = report::markdown(&measured, &faults);
    std::fs::write(folder.join("report.md"), &text).unwrap();
    std::fs::write(folder.join("report.svg"), report::svg(&measured)).unwrap();
    println!("{text}\nwritten to {}", folder.display());
    faults.is_empty()
}

async fn measure(seconds: u64) -> Measured {
    let mut service = Service::start().await;
    let client = Client::builder().pool_max_idle_per_host(64).build().unwrap();
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let mix: Vec<usize> = mix();
    let start = tokio::time::Instant::now();
    let total = seconds * 100;
    let mut memory = Vec::new();
    for number in 0..total {
        let at = EVERY * u32::try_from(number).unwrap();
        sleep_until(start + at).await;
        if number % 100 == 0 {
            memory.push(service.memory("VmRSS:"));
        }
        let kind = mix[usize::try_from(number).unwrap() % mix.len()];
        let request = request(&client, service.address, kind, number);
        let sender = sender.clone();
        tokio::spawn(async move {
            let status = match request.send().await {
                // The whole answer counts.
                Ok(answer) => {
                    let status = answer.status().as_u16();
                    answer.bytes().await.map_or(0, |_| status)
                }
                Err(_) => 0,
            };
            let latency = start.elapsed().saturating_sub(at);
            let _ = sender.send(Sample { kind, at, latency, status });
        });
    }
    drop(sender);
    let mut samples = Vec::new();
    while let Some(sample) = receiver.recv().await {
        samples.push(sample);
    }
    let peak = service.memory("VmHWM:");
    assert!(service.process.try_wait().unwrap().is_none(), "the service ended");
    Measured { seconds, samples, memory, peak }
}

/// The kinds of twenty requests, well shuffled: each step of 7 meets another one.
fn mix() -> Vec<usize> {
    let in_order: Vec<usize> =
        KINDS.iter().enumerate().flat_map(|(i, kind)| vec![i; kind.share]).collect();
    (0..in_order.len()).map(|i| in_order[i * 7 % in_order.len()]).collect()
}

fn request(client: &Client, address: SocketAddr, kind: usize, number: u64) -> RequestBuilder {
    let name = KINDS[kind].name;
    let (method, path) = name.split_once(' ').unwrap();
    let url = format!("http://{address}{path}");
    if method == "GET" {
        let request = client.get(url);
        return if path.starts_with("/api/a") { request.bearer_auth(KEY) } else { request };
    }
    if path == "/webhook/alerts" {
        let alert = json!({
            "status": "firing",
            "labels": {
                "alertname": format!("LoadAlert{}", number % 50), "severity": "warning",
                "instance": format!("node-{number}:9100"),
            },
            "annotations": {"summary": "Something is wrong", "solution": "Look at the node"},
        });
        return client.post(url).bearer_auth(TOKEN).json(&json!({ "alerts": [alert] }));
    }
    let questions =
        ["load alert on a node", "what is wrong with node 17", "disk is full", "LoadAlert7"];
    let question = questions[usize::try_from(number).unwrap() % questions.len()];
    client.post(url).bearer_auth(KEY).json(&json!({ "query": question }))
}

/// What of the plan does not hold, each a sentence.
fn faults(measured: &Measured) -> Vec<String> {
    let mut faults = Vec::new();
    for (index, kind) in KINDS.iter().enumerate() {
        let latencies = latencies(measured, |sample| sample.kind == index);
        let p99 = percentile(&latencies, 0.99);
        if let Some(aim) = kind.aim.filter(|aim| p99 > *aim) {
            faults.push(format!("{}: 99 of 100 take up to {p99:?}, not {aim:?}", kind.name));
        }
        for sample in measured.samples.iter().filter(|sample| sample.kind == index) {
            if sample.status != 200 && sample.status != kind.refused {
                faults.push(format!("{} at {:?}: status {}", kind.name, sample.at, sample.status));
            }
        }
    }
    for (bucket, sent, taken) in buckets(measured) {
        // A burst of the limit, and the limit again each minute.
        let most = limit(bucket) * (1.0 + measured.seconds as f64 / 60.0);
        let due = most.min(sent as f64);
        if (taken as f64 - due).abs() > 2.0 + due * 0.03 {
            faults.push(format!("bucket {bucket}: {taken} of {sent} were taken, {due:.0} are due"));
        }
    }
    faults.extend(growth(measured));
    faults
}

/// Each bucket with how many requests were sent, and how many of them were taken.
pub fn buckets(measured: &Measured) -> Vec<(&'static str, usize, usize)> {
    let mut buckets: BTreeMap<&'static str, (usize, usize)> = BTreeMap::new();
    for sample in &measured.samples {
        let (sent, taken) = buckets.entry(KINDS[sample.kind].bucket).or_default();
        *sent += 1;
        *taken += usize::from(sample.status == 200);
    }
    buckets.into_iter().map(|(bucket, (sent, taken))| (bucket, sent, taken)).collect()
}

/// How long a run must be for its memory and latency to be called flat or not.
const LONG: u64 = 600;

/// Of a long run: whether its last quarter needs more than its second one.
fn growth(measured: &Measured) -> Vec<String> {
    let mut faults = Vec::new();
    if measured.seconds < LONG {
        return faults;
    }
    let quarter = measured.memory.len() / 4;
    let mean = |part: &[u64]| part.iter().sum::<u64>() / part.len() as u64;
    let before = mean(&measured.memory[quarter..2 * quarter]);
    let after = mean(&measured.memory[3 * quarter..]);
    if after > before + before / 5 + 4096 {
        faults.push(format!("memory grew from {before} to {after} KiB"));
    }
    let quarter = Duration::from_secs(measured.seconds / 4);
    let within = |from: u32, to: u32| {
        let latencies =
            latencies(measured, |sample| sample.at >= quarter * from && sample.at < quarter * to);
        percentile(&latencies, 0.95)
    };
    let (before, after) = (within(1, 2), within(3, 4));
    if after > before * 2 + Duration::from_millis(5) {
        faults.push(format!("the 95th percentile grew from {before:?} to {after:?}"));
    }
    faults
}

/// The latencies of those samples, in order.
pub fn latencies(measured: &Measured, wanted: impl Fn(&Sample) -> bool) -> Vec<Duration> {
    let wanted = measured.samples.iter().filter(|sample| wanted(sample));
    let mut latencies: Vec<Duration> = wanted.map(|sample| sample.latency).collect();
    latencies.sort_unstable();
    latencies
}

/// The percentile (0 to 1) of latencies in order.
pub fn percentile(sorted: &[Duration], part: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * part).round() as usize).copied().unwrap_or_default()
}

/// The built binary; killed at the end.
struct Service {
    process: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Service {
    async fn start() -> Self {
        // Beside the build, because a RAM disk would make every sync free.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (address, metrics) = (port(), port());
        let process = Command::new(env!("CARGO_BIN_EXE_orchestrator"))
            .current_dir(folder.path())
            .env_clear()
            .envs([
                ("PORT", address.port().to_string()),
                ("METRICS_PORT", metrics.port().to_string()),
                ("API_KEY", KEY.to_owned()),
                ("WEBHOOK_TOKEN", TOKEN.to_owned()),
                ("LOG_LEVEL", "off".to_owned()),
            ])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let service = Self { process, address, _folder: folder };
        let deadline = Instant::now() + Duration::from_secs(30);
        while reqwest::get(format!("http://{address}/ready")).await.is_err() {
            assert!(Instant::now() < deadline, "the service did not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        service
    }

    /// A row of the process' memory, in KiB.
    fn memory(&self, row: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(row));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
