//! The knowledge base at its size: 100,000 entries learned from alerts, asked by one client.
//!
//! Prints how long the index takes to build, the median and 99th percentile of a query by kind,
//! how long one change takes to become searchable, and what the process holds.
//!
//! `cargo bench --bench knowledge_scale -- [ENTRIES] [--model DIR]`

mod scale;

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use orchestrator::knowledge::search::{Index, IndexChange, Model, Query};
use orchestrator::model::Entry;

use self::scale::{QUESTIONS, entry, print_times, resident_mb};

const ROUNDS: usize = 200;
/// Entries that are really embedded.
const EMBEDDED: usize = 1000;

fn main() -> Result<(), Box<dyn Error>> {
    let argument = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let size: usize = argument.unwrap_or(100_000);
    println!("resident before anything       {:>9.1} MB", resident_mb());
    let index = Index::new()?;
    println!("resident with an empty index   {:>9.1} MB", resident_mb());
    let entries: Vec<Arc<Entry>> = (0..size).map(|n| Arc::new(entry(n))).collect();
    println!("resident with {size} entries {:>9.1} MB", resident_mb());
    let changes: Vec<IndexChange> = entries.iter().cloned().map(IndexChange::Upsert).collect();
    let began = Instant::now();
    index.apply(&changes)?;
    println!("index of {} built in       {:>9.2} s", index.len(), began.elapsed().as_secs_f64());
    drop(changes);
    println!("resident with the index        {:>9.1} MB", resident_mb());
    ask(&index, "after the start");
    let mut arguments = std::env::args().skip_while(|argument| argument != "--model").skip(1);
    if let Some(folder) = arguments.next() {
        embed(&index, &folder, &entries)?;
        ask(&index, "by meaning, too");
    }
    change(&index, &entries)?;
    ask(&index, "after 300 changes one by one");
    println!("resident at the end            {:>9.1} MB", resident_mb());
    Ok(())
}

fn embed(index: &Index, folder: &str, entries: &[Arc<Entry>]) -> Result<(), Box<dyn Error>> {
    index.understand(Model::load(folder.as_ref())?, entries.iter());
    println!("resident with the model        {:>9.1} MB", resident_mb());
    let began = Instant::now();
    let Some(meaning) = index.meaning() else { return Ok(()) };
    let mut made = Vec::new();
    for waiting in meaning.waiting(entries.len()) {
        if made.len() < EMBEDDED {
            let texts = waiting.sections.iter().map(|section| &section.text);
            made.push(texts.map(|text| meaning.embed(text)).collect::<Vec<_>>());
            if made.len() == EMBEDDED {
                println!("embedded {EMBEDDED} in {:.1} s", began.elapsed().as_secs_f64());
            }
        }
        // The others get embeddings of these: it is the comparing that is measured.
        meaning.take(&waiting, &made[made.len() * 7 / 11]);
    }
    println!("resident with the embeddings   {:>9.1} MB", resident_mb());
    Ok(())
}

fn ask(index: &Index, when: &str) {
    println!("queries {when}, one client:");
    for (kind, questions) in QUESTIONS {
        let mut times = Vec::new();
        for round in 0..ROUNDS {
            let question = questions[round % questions.len()].replace("{}", &round.to_string());
            let began = Instant::now();
            let hits = index.search(&Query { text: &question, limit: 10, admits: &|_| true });
            times.push(began.elapsed());
            std::hint::black_box(hits);
        }
        print_times(kind, &mut times);
    }
    let pasted = paste();
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let hits = index.search(&Query { text: &pasted, limit: 10, admits: &|_| true });
        times.push(began.elapsed());
        std::hint::black_box(hits);
    }
    print_times("paste", &mut times);
}

/// As long a paste as is taken, of a stack trace and log lines.
fn paste() -> String {
    let mut text = String::new();
    for n in 0.. {
        let line = format!(
            "2026-03-02T03:11:42.{n:03}Z ERROR [pool-{n}] com.acme.shop.Part{n}Service: connection \
             refused by upstream 10.4.2.17:8080 id=6f1c2f0e-0b0a-4f5e-9d5e-2b8f7f1f{n:04x}\n\tat \
             com.acme.shop.Checkout{n}.run(Checkout{n}.java:{n})\n"
        );
        if text.len() + line.len() > 20_000 {
            return text;
        }
        text.push_str(&line);
    }
    text
}

fn change(index: &Index, entries: &[Arc<Entry>]) -> Result<(), Box<dyn Error>> {
    let mut times = Vec::new();
    for round in 0..300 {
        let mut changed = Entry::clone(&entries[round * 31 % entries.len()]);
        Arc::make_mut(&mut changed.text).description.push_str(" It was changed.");
        let began = Instant::now();
        index.apply(&[IndexChange::Upsert(Arc::new(changed))])?;
        times.push(began.elapsed());
    }
    println!("one change until it is searchable:");
    print_times("change", &mut times);
    Ok(())
}
