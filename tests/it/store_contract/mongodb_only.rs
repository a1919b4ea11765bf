//! What only a MongoDB can be: written by the old orchestrator, locked by a password, away.

use std::{sync::Arc, time::Duration};

use mongodb::bson::{DateTime, Document, doc, oid::ObjectId};
use orchestrator::{
    model::{Category, Collection, EntryText, Outcome, Severity, SystemClock, Time},
    store::{Edit, Edited, Group, Store, StoreError, migrate, mongodb::MongoStore},
};
use secrecy::SecretString;

use super::{
    export::{an_export_shows_one_moment, documents},
    samples::{at, delete, edit, entry, firing, group, learned, outcomes, record},
};
use crate::harness::{Proxy, Server, Stopwatch};

/// How soon a store that is away must say so.
const SOON: Duration = Duration::from_secs(5);

async fn migrated(server: &Server) -> MongoStore {
    let store = MongoStore::open(&server.uri, &server.database).await.unwrap();
    migrate::up(&store, "test", &SystemClock, false).await.unwrap();
    store
}

#[tokio::test]
async fn a_database_of_the_old_orchestrator_opens_and_keeps_its_own_state() {
    let Some(server) = Server::replica_set().await else { return };
    let state = server.raw().collection::<Document>("system_state");
    let version = doc! { "_id": ObjectId::new(), "key": "schema_version", "value": 1 };
    let own = doc! { "key": "last_consolidation", "value": { "date": DateTime::from_millis(5) } };
    state.insert_many([version, own.clone()]).await.unwrap();
    // An index of its own on keys that a migration indexes too, under another name.
    let alerts = server.raw().collection::<Document>("alerts");
    let index = mongodb::IndexModel::builder()
        .keys(doc! { "timestamp": 1 })
        .options(mongodb::options::IndexOptions::builder().name("by_time".to_owned()).build());
    alerts.create_index(index.build()).await.unwrap();
    alerts.insert_many([doc! { "name": "Old" }, doc! { "name": "Old" }]).await.unwrap();

    let store = migrated(&server).await;
    let migrations = store.schema().migrations();
    let newest = migrations.last().unwrap().number;
    assert_eq!(store.schema_version().await.unwrap(), newest);
    assert_eq!(store.schema().applied().await.unwrap().len(), migrations.len());
    assert_eq!(state.count_documents(doc! { "key": "schema_version" }).await.unwrap(), 1);
    let kept = state.find_one(doc! { "key": "last_consolidation" }).await.unwrap().unwrap();
    assert_eq!(kept.get("value"), own.get("value"));
    let indexes = alerts.list_index_names().await.unwrap();
    assert!(indexes.contains(&"fingerprint_1_status_1".to_owned()), "{indexes:?}");
    assert_eq!(outcomes(&store, vec![firing("a")]).await, [Outcome::New]);
    assert_eq!(documents(&store, Collection::Alerts).await.len(), 3);
}

#[tokio::test]
async fn entries_of_the_old_orchestrator_are_read_changed_and_deleted() {
    let Some(server) = Server::replica_set().await else { return };
    let day = DateTime::parse_rfc3339_str("2026-02-01T10:00:00Z").unwrap();
    let later = DateTime::parse_rfc3339_str("2026-02-03T10:00:00Z").unwrap();
    let nameless = ObjectId::new();
    let base = server.raw().collection::<Document>("knowledge_base");
    let old = [
        doc! { "id": "kb-old", "title": "Disk full", "category": "alert_pattern",
        "severity": "high", "occurrences": 7.0, "successRate": 0.5,
        "firstSeen": day, "lastSeen": later, "createdAt": day, "updatedAt": later },
        doc! { "id": "kb-twice", "title": "first", "lastUpdated": day },
        doc! { "id": "kb-twice", "title": "second", "lastUpdated": later },
        doc! { "_id": nameless, "title": "nameless", "severity": 5, "tags": null },
    ];
    base.insert_many(old).await.unwrap();
    let store = migrated(&server).await;

    assert_eq!(store.entries().await.unwrap().len(), 3);
    let old = entry(&store, "kb-old").await.unwrap();
    assert_eq!((old.category, old.severity), (Category::AlertPattern, Severity::High));
    assert_eq!((old.occurrences(), old.success_rate()), (7, Some(0.5)));
    assert_eq!(old.first_seen, Time::parse("2026-02-01T10:00:00Z").unwrap());
    assert_eq!(old.last_updated(), Time::parse("2026-02-03T10:00:00Z").unwrap());
    assert_eq!(entry(&store, "kb-twice").await.unwrap().title, "second");

    let mut changed = entry(&store, &nameless.to_hex()).await.unwrap();
    changed.text =
        Arc::new(EntryText { title: "named".to_owned(), ..EntryText::clone(&changed.text) });
    changed.version += 1;
    let expected = Some(changed.version - 1);
    let edits = vec![Edit::Write { entry: Arc::new(changed.clone()), expected }];
    assert_eq!(edit(&store, edits).await, [Edited::Done]);
    assert_eq!(entry(&store, &changed.id).await, Some(changed.clone()));
    assert_eq!(base.count_documents(doc! {}).await.unwrap(), 4, "changed where it was");

    for id in [changed.id.as_str(), "kb-twice", "kb-old"] {
        delete(&store, id).await;
    }
    assert_eq!(base.count_documents(doc! {}).await.unwrap(), 0);
}

#[tokio::test]
async fn times_are_bson_dates_to_the_millisecond() {
    let Some(server) = Server::replica_set().await else { return };
    let store = migrated(&server).await;
    record(&store, vec![firing("a")]).await;
    let alert = server.raw().collection::<Document>("alerts").find_one(doc! {}).await.unwrap();
    let alert = alert.unwrap();
    assert_eq!(alert.get_datetime("startsAt").unwrap().timestamp_millis(), at(0).millis());
    assert_eq!(alert.get_datetime("timestamp").unwrap().timestamp_millis(), at(1).millis());
    let base = server.raw().collection::<Document>("knowledge_base");
    let learned = base.find_one(doc! { "id": learned() }).await.unwrap().unwrap();
    assert_eq!(learned.get_datetime("lastUpdated").unwrap().timestamp_millis(), at(1).millis());
}

#[tokio::test]
async fn credentials_with_reserved_characters_open_the_store_and_wrong_ones_do_not() {
    let Some(server) = Server::replica_set().await else { return };
    let (user, password) = ("us@er:1", "p@ss/w:rd?#%");
    let roles = doc! { "role": "readWrite", "db": &server.database };
    let create = doc! { "createUser": user, "pwd": password, "roles": [roles] };
    server.raw().run_command(create).await.unwrap();
    let with = |password: &str| SecretString::from(server.with_credentials(user, password));

    let store = MongoStore::open(&with(password), &server.database).await.unwrap();
    store.ping().await.unwrap();
    migrate::up(&store, "test", &SystemClock, false).await.unwrap();

    let error = MongoStore::open(&with("wr@ng"), &server.database).await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    let text = format!("{error} {error:?}");
    assert!(!text.contains("wr@ng") && !text.contains("wr%40ng"), "{text}");
    server.raw().run_command(doc! { "dropUser": user }).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable_soon() {
    let closed = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let uri = SecretString::from(format!("mongodb://user:secret@{closed}/?authSource=admin"));
    let asked = Stopwatch::start();
    let error = MongoStore::open(&uri, "test").await.unwrap_err();
    assert!(error.is_unavailable() && asked.elapsed() < SOON, "{error} {:?}", asked.elapsed());
    assert!(!format!("{error} {error:?}").contains("secret"));
}

async fn all_operations_fail_soon(store: &dyn Store) {
    async fn soon<T>(operation: impl Future<Output = Result<T, StoreError>>) {
        let asked = Stopwatch::start();
        let error = operation.await.err().expect("the store is away");
        assert!(error.is_unavailable(), "{error}");
        assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    }
    let delete_kb = Edit::Delete { id: "kb".to_owned(), expected: None };
    let delete_kb = Group { edits: vec![delete_kb], ..Group::default() };
    tokio::join!(
        soon(store.ping()),
        soon(store.commit(Arc::new(group(vec![firing("b")]).into()))),
        soon(store.entries()),
        soon(store.load()),
        soon(store.commit(Arc::new(delete_kb.into()))),
        soon(store.received_since(at(0))),
        soon(store.acquire_lease("retention", "a", SOON)),
        soon(async { store.export(vec![Collection::Alerts].into()).await.map(drop) }),
    );
}

#[tokio::test]
async fn a_store_that_goes_away_is_unavailable_and_comes_back_by_itself() {
    let Some(server) = Server::replica_set().await else { return };
    let proxy = Proxy::start(server.address().await).await;
    let uri = SecretString::from(server.through(proxy.address).await);
    let store = MongoStore::open(&uri, &server.database).await.unwrap();
    migrate::up(&store, "test", &SystemClock, false).await.unwrap();
    record(&store, vec![firing("a")]).await;

    proxy.cut();
    all_operations_fail_soon(&store).await;
    proxy.open();
    let asked = Stopwatch::start();
    assert_eq!(outcomes(&store, vec![firing("a")]).await, [Outcome::Duplicate]);
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    // Connections that broke unseen are replaced by the first write.
    proxy.cut();
    proxy.open();
    assert_eq!(outcomes(&store, vec![firing("b")]).await, [Outcome::New]);
}

#[tokio::test]
async fn a_server_that_falls_silent_is_unavailable_soon() {
    let Some(server) = Server::replica_set().await else { return };
    let proxy = Proxy::start(server.address().await).await;
    let uri = SecretString::from(server.through(proxy.address).await);
    let store = MongoStore::open(&uri, &server.database).await.unwrap();
    migrate::up(&store, "test", &SystemClock, false).await.unwrap();

    proxy.silence();
    let asked = Stopwatch::start();
    let error = store.ping().await.unwrap_err();
    assert!(error.is_unavailable() && asked.elapsed() < SOON, "{error} {:?}", asked.elapsed());
}

#[tokio::test]
async fn an_export_shows_one_moment_of_a_replica_set() {
    let Some(server) = Server::replica_set().await else { return };
    let store = migrated(&server).await;
    let build = server.raw().run_command(doc! { "buildInfo": 1 }).await.unwrap();
    // SecantusDB takes `readConcern: snapshot` outside of transactions and reads what is newest.
    if !build.contains_key("secantusVersion") {
        an_export_shows_one_moment(&store).await;
    }
}
