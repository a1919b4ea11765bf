//! No input gives a 5xx, whatever it is: properties over HTTP.

use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use serde_json::Value;

use crate::harness::{Place, Running};

const CASES: u32 = 96;

/// Any JSON, with the names and values that mean something likely.
fn json() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        "(alerts|status|labels|annotations|startsAt|endsAt|fingerprint|generatorURL|receiver)",
        "(truncatedAlerts|query|limit|filter|category|severity|tag|alertname|cause)",
        ".{0,6}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "(firing|resolved|9999-12-31T23:59:59.999Z|0001-01-01T00:00:00Z|-009999-01-01T00:00:00Z)"
            .prop_map(Value::from),
        ".{0,30}".prop_map(Value::from),
        "[\\x00-\\x7f]{0,10}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map(name.clone(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A payload that is nearly right: its alerts are stored more often than not.
fn near_payload() -> impl Strategy<Value = Value> {
    let time = prop_oneof![
        Just(Value::Null),
        "(0001-01-01T00:00:00Z|9999-12-31T23:59:59Z|1900-01-01t00:00:00z|2026-11-25 08:00:00 [+]0000 UTC)"
            .prop_map(Value::from),
        "[0-9]{4}-(0[1-9]|1[0-2])-[0-2][0-9]T[0-2][0-9]:00:00(\\.[0-9]{1,9})?(Z|[+-]0[0-9]:30)"
            .prop_map(Value::from),
    ];
    let texts = || prop::collection::hash_map(".{1,12}", "(?s).{0,40}", 0..5);
    let many = |n| (0..n).map(|i| (format!("l{i}"), "v".repeat(n))).collect();
    let texts = || prop_oneof![4 => texts(), 1 => (40..60_usize).prop_map(many)];
    let alert = ("(firing|resolved)", texts(), texts(), time.clone(), time, ".{0,20}").prop_map(
        |(status, labels, annotations, starts, ends, fingerprint)| {
            serde_json::json!({
                "status": status, "labels": labels, "annotations": annotations,
                "startsAt": starts, "endsAt": ends, "fingerprint": fingerprint,
            })
        },
    );
    prop::collection::vec(alert, 0..8).prop_map(|alerts| serde_json::json!({"alerts": alerts}))
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        json().prop_map(|value| value.to_string().into_bytes()),
        near_payload().prop_map(|value| value.to_string().into_bytes()),
        // JSON that was cut or has a byte changed.
        (near_payload(), any::<prop::sample::Index>(), any::<u8>()).prop_map(
            |(value, at, byte)| {
                let mut bytes = value.to_string().into_bytes();
                let at = at.index(bytes.len());
                bytes[at] = byte;
                bytes.truncate(at.max(bytes.len() / 2));
                bytes
            }
        ),
    ]
}

/// Runs `claim` on many values against one service.
fn for_all<S: Strategy>(values: S, claim: impl AsyncFn(&Running, S::Value) -> Result<(), String>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let place = Place::sqlite();
    let service = runtime.block_on(place.start());
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&values, |value| runtime.block_on(claim(&service, value)).map_err(TestCaseError::fail))
        .unwrap();
    runtime.block_on(async {
        // It is alive, and all that it took can be read again.
        service.anonymous().get("/ready").await.expect(200);
        let stored = service.stored("alerts").await;
        service.stop().await.unwrap();
        let again = place.start().await;
        assert_eq!(again.stored("alerts").await, stored);
    });
}

#[test]
fn no_webhook_gives_a_5xx_and_every_alert_is_counted() {
    for_all(body(), async |service, body| {
        let answer = service.signer().post_bytes("/webhook/alerts", &body).await;
        let adds_up = match answer.status {
            200 => {
                let said = answer.json();
                let count = |name: &str| said[name].as_u64().unwrap_or(0);
                let counted = ["new", "updated", "duplicates", "rejected"].map(count);
                let partial = said["status"] == "partial";
                count("received") == counted.iter().sum::<u64>()
                    && partial == (count("rejected") > 0)
            }
            status => status == 400,
        };
        adds_up.then_some(()).ok_or_else(|| answer.text())
    });
}

#[test]
fn no_query_gives_a_5xx() {
    let query = prop_oneof![
        body(),
        ".{0,60}".prop_map(|query| serde_json::json!({"query": query}).to_string().into_bytes()),
        "[\\PC&&[^<>;{}$|\\\\`^~\\[\\]*\"]]{1,80}"
            .prop_map(|query| serde_json::json!({"query": query}).to_string().into_bytes()),
    ];
    for_all(query, async |service, body| {
        let answer = service.operator().post_bytes("/api/knowledge/query", &body).await;
        matches!(answer.status, 200 | 400).then_some(()).ok_or_else(|| answer.text())
    });
}

#[test]
fn no_query_string_gives_a_5xx() {
    let given =
        "((days|metric|aggregation|collection|format)=[!-~&&[^#]]{0,12}&?){0,4}|[!-~&&[^#]]{0,40}";
    for_all(given, async |service, query| {
        for path in ["/api/persistence/historical", "/api/persistence/export"] {
            let answer = service.admin().get(&format!("{path}?{query}")).await;
            matches!(answer.status, 200 | 400).then_some(()).ok_or_else(|| answer.text())?;
        }
        Ok(())
    });
}
