//! Limits that replicas share through Redis, and what becomes of them without it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::assert_limited;
use crate::harness::{Actor, Place, Redis, Running, Stopwatch, eventually};

/// A service of its own, with limits as by default, that shares them.
fn replica(url: &str) -> Place {
    let mut place = Place::sqlite();
    place.set("REDIS_URL", url);
    place.set("RATE_LIMIT_API", "30");
    place.set("AUTH_FAILURE_LIMIT", "3");
    place
}

async fn start(places: &[Place]) -> Vec<Running> {
    let mut services = Vec::new();
    for place in places {
        let service = place.start().await;
        eventually("Redis is used", async || {
            (coordination(&service).await["store"] == "redis").then_some(())
        })
        .await;
        services.push(service);
    }
    services
}

/// How many of `n` questions are answered, asked of each in turn.
async fn answered(callers: &[Actor], n: usize) -> usize {
    let mut answered = 0;
    for caller in callers.iter().cycle().take(n) {
        let answer = caller.post("/api/knowledge/query", &json!({"query": "disk full"})).await;
        match answer.status {
            200 => answered += 1,
            _ => assert_limited(&answer, 429, "30"),
        }
    }
    answered
}

async fn coordination(service: &Running) -> Value {
    let health = service.anonymous().get("/api/persistence/health").await.expect(200).json();
    health["coordination"].clone()
}

#[tokio::test]
async fn three_replicas_let_as_many_through_as_one() {
    let Some(redis) = Redis::start().await else { return };
    let places = [replica(&redis.url()), replica(&redis.url()), replica(&redis.url())];
    let services = start(&places).await;
    let callers: Vec<_> = services.iter().map(Running::operator).collect();
    let started = Instant::now();
    let answered = answered(&callers, 90).await as f64;
    let refilled = started.elapsed().as_secs_f64() / 2.0;
    println!("{answered} of 90 were answered in {:?}", started.elapsed());
    assert!((30.0..=30.5 + refilled).contains(&answered), "{answered}, {refilled} refilled");
    for service in &services {
        let coordination = coordination(service).await;
        assert_eq!(
            coordination,
            json!({
                "status": "healthy", "store": "redis", "redisConfigured": true,
                "redisReachable": true,
                "detail": "Redis answers: limits are shared by all replicas",
            })
        );
        assert_eq!(service.sample("redis_up").await, 1.0);
    }
}

#[tokio::test]
async fn failed_authentications_are_counted_on_all_replicas_together() {
    let Some(redis) = Redis::start().await else { return };
    let services = start(&[replica(&redis.url()), replica(&redis.url())]).await;
    for (n, service) in services.iter().cycle().take(8).enumerate() {
        let answer = service.bearer("wrong").get("/api/auth/me").await;
        answer.expect(if n < 3 { 401 } else { 429 });
    }
    services[0].viewer().get("/api/auth/me").await.expect(200);
}

#[tokio::test]
async fn without_redis_each_replica_goes_on_from_what_it_knows_and_says_so() {
    let Some(mut redis) = Redis::start().await else { return };
    let place = replica(&redis.url());
    let service = place.start().await;
    let operator = service.operator();
    assert_eq!(answered(std::slice::from_ref(&operator), 10).await, 10);
    redis.kill();
    let begun = Stopwatch::start();
    let more = answered(std::slice::from_ref(&operator), 40).await;
    assert!((20..=22).contains(&more), "{more}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let away = coordination(&service).await;
    assert_eq!((&away["status"], &away["store"]), (&json!("degraded"), &json!("memory")));
    assert_eq!(away["redisReachable"], false);
    assert_eq!(service.sample("redis_up").await, 0.0);
    redis.restart().await;
    eventually("Redis is used again", async || {
        (service.sample("redis_up").await > 0.0).then_some(())
    })
    .await;
    assert_eq!(answered(&[operator], 5).await, 5);
}

#[tokio::test]
async fn a_redis_that_hangs_holds_up_few_and_each_for_50_ms() {
    let Some(redis) = Redis::start().await else { return };
    let place = replica(&redis.url());
    let mut process = place.spawn(&[]).await;
    let admin = process.admin();
    admin.get("/api/auth/me").await.expect(200);
    redis.pause();
    let begun = Stopwatch::start();
    for _ in 0..20 {
        admin.get("/api/auth/me").await.expect(200);
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let line = process.line_with("Redis does not answer").await;
    assert!(line.contains("WARN"), "{line}");
    redis.resume();
    process.line_with("Redis answers").await;
    process.terminate();
    assert_eq!(process.exit_code().await, 0);
    let lines = process.output().await;
    let told = lines.matches("Redis does not answer").count();
    assert_eq!(told, 1, "one line for one change");
    assert!(!lines.contains(redis.password()));
}

#[tokio::test]
async fn a_password_of_its_own_opens_redis_and_a_wrong_one_is_told() {
    let Some(redis) = Redis::start().await else { return };
    let place = replica(&redis.address());
    let service = place.start_with(&[("REDIS_PASSWORD", redis.password())]).await;
    assert_eq!(coordination(&service).await["store"], "redis");
    let wrong = [("REDIS_PASSWORD", "not-the-password-of-this-redis")];
    let other = replica(&redis.address());
    let mut process = other.spawn(&wrong).await;
    let admin = process.admin();
    admin.get("/api/auth/me").await.expect(200);
    let health = admin.get("/api/persistence/health").await.expect(200).json();
    assert_eq!(health["coordination"]["store"], "memory");
    process.terminate();
    process.exit_code().await;
    let lines = process.output().await;
    assert!(
        lines.contains("Redis does not answer") && lines.contains("AuthenticationFailed"),
        "{lines}"
    );
    assert!(!lines.contains("not-the-password"), "{lines}");
}

#[tokio::test]
async fn redis_is_spoken_to_over_tls_and_its_certificate_is_checked() {
    let Some(redis) = Redis::start_with_tls().await else { return };
    let place = replica(&redis.url());
    let authority = redis.authority();
    for (trusted, store) in [(authority.to_str().unwrap(), "redis"), ("/dev/null", "memory")] {
        let process = place.spawn(&[("SSL_CERT_FILE", trusted)]).await;
        let health = process.admin().get("/api/persistence/health").await.expect(200).json();
        assert_eq!(health["coordination"]["store"], store, "{health}");
    }
}
