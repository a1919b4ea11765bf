//! A database that the old orchestrator wrote opens, whatever its documents lack.

use mongodb::bson::{Bson, DateTime, Document, doc};
use serde_json::json;

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
