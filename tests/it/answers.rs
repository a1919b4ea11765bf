//! What the service says when it cannot do what it was asked: 400, 404, 405, 408, 413.

use orchestrator::http::routes;
use reqwest::{Body, Method};
use serde_json::json;

use crate::harness::{Place, Raw, TOKEN, on_each_store, payload};

on_each_store![a_refused_body_leaves_nothing_behind];

#[tokio::test]
async fn what_is_no_route_is_404_in_the_form_of_errors() {
    let place = Place::sqlite();
    let service = place.start().await;
    for path in ["/nowhere", "/health/", "//health", "/api/knowledge", "/metrics", "/%00"] {
        let answer = service.admin().get(path).await.expect(404);
        assert_eq!(answer.error(), "Not found", "{path}");
    }
}

#[tokio::test]
async fn another_method_is_405_and_says_which_is_allowed() {
    let place = Place::sqlite();
    let service = place.start().await;
    let table = routes();
    for route in &table {
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            if table.iter().any(|known| known.path == route.path && known.method == method) {
                continue;
            }
            let path = route.path.replace("{id}", "x");
            let answer = service.anonymous().call(method.clone(), &path, b"").await;
            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(answer.error(), "Method not allowed");
            let allowed: Vec<_> = answer.header("allow").split(',').map(str::trim).collect();
            assert!(allowed.contains(&route.method.as_str()), "{path}: {allowed:?}");
        }
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_with_or_without_its_length() {
    let mut place = Place::sqlite();
    place.set("BODY_LIMIT_BYTES", "1000");
    place.set("WEBHOOK_BODY_LIMIT_BYTES", "1000");
    let service = place.start().await;
    let routes = [
        (service.operator(), "/api/knowledge/query"),
        (service.alertmanager(), "/webhook/alerts"),
        (service.signer(), "/webhook/alerts"),
    ];
    for (actor, path) in routes {
        let fits = [&br#"{"query":"up","alerts":[]}"#[..], &[b' '; 1000 - 26]].concat();
        assert_eq!(fits.len(), 1000);
        actor.post_bytes(path, &fits).await.expect(200);
        let over = [fits, vec![b' ']].concat();
        let answer = actor.post_bytes(path, &over).await.expect(413);
        assert!(answer.error().contains("1000"));

        let pieces: Vec<_> =
            over.chunks(100).map(|piece| Ok::<_, String>(piece.to_vec())).collect();
        let chunked = Body::wrap_stream(futures::stream::iter(pieces));
        let request = actor.request(Method::POST, path, &over).body(chunked);
        actor.send(request).await.expect(413).error();
    }
}

#[tokio::test]
async fn an_announced_body_over_the_limit_is_refused_before_it_is_sent() {
    let place = Place::sqlite();
    let service = place.start().await;
    let mut connection = Raw::open(service.address()).await;
    let head = format!(
        "POST /webhook/alerts HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\
         content-length: 4194305\r\nexpect: 100-continue\r\n\r\n"
    );
    connection.send(head).await;
    let answer = connection.read_until("\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_408() {
    let mut place = Place::sqlite();
    place.set("REQUEST_TIMEOUT_SECONDS", "1");
    let service = place.start().await;
    for (path, proof) in [
        ("/webhook/alerts", format!("authorization: Bearer {TOKEN}")),
        ("/webhook/alerts", format!("x-webhook-signature: {}", "0".repeat(64))),
        ("/api/knowledge/query", format!("authorization: Bearer {}", crate::harness::keys::ADMIN)),
    ] {
        let mut connection = Raw::open(service.address()).await;
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\n{proof}\r\ncontent-length: 50\r\n");
        connection.send(format!("{head}\r\n{{\"alerts\":")).await;
        let answer = connection.read_until("requestId").await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
}

#[tokio::test]
async fn json_is_read_whatever_the_content_type_says() {
    let place = Place::sqlite();
    let service = place.start().await;
    let kinds =
        ["application/x-www-form-urlencoded", "text/plain", "application/json; charset=utf-8", "?"];
    for kind in kinds {
        let operator = service.operator().with("content-type", kind);
        operator.post("/api/knowledge/query", &json!({"query": "disk"})).await.expect(200);
        service.signer().with("content-type", kind).notify(&payload([])).await.expect(200);
    }
    // Without the header too.
    service.operator().post("/api/knowledge/query", &json!({"query": "disk"})).await.expect(200);
}

#[tokio::test]
async fn what_is_no_json_is_400_and_says_where() {
    let place = Place::sqlite();
    let service = place.start().await;
    let deep = "[".repeat(100_000);
    for body in ["", "{", "{\"query\":\"x\"", "query=x", "{\"query\":\"\u{1}\"}", &deep] {
        for (actor, path) in [
            (service.operator(), "/api/knowledge/query"),
            (service.signer(), "/webhook/alerts"),
            (service.alertmanager(), "/webhook/alerts"),
        ] {
            let answer = actor.post_bytes(path, body.as_bytes()).await.expect(400);
            assert!(answer.error().starts_with("Malformed JSON: "), "{}", answer.text());
            assert!(answer.body.len() < 300, "{}", answer.text());
        }
    }
    let latin1 = b"{\"query\":\"caf\xe9\"}";
    service.operator().post_bytes("/api/knowledge/query", latin1).await.expect(400);
}

#[tokio::test]
async fn a_400_lists_every_problem_and_at_most_twenty() {
    let place = Place::sqlite();
    let service = place.start().await;
    let body = json!({"query": "<script>", "limit": 101, "filter": {"category": "x", "tag": 7}});
    let answer = service.operator().post("/api/knowledge/query", &body).await.expect(400);
    assert_eq!(answer.problem_paths(), ["filter.category", "filter.tag", "limit", "query"]);
    let details = &answer.json()["details"];
    assert_eq!(details[3]["message"], "Invalid characters");

    let alerts = json!({"alerts": [
        {"status": "burning", "labels": {"a": 1}},
        {"labels": {"a": "b"}},
        "no object",
    ]});
    let answer = service.signer().notify(&alerts).await.expect(400);
    let paths = ["alerts.0.status", "alerts.0.labels.a", "alerts.1.status", "alerts.2"];
    assert_eq!(answer.problem_paths(), paths);

    let many = json!({"alerts": vec![json!({"status": "burning", "labels": {}}); 500]});
    assert_eq!(service.signer().notify(&many).await.expect(400).problem_paths().len(), 20);

    let query = "/api/persistence/historical?days=0&aggregation=yearly&metric=";
    let answer = service.viewer().get(query).await.expect(400);
    let mut paths = answer.problem_paths();
    paths.sort();
    assert_eq!(paths, ["aggregation", "days", "metric"]);
}

#[tokio::test]
async fn a_query_string_that_cannot_be_read_is_400() {
    let place = Place::sqlite();
    let service = place.start().await;
    for query in ["days=366", "days=-1", "days=1.5", "days=x", "days=", "metric=%00%ff"] {
        let path = format!("/api/persistence/historical?{query}");
        let status = service.viewer().get(&path).await.status;
        assert!(status == 400 || query.starts_with("metric"), "{query}: {status}");
        assert!(status < 500, "{query}: {status}");
    }
    for query in ["collection=secrets", "format=xml", "format=JSON"] {
        let path = format!("/api/persistence/export?{query}");
        service.admin().get(&path).await.expect(400).error();
    }
}

async fn a_refused_body_leaves_nothing_behind(place: &Place) {
    let service = place.start().await;
    let good = json!({"status": "firing", "labels": {"alertname": "Good"}});
    let bodies = [
        json!({"alerts": [{"status": "burning", "labels": {}}]}),
        json!({"alerts": vec![good.clone(); 1001]}),
        json!({"alerts": [{"status": "firing", "labels": {"n": "v".repeat(4097)}}]}),
        json!({"alerts": good}),
        json!([good]),
    ];
    for body in &bodies {
        service.alertmanager().notify(body).await.expect(400).error();
    }
    assert!(service.stored("alerts").await.is_empty());
    assert!(service.stored("knowledge_base").await.is_empty());
    let failures = service.sample(r#"validation_failures_total{route="/webhook/alerts"}"#).await;
    assert_eq!(failures, bodies.len() as f64);
}
