//! A replica set tells each replica what others changed, by a change stream. The server itself is
//! made to fail that of one replica: by its fail points, which know a client by its name.

use mongodb::bson::{DateTime, Document, doc};
use serde_json::json;

use crate::harness::{Alert, Place, Running, eventually, on_mongodb, payload};

/// How often a replica has looked for what others changed.
const LOOKS: &str = r#"store_operation_duration_seconds_count{operation="follow"}"#;
/// The name by which the server knows the replica whose stream fails.
const FAILING: &str = "failing";

/// Two replicas, of which the server knows the second by that name.
async fn two(place: &Place) -> (Running, Running) {
    let url = place.server().unwrap().known_as(FAILING);
    let other = place.start_with(&[("DATABASE_URL", &url), ("INSTANCE_ID", FAILING)]).await;
    (place.start().await, other)
}

/// What the server does once when that replica next asks what its stream has.
async fn fail_stream(place: &Place, how: Document) {
    let mut data = doc! { "failCommands": ["getMore"], "appName": FAILING };
    data.extend(how);
    let command =
        doc! { "configureFailPoint": "failCommand", "mode": { "times": 1 }, "data": data };
    let admin = place.server().unwrap().raw().client().database("admin");
    admin.run_command(command).await.unwrap();
}

/// Makes an entry, and waits until another replica shows it; its id.
async fn write(one: &Running, title: &str, other: &Running) -> String {
    let made = one.operator().write(&json!({ "title": title })).await;
    let id = made["id"].as_str().unwrap().to_owned();
    shown(other, title).await;
    id
}

async fn shown(replica: &Running, title: &str) {
    eventually("the replica follows", async || {
        replica.admin().entry_titles().await.contains(title).then_some(())
    })
    .await;
}

async fn a_stream_that_falls_silent_is_opened_again(place: &Place) {
    let (one, other) = two(place).await;
    write(&one, "Zookeeper is gone", &other).await;
    // For longer than a test waits for anything.
    fail_stream(place, doc! { "blockConnection": true, "blockTimeMS": 120_000 }).await;
    // The first may still come in the answer that was under way; then the second does not.
    write(&one, "Vitess shard is split", &other).await;
    write(&one, "Yarn queue is full", &other).await;
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_opened_again_on_mongodb() {
    on_mongodb(a_stream_that_falls_silent_is_opened_again).await;
}

/// A server that was away for longer than its log reaches, or was set back to a backup, has more to
/// tell than a look at what changed since.
async fn behind_a_lost_place_everything_is_read_again(place: &Place) {
    let (one, other) = two(place).await;
    let id = write(&one, "Zookeeper is gone", &other).await;
    let long_ago = DateTime::from_millis(DateTime::now().timestamp_millis() - 86_400_000);
    let restored = doc! { "$set": { "title": "Zookeeper is back", "syncedAt": long_ago } };
    let entries = place.server().unwrap().raw().collection::<Document>("knowledge_base");
    entries.update_one(doc! { "id": id }, restored).await.unwrap();
    write(&one, "Yarn queue is full", &other).await;
    let shown_still = other.admin().entry_titles().await.contains("Zookeeper is gone");
    assert!(shown_still, "a look is enough");
    fail_stream(place, doc! { "errorCode": 286 }).await;
    shown(&other, "Zookeeper is back").await;
}

#[tokio::test]
async fn behind_a_lost_place_everything_is_read_again_on_mongodb() {
    on_mongodb(behind_a_lost_place_everything_is_read_again).await;
}

/// In a storm it would look for it all the time.
async fn what_a_replica_changes_itself_is_no_news_to_it(place: &Place) {
    let (one, other) = two(place).await;
    write(&other, "Zookeeper is gone", &one).await;
    let looks = one.sample(LOOKS).await;
    for number in 0..20 {
        // It is stored, refreshes the text of its pattern, and ends.
        let start = json!(format!("2026-11-24T08:00:{number:02}Z"));
        let alert = Alert::firing("DiskFull", &format!("disk{number}")).with("startsAt", start);
        for alert in [alert.clone(), alert.resolved_after(60)] {
            one.alertmanager().notify(&payload([alert])).await.expect(200);
        }
        one.operator().write(&json!({ "title": format!("Disk {number}") })).await;
    }
    write(&other, "Yarn queue is full", &one).await;
    let more = one.sample(LOOKS).await - looks;
    assert!((1.0..=3.0).contains(&more), "{more}");
}

#[tokio::test]
async fn what_a_replica_changes_itself_is_no_news_to_it_on_mongodb() {
    on_mongodb(what_a_replica_changes_itself_is_no_news_to_it).await;
}
