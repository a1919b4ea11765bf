//! Three replicas, what they share, and the network between.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
    time::Instant,
};

use futures::TryStreamExt;
use mongodb::{
    Database,
    bson::{Document, doc},
};
use serde_json::Value;

use crate::harness::{
    Actor, Balancer, Mongod, Place, Process, Proxy, Redis, Topology, eventually, free_port,
};

const DATABASE: &str = "orchestrator";
/// What a replica logs when Redis answers again, and when it does not.
const ON_REDIS: &str = "Redis answers: limits are shared by all replicas";
const ALONE: &str = "Redis does not answer: limits are this process' own";
/// `RATE_LIMIT_API` of each replica.
const API_LIMIT: usize = 60;

/// One of the three, with its own ways to the store and to Redis.
pub struct Replica {
    place: Place,
    pub store: Proxy,
    pub redis: Proxy,
    process: Process,
}

/// All of it.
pub struct Fleet {
    pub mongod: Mongod,
    pub redis: Redis,
    pub replicas: Vec<Replica>,
    pub balancer: Balancer,
}

/// A client's address that nobody else has, so that no limit of another counts.
fn fresh_address() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let [_, a, b, c] = NUMBER.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    format!("10.{a}.{b}.{c}")
}

impl Replica {
    async fn start(number: usize, port: u16, mongod: &Mongod, redis: &Redis) -> Self {
        let store = Proxy::start(mongod.address()).await;
        let to_redis = Proxy::start(redis.listens()).await;
        let mut place = Place::sqlite();
        let url = format!("mongodb://{}/?directConnection=true", store.address);
        for (name, value) in [
            ("DATABASE_URL", url.as_str()),
            ("DB_NAME", DATABASE),
            ("REDIS_URL", &redis.through(to_redis.address)),
            ("PORT", &port.to_string()),
            ("INSTANCE_ID", &format!("replica-{number}")),
            ("TRUSTED_PROXIES", "127.0.0.1"),
            ("RATE_LIMIT_API", &API_LIMIT.to_string()),
            ("SAMPLE_INTERVAL_SECONDS", "1"),
            ("TZ", "UTC"),
        ] {
            place.set(name, value);
        }
        let process = Process::spawn(place.directory(), &place.variables(&[]));
        Self { place, store, redis: to_redis, process }
    }

    /// An actor that no limit has counted yet.
    fn fresh(&self, actor: Actor) -> Actor {
        actor.with("x-forwarded-for", &fresh_address())
    }

    pub fn anonymous(&self) -> Actor {
        self.process.actors().anonymous()
    }

    pub fn operator(&self) -> Actor {
        self.fresh(self.process.actors().operator())
    }

    pub fn admin(&self) -> Actor {
        self.fresh(self.process.actors().admin())
    }

    pub fn alertmanager(&self) -> Actor {
        self.process.actors().alertmanager()
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    pub fn pause(&self) {
        self.process.pause();
    }

    pub fn resume(&self) {
        self.process.resume();
    }

    /// Ends it without a word, and starts it again.
    pub async fn crash(&mut self) {
        self.process.kill();
        self.start_again().await;
    }

    /// Ends it as a new version is rolled out.
    pub async fn roll(&mut self) {
        self.process.terminate();
        assert_eq!(self.process.exit_code().await, 0);
        self.start_again().await;
    }

    async fn start_again(&mut self) {
        self.process = Process::spawn(self.place.directory(), &self.place.variables(&[]));
        self.process.serving().await;
        self.ready().await;
    }

    /// Waits until it takes work.
    pub async fn ready(&self) {
        let anonymous = self.anonymous();
        eventually("a replica is ready", async || {
            (anonymous.get("/ready").await.status == 200).then_some(())
        })
        .await;
    }

    /// Waits until it counts on Redis: by its log, because health may be a second old.
    async fn counts_together(&mut self) {
        eventually("a replica counts on Redis", async || {
            let mut lines = self.process.lines_so_far().iter().rev();
            let last = lines.find(|line| line.contains(ON_REDIS) || line.contains(ALONE))?;
            last.contains(ON_REDIS).then_some(())
        })
        .await;
    }

    /// How often it has said that it counts by itself.
    fn fallbacks(&mut self) -> usize {
        self.process.lines_so_far().iter().filter(|line| line.contains(ALONE)).count()
    }

    /// How many alerts fire, and how often each entry occurred and fires, as it shows them.
    pub async fn figures(&self) -> Figures {
        let summary = self.anonymous().get("/api/knowledge/summary").await.expect(200).json();
        let listed = self.admin().get("/api/knowledge/entries?limit=1000").await.expect(200).json();
        let entries = listed["entries"].as_array().expect("a list").iter().map(|entry| {
            let count = |name: &str| entry[name].as_i64().unwrap_or(0);
            (entry["id"].as_str().unwrap().to_owned(), (count("occurrences"), count("firing")))
        });
        Figures {
            firing: summary["alerts"]["firing"].as_i64().unwrap(),
            recent: summary["alerts"]["last24Hours"].as_i64().unwrap(),
            entries: entries.collect(),
        }
    }
}

/// What alerts taught.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    pub firing: i64,
    /// Those received within a day, which here are all.
    pub recent: i64,
    /// Occurrences and firing instances of each entry.
    pub entries: BTreeMap<String, (i64, i64)>,
}

impl Fleet {
    /// Starts all of it; `None` where tests have no services.
    pub async fn start(topology: Topology) -> Option<Self> {
        let (mongod, redis) = (Mongod::start(topology).await?, Redis::start().await?);
        let ports = [free_port(), free_port(), free_port()];
        let mut replicas = Vec::new();
        for (number, port) in ports.into_iter().enumerate() {
            replicas.push(Replica::start(number, port, &mongod, &redis).await);
        }
        for replica in &mut replicas {
            replica.process.serving().await;
            replica.counts_together().await;
        }
        let balancer = Balancer::start(ports).await;
        Some(Self { mongod, redis, replicas, balancer })
    }

    /// The database as another program sees it.
    pub fn raw(&self) -> Database {
        self.mongod.raw(DATABASE)
    }

    /// All documents of a collection, with these fields.
    pub async fn stored(&self, collection: &str, fields: Document) -> Vec<Document> {
        let documents = self.raw().collection::<Document>(collection);
        let found = documents.find(doc! {}).projection(fields).batch_size(10_000);
        found.await.unwrap().try_collect().await.unwrap()
    }

    /// What the stored alerts say.
    pub async fn fold(&self) -> Figures {
        let mut fold = Figures::default();
        for alert in self.stored("alerts", doc! { "entryId": 1, "status": 1 }).await {
            let firing = i64::from(alert.get_str("status").is_ok_and(|status| status == "firing"));
            let of = alert.get_str("entryId").unwrap().to_owned();
            let entry = fold.entries.entry(of).or_default();
            *entry = (entry.0 + 1, entry.1 + firing);
            fold.firing += firing;
            fold.recent += 1;
        }
        fold
    }

    /// Waits until each replica shows what is stored.
    pub async fn shows_what_is_stored(&self) {
        let fold = self.fold().await;
        for (number, replica) in self.replicas.iter().enumerate() {
            let what = format!("replica {number} shows {fold:?}");
            eventually(&what, async || {
                let mut shown = replica.figures().await;
                shown.entries.retain(|id, _| fold.entries.contains_key(id));
                (shown == fold).then_some(())
            })
            .await;
        }
    }

    /// The limit holds for all replicas together, within 5 % and what time gives back. A replica that
    /// Redis did not answer within 50 ms counts by itself, and says so; then it is looked at again.
    pub async fn limits_hold(&mut self) {
        let limit = API_LIMIT as f64;
        for _ in 0..5 {
            for replica in &mut self.replicas {
                replica.counts_together().await;
            }
            let (alone, begun) = (self.fallbacks(), Instant::now());
            let answered = self.answered(API_LIMIT * 3 / 2).await as f64;
            let refilled = begun.elapsed().as_secs_f64() * limit / 60.0;
            assert!(answered >= limit, "{answered} of {limit}");
            if answered <= limit * 1.05 + refilled {
                return;
            }
            let what = format!("who answers {answered} of {limit} says that it counts by itself");
            eventually(&what, async || (self.fallbacks() > alone).then_some(())).await;
        }
        panic!("Redis is away, again and again");
    }

    /// How often replicas have said that they count by themselves.
    fn fallbacks(&mut self) -> usize {
        self.replicas.iter_mut().map(Replica::fallbacks).sum()
    }

    /// How many of `n` requests of one client the replicas answer together.
    async fn answered(&self, n: usize) -> usize {
        let address = fresh_address();
        let mut answered = 0;
        for replica in self.replicas.iter().cycle().take(n) {
            let viewer = replica.process.actors().viewer().with("x-forwarded-for", &address);
            match viewer.get("/api/auth/me").await.status {
                200 => answered += 1,
                429 => {}
                other => panic!("{other}"),
            }
        }
        answered
    }

    /// The lines of one audit event, of all replicas.
    pub fn audited(&self, event: &str) -> Vec<Value> {
        self.replicas.iter().flat_map(|replica| replica.place.audited(event)).collect()
    }
}
