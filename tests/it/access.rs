//! Who may call what: the route table walked by strangers, by each role and with the webhook's
//! token.

use orchestrator::{
    http::{Route, guard::Access, routes, web},
    security::Role,
};
use reqwest::Method;

use crate::harness::{Actor, Answer, Place, Running, on_each_store};

on_each_store![each_role_opens_what_the_table_says_and_no_more];

/// A path that the route's template matches.
fn path(route: &Route) -> String {
    let path = route.path.replace("{id}", "kb-none");
    path.replace("{edition}", web::edition()).replace("{file}", "main.js")
}

/// Calls the route with a body that cannot be read, if it takes one.
async fn call_badly(actor: &Actor, route: &Route) -> Answer {
    let body: &[u8] = if route.method == Method::GET { b"" } else { b"{\"" };
    actor.call(route.method.clone(), &path(route), body).await
}

#[track_caller]
fn assert_is_401(answer: &Answer, route: &Route) {
    assert_eq!(answer.status, 401, "{} {}: {}", route.method, route.path, answer.text());
    assert_eq!(answer.header("www-authenticate"), "Bearer");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(answer.error().starts_with("Unauthorized: "), "{}", answer.text());
}

#[tokio::test]
async fn a_stranger_gets_401_wherever_the_table_says_so_and_nothing_is_parsed() {
    let place = Place::sqlite();
    let service = place.start().await;
    for route in routes() {
        let answer = call_badly(&service.anonymous(), &route).await;
        match route.guarded.access {
            Access::Anyone => assert_eq!(answer.status, 200, "{}", route.path),
            // Not 400: the body was not looked at.
            Access::Role(_) | Access::WebhookSender => assert_is_401(&answer, &route),
        }
    }
}

#[tokio::test]
async fn a_head_request_is_guarded_like_its_get() {
    let place = Place::sqlite();
    let service = place.start().await;
    for route in routes().into_iter().filter(|route| route.method == Method::GET) {
        let expected = if route.guarded.access == Access::Anyone { 200 } else { 401 };
        let answer = service.anonymous().call(Method::HEAD, &path(&route), b"").await;
        assert_eq!((answer.status, answer.body.len()), (expected, 0), "{}", route.path);
    }
}

#[tokio::test]
async fn what_is_not_a_key_opens_nothing() {
    let place = Place::sqlite();
    let service = place.start().await;
    let key = crate::harness::keys::ADMIN;
    let stranger = service.anonymous();
    for value in [
        "",
        "Bearer",
        "Bearer ",
        &format!("Basic {key}"),
        key,
        &format!("Bearer {key}x"),
        &format!("Bearer {}", key.to_uppercase()),
        &format!("Bearer {key} {key}"),
        "Bearer null",
    ] {
        let answer = stranger.clone().with("authorization", value).get("/api/auth/me").await;
        assert_eq!(answer.status, 401, "{value:?}");
        assert!(!answer.text().contains(key), "{}", answer.text());
    }
    let lower = stranger.clone().with("authorization", &format!("bearer {key}"));
    lower.get("/api/auth/me").await.expect(200);
    // A key in the query string is no key.
    stranger.get(&format!("/api/auth/me?api_key={key}&token={key}")).await.expect(401);
}

async fn each_role_opens_what_the_table_says_and_no_more(place: &Place) {
    let service = place.start().await;
    let callers = [
        (Role::Viewer, service.viewer()),
        (Role::Operator, service.operator()),
        (Role::Admin, service.admin()),
    ];
    for route in routes() {
        let Access::Role(required) = route.guarded.access else { continue };
        for (role, caller) in &callers {
            let answer = call_badly(caller, &route).await;
            let context = format!("{} {} as {}", route.method, route.path, role.as_str());
            assert_eq!(answer.header("cache-control"), "no-store", "{context}");
            if *role >= required {
                // The body was bad where there is one: a 400 proves that it was looked at.
                let good = if route.method == Method::GET { 200 } else { 400 };
                let missing = route.path.contains("{id}") && answer.status == 404;
                assert!(answer.status == good || missing, "{context}: {}", answer.text());
            } else {
                assert_eq!(answer.status, 403, "{context}");
                assert_eq!(answer.json()["requiredRole"], required.as_str(), "{context}");
                assert!(answer.error().contains(required.as_str()), "{context}");
            }
        }
    }
}

#[tokio::test]
async fn the_webhook_token_opens_the_webhook_and_no_other_route() {
    let place = Place::sqlite();
    let service = place.start().await;
    for route in routes() {
        let answer = call_badly(&service.alertmanager(), &route).await;
        match route.guarded.access {
            Access::Anyone => assert_eq!(answer.status, 200),
            Access::WebhookSender => assert_eq!(answer.status, 400, "{}", answer.text()),
            Access::Role(_) => assert_is_401(&answer, &route),
        }
    }
}

#[tokio::test]
async fn no_api_key_opens_the_webhook() {
    let place = Place::sqlite();
    let service = place.start().await;
    for caller in [service.viewer(), service.operator(), service.admin()] {
        caller.post_bytes("/webhook/alerts", b"{\"alerts\":[]}").await.expect(401);
    }
    assert!(service.stored("alerts").await.is_empty());
}

#[tokio::test]
async fn without_webhook_credentials_every_webhook_is_refused() {
    let mut place = Place::sqlite();
    place.set("WEBHOOK_SECRET", "");
    place.set("WEBHOOK_TOKEN", "");
    let service = place.start().await;
    for sender in [
        service.anonymous(),
        service.alertmanager(),
        service.signer(),
        service.bearer("null"),
        service.anonymous().with("authorization", "Bearer "),
        service.anonymous().with("x-webhook-signature", ""),
    ] {
        sender.post_bytes("/webhook/alerts", b"{\"alerts\":[]}").await.expect(401);
    }
}

/// What holds of every answer, whatever it is.
#[track_caller]
fn assert_common(answer: &Answer) {
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert!(!answer.header("x-request-id").is_empty());
}

async fn one_answer_of_each_kind(service: &Running, headers: &[(&str, &str)]) -> Vec<Answer> {
    let with = |actor: Actor| headers.iter().fold(actor, |actor, (name, v)| actor.with(name, v));
    let (stranger, operator) = (with(service.anonymous()), with(service.operator()));
    let big = vec![b' '; (1 << 20) + 1];
    vec![
        stranger.get("/health").await.expect(200),
        operator.get("/api/auth/me").await.expect(200),
        operator.post_bytes("/api/knowledge/query", b"{").await.expect(400),
        stranger.get("/api/auth/me").await.expect(401),
        operator.get("/api/persistence/export").await.expect(403),
        stranger.get("/nowhere").await.expect(404),
        stranger.call(Method::DELETE, "/health", b"").await.expect(405),
        operator.post_bytes("/api/knowledge/query", &big).await.expect(413),
    ]
}

#[tokio::test]
async fn every_answer_has_a_request_id_and_is_not_sniffed() {
    let place = Place::sqlite();
    let service = place.start().await;
    let mut ids = std::collections::HashSet::new();
    for answer in one_answer_of_each_kind(&service, &[]).await {
        assert_common(&answer);
        let id = answer.header("x-request-id").to_owned();
        let uuid = uuid::Uuid::parse_str(&id).unwrap();
        assert_eq!(uuid.get_version_num(), 4);
        assert!(ids.insert(id), "an id was given twice");
    }
}

#[tokio::test]
async fn the_callers_own_request_id_comes_back_if_it_can_be_one() {
    let place = Place::sqlite();
    let service = place.start().await;
    let longest = "i".repeat(128);
    for own in ["deploy-42/step!7", longest.as_str()] {
        for answer in one_answer_of_each_kind(&service, &[("x-request-id", own)]).await {
            assert_eq!(answer.header("x-request-id"), own);
            if answer.status >= 400 {
                answer.error();
            }
        }
    }
    for bad in ["two words", "i".repeat(129).as_str(), ""] {
        let answer = service.anonymous().with("x-request-id", bad).get("/health").await;
        assert!(uuid::Uuid::parse_str(answer.header("x-request-id")).is_ok(), "{bad:?}");
    }
}
