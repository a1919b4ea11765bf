//! Who counts against what: strangers never turn away a good credential.

use orchestrator::http::{guard::Access, routes};
use reqwest::Method;
use serde_json::json;

use super::{assert_limited, place};
use crate::harness::{Place, hmac_hex, keys, payload};

/// How many times an event was audited, folded lines by their count.
fn audited(place: &Place, event: &str) -> u64 {
    place.audited(event).iter().map(|line| line["count"].as_u64().unwrap_or(1)).sum()
}

#[tokio::test]
async fn the_31st_unauthenticated_query_of_a_minute_is_429_and_a_good_key_is_not_shut_out() {
    let place = place(&[("AUTH_FAILURE_LIMIT", "30"), ("RATE_LIMIT_API", "30")]);
    let service = place.start().await;
    let query = json!({"query": "disk full"});
    let bad = service.bearer("wrong");
    for left in (0..30).rev() {
        let answer = bad.post("/api/knowledge/query", &query).await.expect(401);
        assert_eq!(answer.header("ratelimit-limit"), "30");
        assert_eq!(answer.header("ratelimit-remaining"), left.to_string());
    }
    assert_limited(&bad.post("/api/knowledge/query", &query).await, 429, "30");
    assert_limited(&service.anonymous().post("/api/knowledge/query", &query).await, 429, "30");
    let answer = service.operator().post("/api/knowledge/query", &query).await.expect(200);
    assert_eq!(answer.header("ratelimit-remaining"), "29");
    let guesses = service.sample(r#"auth_failures_total{reason="unknown"}"#).await;
    assert_eq!(guesses, 31.0);
    service.stop().await.unwrap();
    assert_eq!(audited(&place, "auth_failure"), 32);
}

#[tokio::test]
async fn bad_webhooks_do_not_turn_away_a_good_one() {
    let place = place(&[("AUTH_FAILURE_LIMIT", "30"), ("RATE_LIMIT_WEBHOOK", "100")]);
    let service = place.start().await;
    let (none, wrong) = (payload([]), "0".repeat(64));
    for n in 0..110 {
        let bad = match n % 2 {
            0 => service.anonymous().with("x-webhook-signature", &wrong),
            _ => service.bearer("wrong"),
        };
        bad.notify(&none).await.expect(if n < 30 { 401 } else { 429 });
    }
    let answer = service.signer().notify(&none).await.expect(200);
    assert_eq!(answer.header("ratelimit-remaining"), "99");
    service.alertmanager().notify(&none).await.expect(200);
}

#[tokio::test]
async fn every_guess_at_the_token_is_counted_and_audited_also_over_the_limit() {
    let place = place(&[("AUTH_FAILURE_LIMIT", "3"), ("RATE_LIMIT_WEBHOOK", "1")]);
    let service = place.start().await;
    let none = payload([]);
    service.alertmanager().notify(&none).await.expect(200);
    for n in 0..20 {
        service.bearer("wrong").notify(&none).await.expect(if n < 3 { 401 } else { 429 });
        assert_limited(&service.alertmanager().notify(&none).await, 503, "1");
    }
    let guesses = service.sample(r#"webhook_auth_total{method="bearer",outcome="mismatch"}"#).await;
    assert_eq!(guesses, 20.0);
    assert_eq!(service.sample(r#"rate_limited_total{bucket="auth_failure"}"#).await, 17.0);
    service.stop().await.unwrap();
    assert_eq!(audited(&place, "webhook_auth_failure"), 20);
}

#[tokio::test]
async fn failed_authentications_of_all_kinds_share_one_bucket_of_the_address() {
    let place = place(&[("AUTH_FAILURE_LIMIT", "2")]);
    let service = place.start().await;
    service.bearer("wrong").get("/api/auth/me").await.expect(401);
    service.anonymous().notify(&payload([])).await.expect(401);
    assert_limited(&service.bearer("wrong").get("/api/auth/me").await, 429, "2");
    let signed = service.signer().with("x-webhook-signature", "00");
    assert_limited(&signed.notify(&payload([])).await, 429, "2");
    service.viewer().get("/api/auth/me").await.expect(200);
    assert_eq!(service.sample(r#"rate_limited_total{bucket="auth_failure"}"#).await, 2.0);
}

#[tokio::test]
async fn each_key_has_a_bucket_of_its_own_at_each_address() {
    let place = place(&[("RATE_LIMIT_API", "1"), ("TRUSTED_PROXIES", "127.0.0.0/8")]);
    let service = place.start().await;
    for caller in [service.viewer(), service.operator(), service.admin()] {
        for address in ["192.0.2.1", "192.0.2.2"] {
            let caller = caller.clone().with("x-forwarded-for", address);
            caller.get("/api/auth/me").await.expect(200);
            assert_limited(&caller.get("/api/auth/me").await, 429, "1");
        }
    }
    service.stop().await.unwrap();
    let line = place.audited("rate_limited").remove(0);
    assert_eq!(line["details"], json!({"bucket": "api", "key": "viewer"}));
}

#[tokio::test]
async fn every_answer_that_was_counted_says_so_whatever_it_is() {
    let place = place(&[("RATE_LIMIT_API", "9"), ("RATE_LIMIT_EXPORT", "9")]);
    let service = place.start().await;
    let operator = service.operator();
    for (answer, left) in [
        (operator.get("/api/auth/me").await.expect(200), "8"),
        (operator.get("/api/knowledge/entries/none").await.expect(404), "7"),
        (operator.post_bytes("/api/knowledge/query", b"{").await.expect(400), "6"),
        (operator.get("/api/auth/me?x=1").await.expect(400), "5"),
        (operator.post_bytes("/api/knowledge/query", &[b' '; 1 << 21]).await.expect(413), "4"),
        (operator.get("/api/persistence/export").await.expect(403), "8"),
    ] {
        assert_eq!(answer.header("ratelimit-limit"), "9", "{}", answer.status);
        assert_eq!(answer.header("ratelimit-remaining"), left, "{}", answer.status);
    }
}

#[tokio::test]
async fn what_matches_no_route_is_counted_too() {
    let place = place(&[("RATE_LIMIT_PUBLIC", "2")]);
    let service = place.start().await;
    let stranger = service.anonymous();
    let answer = stranger.get("/nowhere").await.expect(404);
    assert_eq!(answer.header("ratelimit-remaining"), "1");
    stranger.call(Method::DELETE, "/health", b"").await.expect(405);
    assert_limited(&stranger.get("/nowhere").await, 429, "2");
    assert_limited(&stranger.call(Method::PATCH, "/api/auth/me", b"").await, 429, "2");
    service.viewer().get("/nowhere").await.expect(404);
}

#[tokio::test]
async fn strangers_do_not_use_up_the_public_pages_of_who_has_a_key() {
    let place = place(&[("RATE_LIMIT_PUBLIC", "1"), ("RATE_LIMIT_HEALTH", "1")]);
    let service = place.start().await;
    for path in ["/api/knowledge/summary", "/health"] {
        service.anonymous().get(path).await.expect(200);
        assert_limited(&service.anonymous().get(path).await, 429, "1");
        for known in [service.viewer(), service.operator(), service.alertmanager()] {
            known.get(path).await.expect(200);
            assert_limited(&known.get(path).await, 429, "1");
        }
    }
}

#[tokio::test]
async fn a_page_that_needs_no_key_is_no_place_to_try_keys_at() {
    let place = place(&[("AUTH_FAILURE_LIMIT", "2"), ("RATE_LIMIT_PUBLIC", "100")]);
    let service = place.start().await;
    let guess = service.bearer("guess");
    for _ in 0..2 {
        let answer = guess.get("/api/knowledge/summary").await.expect(200);
        assert_eq!(answer.header("ratelimit-limit"), "100");
    }
    assert_limited(&guess.get("/api/knowledge/summary").await, 429, "2");
    assert_limited(&guess.get("/nowhere").await, 429, "2");
    service.anonymous().get("/api/knowledge/summary").await.expect(200);
    // Other schemes are nobody's guess at a key.
    let basic = service.anonymous().with("authorization", "Basic dTpw");
    basic.get("/api/knowledge/summary").await.expect(200);
    assert_eq!(service.sample(r#"auth_failures_total{reason="unknown"}"#).await, 4.0);
    service.stop().await.unwrap();
    assert_eq!(audited(&place, "auth_failure"), 4);
}

#[tokio::test]
async fn a_signature_is_counted_once_it_is_good_and_not_before() {
    let place = place(&[("RATE_LIMIT_WEBHOOK", "1")]);
    let service = place.start().await;
    let body = payload([]).to_string().into_bytes();
    let signed = service.anonymous().with("x-webhook-signature", &hmac_hex(keys::SECRET, b"x"));
    let answer = signed.post_bytes("/webhook/alerts", &body).await.expect(401);
    assert_eq!(answer.header("ratelimit-limit"), "");
    let answer = service.signer().post_bytes("/webhook/alerts", &body).await.expect(200);
    assert_eq!(answer.header("ratelimit-remaining"), "0");
}

/// Calls each route as who may, and says what it has against these parameters.
#[tokio::test]
async fn a_query_parameter_that_no_route_knows_or_that_is_given_twice_is_named() {
    let place = Place::sqlite();
    let service = place.start().await;
    for route in routes() {
        let path = route.path.replace("{id}", "x");
        let caller = match route.guarded.access {
            Access::WebhookSender => service.alertmanager(),
            Access::Anyone => service.anonymous(),
            Access::Role(_) => service.admin(),
        };
        let context = format!("{} {path}", route.method);
        let asked = format!("{path}?from=1&From=2&from=3");
        let answer = caller.call(route.method.clone(), &asked, b"{}").await;
        assert_eq!(answer.status, 400, "{context}: {}", answer.text());
        let mut named = answer.problem_paths();
        named.sort();
        // A route that knows it may also find it wrong.
        named.dedup();
        assert_eq!(named, ["From", "from"], "{context}");
        for parameter in route.parameters {
            use orchestrator::http::parameters::Parameter::{Many, Once};
            let name = parameter.name();
            let asked = format!("{path}?{name}=x&{name}=x");
            let answer = caller.call(route.method.clone(), &asked, b"").await.expect(400);
            let doubled = answer.text().contains("is given more than once");
            assert_eq!(doubled, matches!(parameter, Once(_)), "{context} {name}");
            assert!(answer.problem_paths().contains(&name.to_owned()));
            assert!(matches!(parameter, Once(_) | Many(_)));
        }
        if route.guarded.access != Access::Anyone {
            service.anonymous().call(route.method, &asked, b"{}").await.expect(401);
        }
    }
}
