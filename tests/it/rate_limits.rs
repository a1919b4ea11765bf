//! Requests per client and minute.

mod bodies;
mod callers;
mod cell_rate;
mod replicas;

use std::time::{Duration, Instant};

use crate::harness::{Actor, Answer, Place, Running, payload};

fn place(limits: &[(&str, &str)]) -> Place {
    let mut place = Place::sqlite();
    limits.iter().for_each(|(name, value)| place.set(name, value));
    place
}

/// Checks the form of a refusal.
#[track_caller]
fn assert_limited(answer: &Answer, status: u16, limit: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.error(), "Too many requests, please retry after a minute");
    let seconds = answer.json()["retryAfterSeconds"].as_u64().unwrap();
    assert!((1..=61).contains(&seconds), "{seconds}");
    assert_eq!(answer.header("retry-after"), seconds.to_string());
    assert_eq!(answer.header("ratelimit-limit"), limit);
    assert_eq!(answer.header("ratelimit-remaining"), "0");
    assert_eq!(answer.header("ratelimit-reset"), seconds.to_string());
}

#[tokio::test]
async fn as_many_as_the_limit_pass_and_each_says_how_many_are_left() {
    let place = place(&[("RATE_LIMIT_PUBLIC", "3")]);
    let service = place.start().await;
    for left in ["2", "1", "0"] {
        let answer = service.anonymous().get("/api/knowledge/summary").await.expect(200);
        assert_eq!(answer.header("ratelimit-limit"), "3");
        assert_eq!(answer.header("ratelimit-remaining"), left);
        let reset: u64 = answer.header("ratelimit-reset").parse().unwrap();
        assert!((1..=60).contains(&reset), "{reset}");
        assert_eq!(answer.header("x-ratelimit-remaining"), "", "one set of headers is enough");
    }
    assert_limited(&service.anonymous().get("/api/knowledge/summary").await, 429, "3");
    // Other routes of the bucket share it; other buckets do not.
    assert_limited(&service.anonymous().get("/api/openapi.json").await, 429, "3");
    service.anonymous().get("/health").await.expect(200);
    assert_eq!(service.sample(r#"rate_limited_total{bucket="public"}"#).await, 2.0);
}

#[tokio::test]
async fn each_route_counts_against_its_own_bucket() {
    let place = place(&[
        ("RATE_LIMIT_WEBHOOK", "1"),
        ("RATE_LIMIT_API", "2"),
        ("RATE_LIMIT_EXPORT", "3"),
        ("RATE_LIMIT_PUBLIC", "4"),
        ("RATE_LIMIT_HEALTH", "5"),
    ]);
    let service = place.start().await;
    for route in orchestrator::http::routes() {
        let path = route.path.replace("{id}", "x");
        let caller = match route.path {
            "/webhook/alerts" => service.alertmanager(),
            _ => service.admin(),
        };
        let answer = caller.call(route.method, &path, b"").await;
        let expected = match route.path {
            "/webhook/alerts" => ("webhook", "1"),
            path if path.ends_with("/export") => ("export", "3"),
            "/" | "/assets/{edition}/{file}" | "/api/openapi.json" | "/api/knowledge/summary" => {
                ("public", "4")
            }
            "/health" | "/ready" | "/api/persistence/health" => ("health", "5"),
            _ => ("api", "2"),
        };
        let found = (route.bucket.as_str(), answer.header("ratelimit-limit"));
        assert_eq!(found, expected, "{}", route.path);
    }
}

/// A bucket of 600 a minute refills by ten a second: whatever the machine's pace, a client that
/// asks all the time gets the burst and ten for each second that it went on.
#[tokio::test]
async fn a_bucket_refills_evenly() {
    let place = place(&[("RATE_LIMIT_HEALTH", "600")]);
    let service = place.start().await;
    let (client, started) = (service.anonymous(), Instant::now());
    let mut passed = 0;
    let elapsed = loop {
        let asked = started.elapsed();
        match client.get("/ready").await.status {
            200 => passed += 1,
            status => {
                assert_eq!(status, 429);
                if passed > 600 && asked > Duration::from_millis(1500) {
                    break asked.as_secs_f64();
                }
            }
        }
    };
    let expected = 600.0 + elapsed * 10.0;
    assert!((f64::from(passed) - expected).abs() < 4.0, "{passed} passed, not {expected}");
}

#[tokio::test]
async fn alertmanager_is_told_503_because_it_drops_what_gets_429() {
    let place = place(&[("RATE_LIMIT_WEBHOOK", "1")]);
    let service = place.start().await;
    let none = payload([]);
    service.alertmanager().notify(&none).await.expect(200);
    assert_limited(&service.alertmanager().notify(&none).await, 503, "1");
    // Who signs has a bucket of its own.
    service.signer().notify(&none).await.expect(200);
    assert_limited(&service.signer().notify(&none).await, 429, "1");
    // Judged by the signature alone, so not a request with the valid token.
    let both = service.alertmanager().with("x-webhook-signature", &"0".repeat(64));
    both.notify(&none).await.expect(401);
    service.bearer("no token").notify(&none).await.expect(401);
}

fn by_way_of(service: &Running, forwarded: &str) -> Actor {
    service.anonymous().with("x-forwarded-for", forwarded)
}

#[tokio::test]
async fn a_stranger_cannot_pose_as_many_clients() {
    let place = place(&[("RATE_LIMIT_PUBLIC", "1")]);
    let service = place.start().await;
    by_way_of(&service, "192.0.2.1").get("/api/openapi.json").await.expect(200);
    by_way_of(&service, "192.0.2.2").get("/api/openapi.json").await.expect(429);
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_right_most_stranger_is_the_client() {
    let place = place(&[("RATE_LIMIT_PUBLIC", "1"), ("TRUSTED_PROXIES", "127.0.0.0/8, 10.0.0.1")]);
    let service = place.start().await;
    for (forwarded, status) in [
        ("192.0.2.1", 200),
        ("192.0.2.2", 200),
        // Forged from the left, relayed from the right: the same client as before.
        ("198.51.100.7, 192.0.2.1", 429),
        ("198.51.100.7, 192.0.2.2, 10.0.0.1", 429),
        ("192.0.2.3, 10.0.0.1", 200),
        // IPv6 clients are counted by /64.
        ("2001:db8:1:2::1", 200),
        ("2001:db8:1:2:ffff::9", 429),
        ("2001:db8:1:3::1", 200),
    ] {
        let answer = by_way_of(&service, forwarded).get("/api/openapi.json").await;
        assert_eq!(answer.status, status, "{forwarded}");
    }
}

#[tokio::test]
async fn a_limit_of_0_is_no_limit() {
    let place = place(&[("RATE_LIMIT_HEALTH", "0")]);
    let service = place.start().await;
    for _ in 0..1100 {
        let answer = service.anonymous().get("/ready").await.expect(200);
        assert_eq!(answer.header("ratelimit-limit"), "");
    }
}
