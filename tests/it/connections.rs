//! How many connections a client may hold, how long each may take, and what is answered all the
//! same when it is full.

use std::{
    net::SocketAddr,
    process::{Command, Stdio},
    time::Duration,
};

use reqwest::header;
use serde_json::{Value, json};

use crate::harness::{
    H2, Place, Process, Raw, Running, Stopwatch, eventually, h2,
    keys::{ADMIN, OPERATOR},
};

const HEALTH: &str = "GET /health HTTP/1.1\r\nhost: x\r\n\r\n";
const OPENAPI: &str = "GET /api/openapi.json HTTP/1.1\r\nhost: x\r\n\r\n";
const OPEN: &str = r#"connections{listener="main"}"#;

/// The longest that any limit is with `REQUEST_TIMEOUT_SECONDS=1`, and a machine's own delays.
const SOON: Duration = Duration::from_secs(12);

fn refused(reason: &str) -> String {
    format!(r#"connections_refused_total{{reason="{reason}"}}"#)
}

async fn ask(connection: &mut Raw, request: &str) -> String {
    connection.send(request).await;
    connection.read_until("requestId").await
}

#[tokio::test]
async fn a_client_holds_so_many_connections_and_beyond_them_asks_probes_only() {
    let place = Place::sqlite();
    let service = place.start_with(&[("MAX_CONNECTIONS_PER_CLIENT", "2")]).await;
    let mut held = [Raw::open(service.address()).await, Raw::open(service.address()).await];
    for connection in &mut held {
        connection.send(HEALTH).await;
        connection.read_until("healthy").await;
    }
    let mut third = Raw::open(service.address()).await;
    let answer = ask(&mut third, OPENAPI).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    let lower = answer.to_lowercase();
    for header in ["retry-after: ", "x-request-id: ", "connection: close"] {
        assert!(lower.contains(header), "{header} is not in {answer}");
    }
    third.read_to_end().await;
    for path in ["/health", "/ready"] {
        let mut probe = Raw::open(service.address()).await;
        probe.send(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        let answer = probe.read_to_end().await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    assert_eq!(service.sample(&refused("max_connections_per_client")).await, 1.0);
    // Whoever makes room may ask everything again.
    drop(held);
    eventually("there is room", async || (service.sample(OPEN).await == 0.0).then_some(())).await;
    let mut again = Raw::open(service.address()).await;
    again.send(OPENAPI).await;
    again.read_until("200 OK").await;
}

#[tokio::test]
async fn a_full_service_still_answers_probes() {
    let place = Place::sqlite();
    let service = place.start_with(&[("MAX_CONNECTIONS", "1")]).await;
    let mut only = Raw::open(service.address()).await;
    only.send(HEALTH).await;
    only.read_until("healthy").await;
    let mut other = Raw::open(service.address()).await;
    let answer = ask(&mut other, OPENAPI).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    let mut probe = Raw::open(service.address()).await;
    probe.send(HEALTH).await;
    assert!(probe.read_to_end().await.contains("healthy"));
    assert_eq!(service.sample(&refused("max_connections")).await, 1.0);
}

/// With a second a request, so that limits come soon.
async fn impatient(place: &Place) -> Running {
    place.start_with(&[("REQUEST_TIMEOUT_SECONDS", "1")]).await
}

#[tokio::test]
async fn a_head_that_comes_drop_by_drop_is_given_up() {
    let place = Place::sqlite();
    let service = impatient(&place).await;
    let begun = Stopwatch::start();
    let mut silent = Raw::open(service.address()).await;
    let mut slow = Raw::open(service.address()).await;
    let mut again = Raw::open(service.address()).await;
    again.send(HEALTH).await;
    again.read_until("healthy").await;
    while slow.try_send("G").await | again.try_send("G").await {
        assert!(begun.elapsed() < SOON, "they hold their places");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(silent.read_to_end_within(SOON).await.as_deref(), Some(""));
    eventually("all are gone", async || (service.sample(OPEN).await == 0.0).then_some(())).await;
    assert_eq!(service.sample(&refused("too_slow")).await, 3.0);
}

#[tokio::test]
async fn answered_pings_do_not_keep_an_idle_connection() {
    let place = Place::sqlite();
    let service = impatient(&place).await;
    let begun = Stopwatch::start();
    for asks in [false, true] {
        let mut pinging = H2::open(service.address(), None).await;
        if asks {
            pinging.send(&h2::get(1, "/health")).await;
            while pinging.next().await.expect("an answer").kind != h2::DATA {}
        }
        while pinging.send(&h2::frame(h2::PING, 0, 0, &[0; 8])).await {
            assert!(begun.elapsed() < 2 * SOON, "it holds its place");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn answers_that_are_never_read_are_given_up() {
    let place = Place::sqlite();
    let service = impatient(&place).await;
    // HTTP/1: so many that no socket holds their answers.
    let mut pipelined = Raw::open(service.address()).await;
    let flood = pipelined.flood(OPENAPI, SOON);
    // HTTP/2: a window of 0 keeps every answer on the service's side, pings are answered.
    let mut windowless = H2::open(service.address(), Some(0)).await;
    for stream in [1, 3, 5] {
        windowless.send(&h2::get(stream, "/api/openapi.json")).await;
    }
    let gone = async {
        tokio::time::timeout(SOON, windowless.until_gone()).await.expect("HTTP/2 is given up");
    };
    let (flooded, ()) = tokio::join!(flood, gone);
    assert!(flooded, "HTTP/1 is given up");
    eventually("all are gone", async || (service.sample(OPEN).await == 0.0).then_some(())).await;
}

#[tokio::test]
async fn a_body_that_comes_drop_by_drop_ends_with_its_request() {
    let place = Place::sqlite();
    let service = impatient(&place).await;
    let mut slow = Raw::open(service.address()).await;
    let head = format!(
        "POST /api/knowledge/query HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {OPERATOR}\r\n\
         content-length: 1000\r\n\r\n"
    );
    slow.send(head).await;
    let mut answer = std::pin::pin!(slow.read_while_sending("x", Duration::from_millis(50)));
    let answer = tokio::time::timeout(SOON, &mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test]
async fn who_asks_on_after_many_refusals_has_to_connect_anew() {
    let place = Place::sqlite();
    let service = place.start_with(&[("RATE_LIMIT_PUBLIC", "1")]).await;
    let mut deaf = Raw::open(service.address()).await;
    deaf.send(OPENAPI.repeat(100)).await;
    let answers = deaf.read_to_end().await;
    let refused = answers.matches("HTTP/1.1 429 ").count();
    assert!((1..50).contains(&refused), "{refused} refusals");
    let mut deaf = H2::open(service.address(), None).await;
    for request in 0..40 {
        deaf.send(&h2::get(2 * request + 1, "/api/openapi.json")).await;
    }
    tokio::time::timeout(SOON, deaf.until_gone()).await.expect("it is given up");
}

#[tokio::test]
async fn open_connections_are_counted_by_listener() {
    let place = Place::sqlite();
    let service = place.start().await;
    let mut connection = Raw::open(service.address()).await;
    connection.send(HEALTH).await;
    connection.read_until("healthy").await;
    assert_eq!(service.sample(OPEN).await, 1.0);
    assert!(service.sample(r#"connections{listener="metrics"}"#).await >= 1.0);
    drop(connection);
    eventually("it is gone", async || (service.sample(OPEN).await == 0.0).then_some(())).await;
}

#[tokio::test]
async fn every_answer_of_more_than_a_kibibyte_is_compressed_for_who_takes_it() {
    let place = Place::sqlite();
    let service = place.start().await;
    let client = reqwest::Client::builder().no_gzip().no_proxy().build().unwrap();
    let encoding = async |address: SocketAddr, path: &str, accepted: &str| {
        let request = client.get(format!("http://{address}{path}")).bearer_auth(ADMIN);
        let answer = request.header(header::ACCEPT_ENCODING, accepted).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let vary = answer.headers().get_all(header::VARY).iter().any(|v| v == "accept-encoding");
        let encoded = answer.headers().get(header::CONTENT_ENCODING);
        assert!(encoded.is_none() || vary, "{path}: caches must tell them apart");
        encoded.map_or_else(String::new, |encoded| encoded.to_str().unwrap().to_owned())
    };
    let main = service.address();
    for path in ["/api/openapi.json", "/api/persistence/export", "/api/knowledge/export"] {
        assert_eq!(encoding(main, path, "gzip").await, "gzip", "{path}");
        assert_eq!(encoding(main, path, "gzip;q=0, identity").await, "", "{path}");
        assert_eq!(encoding(main, path, "br").await, "", "{path}");
    }
    assert_eq!(encoding(main, "/health", "gzip").await, "", "it is smaller than that");
    assert_eq!(encoding(service.metrics_address(), "/metrics", "gzip").await, "gzip");
}

#[tokio::test]
async fn too_low_a_limit_of_open_files_is_said_and_kept_to() {
    let place = Place::sqlite();
    let mut shell = Command::new("sh");
    let binary = env!("CARGO_BIN_EXE_orchestrator");
    shell.args(["-c", &format!("ulimit -n 300 && exec {binary}")]);
    shell.current_dir(place.directory()).env_clear().envs(place.variables(&[]));
    shell.stdin(Stdio::null());
    let mut process = Process::of(shell);
    let line: Value = serde_json::from_str(&process.line_with("ulimit -n").await).unwrap();
    let said = line["message"].as_str().unwrap();
    assert!(said.contains("MAX_CONNECTIONS=1024") && said.contains("300"), "{said}");
    process.serving().await;
    let health = process.actors().anonymous().get("/health").await.expect(200).json();
    assert_eq!(health["status"], json!("healthy"));
}
