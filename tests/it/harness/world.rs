//! A store with a past, and a clock that stands still.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use jiff::{civil, tz::TimeZone};
use orchestrator::{
    config::RetentionSettings,
    history::{AlertExpiry, Calendar, ProgressListener, Report, RetentionJob, Totals},
    knowledge::{Base, BaseLimits, Receipt},
    model::{Clock, ManualClock, ReceivedAlert, Sample, Severity, Status, TextMap, Time},
    shutdown::Phase,
    store::{Store, Stored, migrate, mongodb::MongoStore, sqlite::SqliteStore},
    telemetry::Metrics,
};

use tokio::task::JoinSet;

use super::{Place, Server};

/// 48 hours, 90 days, at midnight.
pub const SETTINGS: RetentionSettings =
    RetentionSettings { metrics_days: 90, alerts_hours: 48, at: civil::Time::midnight() };

pub fn utc(text: &str) -> Time {
    Time::parse(text).unwrap()
}

/// The store, the base in memory, and the time.
pub struct World {
    pub store: Arc<dyn Store>,
    pub base: Base,
    pub clock: Arc<ManualClock>,
    pub calendar: Calendar,
    pub settings: RetentionSettings,
    pub phase: Phase,
    /// The writer and the index; dropped, they end as in a crash.
    _tasks: JoinSet<&'static str>,
}

/// More than any test makes.
pub const LIMITS: BaseLimits = BaseLimits { patterns: 20_000, questions: 1_000 };

/// The base over what `store` holds, as a process of its own would have it.
async fn load(
    store: &Arc<dyn Store>,
    clock: &Arc<ManualClock>,
    limits: BaseLimits,
) -> (Base, JoinSet<&'static str>) {
    let metrics = Arc::new(Metrics::new().unwrap());
    let time: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    let (base, background) = Base::load(Arc::clone(store), time, metrics, limits).await.unwrap();
    let mut tasks = JoinSet::new();
    background.spawn(&mut tasks, &Phase::default());
    (base, tasks)
}

impl World {
    /// In Berlin, whose clocks change, with a database that no other world has.
    pub async fn at(now: &str, place: &Place) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let clock = Arc::new(ManualClock::new(utc(now)));
        let store = match place.server() {
            None => sqlite(&place.directory().join(format!("{number}.db")), &clock).await,
            Some(server) => mongodb(server, &format!("_{number}"), &clock).await,
        };
        let (base, tasks) = load(&store, &clock, LIMITS).await;
        let calendar = Calendar::new(TimeZone::get("Europe/Berlin").unwrap());
        let phase = Phase::default();
        Self { store, base, clock, calendar, settings: SETTINGS, phase, _tasks: tasks }
    }

    pub fn now(&self) -> Time {
        self.clock.now()
    }

    pub fn set(&self, now: &str) {
        self.clock.set(utc(now));
    }

    /// Receives alerts now.
    pub async fn receive(&self, alerts: Vec<ReceivedAlert>) -> Receipt {
        self.base.receive(alerts).await.unwrap()
    }

    /// An alert that fires now.
    pub fn firing(&self, fingerprint: &str) -> ReceivedAlert {
        let now = self.clock.now();
        ReceivedAlert {
            fingerprint: fingerprint.to_owned(),
            starts_at: Some(now),
            ends_at: None,
            status: Status::Firing,
            name: "DiskFull".to_owned(),
            cause: None,
            severity: "page".to_owned(),
            entry_severity: Severity::High,
            message: "full".to_owned(),
            labels: TextMap::from([("alertname".to_owned(), "DiskFull".to_owned())]),
            annotations: TextMap::default(),
            generator_url: None,
            receiver: None,
            received_at: now,
        }
    }

    pub async fn sample(&self, name: &str, value: f64) {
        let sample = Sample {
            name: name.to_owned(),
            value,
            unit: "alerts".to_owned(),
            timestamp: self.clock.now(),
            labels: BTreeMap::new(),
        };
        self.store.put(vec![Stored::Sample(sample)]).await.unwrap();
    }

    pub fn retention(&self) -> RetentionJob {
        self.retention_with(Arc::new(Nobody))
    }

    pub fn retention_with(&self, listener: Arc<dyn ProgressListener>) -> RetentionJob {
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&self.clock);
        let (store, calendar) = (Arc::clone(&self.store), self.calendar.clone());
        let expiry: Arc<dyn AlertExpiry> = Arc::new(self.base.clone());
        RetentionJob::new(store, clock, calendar, self.settings, (expiry, listener))
    }

    /// Runs retention as the service would, and says what it did.
    pub async fn retain(&self) -> Option<Report> {
        self.retention().run_if_due(&self.phase).await.unwrap()
    }

    pub fn totals(&self) -> Totals {
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&self.clock);
        let (store, base) = (Arc::clone(&self.store), self.base.clone());
        Totals::new(store, base, clock, self.calendar.clone(), self.settings)
    }

    pub async fn alerts(&self) -> u64 {
        let counts = self.store.collection_counts().await.unwrap();
        counts.into_iter().find(|(name, _)| name.name() == "alerts").unwrap().1
    }

    pub async fn days(&self) -> Vec<String> {
        let all = self.store.consolidations_after(Time::from_millis(i64::MIN)).await.unwrap();
        all.into_iter().map(|day| day.date).collect()
    }
}

pub async fn sqlite(path: &Path, clock: &Arc<ManualClock>) -> Arc<dyn Store> {
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    let store = SqliteStore::open_with_clock(path, Arc::clone(&clock)).await.unwrap();
    migrate::up(&store, "test", clock.as_ref(), false).await.unwrap();
    Arc::new(store)
}

pub async fn mongodb(server: &Server, suffix: &str, clock: &ManualClock) -> Arc<dyn Store> {
    let database = format!("{}{suffix}", server.database);
    let store = MongoStore::open(&server.uri, &database).await.unwrap();
    migrate::up(&store, "test", clock, false).await.unwrap();
    Arc::new(store)
}

/// Listens to no run.
struct Nobody;

impl ProgressListener for Nobody {}
