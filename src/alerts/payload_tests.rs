//! What a payload is taken for: limits to the byte, names, severities, what is cut and what is
//! refused.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::{
    alerts::{fingerprint, trimming::CUT},
    model::{Severity, Status},
};

const NOW: i64 = 1_795_000_000_000;

fn parse_bytes(body: &[u8]) -> Result<AlertBatch, Rejection> {
    AlertBatch::parse(body, Time::from_millis(NOW), &SeverityWords::default())
}

fn parse(body: &Value) -> Result<AlertBatch, Rejection> {
    parse_bytes(body.to_string().as_bytes())
}

/// The batch in a good envelope.
fn batch(body: &Value) -> AlertBatch {
    parse(body).unwrap_or_else(|rejection| panic!("{rejection:?}"))
}

/// The one alert in a payload with these fields more than a status.
fn alert(fields: Value) -> ReceivedAlert {
    let mut batch = batch(&one(fields));
    assert_eq!(batch.refused, Refused::default());
    batch.alerts.remove(0)
}

fn one(fields: Value) -> Value {
    let mut alert = json!({"status": "firing", "labels": {}});
    alert.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({ "alerts": [alert] })
}

/// Where something is wrong, in the envelope or in alerts.
fn problems(body: &Value) -> Vec<String> {
    let problems = match parse(body) {
        Err(Rejection::Invalid(problems)) => problems,
        Ok(batch) => batch.refused.problems,
        Err(other) => panic!("{other:?}"),
    };
    problems.into_iter().map(|problem| problem.path).collect()
}

fn reasons(body: &Value) -> Vec<RefusalReason> {
    let refused = batch(body).refused;
    assert!(refused.reasons.is_empty() == refused.problems.is_empty());
    refused.reasons
}

fn pairs(n: usize) -> Map<String, Value> {
    (0..n).map(|i| (format!("l{i:02}"), json!("v"))).collect()
}

#[test]
fn every_problem_is_listed_with_its_path() {
    let found = problems(&json!({"receiver": 5, "truncatedAlerts": "x", "alerts": [
        {"status": "burning", "labels": {"": "x", "a": 1}, "annotations": [], "startsAt": "now"},
        7,
        {"labels": null, "endsAt": 3, "generatorURL": {}, "fingerprint": []},
        {"status": "firing", "labels": {}, "annotations": {"b": null}},
    ]}));
    assert_eq!(
        found,
        [
            "receiver",
            "truncatedAlerts",
            "alerts.0.status",
            "alerts.0.labels.\"\"",
            "alerts.0.labels.a",
            "alerts.0.annotations",
            "alerts.0.startsAt",
            "alerts.1",
            "alerts.2.status",
            "alerts.2.labels",
            "alerts.2.endsAt",
            "alerts.2.generatorURL",
            "alerts.2.fingerprint",
            "alerts.3.annotations.b",
        ]
    );
}

#[test]
fn the_limits_of_labels_hold_to_the_byte() {
    let labels = |labels: Value| one(json!({ "labels": labels }));
    assert_eq!(reasons(&labels(pairs(50).into())), []);
    assert_eq!(reasons(&labels(pairs(51).into())), [RefusalReason::TooManyLabels]);
    assert_eq!(problems(&labels(pairs(51).into())), ["alerts.0.labels"]);
    assert_eq!(reasons(&labels(json!({"n".repeat(256): "v".repeat(4096)}))), []);
    assert_eq!(reasons(&labels(json!({"n".repeat(257): "v"}))), [RefusalReason::LabelName]);
    assert_eq!(reasons(&labels(json!({"": "v"}))), [RefusalReason::LabelName]);
    let long = labels(json!({"n": "v".repeat(4097)}));
    assert_eq!(reasons(&long), [RefusalReason::LabelValue]);
    assert_eq!(problems(&long), ["alerts.0.labels.n"]);
    assert_eq!(reasons(&one(json!({"fingerprint": "f".repeat(256)}))), []);
    let long = one(json!({"fingerprint": "f".repeat(257)}));
    assert_eq!(reasons(&long), [RefusalReason::Fingerprint]);
}

#[test]
fn more_alerts_than_are_taken_are_a_wrong_envelope() {
    let many = |n| json!({"alerts": vec![json!({"status": "firing", "labels": {}}); n]});
    assert_eq!(batch(&many(1000)).alerts.len(), 1000);
    let Err(Rejection::Invalid(problems)) = parse(&many(1234)) else { panic!("taken") };
    assert_eq!(problems[0].path, "alerts");
    assert!(problems[0].message.ends_with("has 1234"), "{problems:?}");
}

#[test]
fn a_bad_alert_is_refused_alone_and_for_the_first_of_its_reasons() {
    let batch = batch(&json!({"alerts": [
        {"status": "firing", "labels": {"alertname": "Good"}},
        {"status": "firing", "labels": {"alertname": "Bad", "n": "v".repeat(4097)}, "startsAt": "x"},
        {"status": "resolved", "labels": {"alertname": "Fine"}},
        [],
    ]}));
    let names: Vec<_> = batch.alerts.iter().map(|alert| alert.name.as_str()).collect();
    assert_eq!(names, ["Good", "Fine"]);
    assert_eq!(batch.refused.reasons, [RefusalReason::LabelValue, RefusalReason::WrongType]);
    assert_eq!(batch.refused.example.as_deref(), Some("Bad"));
    assert_eq!(batch.refused.problems.len(), 3);
}

#[test]
fn a_doubled_field_or_label_takes_nothing_down() {
    let body = br#"{"alerts":[{"status":"burning","status":"firing","labels":{"a":"1","a":"2"}}]}"#;
    let batch = parse_bytes(body).unwrap();
    assert_eq!(batch.alerts[0].labels["a"], "2");
}

#[test]
fn what_is_too_long_for_people_is_cut() {
    let long = |n: usize| "ü".repeat(n);
    let sent = one(json!({
        "labels": {"alertname": "Long"},
        "annotations": {"description": long(8192), "summary": long(8193), "n".repeat(257): "x"},
        "generatorURL": format!("http://x/{}", long(4096)),
    }));
    let batch = batch(&sent);
    let alert = &batch.alerts[0];
    assert_eq!(alert.annotations["description"], long(8192));
    let summary = &alert.annotations["summary"];
    assert!(summary.len() <= 16 * 1024 && summary.ends_with("ü …[cut]"), "{}", summary.len());
    assert_eq!(&alert.message, summary);
    assert_eq!(alert.annotations.len(), 2);
    let url = alert.generator_url.as_deref().unwrap();
    assert!(url.len() <= 8 * 1024 && url.starts_with("http://x/ü") && url.ends_with(CUT));
    let counts: Vec<_> = batch.trimmed.by_field().collect();
    assert_eq!(counts, [(TrimmedField::Annotations, 1), (TrimmedField::GeneratorUrl, 1)]);
    let example = batch.trimmed.example.unwrap();
    assert_eq!(example.alert, "Long");
    assert!(example.what.starts_with("nnnn") || example.what == "summary", "{example:?}");
}

#[test]
fn of_too_many_annotations_those_that_are_read_are_kept() {
    let mut annotations = pairs(49);
    annotations.extend([("zebra".into(), json!("z")), ("summary".into(), json!("It burns"))]);
    annotations
        .extend([("runbook_url".into(), json!("https://x")), ("action".into(), json!("Run"))]);
    let mut batch = batch(&one(json!({ "annotations": annotations })));
    let kept = batch.alerts.remove(0).annotations;
    assert_eq!(kept.len(), 50);
    for name in ["summary", "runbook_url", "action", "l00", "l46"] {
        assert!(kept.contains_key(name), "{name}");
    }
    assert!(!kept.contains_key("zebra") && !kept.contains_key("l47"));
    assert_eq!(batch.trimmed.by_field().collect::<Vec<_>>(), [(TrimmedField::Annotations, 1)]);
    assert_eq!(reasons(&one(json!({ "annotations": pairs(500) }))), []);
}

#[test]
fn a_receiver_of_megabytes_is_not_copied_into_each_alert() {
    let mut body = json!({"alerts": vec![json!({"status": "firing", "labels": {}}); 3]});
    body["receiver"] = "r".repeat(1 << 20).into();
    body["groupLabels"] = json!({"alertname": "n".repeat(1 << 20)});
    let batch = batch(&body);
    for alert in &batch.alerts {
        assert!(alert.receiver.as_ref().unwrap().len() <= 1024);
        assert_eq!(alert.name, "unnamed");
    }
    assert_eq!(batch.trimmed.by_field().collect::<Vec<_>>(), [(TrimmedField::Receiver, 1)]);
}

#[test]
fn what_a_store_cannot_hold_is_replaced() {
    let alert = alert(json!({
        "labels": {"a\0b": "c\0", "alertname": "N\0"}, "annotations": {"\0": "\0", "$set": "a.b"},
        "fingerprint": "f\0", "generatorURL": "http://\0",
    }));
    let shown = format!("{alert:?}");
    assert!(!shown.contains("\\0") && !shown.contains('\0'), "{shown}");
    assert_eq!(alert.labels["a\u{fffd}b"], "c\u{fffd}");
    assert_eq!(alert.annotations["$set"], "a.b");
}

#[test]
fn what_is_missing_is_filled_in_as_prometheus_would() {
    let alert = alert(json!({
        "labels": {"alertname": "Up"}, "startsAt": "0001-01-01T00:00:00Z", "endsAt": null,
        "fingerprint": "", "notification_reason": {"new": ["field"]}, "annotations": null,
    }));
    assert_eq!(alert.fingerprint, fingerprint::of(&alert.labels));
    assert_eq!((alert.starts_at, alert.ends_at), (None, None));
    assert_eq!((alert.severity.as_str(), alert.message.as_str()), ("none", "Up"));
    assert_eq!((alert.status, alert.generator_url, alert.receiver), (Status::Firing, None, None));
}

#[test]
fn the_name_is_the_alerts_own_or_that_of_its_group() {
    let named = |own: Value, group: Value, common: Value| {
        let alerts = json!([{"status": "firing", "labels": own}]);
        let body = json!({"alerts": alerts, "groupLabels": group, "commonLabels": common});
        batch(&body).alerts.remove(0).name
    };
    let name = |name: &str| json!({"alertname": name, "job": "x"});
    assert_eq!(named(name("own"), name("group"), name("common")), "own");
    assert_eq!(named(name(""), name("group"), name("common")), "group");
    assert_eq!(named(json!({}), json!({"job": "x"}), name("common")), "common");
    assert_eq!(named(json!({}), json!([1]), json!("x")), "unnamed");
    assert_eq!(named(json!({}), json!({"alertname": 7}), json!(null)), "unnamed");
}

#[test]
fn the_cause_is_a_label_or_the_rule_that_grafana_cannot_evaluate() {
    let cause = |labels: Value| alert(json!({ "labels": labels })).cause;
    let about = |name: &str| json!({"alertname": name, "rulename": "CPU high"});
    assert_eq!(cause(about("DatasourceNoData")).as_deref(), Some("CPU high"));
    assert_eq!(cause(about("DatasourceError")).as_deref(), Some("CPU high"));
    assert_eq!(cause(about("Other")), None);
    assert_eq!(
        cause(json!({"alertname": "Other", "cause": "timeout"})).as_deref(),
        Some("timeout")
    );
    assert_eq!(cause(json!({"alertname": "Other", "cause": " "})), None);
}

#[test]
fn the_severity_is_that_of_the_first_label_that_says_one() {
    let severity = |labels: Value| {
        let alert = alert(json!({ "labels": labels }));
        (alert.severity, alert.entry_severity)
    };
    assert_eq!(severity(json!({"severity": "P1 "})), ("P1".into(), Severity::Critical));
    let labels = json!({"severity": "", "priority": "P2", "level": "fatal"});
    assert_eq!(severity(labels), ("P2".into(), Severity::High));
    assert_eq!(severity(json!({"level": "Warn"})), ("Warn".into(), Severity::Medium));
    assert_eq!(severity(json!({"severity": "5", "level": "x"})), ("5".into(), Severity::Low));
    assert_eq!(severity(json!({})), ("none".into(), Severity::Low));
    let mut words = SeverityWords::default();
    assert!(words.add("5", Severity::Critical));
    let body = one(json!({"labels": {"severity": "5"}})).to_string();
    let batch = AlertBatch::parse(body.as_bytes(), Time::from_millis(NOW), &words).unwrap();
    assert_eq!(batch.alerts[0].entry_severity, Severity::Critical);
}

#[test]
fn what_is_no_json_is_malformed_and_what_is_no_object_says_what_is_expected() {
    for body in [&b""[..], b"{", b"\xff", b"{\"alerts\":[]} x", "[".repeat(5000).as_bytes()] {
        let parsed = parse_bytes(body);
        assert!(matches!(parsed, Err(Rejection::Malformed(_))), "{parsed:?}");
    }
    for body in [&b"[]"[..], b"[{\"labels\":{}}]", b"1", b"null", b"\"x\""] {
        let Err(Rejection::Invalid(problems)) = parse_bytes(body) else { panic!("{body:?}") };
        assert_eq!((problems.len(), problems[0].message.as_str()), (1, EXPECTED));
    }
    for body in [&b"{}"[..], b"{\"alerts\":null}", b"{\"alerts\":{}}"] {
        let Err(Rejection::Invalid(problems)) = parse_bytes(body) else { panic!("{body:?}") };
        assert_eq!(problems[0].path, "alerts");
    }
    assert!(EXPECTED.contains("object") && EXPECTED.contains("version 4"));
}

/// Any JSON, with the payload's own names and values likely.
fn any_json() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        "(alerts|status|labels|annotations|startsAt|endsAt|fingerprint|generatorURL|receiver)",
        "(truncatedAlerts|groupLabels|commonLabels|alertname|severity|priority|cause|rulename)",
        ".{0,5}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "(firing|resolved|2026-01-02T03:04:05Z|-9999-01-01T00:00:00Z|.{0,9})".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(name.clone(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_json_makes_it_panic(body in any_json()) {
        let _ = parse(&body);
    }

    #[test]
    fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_bytes(&body);
    }

    #[test]
    fn what_is_taken_keeps_every_label(
        labels in prop::collection::btree_map("[a-z_]{1,9}", "[^\\x00]{0,20}", 0..20),
    ) {
        let alert = alert(json!({"status": "resolved", "labels": labels}));
        prop_assert_eq!(&*alert.labels, &labels);
    }

    /// An alert is good or refused whatever stands beside it.
    #[test]
    fn alerts_are_judged_one_by_one(alerts in prop::collection::vec(any_json(), 0..6)) {
        let whole = batch(&json!({ "alerts": alerts }));
        let single: Vec<_> = alerts.iter().map(|alert| batch(&json!({"alerts": [alert]}))).collect();
        prop_assert_eq!(whole.alerts.len() + whole.refused.reasons.len(), alerts.len());
        let good: Vec<_> = single.iter().flat_map(|batch| batch.alerts.clone()).collect();
        prop_assert_eq!(&whole.alerts, &good);
        let reasons: Vec<_> = single.iter().flat_map(|b| b.refused.reasons.clone()).collect();
        prop_assert_eq!(&whole.refused.reasons, &reasons);
    }
}
