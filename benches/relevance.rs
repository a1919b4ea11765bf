//! How well the knowledge base answers: imports runbooks, asks questions whose answers are known
//! and questions that nothing answers, and prints by kind how often a right runbook stands first
//! and among five, how many answers are confident, and how large an answer is.
//!
//! `cargo bench --bench relevance -- [--misses] [--scores] [--runbooks DIR] [--model DIR] [QUESTIONS_JSON...]`
//!
//! Without arguments: the runbooks and both sets of questions under `benches/relevance`. Nobody
//! tunes on `untouched.json`.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use std::{error::Error, fs};

use orchestrator::knowledge::search::{Hit, Index, IndexChange, Model, Query};
use orchestrator::knowledge::{Known, answers, runbook};
use orchestrator::model::{Entry, Time};
use serde::Deserialize;

#[derive(Deserialize)]
struct Questions {
    questions: Vec<Question>,
}

/// A question and the runbooks that answer it, by file stem.
#[derive(Deserialize)]
struct Question {
    kind: String,
    text: String,
    expected: Vec<String>,
}

/// Sums over the questions of a kind.
#[derive(Default)]
struct Figures {
    questions: f64,
    first: f64,
    among_five: f64,
    reciprocal: f64,
    confident: f64,
}

impl Figures {
    fn add(&mut self, rank: Option<usize>, confident: bool) {
        self.questions += 1.0;
        self.first += f64::from(rank == Some(1));
        self.among_five += f64::from(rank.is_some_and(|rank| rank <= 5));
        self.reciprocal += rank.map_or(0.0, |rank| 1.0 / rank as f64);
        self.confident += f64::from(confident);
    }

    fn print(&self, kind: &str) {
        let of = |sum: f64| sum / self.questions.max(1.0);
        println!(
            "{kind:<12} {:>9} {:>9.2} {:>9.2} {:>7.2} {:>10.2}",
            self.questions,
            of(self.first),
            of(self.among_five),
            of(self.reciprocal),
            of(self.confident)
        );
    }
}

/// What the command line says.
struct Options {
    misses: bool,
    scores: bool,
    runbooks: PathBuf,
    /// A folder with a model, as `EMBEDDING_MODEL` names one.
    model: Option<PathBuf>,
    questions: Vec<PathBuf>,
}

impl Options {
    fn read() -> Self {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/relevance");
        let mut options = Self {
            misses: false,
            scores: false,
            runbooks: own.join("runbooks"),
            model: None,
            questions: vec![],
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--bench" => {}
                "--misses" => options.misses = true,
                "--scores" => options.scores = true,
                "--runbooks" => {
                    options.runbooks = arguments.next().map(PathBuf::from).unwrap_or_default();
                }
                "--model" => options.model = arguments.next().map(PathBuf::from),
                path => options.questions.push(PathBuf::from(path)),
            }
        }
        if options.questions.is_empty() {
            options.questions = vec![own.join("development.json"), own.join("untouched.json")];
        }
        options
    }
}

/// The runbooks and their index.
struct Books {
    entries: HashMap<String, Arc<Entry>>,
    index: Index,
}

impl Known for Books {
    fn entry(&self, id: &str) -> Option<&Arc<Entry>> {
        self.entries.get(id)
    }

    fn view(&self, entry: &Entry) -> Entry {
        entry.clone()
    }

    fn runbook_of(&self, _: &Entry) -> Option<&Arc<Entry>> {
        None
    }

    fn patterns_of(&self, _: &Entry) -> Vec<&Arc<Entry>> {
        Vec::new()
    }

    fn fires_with(&self, _: &Entry) -> Vec<&Arc<Entry>> {
        Vec::new()
    }
}

impl Books {
    /// Embeds all with the model of a folder.
    fn embed(&self, folder: &Path) -> Result<(), Box<dyn Error>> {
        self.index.understand(Model::load(folder)?, self.entries.values());
        let began = Instant::now();
        if let Some(meaning) = self.index.meaning() {
            meaning.embed_all();
        }
        println!("embedded in {:.1} s", began.elapsed().as_secs_f64());
        Ok(())
    }

    /// How many bytes of JSON the entries and solutions of an answer are.
    fn answer_bytes(&self, text: &str) -> usize {
        let found = self.index.find(&Query { text, limit: 20, admits: &|_| true });
        let entries = answers(self, &found, 10);
        let solutions: usize = entries.iter().map(|scored| scored.entry.solution.len() + 3).sum();
        serde_json::to_string(&entries).map_or(0, |json| json.len() + solutions)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::read();
    let books = import(&options.runbooks)?;
    if let Some(folder) = &options.model {
        books.embed(folder)?;
    }
    for path in &options.questions {
        println!("\n{}", path.file_name().unwrap_or_default().display());
        let questions: Questions = serde_json::from_str(&fs::read_to_string(path)?)?;
        report(&books, &questions.questions, &options);
    }
    Ok(())
}

fn import(folder: &Path) -> Result<Books, Box<dyn Error>> {
    let mut entries = HashMap::new();
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !name.ends_with(".md") || name == "ATTRIBUTION.md" {
            continue;
        }
        let text = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
        for parsed in runbook::read(name, &text, Time::default()) {
            let entry = Entry { id: runbook::stem(name).to_owned(), ..parsed.entry };
            entries.insert(entry.id.clone(), Arc::new(entry));
        }
    }
    let index = Index::new()?;
    let changes: Vec<_> = entries.values().cloned().map(IndexChange::Upsert).collect();
    index.apply(&changes)?;
    println!("{} runbooks from {}", index.len(), folder.display());
    Ok(Books { entries, index })
}

fn report(books: &Books, questions: &[Question], options: &Options) {
    let mut by_kind: BTreeMap<String, Figures> = BTreeMap::new();
    let mut sizes: Vec<usize> =
        questions.iter().map(|question| books.answer_bytes(&question.text)).collect();
    sizes.sort_unstable();
    for question in questions {
        let hits =
            books.index.search(&Query { text: &question.text, limit: 10, admits: &|_| true });
        let rank = hits.iter().position(|hit| question.expected.contains(&hit.id)).map(|at| at + 1);
        let confident = hits.first().is_some_and(Hit::is_sure);
        if options.misses {
            print_miss(question, &hits, rank, confident);
        }
        let answerable = !question.expected.is_empty();
        if options.scores {
            let score = hits.first().map_or(0.0, |hit| hit.score);
            println!("score {score:.3} {answerable} {} {rank:?}", question.kind);
        }
        let kinds = match answerable {
            true => [question.kind.as_str(), "answerable"],
            false => ["no answer", "no answer"],
        };
        for kind in &kinds[..1 + usize::from(answerable)] {
            by_kind.entry((*kind).to_owned()).or_default().add(rank, confident);
        }
    }
    println!(
        "{:<12} {:>9} {:>9} {:>9} {:>7} {:>10}",
        "kind", "questions", "first", "in five", "MRR@10", "confident"
    );
    by_kind.iter().for_each(|(kind, figures)| figures.print(kind));
    let size = |percent: usize| sizes.get(sizes.len() * percent / 100).copied().unwrap_or(0);
    println!("bytes of an answer: median {}, 90 % at most {}", size(50), size(90));
}

fn print_miss(question: &Question, hits: &[Hit], rank: Option<usize>, confident: bool) {
    let answerable = !question.expected.is_empty();
    if answerable == confident && (!answerable || rank == Some(1)) {
        return;
    }
    let best: Vec<_> = hits.iter().take(3).map(|h| format!("{} {:.2}", h.id, h.score)).collect();
    let text: String = question.text.chars().take(90).collect();
    let rank = rank.map_or("-".to_owned(), |rank| rank.to_string());
    let sure = if confident { "high" } else { "low" };
    println!(
        "{rank:>2} {sure:<4} {text:?} -> {:?}; got {}",
        question.expected.first(),
        best.join(", ")
    );
}
