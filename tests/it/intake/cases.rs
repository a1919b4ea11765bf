//! What real senders send, and what is right: rebuilt from reports of such services.

use std::sync::Arc;

use orchestrator::model::{ManualClock, Time};
use serde_json::{Map, Value, json};

use crate::harness::{Place, Running, on_each_store};

on_each_store![
    an_alert_with_too_many_labels_leaves_the_others_in_peace,
    an_alert_with_too_long_a_label_leaves_the_others_in_peace,
    an_annotation_of_17_kilobytes_among_five_alerts_is_cut,
    a_time_that_no_clock_can_mean_is_taken,
    two_rules_without_data_are_two_patterns,
    the_name_of_the_group_is_that_of_its_alerts,
    what_a_store_cannot_hold_is_stored_all_the_same,
    severities_are_understood_in_the_words_of_every_tool,
];

const START: &str = "2026-11-25T08:00:00Z";

async fn start(place: &Place) -> Running {
    let now = Time::parse("2026-11-25T12:00:00Z").unwrap();
    place.start_at(Arc::new(ManualClock::new(now))).await
}

fn alert(labels: Value) -> Value {
    json!({
        "status": "firing", "labels": labels, "annotations": {},
        "startsAt": START, "endsAt": "0001-01-01T00:00:00Z",
    })
}

fn named(name: &str) -> Value {
    alert(json!({ "alertname": name }))
}

fn notification(alerts: &[Value]) -> Value {
    json!({
        "version": "4", "receiver": "hist", "status": "firing", "alerts": alerts,
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "truncatedAlerts": 0,
    })
}

async fn notify(service: &Running, alerts: &[Value]) -> Value {
    service.alertmanager().notify(&notification(alerts)).await.expect(200).json()
}

async fn names(service: &Running) -> Vec<String> {
    let alerts = service.stored("alerts").await;
    let mut names: Vec<_> = alerts.iter().map(|a| a["name"].as_str().unwrap().into()).collect();
    names.sort();
    names
}

/// An answer of which one alert at this path was refused, and the other is stored.
async fn one_of_two(service: &Running, bad: Value, path: &str, reason: &str) {
    let answer = notify(service, &[named("Good"), bad]).await;
    assert_eq!(
        ["status", "received", "new", "updated", "duplicates", "rejected"].map(|n| &answer[n]),
        [&json!("partial"), &json!(2), &json!(1), &json!(0), &json!(0), &json!(1)],
    );
    let details = answer["details"].as_array().unwrap();
    assert_eq!((details.len(), &details[0]["path"]), (1, &json!(path)));
    assert!(details[0]["message"].is_string(), "{answer}");
    assert_eq!(names(service).await, ["Good"]);
    let rejected = format!(r#"alerts_rejected_total{{reason="{reason}"}}"#);
    assert_eq!(service.sample(&rejected).await, 1.0);
    let received = r#"alerts_received_total{severity="none",status="firing"}"#;
    assert_eq!(service.sample(received).await, 1.0);
}

/// OpenTelemetry's attributes as labels.
async fn an_alert_with_too_many_labels_leaves_the_others_in_peace(place: &Place) {
    let service = start(place).await;
    let mut labels: Map<String, Value> =
        (0..50).map(|n| (format!("attr_{n}"), json!("v"))).collect();
    labels.insert("alertname".into(), json!("Otel"));
    one_of_two(&service, alert(labels.into()), "alerts.1.labels", "too_many_labels").await;
}

/// A log line as a label.
async fn an_alert_with_too_long_a_label_leaves_the_others_in_peace(place: &Place) {
    let service = start(place).await;
    let long = alert(json!({"alertname": "LogLine", "line": "y".repeat(4097)}));
    one_of_two(&service, long, "alerts.1.labels.line", "label_value").await;
}

/// A template that writes Go's time string.
#[tokio::test]
async fn gos_time_string_is_refused_by_the_name_of_its_field() {
    let place = Place::sqlite();
    let service = start(&place).await;
    let mut templated = named("Tpl");
    templated["startsAt"] = json!("2026-11-25 08:00:00.931 +0000 UTC");
    one_of_two(&service, templated, "alerts.1.startsAt", "time").await;
}

#[tokio::test]
async fn if_no_alert_is_good_nothing_is_stored_and_every_problem_is_told() {
    let place = Place::sqlite();
    let service = start(&place).await;
    let bad = [json!({"labels": {}}), json!({"status": "firing"}), json!(5)];
    let refused = service.alertmanager().notify(&notification(&bad)).await.expect(400);
    assert_eq!(refused.problem_paths(), ["alerts.0.status", "alerts.1.labels", "alerts.2"]);
    assert_eq!(service.sample(r#"alerts_rejected_total{reason="wrong_type"}"#).await, 2.0);
    assert_eq!(names(&service).await, Vec::<String>::new());
    // A wrong envelope takes down what is in it, good or bad.
    for (field, wrong) in [("receiver", json!(5)), ("truncatedAlerts", json!("many"))] {
        let mut body = notification(&[named("Good")]);
        body[field] = wrong;
        let refused = service.alertmanager().notify(&body).await.expect(400);
        assert_eq!(refused.problem_paths(), [field]);
    }
    assert_eq!(names(&service).await, Vec::<String>::new());
}

#[tokio::test]
async fn at_most_twenty_problems_are_listed() {
    let place = Place::sqlite();
    let service = start(&place).await;
    let mut alerts = vec![json!({}); 30];
    alerts.push(named("Good"));
    let answer = notify(&service, &alerts).await;
    assert_eq!((&answer["rejected"], &answer["new"]), (&json!(30), &json!(1)));
    assert_eq!(answer["details"].as_array().unwrap().len(), 20);
}

async fn an_annotation_of_17_kilobytes_among_five_alerts_is_cut(place: &Place) {
    let service = start(place).await;
    let mut alerts: Vec<_> = ["A", "B", "C", "D", "E"].map(named).into();
    alerts[2]["annotations"] = json!({"description": "é".repeat(8_500), "summary": "short"});
    alerts[3]["generatorURL"] = json!(format!("http://x/?{}", "q".repeat(9_000)));
    let answer = notify(&service, &alerts).await;
    assert_eq!((&answer["status"], &answer["new"]), (&json!("ok"), &json!(5)));
    assert!(answer.get("rejected").is_none() && answer.get("details").is_none(), "{answer}");
    let stored = service.stored("alerts").await;
    let text = |name: &str, field: &str| {
        let alert = stored.iter().find(|alert| alert["name"] == name).unwrap();
        alert.pointer(field).unwrap().as_str().unwrap().to_owned()
    };
    let description = text("C", "/annotations/description");
    assert!(description.len() <= 16 * 1024 && description.ends_with("é …[cut]"));
    let url = text("D", "/generatorURL");
    assert!(url.len() <= 8 * 1024 && url.ends_with("q …[cut]"));
    for field in ["annotations", "generatorURL"] {
        let trimmed = format!(r#"alerts_trimmed_total{{field="{field}"}}"#);
        assert_eq!(service.sample(&trimmed).await, 1.0, "{field}");
    }
    // The same again is cut the same.
    assert_eq!(notify(&service, &alerts).await["duplicates"], 5);
}

#[tokio::test]
async fn one_line_of_a_batch_names_what_was_refused_and_trimmed_and_an_alert() {
    let place = Place::sqlite();
    let mut service = place.spawn(&[]).await;
    let mut trimmed = named("Trimmed");
    trimmed["annotations"] = json!({"details": "x".repeat(17_000)});
    let bad = alert(json!({"alertname": "Refused", "line": "y".repeat(4097)}));
    let body = notification(&[named("Good"), trimmed, bad.clone(), bad]);
    let answer = service.alertmanager().notify(&body).await.expect(200).json();
    assert_eq!(answer["rejected"], 2);
    let line = service.line_with("alerts were refused or trimmed").await;
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&line["level"], &line["refused"], &line["trimmed"]),
        (&json!("WARN"), &json!(2), &json!(1))
    );
    assert_eq!(
        (&line["refused_alert"], &line["refused_at"]),
        (&json!("Refused"), &json!("alerts.2.labels.line"))
    );
    assert_eq!(
        (&line["trimmed_alert"], &line["trimmed_annotation"]),
        (&json!("Trimmed"), &json!("details"))
    );
    assert_eq!(line["receiver"], "hist");
    service.terminate();
    let rest = service.output().await;
    assert_eq!(rest.matches("alerts were refused or trimmed").count(), 1, "{rest}");
}

async fn a_time_that_no_clock_can_mean_is_taken(place: &Place) {
    let service = start(place).await;
    let with = |status: &str, starts_at: &str, ends_at: &str| {
        let mut alert = alert(json!({"alertname": "Far", "start": starts_at}));
        alert["status"] = json!(status);
        alert["startsAt"] = json!(starts_at);
        alert["endsAt"] = json!(ends_at);
        alert
    };
    let far = "9999-12-31T23:59:59Z";
    let alerts = [
        with("firing", START, far),
        with("firing", far, "0001-01-01T00:00:00Z"),
        with("resolved", "1950-01-01T00:00:00Z", "1960-01-01T00:00:00Z"),
        with("resolved", START, "2026-11-25T07:00:00Z"),
    ];
    // The first and the last are one instance; and however often they come, they are no others.
    for (new, duplicates) in [(3, 0), (0, 2)] {
        let answer = notify(&service, &alerts[..]).await;
        assert_eq!((&answer["new"], &answer["duplicates"]), (&json!(new), &json!(duplicates)));
    }
    let stored = service.stored("alerts").await;
    let find = |start: &str| stored.iter().find(|alert| alert["labels"]["start"] == start).unwrap();
    assert_eq!(find(far)["startsAt"], "2026-11-25T12:00:00.000Z", "the time of receipt");
    let old = find("1950-01-01T00:00:00Z");
    assert_eq!(
        (&old["startsAt"], &old["duration"]),
        (&json!("1970-01-01T00:00:00.000Z"), &json!(0))
    );
    assert_eq!((&find(START)["status"], &find(START)["duration"]), (&json!("resolved"), &json!(0)));
}

async fn two_rules_without_data_are_two_patterns(place: &Place) {
    let service = start(place).await;
    let no_data = |rule: &str, uid: &str| {
        let mut alert = alert(json!({
            "alertname": "DatasourceNoData", "rulename": rule, "datasource_uid": uid, "ref_id": "A",
        }));
        alert["annotations"] = json!({"summary": format!("about {rule}")});
        alert
    };
    notify(&service, &[no_data("CPU high", "u1"), no_data("Disk full", "u2")]).await;
    let mut titles: Vec<_> = service.stored("knowledge_base").await;
    titles.sort_by_key(|entry| entry["title"].as_str().map(str::to_owned));
    let titles: Vec<_> =
        titles.iter().map(|entry| (&entry["title"], &entry["description"])).collect();
    assert_eq!(
        titles,
        [
            (&json!("DatasourceNoData: CPU high"), &json!("about CPU high")),
            (&json!("DatasourceNoData: Disk full"), &json!("about Disk full")),
        ]
    );
}

async fn the_name_of_the_group_is_that_of_its_alerts(place: &Place) {
    let service = start(place).await;
    let mut body = notification(&[alert(json!({"env": "test"}))]);
    for group in ["groupLabels", "commonLabels"] {
        body[group] = json!({"alertname": "Memory"});
    }
    service.alertmanager().notify(&body).await.expect(200);
    assert_eq!(names(&service).await, ["Memory"]);
    assert_eq!(service.stored("knowledge_base").await[0]["title"], "Memory");
    // The labels are as they came: they are what distinguishes alerts.
    assert_eq!(service.stored("alerts").await[0]["labels"], json!({"env": "test"}));
}

/// An array as Alertmanager's own API takes it.
#[tokio::test]
async fn an_array_is_answered_with_what_is_expected() {
    let place = Place::sqlite();
    let service = start(&place).await;
    let array = json!([{"labels": {"alertname": "CheckFailed"}, "annotations": {}}]);
    let refused = service.alertmanager().notify(&array).await.expect(400);
    assert_eq!(refused.problem_paths(), [""]);
    let message = refused.json()["details"][0]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("object") && message.contains("version 4"), "{message}");
    assert!(!message.contains("struct"), "{message}");
}

async fn what_a_store_cannot_hold_is_stored_all_the_same(place: &Place) {
    let service = start(place).await;
    let names = ["a\0b", "$set", "$ref", "a.b", ".", "_id", "\u{fffe}", "'; DROP TABLE alerts; --"];
    let labels: Map<String, Value> =
        names.iter().map(|name| ((*name).to_owned(), json!("v\0"))).collect();
    let mut odd = alert(labels.into());
    odd["labels"]["severity"] = json!("a.b\0$c");
    odd["labels"]["alertname"] = json!("Odd\0");
    odd["labels"]["cause"] = json!("\0");
    odd["annotations"] = odd["labels"].clone();
    odd["fingerprint"] = json!("f\0");
    for outcome in ["new", "duplicates"] {
        assert_eq!(notify(&service, &[odd.clone(), named("Good")]).await[outcome], 2);
    }
    let stored = service.stored("alerts").await;
    let stored = stored.iter().find(|alert| alert["fingerprint"] == "f\u{fffd}").unwrap();
    for name in names {
        let name = name.replace('\0', "\u{fffd}");
        assert_eq!(stored["labels"][&name], "v\u{fffd}", "{name}");
    }
    let learned = service.stored("knowledge_base").await;
    assert!(learned.iter().any(|entry| entry["title"] == "Odd\u{fffd}: \u{fffd}"), "{learned:?}");
    service.viewer().get("/api/persistence/historical").await.expect(200);
}

async fn severity_of(service: &Running, title: &str) -> Value {
    let learned = service.stored("knowledge_base").await;
    learned.iter().find(|entry| entry["title"] == title).unwrap()["severity"].clone()
}

async fn severities_are_understood_in_the_words_of_every_tool(place: &Place) {
    let service = start(place).await;
    let words = [
        ("critical", "crit fatal emergency disaster P1 sev1"),
        ("high", "P2 SEV2 major err page Urgent"),
        ("medium", "average warn minor medium"),
        ("low", "1 2 info unheard-of"),
    ];
    let words = words.map(|(meant, words)| (meant, words.split(' ').collect::<Vec<_>>()));
    let of = |word: &str| alert(json!({"alertname": format!("Sev{word}"), "severity": word}));
    let alerts: Vec<_> = words.iter().flat_map(|(_, words)| words.iter().map(|w| of(w))).collect();
    let mut more = vec![
        alert(json!({"alertname": "Blank", "severity": "critical "})),
        alert(json!({"alertname": "Priority", "severity": "", "priority": "p1", "level": "info"})),
        alert(json!({"alertname": "Level", "level": "Error"})),
    ];
    more.extend(alerts);
    notify(&service, &more).await;
    for (meant, words) in &words {
        for word in words {
            assert_eq!(severity_of(&service, &format!("Sev{word}")).await, *meant, "{word:?}");
        }
    }
    for (title, meant) in [("Blank", "critical"), ("Priority", "critical"), ("Level", "high")] {
        assert_eq!(severity_of(&service, title).await, meant, "{title}");
    }
    let stored = service.stored("alerts").await;
    let sent = stored.iter().find(|alert| alert["name"] == "Priority").unwrap();
    assert_eq!(sent["severity"], "p1");
}

#[tokio::test]
async fn operators_give_their_own_words_a_meaning() {
    let place = Place::sqlite();
    let map = "5=critical, 4 = High,warning=low,Not Classified=medium";
    let service = place.start_with(&[("SEVERITY_MAP", map)]).await;
    let words =
        [("5", "critical"), ("4", "high"), ("Warning", "low"), ("not classified", "medium")];
    let words = words.into_iter().chain([("P1", "critical"), ("1", "low")]);
    for (word, meant) in words {
        notify(&service, &[alert(json!({"alertname": word, "severity": word}))]).await;
        assert_eq!(severity_of(&service, word).await, meant, "{word}");
    }
}
