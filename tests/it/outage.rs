//! The store goes away while the service runs, and comes back.

use std::{fs, path::PathBuf, time::Duration};

use mongodb::bson::{Bson, Document, doc};
use serde_json::json;

use crate::harness::{
    Alert, Place, Proxy, Running, Stopwatch, eventually, on_lone_mongodb, on_mongodb, on_sqlite,
    payload,
};

/// A store that can be taken away.
pub enum Store {
    /// A database file that is not at its place any more.
    File { at: PathBuf, away: PathBuf },
    /// A connection that is cut.
    Server(Proxy),
}

impl Store {
    /// The service on a store that can be taken away.
    pub async fn start(place: &Place) -> (Running, Self) {
        match place.server() {
            None => {
                let data = place.directory().join("data");
                let (at, away) = (data.join("orchestrator.db"), data.join("away.db"));
                (place.start().await, Self::File { at, away })
            }
            Some(server) => {
                let proxy = Proxy::start(server.address().await).await;
                let url = server.through(proxy.address).await;
                (place.start_with(&[("DATABASE_URL", &url)]).await, Self::Server(proxy))
            }
        }
    }

    pub fn go_away(&self) {
        match self {
            Self::File { at, away } => fs::rename(at, away).unwrap(),
            Self::Server(proxy) => proxy.cut(),
        }
    }

    pub fn come_back(&self) {
        match self {
            Self::File { at, away } => fs::rename(away, at).unwrap(),
            Self::Server(proxy) => proxy.open(),
        }
    }
}

fn integer(value: &Bson) -> Option<i64> {
    value.as_i64().or_else(|| value.as_i32().map(i64::from))
}

fn alert(instance: &str) -> serde_json::Value {
    payload([Alert::firing("DiskFull", instance)])
}

async fn is_ready(service: &Running) -> bool {
    service.anonymous().get("/ready").await.status == 200
}

async fn health(service: &Running) -> String {
    let health = service.anonymous().get("/health").await.expect(200).json();
    health["status"].as_str().unwrap().to_owned()
}

/// The store writes what it is sent and its answers are lost: what is asked meanwhile is counted as
/// often as it was asked.
async fn what_is_asked_in_a_stall_counts_once(place: &Place) {
    let (service, Store::Server(proxy)) = Store::start(place).await else { return };
    let asked = async || service.operator().ask("why is the moon wet").await["gap"].take();
    let entries = place.server().unwrap().raw().collection::<Document>("knowledge_base");
    let stored = async || {
        let question = entries.find_one(doc! { "category": "question" }).await.unwrap()?;
        let sums = question.get_document("summedUp").unwrap();
        integer(sums.get_document("tally").unwrap().get("occurrences").unwrap())
    };
    let is_stored = async |times: i64| {
        eventually("it is stored", async || (stored().await? >= times).then_some(())).await;
    };
    let mut times = 0;
    // Where the service waits for another answer just then, the question does not get out.
    for attempt in 0.. {
        assert!(attempt < 10, "no question arrives without its answer");
        times += 1;
        proxy.swallow_answers();
        asked().await;
        let arrives = tokio::time::timeout(Duration::from_secs(1), is_stored(times)).await.is_ok();
        proxy.cut();
        eventually("it gave up", async || (!is_ready(&service).await).then_some(())).await;
        asked().await;
        proxy.open();
        times += 1;
        is_stored(times).await;
        assert_eq!(stored().await, Some(times));
        if arrives {
            break;
        }
    }
    assert_eq!(asked().await["occurrences"], times + 1);
    is_stored(times + 1).await;
    assert_eq!(stored().await, Some(times + 1));
}

#[tokio::test]
async fn what_is_asked_in_a_stall_of_mongodb_counts_once() {
    on_mongodb(what_is_asked_in_a_stall_counts_once).await;
    on_lone_mongodb(what_is_asked_in_a_stall_counts_once).await;
}

async fn an_outage_is_told_survived_and_made_good(place: &Place) {
    let (service, store) = Store::start(place).await;
    service.alertmanager().notify(&alert("node1")).await.expect(200);
    store.go_away();

    // Webhooks are refused so that Alertmanager tries again.
    let refused = service.alertmanager().notify(&alert("node2")).await.expect(503);
    assert_eq!(refused.error(), "The store is unavailable");
    assert!(refused.header("retry-after").parse::<u32>().unwrap() > 0);
    assert_eq!(health(&service).await, "degraded");

    // Reads go on, and what a question teaches is kept in memory.
    let known = service.operator().ask("DiskFull").await;
    assert_eq!(known["sources"].as_array().unwrap().len(), 1);
    assert_eq!(service.operator().ask("zebra stampede").await["gap"]["occurrences"], 1);
    assert_eq!(service.operator().ask("zebra stampede").await["gap"]["occurrences"], 2);
    assert_eq!(service.summary().await["stats"]["total"], 2);
    assert_eq!(service.sample("knowledge_unpersisted_entries").await, 1.0);
    assert_eq!(service.sample("store_up").await, 0.0);
    let persistence = service.anonymous().get("/api/persistence/health").await.expect(200).json();
    assert_eq!(
        (&persistence["status"], &persistence["database"]),
        (&json!("unhealthy"), &json!(false))
    );
    service.admin().get("/api/persistence/export").await.expect(503).error();

    // A short outage is no reason to take the service out of use; a long one is.
    eventually("it is not ready", async || (!is_ready(&service).await).then_some(())).await;
    let unready = service.anonymous().get("/ready").await.expect(503);
    assert_ne!(unready.header("retry-after"), "");

    store.come_back();
    eventually("it is ready", async || is_ready(&service).await.then_some(())).await;
    eventually("what waited is stored", async || {
        (service.sample("knowledge_unpersisted_entries").await == 0.0).then_some(())
    })
    .await;
    assert_eq!(health(&service).await, "healthy");
    service.alertmanager().notify(&alert("node2")).await.expect(200);
    let stored = service.stored("knowledge_base").await;
    let occurrences = |category: &str| {
        let found = stored.iter().find(|entry| entry["category"] == category);
        found.expect("an entry")["occurrences"].clone()
    };
    assert_eq!((occurrences("question"), occurrences("alert_pattern")), (json!(2), json!(2)));
    assert_eq!(service.stored("alerts").await.len(), 2);
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_sqlite_is_told_survived_and_made_good() {
    on_sqlite(an_outage_is_told_survived_and_made_good).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_mongodb_is_told_survived_and_made_good() {
    on_mongodb(an_outage_is_told_survived_and_made_good).await;
}

/// Another process that keeps the file locked: writes wait for it a while, then fail; nothing
/// else does.
#[tokio::test]
async fn a_file_locked_by_another_is_an_outage_of_writes_alone() {
    let place = Place::sqlite();
    let service = place.start().await;
    service.alertmanager().notify(&alert("node1")).await.expect(200);
    let other = rusqlite::Connection::open(place.directory().join("data/orchestrator.db")).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let alertmanager = service.alertmanager();
    let (refusal, second) = (alert("node2"), alert("node2"));
    let refused = alertmanager.notify(&refusal);
    // Each of these tries the file, too.
    let probes = (0..20).map(|_| async { service.anonymous().get("/health").await.expect(200) });
    let meanwhile = async {
        service.operator().ask("DiskFull").await;
        service.viewer().get("/api/persistence/historical").await.expect(200);
    };
    let asked = Stopwatch::start();
    let ((refused, took), (), _) = tokio::join!(
        async { (refused.await, asked.elapsed()) },
        meanwhile,
        futures::future::join_all(probes)
    );
    assert_ne!(refused.expect(503).header("retry-after"), "");
    assert!(took < Duration::from_secs(12), "{took:?}");
    other.execute_batch("ROLLBACK").unwrap();
    eventually("alerts are taken again", async || {
        (alertmanager.notify(&second).await.status == 200).then_some(())
    })
    .await;
    assert_eq!(service.stored("alerts").await.len(), 2);
}

/// A defect in one entry is that entry's alone.
#[tokio::test]
async fn what_the_store_refuses_keeps_nothing_else_from_being_stored() {
    let place = Place::sqlite();
    let service = place.start().await;
    let other = rusqlite::Connection::open(place.directory().join("data/orchestrator.db")).unwrap();
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON knowledge_base
        WHEN NEW.category = 'question' BEGIN SELECT RAISE(ABORT, 'refused by the test'); END";
    other.execute_batch(refuse).unwrap();

    assert_eq!(service.operator().ask("zebra stampede").await["gap"]["occurrences"], 1);
    let made = service.operator().write(&json!({"title": "Zookeeper is gone"})).await;
    service.written().await;
    let stored = service.stored("knowledge_base").await;
    assert_eq!((stored.len(), &stored[0]["id"]), (1, &made["id"]));
    service.stop().await.unwrap();
}

/// What keeps a SQLite database from taking writes, though it can be read all the while.
mod without_writes {
    use std::{
        fs::{File, OpenOptions},
        io::Write,
        path::Path,
        process::Command,
    };

    use super::*;

    /// Refused and not ready within the contract's time, and back once it is cured.
    async fn shows(service: &Running, spoil: impl FnOnce(), cure: impl FnOnce()) {
        service.alertmanager().notify(&alert("before")).await.expect(200);
        assert!(is_ready(service).await);
        spoil();
        eventually("it is not ready", async || (!is_ready(service).await).then_some(())).await;
        service.alertmanager().notify(&alert("meanwhile")).await.expect(503);
        assert_eq!(health(service).await, "degraded");
        assert_eq!(service.sample("store_up").await, 0.0);
        cure();
        eventually("it is ready", async || is_ready(service).await.then_some(())).await;
        service.alertmanager().notify(&alert("after")).await.expect(200);
        assert_eq!(service.summary().await["alerts"]["firing"], 2);
    }

    #[tokio::test]
    async fn a_log_that_was_taken_away_acknowledges_nothing() {
        let place = Place::sqlite();
        let service = place.start().await;
        let data = place.directory().join("data");
        let (at, away) = (data.join("orchestrator.db-wal"), data.join("away"));
        shows(&service, || fs::rename(&at, &away).unwrap(), || fs::rename(&away, &at).unwrap())
            .await;
    }

    #[tokio::test]
    async fn a_database_that_was_replaced_acknowledges_nothing() {
        let place = Place::sqlite();
        let service = place.start().await;
        let data = place.directory().join("data");
        let (at, away) = (data.join("orchestrator.db"), data.join("away.db"));
        let replace = || {
            fs::rename(&at, &away).unwrap();
            fs::copy(&away, &at).unwrap();
        };
        shows(&service, replace, || fs::rename(&away, &at).unwrap()).await;
    }

    /// A small file system in memory, where the tests may mount one.
    struct SmallDisk<'a>(&'a Path);

    impl<'a> SmallDisk<'a> {
        fn mount(at: &'a Path) -> Option<Self> {
            fs::create_dir_all(at).unwrap();
            let mut mount = Command::new("mount");
            mount.args(["-t", "tmpfs", "-o", "size=6m", "tmpfs"]).arg(at);
            let mounted = mount.output().is_ok_and(|done| done.status.success());
            if !mounted {
                println!("not run: no file system can be mounted here");
            }
            mounted.then_some(Self(at))
        }
    }

    impl Drop for SmallDisk<'_> {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg("-l").arg(self.0).status();
        }
    }

    #[tokio::test]
    async fn a_full_disk_is_seen_without_a_webhook() {
        let mut place = Place::sqlite();
        let folder = place.directory().join("disk");
        let Some(_disk) = SmallDisk::mount(&folder) else { return };
        place.set("DATABASE_URL", &format!("sqlite:{}", folder.join("a.db").display()));
        let service = place.start().await;
        let filler = folder.join("filler");
        let fill = || {
            let mut file = File::create(&filler).unwrap();
            while file.write_all(&[0; 1024]).is_ok() {}
            let mut file = OpenOptions::new().append(true).open(&filler).unwrap();
            while file.write_all(&[0; 1]).is_ok() {}
        };
        shows(&service, fill, || fs::remove_file(&filler).unwrap()).await;
    }
}
