//! Pages of other origins: denied unless they are listed.

use reqwest::Method;

use crate::harness::{Answer, Place, Running};

const LISTED: &str = "https://ops.example.org";
const STRANGE: &str = "https://evil.example.org";

fn place() -> Place {
    let mut place = Place::sqlite();
    place.set("ORCHESTRATOR_CORS_ALLOWED_ORIGINS", LISTED);
    place
}

async fn preflight(service: &Running, origin: &str) -> Answer {
    let page = service
        .anonymous()
        .with("origin", origin)
        .with("access-control-request-method", "POST")
        .with("access-control-request-headers", "authorization");
    page.call(Method::OPTIONS, "/api/knowledge/query", b"").await
}

async fn read(service: &Running, origin: &str) -> Answer {
    service.anonymous().with("origin", origin).get("/api/knowledge/summary").await.expect(200)
}

#[tokio::test]
async fn no_page_of_another_origin_may_read_anything_by_default() {
    let place = Place::sqlite();
    let service = place.start().await;
    for answer in [preflight(&service, LISTED).await, read(&service, LISTED).await] {
        let told = answer.headers.keys().any(|name| name.as_str().starts_with("access-control-"));
        assert!(!told, "{:?}", answer.headers);
    }
}

#[tokio::test]
async fn a_listed_origin_may_call_and_read_and_no_other() {
    let place = place();
    let service = place.start().await;
    let answer = preflight(&service, LISTED).await.expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), LISTED);
    assert!(answer.header("access-control-allow-methods").contains("POST"));
    assert!(answer.header("access-control-allow-headers").contains("authorization"));
    let answer = read(&service, LISTED).await;
    assert_eq!(answer.header("access-control-allow-origin"), LISTED);
    assert!(answer.header("access-control-expose-headers").contains("x-request-id"));
    assert!(answer.header("vary").to_lowercase().contains("origin"));
    for answer in [preflight(&service, STRANGE).await, read(&service, STRANGE).await] {
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
}

#[tokio::test]
async fn a_refusal_can_be_read_by_a_listed_page_too() {
    let place = place();
    let service = place.start().await;
    let answer = service.anonymous().with("origin", LISTED).get("/api/auth/me").await.expect(401);
    assert_eq!(answer.header("access-control-allow-origin"), LISTED);
}

#[tokio::test]
async fn a_preflight_is_an_answer_like_every_other() {
    let place = place();
    let service = place.start().await;
    for origin in [LISTED, STRANGE] {
        let answer = preflight(&service, origin).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert!(uuid::Uuid::parse_str(answer.header("x-request-id")).is_ok());
    }
}

#[tokio::test]
async fn preflights_are_counted_like_every_request_whoever_asks() {
    let mut place = place();
    place.set("RATE_LIMIT_PUBLIC", "3");
    let service = place.start().await;
    for left in ["2", "1", "0"] {
        let answer = preflight(&service, LISTED).await.expect(200);
        assert_eq!(answer.header("ratelimit-limit"), "3");
        assert_eq!(answer.header("ratelimit-remaining"), left);
    }
    for origin in [LISTED, STRANGE] {
        let answer = preflight(&service, origin).await.expect(429);
        assert!(!answer.header("retry-after").is_empty());
    }
    let counted = |status: u16| {
        format!(r#"http_requests_total{{method="OPTIONS",route="unmatched",status="{status}"}}"#)
    };
    assert_eq!(service.sample(&counted(200)).await, 3.0);
    assert_eq!(service.sample(&counted(429)).await, 2.0);
    assert_eq!(service.sample(r#"rate_limited_total{bucket="public"}"#).await, 2.0);
    place.audited_soon("cors_denied").await;
}

#[tokio::test]
async fn a_preflight_asks_for_a_route_with_its_parameters() {
    let place = place();
    let service = place.start().await;
    let page =
        service.anonymous().with("origin", LISTED).with("access-control-request-method", "GET");
    let answer = page.call(Method::OPTIONS, "/api/alerts?status=firing", b"").await.expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), LISTED);
}
