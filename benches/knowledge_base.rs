//! The whole knowledge base at its size: 100,000 entries learned from alerts, kept in SQLite.
//!
//! Prints how long a start takes (load and index), what the process holds, the times of a query
//! at one client while learning goes on, and of rendering the summary after each change.
//!
//! `cargo bench --bench knowledge_base -- [ENTRIES]`

mod scale;

use std::{error::Error, sync::Arc, time::Instant};

use orchestrator::{
    knowledge::{Base, Question, QuestionFilter},
    model::{EntryChange, Learning, SystemClock},
    store::{Recording, Store, migrate, sqlite::SqliteStore},
    telemetry::Metrics,
};

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
        let base = Base::load(Arc::clone(&store), Arc::new(SystemClock), metrics, 10_000).await?;
        println!("start with {size} entries: {:.2} s", began.elapsed().as_secs_f64());
        println!("resident: {:.0} MB (before the start: {before:.0} MB)", resident_mb());
        ask(&base)?;
        summarise(&base)?;
        println!("resident at the end: {:.0} MB", resident_mb());
        store.close().await;
        Ok(())
    })
}

async fn fill(path: &std::path::Path, size: usize) -> Result<(), Box<dyn Error>> {
    let store = SqliteStore::open(path).await?;
    migrate::up(&store, "bench", &SystemClock, false).await?;
    for first in (0..size).step_by(1000) {
        let chunk = first..size.min(first + 1000);
        store.apply(chunk.map(|n| EntryChange::Put(Arc::new(entry(n)))).collect()).await?;
    }
    store.close().await;
    Ok(())
}

/// Each query after another repeat of an alert was learned, as in an alert storm.
fn ask(base: &Arc<Base>) -> Result<(), Box<dyn Error>> {
    println!("queries, one client:");
    for (kind, questions) in QUESTIONS {
        let mut times = Vec::new();
        for round in 0..ROUNDS {
            repeat(base, round);
            let text = questions[round % questions.len()].replace("{}", &round.to_string());
            let question = Question { text, limit: 10, filter: QuestionFilter::default() };
            let began = Instant::now();
            std::hint::black_box(base.search(&question)?);
            times.push(began.elapsed());
        }
        print_times(kind, &mut times);
    }
    Ok(())
}

fn summarise(base: &Arc<Base>) -> Result<(), Box<dyn Error>> {
    let (mut learning, mut rendering) = (Vec::new(), Vec::new());
    for round in 0..1000 {
        let began = Instant::now();
        repeat(base, round);
        learning.push(began.elapsed());
        let began = Instant::now();
        std::hint::black_box(base.summary()?);
        rendering.push(began.elapsed());
    }
    println!("learning one more occurrence, and the summary after it:");
    print_times("learn", &mut learning);
    print_times("summary", &mut rendering);
    Ok(())
}

/// One more occurrence of a known pattern is learned.
fn repeat(base: &Base, round: usize) {
    let learning = Learning { occurrences: 1, ..Learning::none(Arc::new(entry(round * 31))) };
    let recording = Recording { outcomes: Vec::new(), learnings: vec![learning], learned: true };
    base.learned(&recording);
}
