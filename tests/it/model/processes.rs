//! The processes that a history is played on, and what they show.

use std::{collections::BTreeMap, fmt::Debug, path::Path, sync::Arc};

use mongodb::bson::{Document, doc};
use orchestrator::{
    knowledge::{Base, Change, ChangeError, EditError, EntryDraft, Question, QuestionFilter},
    model::{
        Category, Clock, Entry, ManualClock, ReceivedAlert, Severity, Status, TextMap, Time,
        pattern_id,
    },
    store::{ExpiryBatch, Store},
    telemetry::Metrics,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::{
    reference::{Reference, Shown, end_of, solution_of, start_of},
    steps::{CAUSES, Mode, Sent, Step, TOPICS},
};
use crate::harness::{
    Server,
    world::{LIMITS, mongodb, sqlite, utc},
};

const HOUR: i64 = 3_600_000;

/// What the processes are on; empty at the beginning of each history.
pub enum Backing {
    Directory(TempDir),
    Server(Server),
}

impl Backing {
    /// In memory, where the machine has such a directory: thousands of short files.
    pub fn sqlite() -> Self {
        let memory = Path::new("/dev/shm");
        let root = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        Self::Directory(tempfile::tempdir_in(root).unwrap())
    }

    /// An empty place for a history.
    async fn place(&self) -> Place<'_> {
        match self {
            Self::Directory(folder) => Place::Folder(tempfile::tempdir_in(folder.path()).unwrap()),
            Self::Server(server) => {
                let database = server.raw();
                for name in database.list_collection_names().await.unwrap() {
                    let own = doc! { "$not": { "$regex": "^(migration:|schema_version)" } };
                    let all = if name == "system_state" {
                        doc! { "key": own }
                    } else {
                        doc! {}
                    };
                    database.collection::<Document>(&name).delete_many(all).await.unwrap();
                }
                Place::Server(server)
            }
        }
    }
}

/// Where one history is played.
enum Place<'a> {
    Folder(TempDir),
    Server(&'a Server),
}

impl Place<'_> {
    async fn open(&self, clock: &Arc<ManualClock>) -> Arc<dyn Store> {
        match self {
            Self::Folder(folder) => sqlite(&folder.path().join("model.db"), clock).await,
            Self::Server(server) => mongodb(server, "", clock).await,
        }
    }
}

/// One process.
struct Process {
    store: Arc<dyn Store>,
    base: Base,
    tasks: JoinSet<&'static str>,
}

impl Process {
    async fn start(place: &Place<'_>, clock: &Arc<ManualClock>) -> Self {
        let store = place.open(clock).await;
        let metrics = Arc::new(Metrics::new().unwrap());
        let time: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
        let loaded = Base::load(Arc::clone(&store), time, metrics, LIMITS).await;
        let (base, background) = loaded.unwrap();
        // Questions are asked of what is new when the history says so.
        let mut tasks = JoinSet::new();
        background.spawn_writer(&mut tasks);
        Self { store, base, tasks }
    }

    /// Ends without a word to anybody.
    async fn crash(self) {
        drop(self.tasks);
        self.store.close().await;
    }

    async fn stop(self) {
        assert_eq!(self.base.finish().await, 0, "everything is written");
        self.store.close().await;
    }
}

/// The processes, and what they should show.
pub struct Processes<'a> {
    mode: Mode,
    place: Place<'a>,
    clock: Arc<ManualClock>,
    beginning: i64,
    all: Vec<Process>,
    reference: Reference,
    /// How often anybody has written a solution.
    written: usize,
    /// The last version of each pattern.
    versions: BTreeMap<usize, u64>,
}

impl<'a> Processes<'a> {
    pub async fn start(mode: Mode, backing: &'a Backing) -> Self {
        let start = utc("2026-03-01T12:00:00.000Z");
        let clock = Arc::new(ManualClock::new(start.plus_millis(10 * 60_000)));
        let place = backing.place().await;
        let mut all = Vec::new();
        for _ in 0..if mode == Mode::One { 1 } else { 2 } {
            all.push(Process::start(&place, &clock).await);
        }
        Self {
            mode,
            place,
            clock,
            beginning: start.millis(),
            all,
            reference: Reference::default(),
            written: 0,
            versions: BTreeMap::new(),
        }
    }

    pub async fn end(self) {
        for process in self.all {
            process.stop().await;
        }
    }

    fn now(&self) -> i64 {
        self.clock.now().millis()
    }

    fn base(&self, at: usize) -> &Base {
        &self.all[at].base
    }

    /// The process takes over what the other changed.
    async fn follow(&self, at: usize) {
        self.base(at).follow().await.unwrap();
    }

    /// What was asked or answered is written before anything else is read.
    async fn write(&self, at: usize) {
        assert!(self.base(at).import(Vec::new()).await.unwrap().is_empty());
    }

    /// As [`follow`](Self::follow), unless alerts are to find the process behind.
    async fn catch_up(&self, at: usize) {
        if self.mode == Mode::InStep {
            self.follow(at).await;
        }
    }

    /// Every process reads all of the store again.
    pub async fn reload(&mut self) {
        for process in &self.all {
            process.base.reload().await.unwrap();
        }
    }

    async fn replace(&mut self, at: usize, end: impl AsyncFnOnce(Process)) {
        end(self.all.remove(at)).await;
        self.all.insert(at, Process::start(&self.place, &self.clock).await);
    }

    pub async fn play(&mut self, step: &Step) {
        match step {
            Step::Send(at, group) => {
                self.catch_up(*at).await;
                let alerts = group.iter().map(|sent| self.alert(sent)).collect();
                self.base(*at).receive(alerts).await.unwrap();
                self.reference.receive(group, self.beginning, self.now());
            }
            Step::CrashWhileSending(at, sent) => {
                self.catch_up(*at).await;
                let alert = self.alert(sent);
                let a_moment = async {
                    for _ in 0..3 {
                        tokio::task::yield_now().await;
                    }
                };
                tokio::select! {
                    _ = self.base(*at).receive(vec![alert.clone()]) => {}
                    () = a_moment => {}
                }
                self.replace(*at, Process::crash).await;
                self.base(*at).receive(vec![alert]).await.unwrap();
                self.reference.receive(&[*sent], self.beginning, self.now());
            }
            Step::Edit(at, cause) => self.edit(*at, *cause).await,
            Step::Delete(at, cause) => {
                self.follow(*at).await;
                let id = pattern_id("DiskFull", CAUSES[*cause]);
                let deleted = self.base(*at).edit(&id, None, Change::Delete, "operator").await;
                if self.reference.has(*cause) {
                    deleted.unwrap();
                    self.deleted(*cause);
                } else {
                    assert!(is_missing(&deleted), "{deleted:?}");
                }
            }
            Step::Ask(at, topic) => {
                self.follow(*at).await;
                self.base(*at).close_answered_questions().await.unwrap();
                self.ask(*at, *topic, QuestionFilter::default()).await;
                self.reference.ask(*topic);
            }
            Step::Answer(at, topic) => {
                self.follow(*at).await;
                let draft = json!({ "title": TOPICS[*topic] }).to_string();
                let draft = EntryDraft::parse(draft.as_bytes()).unwrap();
                self.base(*at).create(draft, "operator").await.unwrap();
                self.base(*at).close_answered_questions().await.unwrap();
                self.write(*at).await;
                self.reference.answer(*topic);
            }
            Step::AskAroundImport(at, topic) => self.ask_around_import(*at, *topic).await,
            Step::EditAndDelete(cause) => self.edit_and_delete(*cause).await,
            Step::EditUnseen(at, cause) => self.edit_unseen(*at, *cause).await,
            Step::Wait(minutes) => self.clock.advance_millis(minutes * 60_000),
            Step::Retain(at) => self.retain(*at).await,
            Step::Restart(at) => self.replace(*at, Process::stop).await,
            Step::Crash(at) => self.replace(*at, Process::crash).await,
        }
    }

    async fn edit(&mut self, at: usize, cause: usize) {
        self.follow(at).await;
        self.written += 1;
        let solution = format!("as a person wrote, {}", self.written);
        let id = pattern_id("DiskFull", CAUSES[cause]);
        let change = Change::Patch(json!({ "solution": solution }));
        let edited = self.base(at).edit(&id, None, change, "operator").await;
        if self.reference.has(cause) {
            edited.unwrap();
            self.reference.edit(cause, &solution);
        } else {
            assert!(is_missing(&edited), "{edited:?}");
        }
    }

    async fn ask(&self, at: usize, topic: usize, filter: QuestionFilter) {
        let question = Question { text: TOPICS[topic].to_owned(), limit: 10, filter };
        self.base(at).ask(question).await.unwrap();
        self.write(at).await;
    }

    async fn ask_around_import(&mut self, at: usize, topic: usize) {
        if !self.reference.is_answered(topic) {
            return;
        }
        self.follow(at).await;
        self.base(at).close_answered_questions().await.unwrap();
        let elsewhere =
            QuestionFilter { tag: Some("elsewhere".to_owned()), ..QuestionFilter::default() };
        self.ask(at, topic, elsewhere).await;
        self.written += 1;
        let solution = format!("as imported, {}", self.written);
        let command_line = Process::start(&self.place, &self.clock).await;
        for entry in command_line.base.entries() {
            if entry.category != Category::Question && entry.title == TOPICS[topic] {
                let change = Change::Patch(json!({ "solution": solution }));
                command_line.base.edit(&entry.id, None, change, "operator").await.unwrap();
            }
        }
        command_line.stop().await;
        // The process has not heard of it.
        self.ask(at, topic, QuestionFilter::default()).await;
        self.reference.import(topic, &solution);
    }

    /// The version of the pattern of this cause that the process shows.
    async fn seen(&self, at: usize, id: &str) -> Option<u64> {
        self.follow(at).await;
        self.base(at).entries().iter().find(|entry| *entry.id == *id).map(|entry| entry.version)
    }

    async fn edit_and_delete(&mut self, cause: usize) {
        let (id, last) = (pattern_id("DiskFull", CAUSES[cause]), self.all.len() - 1);
        let seen = (self.seen(0, &id).await, self.seen(last, &id).await);
        let (Some(one), Some(other)) = seen else { return };
        self.written += 1;
        let solution = format!("as a person wrote, {}", self.written);
        let change = Change::Patch(json!({ "solution": solution }));
        let (edited, deleted) = tokio::join!(
            self.base(0).edit(&id, Some(one), change, "operator"),
            self.base(last).edit(&id, Some(other), Change::Delete, "operator"),
        );
        match (edited.is_ok(), deleted.is_ok()) {
            (true, false) => self.reference.edit(cause, &solution),
            (false, true) => self.deleted(cause),
            _ => panic!("one of both is done: {edited:?}, {deleted:?}"),
        }
    }

    fn deleted(&mut self, cause: usize) {
        self.reference.delete(cause);
        // Made anew it begins again.
        self.versions.remove(&cause);
    }

    async fn edit_unseen(&mut self, at: usize, cause: usize) {
        let (id, last) = (pattern_id("DiskFull", CAUSES[cause]), self.all.len() - 1);
        let Some(seen) = self.seen(last, &id).await else { return };
        self.edit(at, cause).await;
        let change = Change::Patch(json!({ "solution": "unseen" }));
        let late = self.base(last).edit(&id, Some(seen), change, "operator").await;
        let refused = matches!(late, Err(ChangeError::Edit(EditError::Conflict(_))));
        assert!(refused, "the later edit did not see the earlier: {late:?}");
    }

    /// In batches of two, so that there are several.
    async fn retain(&mut self, at: usize) {
        self.catch_up(at).await;
        let now = Time::from_millis(self.now());
        let batch = ExpiryBatch { before: now.plus_millis(-48 * HOUR), limit: 2, now };
        let store = || Arc::clone(&self.all[at].store);
        while self.base(at).expire_on(store(), batch).await.unwrap().deleted == 2 {}
        let long_ago = now.plus_millis(-30 * 24 * HOUR);
        self.all[at].store.forget_alerts(long_ago, 1_000).await.unwrap();
        self.reference.retain(self.now());
    }

    fn alert(&self, sent: &Sent) -> ReceivedAlert {
        let now = self.now();
        let cause = Some(CAUSES[sent.cause].to_owned()).filter(|cause| !cause.is_empty());
        let solution = solution_of(sent, self.beginning, now);
        ReceivedAlert {
            fingerprint: format!("f{}", sent.fingerprint),
            starts_at: start_of(sent, self.beginning).map(Time::from_millis),
            ends_at: end_of(sent, self.beginning, now).map(Time::from_millis),
            status: if sent.over.is_some() { Status::Resolved } else { Status::Firing },
            name: "DiskFull".to_owned(),
            cause,
            severity: "page".to_owned(),
            entry_severity: Severity::High,
            message: String::new(),
            labels: TextMap::default(),
            annotations: TextMap::from([("solution".to_owned(), solution)]),
            generator_url: None,
            receiver: None,
            received_at: Time::from_millis(now),
        }
    }

    /// Every process, and the store, shows what it should.
    pub async fn compare(&mut self) -> Result<(), String> {
        for at in 0..self.all.len() {
            self.follow(at).await;
            let entries = self.base(at).entries();
            let shown = entries.iter().map(|entry| Entry::clone(entry)).collect::<Vec<_>>();
            let who = format!("process {at}");
            self.compare_entries(&who, &shown)?;
            equal(&who, "firing alerts", self.base(at).firing_alerts(), self.reference.firing())?;
        }
        let store = &self.all[0].store;
        let loaded = store.load().await.unwrap();
        let with_figures = |entry: Entry| {
            let figures = loaded.figures.get(&*entry.id).copied().unwrap_or_default();
            Entry { figures, ..entry }
        };
        let stored: Vec<_> = loaded.entries.iter().cloned().map(with_figures).collect();
        let firing = store.firing_alerts().await.unwrap();
        equal("the store", "firing alerts", firing, self.reference.firing())?;
        self.compare_entries("the store", &stored)?;
        for (cause, name) in CAUSES.iter().enumerate() {
            let id = pattern_id("DiskFull", name);
            let version = stored.iter().find(|entry| *entry.id == *id).map(|entry| entry.version);
            let Some(version) = version else {
                self.versions.remove(&cause);
                continue;
            };
            let before = self.versions.insert(cause, version).unwrap_or(0);
            if version < before {
                return Err(format!("{name:?} went from version {before} back to {version}"));
            }
        }
        Ok(())
    }

    fn compare_entries(&self, who: &str, entries: &[Entry]) -> Result<(), String> {
        for (cause, name) in CAUSES.iter().enumerate() {
            let id = pattern_id("DiskFull", name);
            let shown = entries.iter().find(|entry| *entry.id == *id).map(shown);
            let (mut shown, mut expected) = (shown, self.reference.shown(cause));
            if self.mode == Mode::Lagging {
                // A text that meets another change is taken with the next alert.
                for shown in [&mut shown, &mut expected].into_iter().flatten() {
                    shown.solution.clear();
                }
            }
            equal(who, &format!("the pattern {name:?}"), shown, expected)?;
        }
        for (topic, title) in TOPICS.iter().enumerate() {
            let answers =
                |entry: &&Entry| entry.category != Category::Question && entry.title == *title;
            let answers = entries.iter().filter(answers).map(|entry| entry.solution.clone());
            let mut answers: Vec<_> = answers.collect();
            answers.sort();
            equal(who, &format!("what answers {title:?}"), answers, self.reference.answers(topic))?;
        }
        let asked = entries.iter().filter(|entry| entry.category == Category::Question);
        let asked: BTreeMap<String, i64> =
            asked.map(|entry| (entry.description.clone(), entry.occurrences())).collect();
        equal(who, "open questions", asked, self.reference.questions())
    }
}

fn shown(entry: &Entry) -> Shown {
    Shown {
        occurrences: entry.occurrences(),
        firing: entry.firing().unwrap_or(-1),
        success_rate: entry.success_rate(),
        mean_ms: entry.mean_time_to_resolve_ms(),
        last_fired: entry.last_fired().map(Time::millis),
        solution: entry.solution.clone(),
    }
}

fn is_missing<T>(answer: &Result<T, ChangeError>) -> bool {
    matches!(answer, Err(ChangeError::Edit(EditError::Missing)))
}

fn equal<T: PartialEq + Debug>(who: &str, what: &str, is: T, should: T) -> Result<(), String> {
    if is == should {
        return Ok(());
    }
    Err(format!("{who}: {what} is\n  {is:?}\nand should be\n  {should:?}"))
}
