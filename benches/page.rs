//! What the page costs: `cargo bench --bench page` starts the built service with 10,000 entries and
//! 1,000 alerts that fire, opens each view afresh in Chromium (Debian's packages `chromium` and
//! `chromium-driver`), and prints when it is painted with its data, and how many bytes came over the
//! wire. Then ten pages stay open for half a minute, and it prints what they cost the service.

#![allow(clippy::unwrap_used)] // why: a bench that cannot go on has nothing to tell
#![allow(clippy::expect_used)] // why: as above

#[path = "../tests/it/page/chromium.rs"]
mod chromium;

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use fantoccini::Client;
use orchestrator::model::{Clock, SystemClock};
use serde_json::{Value, json};

use self::chromium::Chromium;

const KEY: &str = "api-key-of-the-page-bench-0123456789abcdef";
const TOKEN: &str = "webhook-token-of-the-page-bench-0123456789";
const ENTRIES: usize = 10_000;
const FIRING: usize = 1_000;
const SEVERITIES: [&str; 4] = ["critical", "page", "warning", "info"];
const ROUNDS: usize = 7;
const PAGES: usize = 10;
const IDLE: Duration = Duration::from_secs(30);
/// What a kernel's tick is, in milliseconds, on every Linux of today.
const TICK_MS: f64 = 10.0;

/// What each view shows once its data is there.
const VIEWS: [(&str, &str, &str); 6] = [
    ("Now", "#/", "document.querySelectorAll('.overview .row').length > 8"),
    ("One alert", "#/alert/Alert0042", "document.querySelector('.detail .do')"),
    (
        "Ask, a question",
        "#/ask?q=disk%20of%20service%20777",
        "document.querySelector('.answer .best')",
    ),
    ("Knowledge", "#/knowledge", "document.querySelectorAll('.knowledge .row').length > 8"),
    ("One entry", "#/entry/ENTRY", "document.querySelector('.entry .title')"),
    ("History", "#/history?days=30", "document.querySelector('.history svg')"),
];

/// Resolves when the view is painted with its data: milliseconds since the address was opened.
const PAINTED: &str = "const done = arguments[0];
    const look = () => requestAnimationFrame(() => (THERE)
        ? setTimeout(() => done(performance.now())) : look());
    look()";

/// The service, ended with the bench.
struct Service {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Service {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_orchestrator"));
        command.current_dir(folder.path()).env_clear().stdout(Stdio::null()).stderr(Stdio::null());
        command.envs([("API_KEY", KEY), ("WEBHOOK_TOKEN", TOKEN), ("METRICS_PORT", "0")]);
        // What fills it and opens it again and again; everything else is as shipped.
        command.envs([
            ("RATE_LIMIT_WEBHOOK", "0"),
            ("RATE_LIMIT_API", "0"),
            ("RATE_LIMIT_PUBLIC", "0"),
        ]);
        let child = command.env("PORT", port.to_string()).spawn().unwrap();
        let service = Self { child, port, _folder: folder };
        let begun = Instant::now();
        let ready = async || {
            reqwest::get(service.url("/ready")).await.is_ok_and(|answer| answer.status() == 200)
        };
        while !ready().await {
            assert!(begun.elapsed() < Duration::from_secs(30), "the service does not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        service
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    async fn notify(&self, alerts: Vec<Value>) {
        let client = reqwest::Client::new();
        for part in alerts.chunks(500) {
            let body = json!({ "alerts": part }).to_string();
            let answer = client.post(self.url("/webhook/alerts")).bearer_auth(TOKEN).body(body);
            assert_eq!(answer.send().await.unwrap().status(), 200);
        }
    }

    /// How much of a processor it has used, in milliseconds.
    fn used_ms(&self) -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let (_, fields) = text.rsplit_once(") ").unwrap();
        let ticks = fields.split(' ').skip(11).take(2).map(|field| field.parse::<f64>().unwrap());
        ticks.sum::<f64>() * TICK_MS
    }
}

fn alert(n: usize, status: &str) -> Value {
    let now = SystemClock.now();
    let begun = now.plus_millis(-60_000 * i64::try_from(10 + n % 600).unwrap());
    json!({
        "status": status,
        "labels": {
            "alertname": format!("Alert{n:04}"), "instance": format!("host-{n}.example.org:9100"), "job": "node",
            "severity": SEVERITIES[n % SEVERITIES.len()], "team": "platform",
        },
        "annotations": {
            "summary": format!("The disk of service {n} is nearly full"),
            "solution": format!("Delete old logs of service {n}, then grow its volume"),
        },
        "startsAt": begun.to_string(), "endsAt": now.to_string(),
    })
}

#[tokio::main]
#[allow(clippy::disallowed_methods)] // why: a bench takes its services as the tests do
async fn main() {
    let program = std::env::var("TEST_CHROMEDRIVER").unwrap_or_else(|_| "chromedriver".into());
    if Command::new(&program).arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("this bench needs chromedriver (Debian's packages chromium and chromium-driver)");
        return;
    }
    let service = Service::start().await;
    let entries = (FIRING..ENTRIES).map(|n| alert(n, "resolved"));
    service.notify(entries.collect()).await;
    service.notify((0..FIRING).map(|n| alert(n, "firing")).collect()).await;
    let browser = Chromium::start(&program).await;
    println!(
        "{ENTRIES} entries, {FIRING} alerts that fire; each view {ROUNDS} times, with an empty cache\n"
    );
    println!(
        "{:<18}{:>14}{:>14}{:>12}{:>12}",
        "", "first paint", "with its data", "assets", "its data"
    );
    for view in VIEWS {
        measure(&service, &browser, view).await;
    }
    idle(&service, &browser.web).await;
}

async fn run(web: &Client, script: &str) -> Value {
    web.execute(script, Vec::new()).await.unwrap()
}

/// Signs the window in, as the page itself keeps a key.
async fn sign_in(service: &Service, web: &Client) {
    web.goto(&service.url("/health")).await.unwrap();
    run(web, &format!("sessionStorage.setItem('orchestrator.key', '{KEY}')")).await;
}

async fn measure(
    service: &Service,
    browser: &Chromium,
    (name, address, there): (&str, &str, &str),
) {
    let web = &browser.web;
    let client =
        reqwest::Client::new().get(service.url("/api/knowledge/entries?limit=1")).bearer_auth(KEY);
    let listed: Value = client.send().await.unwrap().json().await.unwrap();
    let address = address.replace("ENTRY", listed["entries"][0]["id"].as_str().unwrap());
    let (mut first, mut whole, mut assets, mut data) = (Vec::new(), Vec::new(), 0.0, 0.0);
    for _ in 0..ROUNDS {
        sign_in(service, web).await;
        browser.command("Network.clearBrowserCache", json!({})).await;
        web.goto(&service.url(&format!("/{address}"))).await.unwrap();
        let script = PAINTED.replace("THERE", there);
        let painted = web.execute_async(&script, Vec::new()).await.unwrap();
        whole.push(painted.as_f64().unwrap());
        let told = run(
            web,
            "const sum = (all) => all.reduce((bytes, one) => bytes + one.transferSize, 0);
            const all = performance.getEntriesByType('resource');
            const [page] = performance.getEntriesByType('navigation');
            return [performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0,
                page.transferSize + sum(all.filter((one) => one.name.includes('/assets/'))),
                sum(all.filter((one) => one.name.includes('/api/')))]",
        )
        .await;
        first.push(told[0].as_f64().unwrap());
        (assets, data) = (told[1].as_f64().unwrap(), told[2].as_f64().unwrap());
    }
    let median = |mut all: Vec<f64>| {
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let (first, whole) = (median(first), median(whole));
    println!(
        "{name:<18}{:>14}{:>14}{:>12}{:>12}",
        format!("{first:.0} ms"),
        format!("{whole:.0} ms"),
        format!("{:.1} KB", assets / 1000.0),
        format!("{:.1} KB", data / 1000.0),
    );
}

/// Ten pages that nobody touches, each in a window of its own so that none is hidden.
async fn idle(service: &Service, web: &Client) {
    for n in 0..PAGES {
        if n > 0 {
            let window = web.new_window(true).await.unwrap();
            web.switch_to_window(window.handle).await.unwrap();
        }
        sign_in(service, web).await;
        web.goto(&service.url("/#/")).await.unwrap();
        let script = PAINTED.replace("THERE", VIEWS[0].2);
        web.execute_async(&script, Vec::new()).await.unwrap();
    }
    // What opening them began has an end.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let visible = run(web, "return document.visibilityState").await;
    let before = service.used_ms();
    tokio::time::sleep(IDLE).await;
    let used = service.used_ms() - before;
    let share = used / IDLE.as_secs_f64() / 10.0;
    println!(
        "\n{PAGES} open pages ({}), idle: {used:.0} ms in {} s, {share:.2} % of a core",
        visible.as_str().unwrap(),
        IDLE.as_secs()
    );
    let own = alone(service, web).await;
    println!("without any page: {own:.2} % of a core");
}

/// What the service uses by itself.
async fn alone(service: &Service, web: &Client) -> f64 {
    for window in web.windows().await.unwrap() {
        web.switch_to_window(window).await.unwrap();
        web.goto("about:blank").await.unwrap();
    }
    let before = service.used_ms();
    tokio::time::sleep(IDLE).await;
    (service.used_ms() - before) / IDLE.as_secs_f64() / 10.0
}
