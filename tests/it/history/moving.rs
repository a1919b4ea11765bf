//! Everything export out and put back, from one kind of store to the other.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use futures::TryStreamExt;
use orchestrator::{
    history::{
        export::{Format, open_export},
        import::{ImportError, Imported, import},
    },
    model::{Collection, ManualClock, ReceivedAlert, Status},
    store::Store,
};
use serde_json::Value;

use crate::harness::{
    Place, Server,
    world::{World, mongodb, sqlite, utc},
};

const DATA: [Collection; 4] = [
    Collection::Alerts,
    Collection::Metrics,
    Collection::KnowledgeBase,
    Collection::Consolidations,
];

/// A store with something in every collection.
async fn past(place: &Place) -> World {
    let world = World::at("2026-11-20T12:00:00.123Z", place).await;
    let mut odd = world.firing("odd");
    odd.labels.insert("dotted.name".into(), "Füllstand “100 %” $x \\ \"q\" 💾\n".into());
    odd.annotations.insert("runbook_url".into(), "https://runbooks/disk".into());
    odd.generator_url = Some("http://prometheus/graph?g0.expr=up%3D%3D0".into());
    let over = ReceivedAlert {
        status: Status::Resolved,
        ends_at: Some(utc("2026-11-20T12:05:00Z")),
        ..world.firing("over")
    };
    world.receive(vec![odd, over, world.firing("caused")]).await;
    for value in [0.1, -5.0, 1e21, 3.0, 12_345_678.9] {
        world.clock.advance_millis(1);
        world.sample("alerts_firing", value).await;
    }
    world.set("2026-11-21T12:00:00Z");
    world.retain().await.unwrap();
    world.receive(vec![world.firing("today")]).await;
    world
}

pub async fn export_to(store: &dyn Store, path: &Path) -> Vec<u8> {
    let clock = ManualClock::new(utc("2026-11-21T12:00:00Z"));
    let export =
        open_export(store, &clock, Format::Ndjson, Collection::ALL.to_vec().into()).await.unwrap();
    let pieces: Vec<_> = export.bytes.try_collect().await.unwrap();
    std::fs::write(path, pieces.concat()).unwrap();
    pieces.concat()
}

pub async fn import_from(store: &dyn Store, path: &Path) -> Result<Imported, ImportError> {
    import(store, path, Arc::new(|_, _, _| {})).await
}

/// The data as an export has it, in no order.
pub async fn data(store: &dyn Store) -> BTreeSet<String> {
    let mut documents = BTreeSet::new();
    let export = store.export(DATA.to_vec().into()).await.unwrap();
    let pieces: Vec<_> = export.documents.try_collect().await.unwrap();
    for (collection, texts) in pieces {
        for text in texts {
            let mut document: Value = serde_json::from_str(&text).unwrap();
            document.sort_all_objects();
            assert!(documents.insert(format!("{collection} {document}")), "twice: {document}");
        }
    }
    documents
}

#[tokio::test]
async fn an_export_put_back_gives_equal_data_and_twice_equals_once() {
    let place = Place::sqlite();
    let world = past(&place).await;
    let file = place.directory().join("export.ndjson");
    export_to(world.store.as_ref(), &file).await;
    let target = sqlite(&place.directory().join("target.db"), &world.clock).await;
    let all = data(world.store.as_ref()).await;
    assert!(all.len() > 10, "{all:?}");
    for _ in 0..2 {
        let imported = import_from(target.as_ref(), &file).await.unwrap();
        assert_eq!(imported.written, all.len() as u64);
        assert_eq!(data(target.as_ref()).await, all);
    }
    assert_eq!(target.firing_alerts().await.unwrap(), 3);
}

#[tokio::test]
async fn a_compressed_export_is_put_back_too() {
    use std::io::Write;

    let place = Place::sqlite();
    let world = past(&place).await;
    let plain = export_to(world.store.as_ref(), &place.directory().join("plain")).await;
    let file = place.directory().join("export.ndjson.gz");
    let fast = flate2::Compression::fast();
    let mut zip = flate2::write::GzEncoder::new(std::fs::File::create(&file).unwrap(), fast);
    zip.write_all(&plain).unwrap();
    zip.finish().unwrap();
    let target = sqlite(&place.directory().join("target.db"), &world.clock).await;
    import_from(target.as_ref(), &file).await.unwrap();
    assert_eq!(data(target.as_ref()).await, data(world.store.as_ref()).await);
    // A cut one is noticed as well.
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() - 9]).unwrap();
    import_from(target.as_ref(), &file).await.unwrap_err();
}

#[tokio::test]
async fn data_goes_from_sqlite_to_mongodb_and_back() {
    let mut servers = Vec::new();
    servers.extend(Server::replica_set().await);
    servers.extend(Server::lone().await);
    for server in servers {
        let place = Place::sqlite();
        let world = past(&place).await;
        let file = place.directory().join("export.ndjson");
        let all = data(world.store.as_ref()).await;
        let mongodb = mongodb(&server, "", &world.clock).await;
        export_to(world.store.as_ref(), &file).await;
        for _ in 0..2 {
            import_from(mongodb.as_ref(), &file).await.unwrap();
            assert_eq!(data(mongodb.as_ref()).await, all);
        }
        export_to(mongodb.as_ref(), &file).await;
        let back = sqlite(&place.directory().join("back.db"), &world.clock).await;
        import_from(back.as_ref(), &file).await.unwrap();
        assert_eq!(data(back.as_ref()).await, all);
        mongodb.close().await;
    }
}

#[tokio::test]
async fn a_file_that_is_not_whole_changes_nothing() {
    let place = Place::sqlite();
    let world = past(&place).await;
    let file = place.directory().join("export.ndjson");
    let whole = export_to(world.store.as_ref(), &file).await;
    let target = sqlite(&place.directory().join("target.db"), &world.clock).await;
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    let without_end = lines[..lines.len() - 1].concat();
    let without_one = [&lines[..5], &lines[6..]].concat().concat();
    let newer = String::from_utf8(whole.clone()).unwrap();
    let newer = newer.replacen("\"schemaVersion\":", "\"schemaVersion\":99", 1).into_bytes();
    let (before, after) = lines.split_at(lines.len() / 2);
    let broken = [&before.concat()[..], b"?", &after.concat()].concat();
    let mut telling = whole.clone();
    telling.extend_from_slice(lines[2]);
    for damaged in [without_end, without_one, newer, broken, telling, Vec::new(), b"x".to_vec()] {
        std::fs::write(&file, &damaged).unwrap();
        let refused = import_from(target.as_ref(), &file).await.unwrap_err();
        assert!(!matches!(refused, ImportError::Store { .. }), "{refused}");
        assert!(data(target.as_ref()).await.is_empty());
    }
    assert!(import_from(target.as_ref(), place.directory()).await.is_err(), "a folder is no file");
}

#[tokio::test]
async fn a_store_of_another_schema_takes_nothing() {
    let place = Place::sqlite();
    let world = past(&place).await;
    let file = place.directory().join("export.ndjson");
    export_to(world.store.as_ref(), &file).await;
    let path = place.directory().join("empty.db");
    let empty = orchestrator::store::sqlite::SqliteStore::open(&path).await.unwrap();
    let refused = import_from(&empty, &file).await.unwrap_err();
    assert!(matches!(refused, ImportError::Schema { found: 0, .. }), "{refused}");
}
