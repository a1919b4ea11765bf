//! Several processes on one MongoDB, processes that die in the middle, and strangers: what must
//! hold without transactions, on a replica set and on a lone server.

use std::{
    cell::Cell,
    collections::HashMap,
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use futures::TryStreamExt;
use mongodb::bson::{DateTime, Document, doc};
use orchestrator::{
    model::{
        Category, Entry, EntryText, Figures, InstanceChange, Outcome, ReceivedAlert, Severity,
        SystemClock, pattern_id,
    },
    store::{
        Committed, Edit, Edited, Expired, ExpiryBatch, Followed, Gathering, Group, Position, Store,
        migrate, mongodb::MongoStore,
    },
};

use secrecy::SecretString;

use super::samples::{
    at, caused, delete, edit, entry, firing, group, learned, learned_figures, make, outcomes,
    record, resolved, shown,
};
use crate::harness::{Server, Stopwatch};

/// Makes a test of each promise on both topologies.
macro_rules! on_both {
    ($($promise:ident),* $(,)?) => {
        mod on_a_replica_set {
            $(#[tokio::test]
            async fn $promise() {
                let Some(server) = super::Server::replica_set().await else { return };
                super::$promise(server).await;
            })*
        }
        mod on_a_lone_server {
            $(#[tokio::test]
            async fn $promise() {
                let Some(server) = super::Server::lone().await else { return };
                super::$promise(server).await;
            })*
        }
    };
}
on_both![
    of_several_replicas_each_alert_is_new_to_one,
    of_two_instances_that_replicas_open_at_once_the_later_stays_open,
    what_processes_that_died_left_open_twice_is_found_after_the_next_start,
    a_commit_that_is_cut_anywhere_is_whole_when_it_is_repeated,
    retention_that_is_cut_anywhere_adds_nothing_twice,
    an_alert_that_is_received_while_it_is_deleted_stays_and_counts_once,
    what_others_change_is_followed,
    what_replaces_an_alert_that_cannot_be_read_is_followed,
    what_is_inserted_late_is_followed,
    what_two_change_at_once_is_followed_by_both,
    what_others_delete_is_followed,
    what_cannot_be_read_holds_up_nothing,
    a_database_of_before_shows_the_same_figures,
];

async fn open(server: &Server) -> MongoStore {
    MongoStore::open(&server.uri, &server.database).await.unwrap()
}

async fn migrated(server: &Server) -> MongoStore {
    let store = open(server).await;
    migrate::up(&store, "test", &SystemClock, false).await.unwrap();
    store
}

fn start_at(minutes: i64, fingerprint: &str) -> ReceivedAlert {
    ReceivedAlert { starts_at: Some(at(minutes)), ..firing(fingerprint) }
}

/// Adds up changes as memory does; the latest times aside.
fn fold(figures: &mut HashMap<String, Figures>, changes: &[InstanceChange]) {
    for InstanceChange { before, after } in changes {
        for (instance, is_after) in [(before, false), (after, true)] {
            let Some(instance) = instance else { continue };
            let of = figures.entry(instance.entry_id.clone()).or_default();
            if is_after {
                of.add(instance)
            } else {
                of.remove(instance)
            }
            if let Some(carried) = &instance.carried {
                let of = figures.entry(carried.entry_id.clone()).or_default();
                of.tally = match is_after {
                    true => of.tally.minus(carried.tally()),
                    false => of.tally.plus(carried.tally()),
                };
            }
        }
    }
}

fn counts(figures: &HashMap<String, Figures>, id: &str) -> (orchestrator::model::Tally, i64) {
    let of = figures.get(id).copied().unwrap_or_default();
    (of.tally, of.firing)
}

async fn of_several_replicas_each_alert_is_new_to_one(server: Server) {
    let first = migrated(&server).await;
    let mut replicas = vec![first];
    for _ in 0..4 {
        replicas.push(open(&server).await);
    }
    let alerts: Vec<_> = (0..12).map(|n| firing(&n.to_string())).collect();
    let writers = replicas.iter().map(|replica| record(replica, alerts.clone()));
    let committed = futures::future::join_all(writers).await;
    let new = committed.iter().flat_map(|committed| &committed.outcomes);
    assert_eq!(new.filter(|outcome| **outcome == Outcome::New).count(), 12);
    let over: Vec<_> = (0..12).map(|n| resolved(&n.to_string())).collect();
    let writers = replicas.iter().map(|replica| record(replica, over.clone()));
    let resolved = futures::future::join_all(writers).await;

    // What each replica says that it changed is together what is stored.
    let mut figures = HashMap::new();
    for committed in committed.iter().chain(&resolved) {
        fold(&mut figures, &committed.changes);
    }
    let stored = replicas[0].figures(vec![learned()]).await.unwrap();
    assert_eq!(counts(&figures, &learned()), counts(&stored, &learned()));
    assert_eq!(learned_figures(&replicas[0]).await, (12, 0, Some(1.0), Some(600_000)));
}

async fn of_two_instances_that_replicas_open_at_once_the_later_stays_open(server: Server) {
    let store = migrated(&server).await;
    let mut replicas = [Follower::new(store).await, Follower::new(open(&server).await).await];
    for round in 0..10 {
        let fingerprint = format!("f{round}");
        let [a, b] = &mut replicas;
        let (one, two) = tokio::join!(
            a.record(vec![start_at(0, &fingerprint)]),
            b.record(vec![start_at(1, &fingerprint)])
        );
        assert_eq!((one.outcomes[0], two.outcomes[0]), (Outcome::New, Outcome::New));
        // Whichever hears of the other's first.
        replicas.rotate_left(1);
        for replica in &mut replicas {
            replica.follow().await;
            assert_eq!(replica.store.firing_alerts().await.unwrap(), 1 + round, "round {round}");
        }
        // Superseded ones are neither resolved nor failed.
        let (occurred, firing) = (2 + 2 * round as i64, 1 + round as i64);
        replicas[0].follow().await;
        for replica in &replicas {
            assert_eq!(replica.shown(&learned()), (occurred, firing, Some(0.0), None));
        }
    }
    let open = server.raw().collection::<Document>("alerts");
    let open = open.count_documents(
        doc! { "status": "firing", "startsAt": DateTime::from_millis(at(1).millis()) },
    );
    assert_eq!(open.await.unwrap(), 10);
}

async fn what_processes_that_died_left_open_twice_is_found_after_the_next_start(server: Server) {
    let (a, b) = (migrated(&server).await, open(&server).await);
    for fingerprint in ["a", "b", "c"] {
        // Neither hears of the other any more.
        tokio::join!(
            record(&a, vec![start_at(0, fingerprint)]),
            record(&b, vec![start_at(1, fingerprint)])
        );
    }
    let alerts = server.raw().collection::<Document>("alerts");
    let long_ago = doc! { "$set": { "syncedAt": DateTime::from_millis(0) } };
    alerts.update_many(doc! {}, long_ago).await.unwrap();
    let mut follower = Follower::new(open(&server).await).await;
    // Also when the first looks take too long and are given up.
    let mut polls = 1;
    let followed = loop {
        match cut(follower.store.follow(follower.position, None), polls).await {
            Some(followed) => break followed.unwrap(),
            None => polls += 1,
        }
    };
    follower.take(followed);
    follower.follow().await;
    assert_eq!(follower.store.firing_alerts().await.unwrap(), 3);
    assert_eq!(follower.shown(&learned()), (6, 3, Some(0.0), None));
    assert_eq!(follower.shown(&learned()), learned_figures(&follower.store).await);
}

/// Polls so often, then drops it, as a process that dies; what came of it if it ended before.
async fn cut<T>(operation: impl Future<Output = T>, polls: usize) -> Option<T> {
    let mut left = polls;
    let mut operation = pin!(operation);
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        operation.as_mut().poll(context).map(Some)
    })
    .await
}

async fn a_commit_that_is_cut_anywhere_is_whole_when_it_is_repeated(server: Server) {
    let store = migrated(&server).await;
    let mut figures = HashMap::new();
    let mut polls = 0;
    let rounds = loop {
        let alerts = vec![
            caused(start_at(0, &format!("f{polls}")), &polls.to_string()),
            resolved(&format!("g{polls}")),
        ];
        let group: Arc<Gathering> = Arc::new(group(alerts.clone()).into());
        let ended = cut(store.commit(group.clone()), polls).await;
        let again = store.commit(group).await.unwrap();
        if let Some(committed) = &ended {
            fold(&mut figures, &committed.as_ref().unwrap().changes);
        }
        fold(&mut figures, &again.changes);
        // Whoever kept figures reads those again of which the outcome is not known.
        figures.extend(store.figures(again.stale).await.unwrap());
        let stored = store.figures(vec![learned()]).await.unwrap();
        assert_eq!(counts(&figures, &learned()), counts(&stored, &learned()), "{polls} polls");
        polls += 1;
        if ended.is_some() {
            break polls;
        }
    };
    assert!(rounds > 4, "{rounds}");
    assert_eq!(learned_figures(&store).await.0, rounds as i64);
    assert_eq!(store.firing_alerts().await.unwrap(), rounds as u64);
    assert_eq!(store.entries().await.unwrap().len(), rounds + 1);
}

fn batch(before: i64) -> ExpiryBatch {
    ExpiryBatch { before: at(before), limit: 100, now: at(before) }
}

async fn expire_all(store: &MongoStore, before: i64) -> Expired {
    let expired = store.expire_alerts(batch(before)).await.unwrap();
    assert_eq!(store.expire_alerts(batch(before)).await.unwrap().deleted, 0);
    expired
}

async fn retention_that_is_cut_anywhere_adds_nothing_twice(server: Server) {
    let store = migrated(&server).await;
    let mut polls = 0;
    let rounds = loop {
        let alerts = vec![start_at(0, &format!("f{polls}")), resolved(&format!("g{polls}"))];
        record(&store, alerts).await;
        let before = learned_figures(&store).await;
        let ended = cut(store.expire_alerts(batch(20)), polls).await;
        // The process died, and another one makes it whole.
        let other = open(&server).await;
        expire_all(&other, 20).await;
        let expected = (before.0, 0, before.2, before.3);
        assert_eq!(learned_figures(&store).await, expected, "{polls} polls");
        polls += 1;
        if ended.is_some() {
            break polls;
        }
    };
    assert!(rounds > 7, "{rounds}");
    // All of them come back, and each counts once.
    let again: Vec<_> = (0..rounds)
        .flat_map(|n| [start_at(0, &format!("f{n}")), resolved(&format!("g{n}"))])
        .collect();
    let come_back = outcomes(&store, again).await;
    assert!(come_back.iter().all(|outcome| *outcome == Outcome::Updated), "{come_back:?}");
    let (occurrences, firing, ..) = learned_figures(&store).await;
    assert_eq!((occurrences, firing), (2 * rounds as i64, rounds as i64));
}

async fn an_alert_that_is_received_while_it_is_deleted_stays_and_counts_once(server: Server) {
    let (store, retention) = (migrated(&server).await, open(&server).await);
    for round in 0..15 {
        let fingerprint = format!("f{round}");
        record(&store, vec![firing(&fingerprint)]).await;
        let over = ReceivedAlert { received_at: at(30), ..resolved(&fingerprint) };
        let (_, expired) = tokio::join!(record(&store, vec![over]), async {
            retention.expire_alerts(batch(20)).await.unwrap()
        });
        assert!(expired.deleted <= 1);
    }
    expire_all(&retention, 20).await;
    assert_eq!(learned_figures(&store).await, (15, 0, Some(1.0), Some(600_000)));
    assert_eq!(expire_all(&retention, 40).await.set_aside, 0);
    assert_eq!(learned_figures(&store).await, (15, 0, Some(1.0), Some(600_000)));
}

/// What a follower sees of others.
struct Follower {
    store: MongoStore,
    position: Position,
    entries: HashMap<String, Entry>,
    figures: HashMap<String, Figures>,
}

impl Follower {
    async fn new(store: MongoStore) -> Self {
        let loaded = store.load().await.unwrap();
        let entries = loaded.entries.into_iter().map(|entry| (entry.id.clone(), entry)).collect();
        Self { store, position: loaded.position, entries, figures: loaded.figures }
    }

    async fn follow(&mut self) {
        let followed = self.store.follow(self.position, None).await.unwrap();
        self.take(followed);
    }

    fn take(&mut self, followed: Followed) {
        match followed {
            Followed::Nothing => {}
            Followed::Some { entries, deleted, figures, position } => {
                deleted.iter().for_each(|id| drop(self.entries.remove(id)));
                self.entries.extend(entries.into_iter().map(|entry| (entry.id.clone(), entry)));
                self.figures.extend(figures);
                self.position = position;
            }
            Followed::Everything(_) => unreachable!("a MongoDB tells what changed"),
        }
    }

    async fn record(&mut self, alerts: Vec<ReceivedAlert>) -> Committed {
        let committed = record(&self.store, alerts).await;
        fold(&mut self.figures, &committed.changes);
        committed
    }

    fn shown(&self, id: &str) -> (i64, i64, Option<f64>, Option<i64>) {
        let figures = self.figures.get(id).copied().unwrap_or_default();
        shown(&Entry { figures, ..self.entries[id].clone() })
    }
}

fn note(id: &str) -> Entry {
    let text = EntryText::new(id, Category::Runbook, Severity::Low);
    Entry::new(id.to_owned(), text, at(0))
}

async fn what_others_change_is_followed(server: Server) {
    let store = migrated(&server).await;
    let mut follower = Follower::new(open(&server).await).await;
    record(&store, vec![firing("a"), firing("b")]).await;
    follower.follow().await;
    assert_eq!(follower.shown(&learned()), (2, 2, Some(0.0), None));

    record(&store, vec![resolved("a"), caused(firing("b"), "logs")]).await;
    follower.follow().await;
    assert_eq!(follower.shown(&learned()), learned_figures(&store).await);
    let moved = orchestrator::model::pattern_id("DiskFull", "logs");
    assert_eq!(follower.shown(&moved).0, 1);

    make(&store, note("kb")).await;
    let changed = Entry { helped: 3, version: 2, ..note("kb") };
    let write = Edit::Write { entry: Arc::new(changed.clone()), expected: Some(1) };
    assert_eq!(edit(&store, vec![write]).await, [Edited::Done]);
    follower.follow().await;
    assert_eq!(follower.entries["kb"], changed);

    expire_all(&store, 20).await;
    follower.follow().await;
    assert_eq!(follower.shown(&learned()), learned_figures(&store).await);
    assert_eq!(follower.shown(&moved), shown(&entry(&store, &moved).await.unwrap()));

    // Also the instances of an entry that is not there any more.
    record(&store, vec![firing("d")]).await;
    delete(&store, &learned()).await;
    follower.follow().await;
    assert_eq!(follower.figures[&learned()].firing, 1);
    expire_all(&store, 20).await;
    follower.follow().await;
    assert_eq!(follower.figures[&learned()].firing, 0);
}

async fn what_replaces_an_alert_that_cannot_be_read_is_followed(server: Server) {
    let store = migrated(&server).await;
    let id = format!("a:{}", at(0).millis());
    let alerts = server.raw().collection::<Document>("alerts");
    alerts.insert_one(doc! { "_id": id, "status": "firing", "name": 5 }).await.unwrap();
    record(&store, vec![firing("b")]).await;
    let long_ago = doc! { "$set": { "syncedAt": DateTime::from_millis(0) } };
    alerts.update_many(doc! {}, long_ago).await.unwrap();
    let mut follower = Follower::new(open(&server).await).await;
    record(&store, vec![start_at(0, "a")]).await;
    follower.follow().await;
    assert_eq!(follower.shown(&learned()), (2, 2, Some(0.0), None));
}

/// The server lets what it was told to insert wait, and writes it when others have long looked at that
/// time.
async fn what_is_inserted_late_is_followed(server: Server) {
    const HELD: &str = "held-up";
    let migrated = migrated(&server).await;
    record(&migrated, vec![firing("a")]).await;
    let uri = SecretString::from(server.known_as(HELD));
    let held_up = MongoStore::open(&uri, &server.database).await.unwrap();
    let mut follower = Follower::new(migrated).await;
    let data = doc! {
        "failCommands": ["insert"], "appName": HELD, "blockConnection": true, "blockTimeMS": 2_500,
    };
    let fail = doc! { "configureFailPoint": "failCommand", "mode": { "times": 1 }, "data": data };
    server.raw().client().database("admin").run_command(fail).await.unwrap();

    let over = Cell::new(false);
    let insert = async {
        record(&held_up, vec![firing("b")]).await;
        over.set(true);
    };
    let follow = async {
        while !over.get() {
            follower.follow().await;
        }
    };
    tokio::join!(insert, follow);
    follower.follow().await;
    assert_eq!(follower.shown(&learned()), (2, 2, Some(0.0), None));
}

/// The leases by which processes say that they write.
fn writers() -> Document {
    doc! { "_id": { "$regex": "^lease:writer:" } }
}

/// Others look for what somebody says to write.
#[tokio::test]
async fn who_writes_to_a_lone_server_says_so() {
    let Some(server) = Server::lone().await else { return };
    let store = migrated(&server).await;
    let state = server.raw().collection::<Document>("system_state");
    let past = DateTime::from_millis(DateTime::now().timestamp_millis() - 2 * 24 * 60 * 60 * 1000);
    let ended = doc! { "_id": "lease:writer:ended", "holder": "ended", "expiresAt": past };
    state.insert_one(ended).await.unwrap();
    let said = async || {
        let found = state.find(writers()).await.unwrap().try_collect::<Vec<_>>().await.unwrap();
        let said = found.into_iter().map(|lease| {
            let holder = lease.get_str("holder").unwrap().to_owned();
            (holder, *lease.get_datetime("expiresAt").unwrap())
        });
        said.collect::<HashMap<_, _>>()
    };
    let before = said().await;
    let other = open(&server).await;
    let mut follower = Follower::new(store).await;
    assert_eq!(said().await, before, "who only reads says nothing");

    record(&other, vec![firing("a")]).await;
    let after = said().await;
    follower.follow().await;
    assert_eq!(follower.shown(&learned()), (1, 1, Some(0.0), None));
    assert!(!after.contains_key("ended"), "what nobody holds any more stays for a day");
    let new: Vec<_> = after.iter().filter(|(holder, _)| !before.contains_key(*holder)).collect();
    let [(_, until)] = new[..] else { panic!("{before:?} {after:?}") };
    let holds_for = until.timestamp_millis() - DateTime::now().timestamp_millis();
    assert!((4 * 60_000..=5 * 60_000).contains(&holds_for), "{holds_for} ms");
    record(&other, vec![firing("b")]).await;
    assert_eq!(said().await, after, "not with each group");
}

/// As after a clock was set: what another process said that it writes does not hold any more, and it
/// writes all the same.
#[tokio::test]
async fn what_was_written_while_nobody_said_so_is_found_when_somebody_does() {
    let Some(server) = Server::lone().await else { return };
    let (store, other) = (migrated(&server).await, open(&server).await);
    let of_logs = |fingerprint| caused(firing(fingerprint), "logs");
    record(&other, vec![firing("a"), of_logs("b")]).await;
    let mut follower = Follower::new(store).await;
    let half_a_minute_ago = DateTime::from_millis(DateTime::now().timestamp_millis() - 30_000);
    let set = async |collection: &str, query, fields: Document| {
        let documents = server.raw().collection::<Document>(collection);
        documents.update_many(query, doc! { "$set": fields }).await.unwrap();
    };
    set("system_state", writers(), doc! { "expiresAt": DateTime::from_millis(0) }).await;
    record(&other, vec![of_logs("c")]).await;
    set("alerts", doc! {}, doc! { "syncedAt": half_a_minute_ago }).await;
    follower.follow().await;
    record(&open(&server).await, vec![firing("d")]).await;
    follower.follow().await;
    assert_eq!(follower.shown(&learned()), (2, 2, Some(0.0), None));
    assert_eq!(follower.shown(&pattern_id("DiskFull", "logs")), (2, 2, Some(0.0), None));
}

/// What memory holds of one process: it applies what it changed, and follows the others.
async fn what_two_change_at_once_is_followed_by_both(server: Server) {
    let one = migrated(&server).await;
    let mut followers = [Follower::new(one).await, Follower::new(open(&server).await).await];
    make(&followers[0].store, note("kb")).await;
    for round in 0..5 {
        let name = format!("f{round}");
        // Neither sees what the other did before it changes the same.
        followers[0].record(vec![firing(&name)]).await;
        followers[1].record(vec![resolved(&name)]).await;
        let write = Entry { helped: round, version: round + 2, ..note("kb") };
        let write = Edit::Write { entry: Arc::new(write), expected: Some(round + 1) };
        assert_eq!(edit(&followers[0].store, vec![write]).await, [Edited::Done]);
        let sources = vec![format!("question {round}")];
        let add = Edit::AddSources { id: "kb".to_owned(), sources };
        assert_eq!(edit(&followers[1].store, vec![add]).await, [Edited::Done]);
    }
    let stored = entry(&followers[0].store, "kb").await.unwrap();
    assert_eq!(stored.provenance.derived_from.len(), 5);
    for follower in &mut followers {
        follower.follow().await;
        assert_eq!(follower.shown(&learned()), (5, 0, Some(1.0), Some(600_000)));
        assert_eq!(follower.entries["kb"], stored);
    }
}

async fn what_others_delete_is_followed(server: Server) {
    let store = migrated(&server).await;
    make(&store, note("one")).await;
    make(&store, note("two")).await;
    let mut follower = Follower::new(open(&server).await).await;
    delete(&store, "one").await;
    follower.follow().await;
    assert_eq!(follower.entries.keys().collect::<Vec<_>>(), ["two"]);
    // The number of documents stays the same.
    delete(&store, "two").await;
    make(&store, note("three")).await;
    follower.follow().await;
    assert_eq!(follower.entries.keys().collect::<Vec<_>>(), ["three"]);
    // A program of before tells nobody.
    let base = server.raw().collection::<Document>("knowledge_base");
    base.insert_one(doc! { "id": "old", "title": "old", "occurrences": 3 }).await.unwrap();
    follower.follow().await;
    assert_eq!(follower.shown("old").0, 3);
}

async fn what_cannot_be_read_holds_up_nothing(server: Server) {
    let store = migrated(&server).await;
    let alerts = server.raw().collection::<Document>("alerts");
    let old = DateTime::from_millis(at(0).millis());
    let in_the_way = format!("a:{}", at(0).millis());
    alerts
        .insert_many([
            doc! { "_id": "x:1", "timestamp": old, "status": 5 },
            doc! { "_id": in_the_way, "timestamp": old, "revision": 7_i64 },
            doc! { "name": "of another program", "timestamp": old },
        ])
        .await
        .unwrap();
    let base = server.raw().collection::<Document>("knowledge_base");
    base.insert_one(doc! { "id": "kb", "version": "x", "summedUp": 5 }).await.unwrap();
    assert_eq!(outcomes(&store, vec![firing("a"), firing("b")]).await, [Outcome::New; 2]);
    assert_eq!(store.load().await.unwrap().entries.len(), 1);
    let mut severe = resolved("c");
    severe.severity = "a\0b".to_owned();
    severe.labels.insert("a\0b".to_owned(), "c\0d".to_owned());
    record(&store, vec![severe]).await;
    let expired = expire_all(&store, 20).await;
    assert_eq!((expired.deleted, expired.set_aside), (5, 1));
    assert_eq!(learned_figures(&store).await.0, 3);
}

async fn a_database_of_before_shows_the_same_figures(server: Server) {
    let alerts = server.raw().collection::<Document>("alerts");
    let stored = |fingerprint: &str, start: i64, status: &str| {
        let time = |minutes: i64| DateTime::from_millis(at(minutes).millis());
        let mut alert = doc! {
            "_id": format!("{fingerprint}:{}", at(start).millis()),
            "fingerprint": fingerprint, "startsAt": time(start), "name": "DiskFull",
            "severity": "warning", "status": status, "message": "m", "labels": {},
            "annotations": {}, "timestamp": time(30), "firstReceived": time(start),
        };
        if status == "resolved" {
            alert.insert("resolvedAt", time(start + 10));
            alert.insert("duration", 600_000_i64);
        }
        alert
    };
    let own = [stored("a", 0, "resolved"), stored("b", 0, "firing"), stored("c", 0, "resolved")];
    alerts.insert_many(own).await.unwrap();
    alerts.insert_one(doc! { "name": "Foreign", "status": "firing" }).await.unwrap();
    let base = server.raw().collection::<Document>("knowledge_base");
    base.insert_one(doc! {
        "_id": learned(), "id": learned(), "title": "DiskFull", "category": "alert_pattern",
        "severity": "high", "firstSeen": DateTime::from_millis(0),
        "lastUpdated": DateTime::from_millis(at(10).millis()),
        "occurrences": 9_i64, "resolutions": 6_i64, "resolveMs": 3_000_000_i64, "firing": 1_i64,
    })
    .await
    .unwrap();

    let store = migrated(&server).await;
    let expected = (9, 1, Some(6.0 / 9.0), Some(500_000));
    assert_eq!(learned_figures(&store).await, expected);
    let entry = entry(&store, &learned()).await.unwrap();
    assert_eq!(entry.last_updated(), at(10));
    assert_eq!(entry.summed_up.tally.occurrences, 6);

    // A crash behind the script repeats it all.
    let state = server.raw().collection::<Document>("system_state");
    let repeated = doc! { "$gte": "migration:0004", "$lt": "migration:1" };
    state.delete_many(doc! { "key": repeated }).await.unwrap();
    migrate::up(&store, "test", &SystemClock, false).await.unwrap();
    assert_eq!(learned_figures(&store).await, expected);
    assert_eq!(
        alerts.count_documents(doc! { "name": "Foreign", "entryId": null }).await.unwrap(),
        1
    );
    assert_eq!(outcomes(&store, vec![start_at(0, "b")]).await, [Outcome::Updated]);
    assert_eq!(learned_figures(&store).await, expected);
}

#[tokio::test]
async fn several_open_instances_of_before_are_superseded_but_the_latest() {
    let Some(server) = Server::lone().await else { return };
    let alerts = server.raw().collection::<Document>("alerts");
    for start in 0..3 {
        let time = DateTime::from_millis(at(start).millis());
        alerts
            .insert_one(doc! {
                "_id": format!("a:{}", at(start).millis()),
                "fingerprint": "a", "startsAt": time, "name": "DiskFull", "severity": "warning",
                "status": "firing", "message": "m", "labels": { "cause": "logs" },
                "annotations": {}, "timestamp": time,
            })
            .await
            .unwrap();
    }
    let store = migrated(&server).await;
    assert_eq!(store.firing_alerts().await.unwrap(), 1);
    let open = alerts.find_one(doc! { "status": "firing" }).await.unwrap().unwrap();
    assert_eq!(open.get_datetime("startsAt").unwrap().timestamp_millis(), at(2).millis());
    assert_eq!(open.get_str("cause").unwrap(), "logs");
}

#[tokio::test]
async fn a_strangers_open_transaction_holds_up_nobody_else() {
    const SOON: Duration = Duration::from_secs(1);
    let Some(server) = Server::replica_set().await else { return };
    let store = migrated(&server).await;
    record(&store, vec![firing("a")]).await;
    make(&store, note("kb")).await;
    let base = server.raw().collection::<Document>("knowledge_base");
    let mut session = base.client().start_session().await.unwrap();
    session.start_transaction().await.unwrap();
    let touch = doc! { "$set": { "stranger": true } };
    for id in [learned().as_str(), "kb"] {
        base.update_one(doc! { "id": id }, touch.clone()).session(&mut session).await.unwrap();
    }
    let begun = Stopwatch::start();
    let other = ReceivedAlert { name: "Other".to_owned(), ..firing("c") };
    let alerts = vec![resolved("a"), firing("b"), other];
    let expected = [Outcome::Updated, Outcome::New, Outcome::New];
    assert_eq!(outcomes(&store, alerts).await, expected);
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    // Only who wants to write the same entry is told to come back.
    let write =
        Edit::Write { entry: Arc::new(Entry { version: 2, ..note("kb") }), expected: Some(1) };
    let edits = Group { edits: vec![write.clone()], ..Group::default() };
    let error = store.commit(Arc::new(edits.into())).await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    session.abort_transaction().await.unwrap();
    assert_eq!(edit(&store, vec![write]).await, [Edited::Done]);
}
