//! Migrations, on databases that are empty, old, newer or meddled with.

use std::time::Duration;

use orchestrator::{
    model::SystemClock,
    store::{
        Backend, Store,
        migrate::{MigrateError, Migration, State, status, up},
    },
};

use super::{each_backend, samples::at};

each_backend![Empty:
    migrating_twice_changes_nothing_the_second_time,
    a_dry_run_tells_what_it_would_do_and_does_not,
    a_newer_database_is_refused,
    a_script_that_was_edited_after_it_was_applied_is_refused,
    a_migration_left_out_is_refused,
    a_migration_waits_for_another_process,
    of_several_processes_each_migration_is_applied_by_one,
];

const ALL: [&str; 11] = [
    "0001_collections",
    "0002_indexes",
    "0003_history",
    "0004_instances",
    "0005_listing",
    "0006_embeddings",
    "0007_alert_inbox",
    "0008_alerts_at_once",
    "0009_firing_apart",
    "0010_fewer_indexes",
    "0011_alert_numbers",
];

async fn migrating_twice_changes_nothing_the_second_time(store: &dyn Store) {
    let newest = store.schema().migrations().last().unwrap().number;
    let report = up(store, "test", &SystemClock, false).await.unwrap();
    assert_eq!((report.from, report.to), (0, newest));
    let before = store.schema().applied().await.unwrap();
    let report = up(store, "again", &SystemClock, false).await.unwrap();
    assert_eq!((report.from, report.to), (newest, newest));
    assert!(report.applied.is_empty());
    assert_eq!(store.schema().applied().await.unwrap(), before);
    assert_eq!(before.len(), store.schema().migrations().len());
    let rows = status(store).await.unwrap();
    assert!(rows.iter().all(|row| row.state == State::Applied), "{rows:?}");
}

async fn a_dry_run_tells_what_it_would_do_and_does_not(store: &dyn Store) {
    for _ in 0..2 {
        let report = up(store, "test", &SystemClock, true).await.unwrap();
        assert!(report.dry_run);
        assert_eq!(report.from, 0);
        assert_eq!(report.applied, ALL);
        assert_eq!(store.schema_version().await.unwrap(), 0);
        assert!(store.schema().applied().await.unwrap().is_empty());
    }
    let rows = status(store).await.unwrap();
    assert!(rows.iter().all(|row| row.state == State::Pending), "{rows:?}");
}

/// A script that does nothing.
fn idle(store: &dyn Store) -> &'static str {
    match store.backend() {
        Backend::Mongodb => "[]",
        Backend::Sqlite => "SELECT 1;",
    }
}

async fn a_newer_database_is_refused(store: &dyn Store) {
    up(store, "test", &SystemClock, false).await.unwrap();
    let future = Migration { number: 99, name: "future", script: idle(store) };
    store.schema().apply(&future, &future.checksum(), at(0)).await.unwrap();
    for dry_run in [true, false] {
        let error = up(store, "test", &SystemClock, dry_run).await.unwrap_err();
        assert!(matches!(error, MigrateError::Newer { found: 99, .. }), "{error}");
    }
}

async fn a_script_that_was_edited_after_it_was_applied_is_refused(store: &dyn Store) {
    store.schema().prepare().await.unwrap();
    let known = &store.schema().migrations()[0];
    let edited = Migration { script: idle(store), ..known.clone() };
    store.schema().apply(&edited, &edited.checksum(), at(0)).await.unwrap();
    let error = up(store, "test", &SystemClock, false).await.unwrap_err();
    assert!(error.to_string().contains(known.name), "{error}");
    assert!(matches!(error, MigrateError::Changed { number: 1, .. }));
    assert_eq!(store.schema().applied().await.unwrap().len(), 1);
}

async fn a_migration_left_out_is_refused(store: &dyn Store) {
    store.schema().prepare().await.unwrap();
    let second = Migration { script: idle(store), ..store.schema().migrations()[1].clone() };
    let checksum = store.schema().migrations()[1].checksum();
    store.schema().apply(&second, &checksum, at(0)).await.unwrap();
    let error = up(store, "test", &SystemClock, false).await.unwrap_err();
    assert!(matches!(error, MigrateError::Gap { missing: 1, applied: 2 }), "{error}");
}

async fn of_several_processes_each_migration_is_applied_by_one(store: &dyn Store) {
    let holders: Vec<_> = (0..3).map(|n| n.to_string()).collect();
    let all = holders.iter().map(|holder| up(store, holder, &SystemClock, false));
    let reports = futures::future::try_join_all(all).await.unwrap();
    assert_eq!(reports.iter().map(|report| report.applied.len()).sum::<usize>(), ALL.len());
    assert!(reports.iter().all(|report| report.to as usize == ALL.len()));
}

async fn a_migration_waits_for_another_process(store: &dyn Store) {
    store.schema().prepare().await.unwrap();
    let held = Duration::from_secs(600);
    assert!(store.acquire_lease("migrations", "other", held).await.unwrap().is_some());
    let waiting = up(store, "test", &SystemClock, false);
    tokio::pin!(waiting);
    let early = tokio::time::timeout(Duration::from_millis(200), &mut waiting).await;
    assert!(early.is_err(), "it did not wait: {early:?}");
    assert!(store.schema().applied().await.unwrap().is_empty());
    store.release_lease("migrations", "other").await.unwrap();
    assert_eq!(waiting.await.unwrap().applied.len(), ALL.len());
    assert!(store.acquire_lease("migrations", "next", held).await.unwrap().is_some(), "given back");
}
