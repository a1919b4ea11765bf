//! The whole knowledge base at its size: 100,000 entries learned from alerts, kept in SQLite.
//!
//! Prints how long a start takes (load and index), what the process holds, the times of a query
//! at one client while learning goes on, and of rendering the summary after each change.
//!
//! `cargo bench --bench knowledge_base -- [ENTRIES]`

mod scale;

use std::{error::Error, path::Path, sync::Arc, time::Instant};

use orchestrator::{
    knowledge::{Base, BaseLimits, Question, QuestionFilter},
    model::{ReceivedAlert, Status, SystemClock, Time},
    shutdown::Phase,
    store::{Store, Stored, migrate, sqlite::SqliteStore},
    telemetry::Metrics,
};
use tokio::task::JoinSet;

use self::scale::{QUESTIONS, entry, print_times, resident_mb};

const ROUNDS: usize = 200;

fn main() -> Result<(), Box<dyn Error>> {
    let argument = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let size: usize = argument.unwrap_or(100_000);
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let path = directory.path().join("bench.db");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        fill(&path, size).await?;
        let before = resident_mb();
        let began = Instant::now();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&path).await?);
        let metrics = Arc::new(Metrics::new()?);
        let limits = BaseLimits { patterns: 10 * size, questions: 10_000 };
        let clock = Arc::new(SystemClock);
        let (base, behind) = Base::load(Arc::clone(&store), clock, metrics, limits).await?;
        println!("start with {size} entries: {:.2} s", began.elapsed().as_secs_f64());
        println!("resident: {:.0} MB (before the start: {before:.0} MB)", resident_mb());
        let (phase, mut tasks) = (Phase::default(), JoinSet::new());
        behind.spawn(&mut tasks, &phase);
        ask(&base, size).await?;
        summarise(&base, size).await?;
        println!("resident at the end: {:.0} MB", resident_mb());
        base.finish().await;
        phase.drain();
        while tasks.join_next().await.is_some() {}
        store.close().await;
        Ok(())
    })
}

async fn fill(path: &Path, size: usize) -> Result<(), Box<dyn Error>> {
    let store = SqliteStore::open(path).await?;
    migrate::up(&store, "bench", &SystemClock, false).await?;
    for first in (0..size).step_by(1000) {
        let chunk = first..size.min(first + 1000);
        store.put(chunk.map(|n| Stored::Entry(Box::new(entry(n)))).collect()).await?;
    }
    store.close().await;
    Ok(())
}

/// Each query after another alert of a known pattern was stored, as in an alert storm.
async fn ask(base: &Base, size: usize) -> Result<(), Box<dyn Error>> {
    println!("queries, one client:");
    for (kind, questions) in QUESTIONS {
        let mut times = Vec::new();
        for round in 0..ROUNDS {
            learn(base, size, round).await?;
            let text = questions[round % questions.len()].replace("{}", &round.to_string());
            let question = Question { text, limit: 10, filter: QuestionFilter::default() };
            let began = Instant::now();
            std::hint::black_box(base.search(&question));
            times.push(began.elapsed());
        }
        print_times(kind, &mut times);
    }
    Ok(())
}

async fn summarise(base: &Base, size: usize) -> Result<(), Box<dyn Error>> {
    let (mut learning, mut rendering) = (Vec::new(), Vec::new());
    for round in 0..500 {
        let began = Instant::now();
        learn(base, size, ROUNDS + round).await?;
        learning.push(began.elapsed());
        let began = Instant::now();
        std::hint::black_box(base.summary()?);
        rendering.push(began.elapsed());
    }
    println!("one more instance of a known pattern until it is stored, and the summary after it:");
    print_times("receive", &mut learning);
    print_times("summary", &mut rendering);
    Ok(())
}

/// One more instance of a known pattern is received.
async fn learn(base: &Base, size: usize, round: usize) -> Result<(), Box<dyn Error>> {
    let known = entry(round * 31 % size);
    let pattern = known.pattern.ok_or("an entry without a pattern")?;
    let alert = ReceivedAlert {
        fingerprint: format!("{round:016x}"),
        starts_at: Some(Time::from_millis(round as i64)),
        ends_at: None,
        status: Status::Firing,
        name: pattern.alertname.clone(),
        cause: Some(pattern.cause.clone()),
        severity: "warning".into(),
        entry_severity: known.text.severity,
        message: String::new(),
        labels: [("alertname".to_owned(), pattern.alertname.clone())].into(),
        annotations: [].into(),
        generator_url: None,
        receiver: None,
        received_at: Time::from_millis(round as i64),
    };
    base.receive(vec![alert]).await?;
    Ok(())
}
