//! `GET /api/alerts`, and history and exports by time and alert name, as their users see them.

use std::sync::Arc;

use orchestrator::model::{ManualClock, Time};
use serde_json::{Value, json};

use crate::harness::{Alert, Place, Running, keys, on_each_store, payload};

on_each_store![
    alerts_are_listed_with_everything_that_is_known_of_them,
    alerts_are_filtered_and_come_in_pages,
    what_happened_is_counted_between_two_times_and_of_one_alert_name,
    an_export_is_limited_to_a_period,
];

const START: &str = "2026-11-24T08:00:00.000Z";

struct World {
    service: Running,
    clock: Arc<ManualClock>,
}

impl World {
    async fn on(place: &Place) -> Self {
        let clock = Arc::new(ManualClock::new(Time::parse(START).unwrap()));
        Self { service: place.start_at(Arc::<ManualClock>::clone(&clock)).await, clock }
    }

    /// An alert of each name, a minute apart.
    async fn receive(&self, names: &[&str]) {
        for name in names {
            self.notify(Alert::firing(name, "node1:9100")).await;
            self.clock.advance_millis(60_000);
        }
    }

    async fn notify(&self, alert: Alert) {
        let alert = alert.without("startsAt");
        self.service.alertmanager().notify(&payload([alert])).await.expect(200);
    }

    async fn get(&self, path: &str) -> Value {
        self.service.viewer().get(path).await.expect(200).json()
    }

    async fn names(&self, query: &str) -> String {
        let list = self.get(&format!("/api/alerts?{query}")).await;
        let alerts = list["alerts"].as_array().unwrap().iter();
        alerts.map(|alert| alert["name"].as_str().unwrap()).collect()
    }
}

async fn alerts_are_listed_with_everything_that_is_known_of_them(place: &Place) {
    let world = World::on(place).await;
    assert_eq!(world.get("/api/alerts").await, json!({"alerts": [], "next": null}));
    world.notify(Alert::firing("A", "n1").label("severity", "P1")).await;
    let list = world.get("/api/alerts").await;
    let alert = &list["alerts"][0];
    for (field, expected) in [
        ("name", json!("A")),
        ("cause", json!("timeout")),
        ("severity", json!("P1")),
        ("status", json!("firing")),
        ("startsAt", json!(START)),
        ("timestamp", json!(START)),
        ("firstReceived", json!(START)),
        ("message", json!("High error rate detected (> 5%)")),
    ] {
        assert_eq!(alert[field], expected, "{field}");
    }
    assert_eq!(alert["labels"]["instance"], "n1");
    let entry = format!("/api/knowledge/entries/{}", alert["entryId"].as_str().unwrap());
    assert_eq!(world.get(&entry).await["title"], "A: timeout");
    let resolved =
        Alert::firing("A", "n1").label("severity", "P1").with("status", json!("resolved"));
    world.clock.advance_millis(60_000);
    world.notify(resolved).await;
    let list = world.get("/api/alerts?status=resolved").await;
    assert_eq!(list["alerts"][0]["resolvedAt"], "2026-11-24T08:01:00.000Z");
    assert_eq!(list["alerts"][0]["duration"], 60_000);
    assert!(list["alerts"][0].get("carried").is_none());
}

async fn alerts_are_filtered_and_come_in_pages(place: &Place) {
    let world = World::on(place).await;
    world.receive(&["A", "B", "C", "B"]).await;
    world.notify(Alert::firing("D", "n2").label("severity", "page").label("team", "db ü=1")).await;
    let first = world.get("/api/alerts").await["alerts"][0].clone();
    let fingerprint = first["fingerprint"].as_str().unwrap();
    // B was sent twice: it is one alert, first received second.
    for (query, expected) in [
        ("", "DCBA"),
        ("status=firing", "DCBA"),
        ("status=resolved", ""),
        ("alertname=B", "B"),
        ("severity=page", "D"),
        ("label=team=db%20%C3%BC%3D1&label=instance=n2", "D"),
        ("label=team=db", ""),
        (&format!("fingerprint={fingerprint}"), "D"),
        ("from=2026-11-24T08:02:00Z", "DC"),
        ("from=2026-11-24T09:02:00+01:00&to=1795507380000", "C"),
        ("to=1795507201", "A"),
        ("limit=2", "DC"),
    ] {
        assert_eq!(world.names(query).await, expected, "{query}");
    }
    let mut cursor = String::new();
    let mut names = String::new();
    loop {
        let page = world.get(&format!("/api/alerts?limit=1{cursor}")).await;
        names.push_str(page["alerts"][0]["name"].as_str().unwrap());
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
        if names == "D" {
            world.clock.advance_millis(1);
            world.notify(Alert::firing("E", "n2")).await;
        }
    }
    assert_eq!(names, "DCBA");
    for (query, path) in [
        ("status=superseded", "status"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("label=team", "label"),
        ("label==x", "label"),
        ("from=yesterday", "from"),
        ("from=2&to=1", "to"),
        ("cursor=00", "cursor"),
        (&format!("fingerprint=a{cursor}"), "cursor"),
        ("status=firing&status=firing", "status"),
        ("name=A", "name"),
    ] {
        let answer = world.service.viewer().get(&format!("/api/alerts?{query}")).await.expect(400);
        assert_eq!(answer.json()["details"][0]["path"], path, "{query}");
    }
}

async fn what_happened_is_counted_between_two_times_and_of_one_alert_name(place: &Place) {
    let world = World::on(place).await;
    world.receive(&["A", "B", "A"]).await;
    world.notify(Alert::firing("A", "n2").label("severity", "page")).await;
    world
        .notify(
            Alert::firing("A", "n2").label("severity", "page").with("status", json!("resolved")),
        )
        .await;
    let of = async |query: &str| world.get(&format!("/api/persistence/historical?{query}")).await;
    let all = of("from=2026-11-24T08:00:00Z&to=2026-11-24T08:02:00Z").await;
    assert_eq!(all["alertsCount"], 2);
    assert_eq!(
        all["period"],
        json!({"startDate": START, "endDate": "2026-11-24T08:02:00.000Z", "days": 1})
    );
    assert!(all.get("alertSeries").is_none());
    let a = of("days=1&alertname=A").await;
    assert_eq!(
        (&a["alertsCount"], &a["alertsBySeverity"]),
        (&json!(2), &json!({"critical": 1, "page": 1}))
    );
    let point = |timestamp: &str, firing: u64, resolved: u64| json!({"timestamp": timestamp, "firing": firing, "resolved": resolved});
    assert_eq!(
        a["alertSeries"],
        json!([point(START, 1, 0), point("2026-11-24T08:03:00.000Z", 1, 1)])
    );
    let hours = of("days=1&alertname=A&aggregation=hourly").await;
    assert_eq!(hours["alertSeries"], json!([point(START, 2, 1)]));
    let none =
        of("from=2026-11-24T08:01:00Z&to=2026-11-24T08:02:00Z&alertname=A&aggregation=daily").await;
    assert_eq!((&none["alertsCount"], &none["alertSeries"]), (&json!(0), &json!([])));
    let days = of("days=1&breakdown=daily").await;
    assert_eq!(days["alertDays"][0]["bySeverity"], days["alertsBySeverity"]);
    let top = |days: &Value| {
        let top = days["topAlerts"].as_array().unwrap().iter();
        top.map(|one| json!([one["name"], one["count"], one["resolved"]])).collect::<Vec<_>>()
    };
    assert_eq!(top(&days), [json!(["A", 2, 1]), json!(["B", 1, 0])]);
    assert_eq!(top(&of("days=1&breakdown=daily&alertname=B").await), [json!(["B", 1, 0])]);
    assert!(all.get("alertDays").is_none() && all.get("topAlerts").is_none());
    for (query, path) in [
        ("breakdown=weekly", "breakdown"),
        ("days=1&from=2026-11-24T08:00:00Z", "days"),
        ("from=2026-11-24T09:00:00Z&to=2026-11-24T08:00:00Z", "to"),
        ("from=2027-11-24T09:00:00Z", "from"),
        ("from=2025-01-01T00:00:00Z", "from"),
        ("to=never", "to"),
        ("alertname=", "alertname"),
        ("alertname=A&alertname=B", "alertname"),
    ] {
        let path_and_query = format!("/api/persistence/historical?{query}");
        let answer = world.service.viewer().get(&path_and_query).await.expect(400);
        assert_eq!(answer.json()["details"][0]["path"], path, "{query}");
    }
}

async fn an_export_is_limited_to_a_period(place: &Place) {
    let world = World::on(place).await;
    world.receive(&["A", "B", "C"]).await;
    let period = "from=2026-11-24T08:01:00.000Z&to=2026-11-24T08:01:00.010Z";
    let export = async |query: &str| {
        let path = format!("/api/persistence/export?{query}&{period}");
        world.service.admin().get(&path).await.expect(200)
    };
    let csv = export("format=csv&collection=alerts").await.text();
    assert_eq!(csv.lines().count(), 2, "{csv}");
    let json = export("format=json").await.json();
    assert_eq!(
        (&json["collections"]["alerts"], &json["data"]["alerts"][0]["name"]),
        (&json!(1), &json!("B"))
    );
    assert_eq!(json["collections"]["knowledge_base"], 3, "what has no time is whole");
    let lines = export("format=ndjson&collection=alerts").await.text();
    assert!(lines.ends_with("{\"end\":true,\"documents\":1}\n"), "{lines}");
    let path = "/api/persistence/export?from=2&to=1";
    let answer = world.service.admin().get(path).await.expect(400);
    assert_eq!(answer.json()["details"][0]["path"], "to");
}

#[tokio::test]
async fn alerts_are_asked_for_from_a_script_and_nothing_found_exits_1() {
    let place = Place::sqlite();
    let service = place.start().await;
    let url = format!("http://{}", service.address());
    service.alertmanager().notify(&payload([Alert::firing("A", "n 1")])).await.expect(200);
    let ask = async |args: &'static [&'static str]| {
        let mut command = place.command(args);
        command.envs([("ORCHESTRATOR_URL", url.as_str()), ("ORCHESTRATOR_API_KEY", keys::VIEWER)]);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    };
    let found = ask(&[
        "alerts",
        "--status",
        "firing",
        "--alertname",
        "A",
        "--severity",
        "critical",
        "--label",
        "instance=n 1",
        "--from",
        "2020-01-01T00:00:00+01:00",
        "--to",
        "2099-01-01T00:00:00Z",
        "--limit",
        "1",
    ])
    .await;
    let text = String::from_utf8_lossy(&found.stdout);
    assert_eq!(found.status.code(), Some(0), "{}", String::from_utf8_lossy(&found.stderr));
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["alerts"][0]["name"], "A");
    for args in [&["alerts", "--alertname", "B"][..], &["alerts", "--label", "x"]] {
        assert_eq!(ask(args).await.status.code(), Some(1), "{args:?}");
    }
}
