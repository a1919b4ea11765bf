//! Grafana's dashboards on real data: each query of each panel goes to a Prometheus that scraped
//! the service, or to the service itself, as Grafana would send it.

use std::{fs, path::Path};

use orchestrator::model::{Clock, SystemClock};
use serde_json::{Value, json};

use super::Monitoring;
use crate::harness::{Alert, Place, Running, eventually, payload};

/// What is shown only where there is a Redis.
const ONLY_WITH_REDIS: &str = "redis_up";

fn dashboards() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("monitoring/grafana/dashboards");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.map(|file| serde_json::from_slice(&fs::read(file).unwrap()).unwrap()).collect()
}

/// Every query with the title of its panel; those that a data source of this type answers.
fn queries(kind: &str) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for dashboard in dashboards() {
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                found.push((panel["title"].to_string(), target.clone()));
            }
        }
        for annotation in dashboard["annotations"]["list"].as_array().unwrap() {
            let mut target = annotation.get("target").unwrap_or(annotation).clone();
            target["datasource"] = annotation["datasource"].clone();
            found.push((annotation["name"].to_string(), target));
        }
    }
    found.retain(|(_, target)| target["datasource"]["type"] == kind);
    found
}

/// Something of everything that the panels show.
async fn live(service: &Running) {
    let alerts = [Alert::firing("DiskFull", "n1"), Alert::firing("Crash", "n2")];
    service.alertmanager().notify(&payload(alerts)).await.expect(200);
    service.operator().ask("disk full").await;
    service.operator().ask("what nobody knows").await;
    service.bearer("guessed").get("/api/auth/me").await.expect(401);
    service.viewer().get("/api/alerts?limit=0").await.expect(400);
}

/// The expression with Grafana's variables as Grafana sets them.
fn expression(target: &Value) -> String {
    let expression = target["expr"].as_str().unwrap();
    expression.replace("$__rate_interval", "10s").replace("$instance", ".*")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_panel_of_prometheus_has_data_and_no_error() {
    let place = Place::sqlite();
    let service = place.start().await;
    let Some(monitoring) = Monitoring::start(place.directory(), &service) else { return };
    let queries = queries("prometheus");
    assert!(queries.len() > 30, "{}", queries.len());
    live(&service).await;
    eventually("Prometheus has scraped twice", async || {
        live(&service).await;
        let scrapes = r#"count_over_time(alerts_received_total{severity="critical"}[1m])"#;
        (monitoring.value(scrapes).await? >= 3.0).then_some(())
    })
    .await;
    for (panel, target) in queries {
        let expression = expression(&target);
        let rules = expression.starts_with("ALERTS");
        if rules || expression.starts_with(ONLY_WITH_REDIS) {
            // No rule needs to fire; that it can be asked for is all.
            assert!(monitoring.query(&expression).await.is_some(), "{panel}: {expression}");
            continue;
        }
        eventually(&format!("{panel} has data: {expression}"), async || {
            let result = monitoring.query(&expression).await;
            let result = result.unwrap_or_else(|| panic!("{panel} is no query: {expression}"));
            (!result.is_empty()).then_some(())
        })
        .await;
    }
}

/// The value at a path of an answer, as the Infinity data source selects it.
fn selected<'a>(answer: &'a Value, selector: &str) -> &'a Value {
    selector.split('.').fold(answer, |value, name| &value[name])
}

#[tokio::test]
async fn every_panel_of_the_api_selects_what_the_service_answers() {
    let place = Place::sqlite();
    let service = place.start_with(&[("SAMPLE_INTERVAL_SECONDS", "1")]).await;
    live(&service).await;
    let resolved = [Alert::firing("Crash", "n2").resolved_after(60)];
    service.alertmanager().notify(&payload(resolved)).await.expect(200);
    let queries = queries("yesoreyeram-infinity-datasource");
    assert!(queries.len() >= 4, "{}", queries.len());
    let from = SystemClock.now().millis() - 86_400_000;
    for (panel, target) in queries {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for parameter in target["url_options"]["params"].as_array().unwrap() {
            let value = parameter["value"].as_str().unwrap();
            let value = value.replace("${__from}", &from.to_string());
            let value = value.replace("${__to}", &(from + 2 * 86_400_000).to_string());
            query.append_pair(parameter["key"].as_str().unwrap(), &value);
        }
        let path = format!("{}?{}", target["url"].as_str().unwrap(), query.finish());
        let rows = eventually(&format!("{panel} has data: {path}"), async || {
            let answer = service.viewer().get(&path).await.expect(200).json();
            let rows = selected(&answer, target["root_selector"].as_str().unwrap()).clone();
            rows.as_array().is_some_and(|rows| !rows.is_empty()).then_some(rows)
        })
        .await;
        for column in target["columns"].as_array().unwrap() {
            let selector = column["selector"].as_str().unwrap();
            let mut found = rows.as_array().unwrap().iter().map(|row| selected(row, selector));
            assert!(found.any(|value| *value != json!(null)), "{panel}: {selector} in {rows}");
        }
    }
}

#[test]
fn provisioning_names_the_data_sources_that_the_dashboards_use() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("monitoring/grafana/provisioning");
    let mut sources = Vec::new();
    for file in fs::read_dir(folder.join("datasources")).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let provisioned: Value = serde_saphyr::from_str(&text).unwrap();
        for source in provisioned["datasources"].as_array().unwrap() {
            sources.push(json!({ "type": source["type"], "uid": source["uid"] }));
        }
    }
    for dashboard in dashboards() {
        let mut ids = std::collections::BTreeSet::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{}", panel["title"]);
            if panel["type"] != "row" {
                assert!(sources.contains(&panel["datasource"]), "{}", panel["title"]);
                assert!(panel["description"].is_string(), "{}", panel["title"]);
            }
        }
    }
}
