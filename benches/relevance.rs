//! How well the knowledge base answers: imports runbooks, asks questions whose answers are known,
//! and prints recall@1, recall@5 and the mean reciprocal rank at 10 by kind of question.
//!
//! `cargo bench --bench relevance -- [--misses] [RUNBOOKS_DIR] [QUERIES_JSON]`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{error::Error, fs};

use orchestrator::knowledge::runbook;
use orchestrator::knowledge::search::{Index, IndexChange, Query};
use orchestrator::model::Time;
use serde::Deserialize;

/// A question and the runbooks that answer it, by file stem.
#[derive(Deserialize)]
struct Question {
    query: String,
    relevant: Vec<String>,
    kind: String,
}

/// Sums over the questions of a kind.
#[derive(Default)]
struct Figures {
    questions: f64,
    first: f64,
    among_five: f64,
    reciprocal: f64,
}

impl Figures {
    fn add(&mut self, rank: Option<usize>) {
        self.questions += 1.0;
        self.first += f64::from(rank == Some(1));
        self.among_five += f64::from(rank.is_some_and(|rank| rank <= 5));
        self.reciprocal += rank.map_or(0.0, |rank| 1.0 / rank as f64);
    }

    fn print(&self, kind: &str) {
        let of = |sum: f64| sum / self.questions.max(1.0);
        println!(
            "{kind:<10} {:>9} {:>9.2} {:>9.2} {:>7.2}",
            self.questions,
            of(self.first),
            of(self.among_five),
            of(self.reciprocal)
        );
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let misses = arguments.iter().any(|argument| argument == "--misses");
    let mut paths = arguments.iter().filter(|a| !a.starts_with("--")).map(PathBuf::from);
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let runbooks = paths.next().unwrap_or_else(|| corpus.join("runbooks"));
    let queries = paths.next().unwrap_or_else(|| corpus.join("queries-dev.json"));
    if !runbooks.is_dir() || !queries.is_file() {
        println!("relevance: give a folder of Markdown runbooks and a JSON file of questions:");
        println!("  cargo bench --bench relevance -- RUNBOOKS_DIR QUERIES_JSON");
        println!("  [{{\"query\": \"...\", \"relevant\": [\"FileStem\"], \"kind\": \"...\"}}]");
        return Ok(());
    }
    let index = import(&runbooks)?;
    let questions: Vec<Question> = serde_json::from_str(&fs::read_to_string(&queries)?)?;
    report(&index, &questions, misses);
    Ok(())
}

fn import(folder: &Path) -> Result<Index, Box<dyn Error>> {
    let mut changes = Vec::new();
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !name.ends_with(".md") || name == "ATTRIBUTION.md" {
            continue;
        }
        let text = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
        for parsed in runbook::read(name, &text, Time::default()) {
            parsed.warnings.iter().for_each(|warning| println!("warning: {warning}"));
            changes.push(IndexChange::Upsert(Arc::new(parsed.entry)));
        }
    }
    let index = Index::new()?;
    index.apply(&changes)?;
    println!("{} runbooks from {}", index.len(), folder.display());
    Ok(index)
}

fn report(index: &Index, questions: &[Question], misses: bool) {
    let mut by_kind: BTreeMap<&str, Figures> = BTreeMap::new();
    let mut overall = Figures::default();
    for question in questions {
        let hits = index.search(&Query { text: &question.query, limit: 10, admits: &|_| true });
        let wanted: Vec<String> =
            question.relevant.iter().map(|stem| runbook::id_for(stem)).collect();
        let rank = hits.iter().position(|hit| wanted.contains(&hit.id)).map(|at| at + 1);
        by_kind.entry(&question.kind).or_default().add(rank);
        overall.add(rank);
        if misses && rank != Some(1) {
            println!(
                "{:?} {} {:?} -> {:?}",
                rank, question.kind, question.query, question.relevant
            );
        }
    }
    println!(
        "{:<10} {:>9} {:>9} {:>9} {:>7}",
        "kind", "questions", "recall@1", "recall@5", "MRR@10"
    );
    by_kind.iter().for_each(|(kind, figures)| figures.print(kind));
    overall.print("all");
}
