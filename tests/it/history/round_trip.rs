//! What an export writes an import reads, and with the same content: whatever is stored, and
//! whoever stored it. What could not be put back is left out, counted and named.

use mongodb::bson::{Bson, DateTime, Document};
use orchestrator::{
    history::{
        export::{Format, open_export},
        import::check_document,
    },
    model::{Collection, SystemClock},
    store::Store,
};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use serde_json::{Map, Value, json};

use super::moving::{data, export_to, import_from};
use crate::harness::{
    Place, on_mongodb,
    world::{World, mongodb, sqlite},
};

/// Documents of each collection.
const DOCUMENTS: usize = 150;
const COLLECTIONS: [Collection; 4] = [
    Collection::Alerts,
    Collection::Metrics,
    Collection::KnowledgeBase,
    Collection::Consolidations,
];

/// The fields that a collection's documents may have, in any version.
fn names(of: Collection) -> &'static str {
    match of {
        Collection::Alerts => {
            "(fingerprint|startsAt|name|severity|status|message|timestamp|firstReceived|changedAt|\
             resolvedAt|duration|labels|annotations|generatorURL|receiver|cause|entryId)"
        }
        Collection::Metrics => "(name|value|unit|timestamp|labels)",
        Collection::KnowledgeBase => {
            "(id|title|category|severity|description|rootCause|solution|prerequisites|steps|tags|\
             relatedEntries|firstSeen|lastSeen|lastUpdated|updatedAt|occurrences|successRate|\
             provenance|runbookUrl|meanTimeToResolveMs|firing|resolutions|notes|helped|version)"
        }
        _ => "(date|timestamp|alerts|metrics|summary|insights|recommendations|kbEntriesGenerated)",
    }
}

/// A value of a field, as likely of the right type as of another.
fn value() -> impl Strategy<Value = Value> {
    let time = prop_oneof![
        "20[0-9]{2}-0[1-9]-[12][0-9]T0[0-9]:00:00(\\.[0-9]{1,9})?Z",
        "(0001-01-01T00:00:00Z|9999-12-31T23:59:59.999Z|2026-02-30T00:00:00Z)",
    ];
    let leaf = prop_oneof![
        4 => time.prop_map(Value::from),
        2 => "(firing|resolved|superseded|critical|low|alert_pattern|runbook|question|urgent|page)".prop_map(Value::from),
        2 => "\\PC{0,12}".prop_map(Value::from),
        1 => "[\\x00-\\x7f]{0,6}".prop_map(Value::from),
        2 => any::<i64>().prop_map(Value::from),
        1 => (0..5_000_000_000_000i64).prop_map(Value::from),
        2 => any::<f64>().prop_filter("JSON has no others", |f| f.is_finite()).prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map("(\\PC{1,6}|total|bySeverity|a\\.b|\\$c)", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A document with an identity of its own, and with what makes it whole more often than not.
fn document(of: Collection, number: usize) -> impl Strategy<Value = Map<String, Value>> {
    let whole = any::<u8>();
    (prop::collection::hash_map(names(of), value(), 0..9), whole).prop_map(
        move |(fields, whole)| {
            let usual = match of {
                Collection::Alerts => json!({
                    "name": "Disk", "timestamp": "2026-11-24T10:00:00Z", "status": "resolved",
                    "startsAt": "2026-11-24T09:00:00Z", "resolvedAt": "2026-11-24T10:00:00Z",
                }),
                Collection::Metrics => json!({"timestamp": "2026-11-24T10:00:00Z", "value": 1.5}),
                Collection::KnowledgeBase => json!({"title": "t", "occurrences": 3}),
                _ => json!({"alerts": {"total": 3}, "metrics": {"total": 1, "averages": []}}),
            };
            let identity = match of {
                Collection::Alerts => json!({"fingerprint": format!("f{number}")}),
                Collection::Metrics => json!({"name": format!("m{number}")}),
                Collection::KnowledgeBase => json!({"id": format!("kb-{number}")}),
                _ => json!({"date": format!("20{:02}-01-{:02}", number / 28, number % 28 + 1)}),
            };
            let mut document = Map::new();
            let objects =
                [(whole > 20, usual), (true, fields.into_iter().collect()), (whole > 5, identity)];
            for (_, object) in objects.into_iter().filter(|(wanted, _)| *wanted) {
                document.extend(object.as_object().cloned().unwrap_or_default());
            }
            document
        },
    )
}

fn documents() -> Vec<(Collection, Map<String, Value>)> {
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    let mut documents = Vec::new();
    for of in COLLECTIONS {
        for number in 0..DOCUMENTS {
            let tree = document(of, number).new_tree(&mut runner).unwrap();
            documents.push((of, tree.current()));
        }
    }
    documents
}

/// Exported and put back, again and again, it stays as it is.
async fn assert_moves_whole(store: &dyn Store, place: &Place, world: &World) {
    let file = place.directory().join("moved.ndjson");
    export_to(store, &file).await;
    let first = sqlite(&place.directory().join("first.db"), &world.clock).await;
    import_from(first.as_ref(), &file).await.unwrap();
    let moved = data(first.as_ref()).await;
    export_to(first.as_ref(), &file).await;
    let second = sqlite(&place.directory().join("second.db"), &world.clock).await;
    import_from(second.as_ref(), &file).await.unwrap();
    assert_eq!(data(second.as_ref()).await, moved);
}

#[tokio::test]
async fn whatever_an_import_took_is_exported_and_imported_with_the_same_content() {
    let place = Place::sqlite();
    let world = World::at("2026-11-25T12:00:00Z", &place).await;
    let mut lines = Vec::new();
    let mut counts = Map::new();
    for (of, document) in documents() {
        let text = Value::Object(document).to_string();
        if check_document(of, &text).is_ok() {
            lines.push(format!("{{\"collection\":\"{of}\",\"document\":{text}}}\n"));
            let count = counts.entry(of.name()).or_insert(json!(0));
            *count = json!(count.as_u64().unwrap() + 1);
        }
    }
    assert!(lines.len() > COLLECTIONS.len() * DOCUMENTS / 2, "{counts:?}");
    let header = json!({
        "exportDate": "2026-11-25T12:00:00Z", "schemaVersion": 1, "backend": "sqlite",
        "collections": counts,
    });
    let end = format!("{{\"end\":true,\"documents\":{}}}\n", lines.len());
    let file = place.directory().join("made.ndjson");
    std::fs::write(&file, format!("{header}\n{}{end}", lines.concat())).unwrap();
    import_from(world.store.as_ref(), &file).await.unwrap();
    let taken = data(world.store.as_ref()).await;
    assert_moves_whole(world.store.as_ref(), &place, &world).await;
    let first = sqlite(&place.directory().join("first.db"), &world.clock).await;
    assert_eq!(data(first.as_ref()).await, taken);
}

fn bson(value: Value) -> Bson {
    match value {
        // The old orchestrator wrote dates.
        Value::String(text) => match DateTime::parse_rfc3339_str(&text) {
            Ok(date) => date.into(),
            Err(_) => text.into(),
        },
        Value::Array(items) => Bson::Array(items.into_iter().map(bson).collect()),
        Value::Object(fields) => Bson::Document(bson_document(fields)),
        Value::Null => Bson::Null,
        Value::Bool(truth) => truth.into(),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64().unwrap().into(),
        },
    }
}

fn bson_document(fields: Map<String, Value>) -> Document {
    let fields = fields.into_iter().filter(|(name, _)| !name.contains(['\0', '$']));
    fields.map(|(name, value)| (name, bson(value))).collect()
}

#[tokio::test]
async fn documents_of_the_old_orchestrator_are_put_back_or_named() {
    on_mongodb(async |place: &Place| {
        let server = place.server().unwrap();
        for (of, document) in documents() {
            let documents = server.raw().collection::<Document>(of.name());
            documents.insert_one(bson_document(document)).await.unwrap();
        }
        let world = World::at("2026-11-25T12:00:00Z", place).await;
        let store = mongodb(server, "", &world.clock).await;
        let export = open_export(
            store.as_ref(),
            &SystemClock,
            Format::Ndjson,
            Collection::ALL.to_vec().into(),
        );
        let export = export.await.unwrap();
        let pieces: Vec<_> = futures::TryStreamExt::try_collect(export.bytes).await.unwrap();
        let text = String::from_utf8(pieces.concat()).unwrap();
        let end: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        let (skipped, names) = (export.skipped.count(), export.skipped.names());
        assert_eq!(end["skipped"], skipped);
        assert_eq!(end["documents"], text.lines().count() - 2);
        assert!(skipped > 5 && names.len() > 5, "{names:?}");
        let target = sqlite(&place.directory().join("target.db"), &world.clock).await;
        let file = place.directory().join("export.ndjson");
        std::fs::write(&file, &text).unwrap();
        let imported = import_from(target.as_ref(), &file).await.unwrap();
        assert_eq!(imported.documents, end["documents"].as_u64().unwrap());
        assert_moves_whole(store.as_ref(), place, &world).await;
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn the_command_names_what_it_left_out_and_exits_1() {
    on_mongodb(async |place: &Place| {
        let service = place.start().await;
        service.stop().await.unwrap();
        let metrics = place.server().unwrap().raw().collection::<Document>("metrics");
        let broken = mongodb::bson::doc! { "name": "temperature", "value": "warm" };
        metrics.insert_one(broken).await.unwrap();
        let state = place.server().unwrap().raw().collection::<Document>("system_state");
        state.insert_one(mongodb::bson::doc! { "lastRun": 5 }).await.unwrap();
        let mut command = place.command(&["export", "--output", "out.ndjson"]);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains("metrics name=\"temperature\": it has no value"), "{errors}");
        assert!(errors.contains("system_state {\"lastRun\":5}: it has no key"), "{errors}");
        let text = std::fs::read_to_string(place.directory().join("out.ndjson")).unwrap();
        assert!(text.ends_with(",\"skipped\":2}\n") && !text.contains("warm"), "{text}");
    })
    .await;
}
