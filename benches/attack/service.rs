//! The built binary under attack, and what can be seen of it from outside.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::hostile::Secrets;

pub const SECRETS: Secrets = Secrets {
    admin: "attack-admin-5f1c8e0b7d2a94635f1c8e0b7d2a9463",
    token: "attack-token-b7d2a94635f1c8e0b7d2a94635f1c8e0",
    secret: "attack-hmac-94635f1c8e0b7d2a94635f1c8e0b7d2a",
};

/// `REQUEST_TIMEOUT_SECONDS`, from which all limits follow.
pub const REQUEST: Duration = Duration::from_secs(10);

/// The service; killed at the end.
pub struct Service {
    process: Child,
    pub address: SocketAddr,
    pub metrics: SocketAddr,
    folder: PathBuf,
    variables: BTreeMap<&'static str, String>,
    client: reqwest::Client,
}

impl Service {
    /// Starts it in this folder, with more variables or others, and waits until it is ready.
    pub async fn start(folder: &Path, more: &[(&'static str, &str)]) -> Self {
        fs::create_dir_all(folder).unwrap();
        let port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (address, metrics) = (port(), port());
        let mut variables = BTreeMap::from([
            ("PORT", address.port().to_string()),
            ("METRICS_PORT", metrics.port().to_string()),
            ("REQUEST_TIMEOUT_SECONDS", REQUEST.as_secs().to_string()),
            ("API_KEY", SECRETS.admin.to_owned()),
            ("WEBHOOK_TOKEN", SECRETS.token.to_owned()),
            // So that bodies are read, to see who signed them.
            ("WEBHOOK_SECRET", SECRETS.secret.to_owned()),
            ("LOG_FORMAT", "json".to_owned()),
        ]);
        // What is attacked is what stands behind the limits, not the limits.
        for limit in ["WEBHOOK", "API", "EXPORT", "PUBLIC", "HEALTH"] {
            let name = format!("RATE_LIMIT_{limit}");
            variables.insert(Box::leak(name.into_boxed_str()), "0".to_owned());
        }
        variables.insert("AUTH_FAILURE_LIMIT", "0".to_owned());
        variables.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        // Its own connections are not among those that are counted at the end.
        let client =
            reqwest::Client::builder().no_proxy().pool_idle_timeout(Duration::from_millis(500));
        let client = client.timeout(Duration::from_secs(10)).build().unwrap();
        let folder = folder.to_owned();
        let process = spawn(&folder, &variables);
        let service = Self { process, address, metrics, folder, variables, client };
        service.ready_within(Duration::from_secs(30)).await.expect("it starts");
        service
    }

    /// Ends it as a power cut would, and starts it anew: how long until it is ready.
    pub async fn kill_and_restart(&mut self) -> Option<Duration> {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.process = spawn(&self.folder, &self.variables);
        self.ready_within(Duration::from_secs(30)).await
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// Asks it to stop; whether it did with 0.
    pub fn stop(mut self) -> bool {
        self.signal(Signal::TERM);
        self.process.wait().unwrap().success()
    }

    /// The answer's status, 0 if there is none.
    pub async fn status(&self, path: &str) -> u16 {
        let asked =
            self.client.get(format!("http://{}{path}", self.address)).bearer_auth(SECRETS.admin);
        let answer = asked.timeout(Duration::from_secs(1)).send().await;
        answer.map_or(0, |answer| answer.status().as_u16())
    }

    /// How long until `/ready` says yes, or no, if it does in time.
    pub async fn turns(&self, ready: bool, within: Duration) -> Option<Duration> {
        let begun = Instant::now();
        while (self.status("/ready").await == 200) != ready {
            if begun.elapsed() > within {
                return None;
            }
            sleep(Duration::from_millis(50)).await;
        }
        Some(begun.elapsed())
    }

    async fn ready_within(&self, within: Duration) -> Option<Duration> {
        self.turns(true, within).await
    }

    /// Sends one alert: the answer's status, 0 if there is none.
    pub async fn notify(&self, instance: &str, summary: &str) -> u16 {
        let alert = json!({"status": "firing", "startsAt": "2026-01-01T00:00:00Z",
            "labels": {"alertname": "A", "n": instance}, "annotations": {"summary": summary}});
        let url = format!("http://{}/webhook/alerts", self.address);
        let body = json!({ "alerts": [alert] }).to_string();
        let sent = self.client.post(url).bearer_auth(SECRETS.token).body(body).send().await;
        sent.map_or(0, |answer| answer.status().as_u16())
    }

    /// The instances of all alerts that are stored.
    pub async fn stored(&self) -> Vec<String> {
        let url = format!("http://{}/api/persistence/export?collection=alerts", self.address);
        let answer = self.client.get(url).bearer_auth(SECRETS.admin).send().await.unwrap();
        let export: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        let alerts = export["data"]["alerts"].as_array().unwrap();
        let instance = |alert: &Value| alert["labels"]["n"].as_str().unwrap().to_owned();
        alerts.iter().map(instance).collect()
    }

    /// An export that nobody reads.
    pub async fn export(&self) -> reqwest::Response {
        let url = format!("http://{}/api/persistence/export", self.address);
        self.client.get(url).bearer_auth(SECRETS.admin).send().await.unwrap()
    }

    /// All that its metrics say.
    pub async fn scrape(&self) -> String {
        let answer = self.client.get(format!("http://{}/metrics", self.metrics)).send().await;
        answer.unwrap().text().await.unwrap()
    }

    /// One sample of its metrics.
    pub async fn sample(&self, series: &str) -> f64 {
        let text = self.scrape().await;
        let found = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        found.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Memory that it has now, in MB.
    pub fn memory_mb(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        resident.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }

    /// Where its database is.
    pub fn database(&self) -> PathBuf {
        self.folder.join("data/orchestrator.db")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Both fail where it has ended already, which is as well.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// All that was written for people, by all services below this folder: log and audit log.
pub fn emitted(folder: &Path) -> Vec<u8> {
    let files = walk(folder).into_iter();
    let written =
        files.filter(|path| path.ends_with("service.log") || path.ends_with("security.jsonl"));
    written.flat_map(|path| fs::read(path).unwrap()).collect()
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

fn spawn(folder: &Path, variables: &BTreeMap<&'static str, String>) -> Child {
    let log = log(folder);
    let mut command = Command::new(env!("CARGO_BIN_EXE_orchestrator"));
    command.current_dir(folder).env_clear().envs(variables).stdin(Stdio::null());
    command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

fn log(folder: &Path) -> File {
    OpenOptions::new().append(true).create(true).open(folder.join("service.log")).unwrap()
}

/// An address of this machine for one of many clients.
pub fn client(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 3, 1 + (number % 200) as u8)
}

/// Says whether it holds, and gives it back.
pub fn verdict(holds: bool, what: &str) -> bool {
    println!("  {}: {what}", if holds { "ok" } else { "NOT OK" });
    holds
}
