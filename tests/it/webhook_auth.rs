//! How a webhook proves who sent it.

use std::sync::Arc;

use orchestrator::model::{ManualClock, Time};

use crate::harness::{Actor, Alert, Answer, Place, Running, TOKEN, hmac_hex, keys, payload};

const NOW_SECONDS: i64 = 1_772_323_200;

async fn start(place: &Place) -> Running {
    place.start_at(Arc::new(ManualClock::new(Time::from_millis(NOW_SECONDS * 1000)))).await
}

fn body() -> Vec<u8> {
    payload([Alert::firing("HighErrorRate", "node1:9100")]).to_string().into_bytes()
}

async fn send(actor: &Actor, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let actor = headers.iter().fold(actor.clone(), |actor, (name, v)| actor.with(name, v));
    actor.post_bytes("/webhook/alerts", body).await
}

#[tokio::test]
async fn a_signature_over_the_raw_bytes_opens_in_every_form() {
    let place = Place::sqlite();
    let service = start(&place).await;
    let body = [&b" \n"[..], &body(), b"\t"].concat();
    let hex = hmac_hex(keys::SECRET, &body);
    let upper = hex.to_uppercase();
    for signature in [
        &hex,
        &upper,
        &format!("sha256={hex}"),
        &format!("sha256={upper}"),
        &format!("SHA256={hex}"),
    ] {
        send(&service.anonymous(), &[("x-webhook-signature", signature)], &body).await.expect(200);
    }
    assert_eq!(service.stored("alerts").await.len(), 1);
}

#[tokio::test]
async fn a_wrong_signature_opens_nothing_and_stores_nothing() {
    let place = Place::sqlite();
    let service = start(&place).await;
    let body = body();
    let good = hmac_hex(keys::SECRET, &body);
    let other = hmac_hex("another secret", &body);
    let tampered = String::from_utf8(body.clone()).unwrap().replace("critical", "warning");
    let respaced = [&body[..], b" "].concat();
    let cases: [(&str, &[u8]); 9] = [
        (&good, tampered.as_bytes()),
        (&good, &respaced),
        (&other, &body),
        (&good[1..], &body),
        (&format!("{good}00"), &body),
        (&format!("sha1={good}"), &body),
        (&format!("sha256=sha256={good}"), &body),
        ("", &body),
        (keys::SECRET, &body),
    ];
    for (signature, body) in cases {
        let answer = send(&service.anonymous(), &[("x-webhook-signature", signature)], body).await;
        assert_eq!(answer.status, 401, "{signature}");
        assert!(!answer.text().contains(&good));
    }
    assert!(service.stored("alerts").await.is_empty());
    assert_eq!(service.summary().await["stats"]["total"], 0);
    let refused = service.sample(r#"webhook_auth_total{method="signature",outcome="mismatch"}"#);
    assert_eq!(refused.await, 3.0);
}

/// Signs with a time, and with the time that is sent.
async fn send_at(service: &Running, seconds: i64) -> Answer {
    let (body, timestamp) = (body(), seconds.to_string());
    let signed = [timestamp.as_bytes(), b":", &body].concat();
    let signature = hmac_hex(keys::SECRET, &signed);
    let headers =
        [("x-webhook-signature", signature.as_str()), ("x-webhook-timestamp", timestamp.as_str())];
    send(&service.anonymous(), &headers, &body).await
}

#[tokio::test]
async fn a_signed_time_may_differ_by_300_seconds_and_no_more() {
    let place = Place::sqlite();
    let service = start(&place).await;
    for (offset, status) in [(0, 200), (-300, 200), (300, 200), (-301, 401), (301, 401)] {
        assert_eq!(send_at(&service, NOW_SECONDS + offset).await.status, status, "{offset}");
    }
    assert_eq!(send_at(&service, -1).await.status, 401);
    assert_eq!(send_at(&service, i64::MAX).await.status, 401);
}

#[tokio::test]
async fn a_time_that_was_not_signed_is_worth_nothing() {
    let place = Place::sqlite();
    let service = start(&place).await;
    let body = body();
    let signature = hmac_hex(keys::SECRET, &body);
    let now = NOW_SECONDS.to_string();
    for timestamp in [now.as_str(), "", "now", "1e9"] {
        let headers =
            [("x-webhook-signature", signature.as_str()), ("x-webhook-timestamp", timestamp)];
        assert_eq!(send(&service.anonymous(), &headers, &body).await.status, 401, "{timestamp}");
    }
}

#[tokio::test]
async fn a_required_time_must_be_there() {
    let mut place = Place::sqlite();
    place.set("WEBHOOK_REQUIRE_TIMESTAMP", "true");
    let service = start(&place).await;
    let without = service.signer().post_bytes("/webhook/alerts", &body()).await.expect(401);
    assert_eq!(without.error(), "Unauthorized: the timestamp is missing");
    send_at(&service, NOW_SECONDS).await.expect(200);
    // Stock Alertmanager has no signature to put a time into.
    service.alertmanager().post_bytes("/webhook/alerts", &body()).await.expect(200);
}

#[tokio::test]
async fn the_previous_secret_is_good_while_it_is_set() {
    let mut place = Place::sqlite();
    place.set("WEBHOOK_SECRET", "the-new-secret-of-the-webhook");
    place.set("WEBHOOK_SECRET_PREVIOUS", keys::SECRET);
    let service = start(&place).await;
    let body = body();
    for secret in [keys::SECRET, "the-new-secret-of-the-webhook"] {
        let signature = hmac_hex(secret, &body);
        send(&service.anonymous(), &[("x-webhook-signature", &signature)], &body).await.expect(200);
    }
    service.stop().await.unwrap();
    place.set("WEBHOOK_SECRET_PREVIOUS", "");
    let service = start(&place).await;
    service.signer().post_bytes("/webhook/alerts", &body).await.expect(401);
}

#[tokio::test]
async fn the_old_orchestrators_signature_is_good_only_where_it_is_asked_for() {
    let sent = r#"{ "status": "firing", "alerts": [
        {"status": "firing", "labels": {"b": "2", "alertname": "Old"}, "annotations": {}} ] }"#;
    let signed = concat!(
        r#"{"alerts":[{"annotations":{},"labels":{"alertname":"Old","b":"2"},"status":"firing"}],"#,
        r#""status":"firing"}"#
    );
    let signature = hmac_hex(keys::SECRET, signed.as_bytes());
    let headers = [("x-webhook-signature", signature.as_str())];
    for (compat, status) in [("", 401), ("canonical-json", 200)] {
        let mut place = Place::sqlite();
        place.set("WEBHOOK_SIGNATURE_COMPAT", compat);
        let service = start(&place).await;
        let answer = send(&service.anonymous(), &headers, sent.as_bytes()).await;
        assert_eq!(answer.status, status, "{compat:?}");
        let tampered = sent.replace("Old", "New");
        send(&service.anonymous(), &headers, tampered.as_bytes()).await.expect(401);
        send(&service.anonymous(), &headers, b"{no json").await.expect(401);
        // What is signed over the raw bytes stays good.
        service.signer().post_bytes("/webhook/alerts", &body()).await.expect(200);
    }
}

#[tokio::test]
async fn a_signature_is_judged_alone_even_beside_a_good_token() {
    let place = Place::sqlite();
    let service = start(&place).await;
    let body = body();
    let wrong = "0".repeat(64);
    send(&service.alertmanager(), &[("x-webhook-signature", &wrong)], &body).await.expect(401);
    send(&service.alertmanager(), &[("x-webhook-signature", "")], &body).await.expect(401);
    let good = hmac_hex(keys::SECRET, &body);
    let headers = [("x-webhook-signature", good.as_str()), ("authorization", "Bearer wrong")];
    send(&service.anonymous(), &headers, &body).await.expect(200);
}

#[tokio::test]
async fn the_token_opens_and_nothing_like_it() {
    let place = Place::sqlite();
    let service = start(&place).await;
    service.alertmanager().post_bytes("/webhook/alerts", &body()).await.expect(200);
    for token in [&TOKEN[1..], &format!("{TOKEN}x"), &TOKEN.to_uppercase(), keys::SECRET] {
        let answer = service.bearer(token).post_bytes("/webhook/alerts", &body()).await;
        assert_eq!(answer.expect(401).error(), "Unauthorized: this is not the webhook token");
    }
    let accepted = r#"webhook_auth_total{method="bearer",outcome="accepted"}"#;
    assert_eq!(service.sample(accepted).await, 1.0);
    let mismatch = r#"webhook_auth_total{method="bearer",outcome="mismatch"}"#;
    assert_eq!(service.sample(mismatch).await, 4.0);
}
