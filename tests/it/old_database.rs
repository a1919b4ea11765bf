//! A database that the old orchestrator wrote opens, whatever its documents lack.

use mongodb::bson::{Bson, DateTime, Document, doc};
use orchestrator::{
    model::{Time, pattern_id},
    store::{Store, sqlite::SqliteStore},
};
use serde_json::{Value, json};

use crate::harness::{Alert, Place, on_mongodb, payload};

fn at(text: &str) -> DateTime {
    DateTime::parse_rfc3339_str(text).unwrap()
}

fn old_entries() -> Vec<Document> {
    vec![
        doc! {
            "id": "kb-disk", "title": "Disk filled by rotated logs", "category": "incident",
            "severity": "urgent", "description": "The log volume fills at night",
            "solution": "Shorten logrotate's keep", "tags": ["disk", "logs"],
            "firstSeen": at("2025-02-01T10:00:00Z"), "lastSeen": at("2025-02-03T10:00:00Z"),
            "createdAt": at("2025-02-01T10:00:00Z"), "updatedAt": at("2025-02-04T10:00:00Z"),
            "occurrences": 7,
        },
        doc! { "id": "kb-bare", "title": "Nothing but a title" },
        doc! { "title": "Without an id", "severity": "HIGH", "firstSeen": "2025-03-01T00:00:00Z" },
        doc! {
            "id": "kb-numbers", "title": "Times as numbers", "category": "troubleshooting",
            "severity": "low", "firstSeen": 1_740_000_000_000_i64, "lastUpdated": 1.74e12,
            "occurrences": 2.0, "successRate": "0.5", "tags": "lonely", "steps": Bson::Null,
        },
    ]
}

#[tokio::test]
async fn an_old_orchestrators_database_opens() {
    on_mongodb(async |place: &Place| {
        let database = place.server().unwrap().raw();
        let knowledge = database.collection::<Document>("knowledge_base");
        knowledge.insert_many(old_entries()).await.unwrap();
        let state = database.collection::<Document>("system_state");
        let old_state =
            doc! { "key": "last_learning_cycle", "value": { "at": at("2025-02-04T10:00:00Z") } };
        state.insert_one(old_state.clone()).await.unwrap();

        let service = place.start().await;
        let page = service.summary().await;
        assert_eq!(page["stats"]["total"], 4);
        assert_eq!(page["stats"]["byCategory"], json!({"troubleshooting": 4}));
        let answer = service.operator().ask("logrotate").await;
        let entry = &answer["results"]["entries"][0];
        assert_eq!((&entry["id"], &entry["occurrences"]), (&json!("kb-disk"), &json!(7)));
        assert_eq!(entry["firstSeen"], 1_738_404_000_000_i64);
        assert_eq!(entry["lastUpdated"], 1_738_663_200_000_i64);

        // It goes on from there, and what was not ours stays as it was.
        let new = payload([Alert::firing("HighErrorRate", "node1:9100")]);
        service.alertmanager().notify(&new).await.expect(200);
        assert_eq!(service.summary().await["stats"]["total"], 5);
        service.stop().await.unwrap();
        let mut kept =
            state.find_one(doc! { "key": "last_learning_cycle" }).await.unwrap().unwrap();
        kept.remove("_id");
        assert_eq!(kept, old_state);
        let service = place.start().await;
        assert_eq!(service.summary().await["stats"]["total"], 5);
        service.stop().await.unwrap();
    })
    .await;
}

/// Alerts and counters as this service's first version kept them, on SQLite.
const VERSION_3: &str = r#"
    INSERT INTO alerts (fingerprint, startsAt, name, severity, status, message, timestamp,
        resolvedAt, duration, labels, annotations, firstReceived) VALUES
    ('a', 1000, 'DiskFull', 'page', 'firing', 'm', 9000, NULL, NULL,
        '{"alertname":"DiskFull","cause":"logs"}', '{}', 2000),
    ('b', 1000, 'DiskFull', 'page', 'resolved', 'm', 9000, 61000, 60000,
        '{"alertname":"DiskFull","cause":"logs"}', '{}', 2000),
    ('c', 1000, 'DiskFull', 'page', 'resolved', 'm', 9000, 121000, 120000,
        '{"alertname":"DiskFull","cause":"logs"}', '{}', 2000),
    ('d', 1000, 'Quiet', 'none', 'resolved', 'm', 9000, 1000, 0, '{"alertname":"Quiet"}', '{}', 2000);
    INSERT INTO knowledge_base VALUES
    ('<logs>', 'DiskFull: logs', 'alert_pattern', 'high', 'Full', 'logs', 'Rotate', '[]', '[]', '',
        '["DiskFull","logs"]', '[]', 2000, 9000, 7, 0.7142857142857143,
        '{"sourceType":"alert-pattern","sourceModel":"alertmanager","derivedFrom":["a"]}', NULL,
        100000, 1, 5, 500000),
    ('<quiet>', 'Renamed by hand', 'alert_pattern', 'low', '', NULL, '', '[]', '[]', '', '["Quiet"]',
        '[]', 2000, 9000, 1, 1.0,
        '{"sourceType":"alert-pattern","sourceModel":"alertmanager","derivedFrom":["d"]}', NULL,
        0, 0, 1, 0),
    ('kb-question-1', 'why?', 'question', 'low', 'why?', NULL, '', '[]', '[]', '', '[]', '[]', 2000,
        9000, 4, NULL, '{"sourceType":"query","sourceModel":"operator","derivedFrom":[]}', NULL,
        NULL, NULL, 0, 0);
"#;

#[tokio::test]
async fn a_database_of_the_first_version_shows_the_same_figures_after_it_is_migrated() {
    let place = Place::sqlite();
    let file = place.directory().join("data/orchestrator.db");
    let store = SqliteStore::open(&file).await.unwrap();
    store.schema().prepare().await.unwrap();
    for migration in &store.schema().migrations()[..3] {
        let at = Time::from_millis(1);
        store.schema().apply(migration, &migration.checksum(), at).await.unwrap();
    }
    store.close().await;
    let [logs, quiet] = [pattern_id("DiskFull", "logs"), pattern_id("Quiet", "")];
    let fixture = VERSION_3.replace("<logs>", &logs).replace("<quiet>", &quiet);
    rusqlite::Connection::open(&file).unwrap().execute_batch(&fixture).unwrap();

    let service = place.start().await;
    let figures = async |id: &str| {
        let entry = service.viewer().entry(id).await;
        let names = ["occurrences", "firing", "successRate", "meanTimeToResolveMs"];
        names.map(|name| entry[name].clone())
    };
    assert_eq!(figures(&logs).await, [json!(7), json!(1), json!(5.0 / 7.0), json!(100_000)]);
    assert_eq!(figures(&quiet).await, [json!(1), json!(0), json!(1.0), json!(0)]);
    assert_eq!(figures("kb-question-1").await[0], 4);
    assert_eq!(service.summary().await["alerts"]["firing"], 1);
    // It goes on from there: the open one is resolved after 100 seconds.
    let labels = json!({"alertname": "DiskFull", "cause": "logs"});
    let over = json!({
        "status": "resolved", "fingerprint": "a", "labels": labels,
        "startsAt": "1970-01-01T00:00:01Z", "endsAt": "1970-01-01T00:01:41Z",
    });
    service.alertmanager().notify(&json!({"alerts": [over]})).await.expect(200);
    let rate: Value = json!(6.0 / 7.0);
    assert_eq!(figures(&logs).await, [json!(7), json!(0), rate, json!(100_000)]);
    service.stop().await.unwrap();
}
