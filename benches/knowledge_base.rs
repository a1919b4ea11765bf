//! The whole knowledge base at its size: 100,000 entries learned from alerts, kept in SQLite.
//!
//! Prints how long a start takes (load and index), what the process holds, the times of a query
//! at one client while learning goes on, of rendering the summary after each change, and of
//! showing a pattern and a runbook of few and of 20,000 links; then how long a start takes over a
//! million stored alerts.
//!
//! `cargo bench --bench knowledge_base -- [ENTRIES] [ALERTS]`

mod scale;
mod stored;

use std::{
    error::Error,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use orchestrator::{
    knowledge::{Base, BaseLimits, Question, QuestionFilter},
    model::{
        AlertPattern, Category, Clock, Entry, EntryText, ReceivedAlert, Severity, Status,
        SystemClock, Time, pattern_id,
    },
    shutdown::Phase,
    store::{Store, Stored, migrate, sqlite::SqliteStore},
    telemetry::Metrics,
};
use tokio::task::JoinSet;

use self::{
    scale::{QUESTIONS, entry, print_times, resident_mb},
    stored::stored_alert,
};

const ROUNDS: usize = 200;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments =
        std::env::args().skip(1).filter_map(|argument| argument.parse::<usize>().ok());
    let entries = arguments.next().unwrap_or(100_000);
    let alerts = arguments.next().unwrap_or(1_000_000) as u64;
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let path = directory.path().join("entries.db");
        fill(&path, entries).await?;
        let loaded = Loaded::start(&path, &format!("{entries} entries"), 10 * entries).await?;
        ask(&loaded.base, entries).await?;
        summarise(&loaded.base, entries).await?;
        show(&loaded.base).await?;
        println!("resident at the end: {:.0} MB", resident_mb());
        loaded.end().await;

        let path = directory.path().join("alerts.db");
        fill_alerts(&path, alerts).await?;
        let loaded = Loaded::start(&path, &format!("{alerts} stored alerts"), 1_000).await?;
        loaded.end().await;
        Ok(())
    })
}

/// The knowledge base of a process.
struct Loaded {
    base: Base,
    store: Arc<dyn Store>,
    phase: Phase,
    tasks: JoinSet<&'static str>,
}

impl Loaded {
    /// Starts it over a database that is there, and prints how long that took.
    async fn start(path: &Path, what: &str, patterns: usize) -> Result<Self, Box<dyn Error>> {
        let before = resident_mb();
        let began = Instant::now();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(path).await?);
        let metrics = Arc::new(Metrics::new()?);
        let limits = BaseLimits { patterns, questions: 10_000 };
        let clock = Arc::new(SystemClock);
        let (base, behind) = Base::load(Arc::clone(&store), clock, metrics, limits).await?;
        println!("start with {what}: {:.2} s", began.elapsed().as_secs_f64());
        let at_once = resident_mb();
        // What only the start needed goes back to the system.
        tokio::time::sleep(Duration::from_secs(1)).await;
        println!(
            "resident: {:.0} MB (before the start: {before:.0} MB; at its end: {at_once:.0} MB)",
            resident_mb()
        );
        let (phase, mut tasks) = (Phase::default(), JoinSet::new());
        behind.spawn(&mut tasks, &phase);
        Ok(Self { base, store, phase, tasks })
    }

    async fn end(mut self) {
        self.base.finish().await;
        self.phase.drain();
        while self.tasks.join_next().await.is_some() {}
        self.store.close().await;
    }
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

async fn fill_alerts(path: &Path, alerts: u64) -> Result<(), Box<dyn Error>> {
    let store = SqliteStore::open(path).await?;
    migrate::up(&store, "bench", &SystemClock, false).await?;
    let now = SystemClock.now();
    for first in (0..alerts).step_by(5_000) {
        let chunk = first..alerts.min(first + 5_000);
        store.put(chunk.map(|n| Stored::Alert(stored_alert(n, now))).collect()).await?;
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
            let question = question(&text);
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

/// Patterns of one alert name and its runbook, which link to each other: ten, and 20,000, in one base.
async fn show(base: &Base) -> Result<(), Box<dyn Error>> {
    const NAMES: [(&str, usize); 2] = [("FewLinks", 10), ("ManyLinks", 20_000)];
    // A word that no pattern has: who asks for it finds the runbook alone.
    let own_word = |links: usize| format!("turbine{links}");
    for (name, links) in NAMES {
        let patterns = (0..links).map(|cause| {
            let pattern = AlertPattern { alertname: name.to_owned(), cause: cause.to_string() };
            let id = pattern_id(name, &pattern.cause);
            let text = EntryText::new(
                format!("{name}: {cause}"),
                Category::AlertPattern,
                Severity::Medium,
            );
            Entry { pattern: Some(pattern.into()), ..Entry::new(id, text, Time::default()) }
        });
        let mut text = EntryText::new(name.to_owned(), Category::Runbook, Severity::Medium);
        text.description = format!("Restart the {}.", own_word(links));
        let runbook = Entry::new(format!("rb-{name}"), text, Time::default());
        for chunk in patterns.chain([runbook]).collect::<Vec<_>>().chunks(1_000) {
            base.import(chunk.to_vec()).await?;
        }
    }
    for (name, links) in NAMES {
        base.ask(question(name)).await?;
        let mut times = [const { Vec::new() }; 5];
        for round in 0..ROUNDS {
            let pattern = pattern_id(name, &(round % links).to_string());
            for (id, times) in [pattern, format!("rb-{name}")].iter().zip(&mut times) {
                let began = Instant::now();
                std::hint::black_box(base.entry(id).await);
                times.push(began.elapsed());
            }
            let by_name = question(&format!("{name} {round}"));
            let began = Instant::now();
            std::hint::black_box(base.search(&by_name));
            times[2].push(began.elapsed());
            let own = question(&format!("{} {round}", own_word(links)));
            for (asked, times) in [by_name, own].into_iter().zip(&mut times[3..]) {
                let began = Instant::now();
                std::hint::black_box(base.ask(asked).await?);
                times.push(began.elapsed());
            }
        }
        println!("with {links} links:");
        let what = [
            "the pattern",
            "the runbook",
            "a search for the name, which all patterns have",
            "an answer about the name",
            "an answer that is the runbook",
        ];
        for (what, times) in what.into_iter().zip(&mut times) {
            print_times(what, times);
        }
    }
    Ok(())
}

fn question(text: &str) -> Question {
    Question { text: text.to_owned(), limit: 10, filter: QuestionFilter::default() }
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
