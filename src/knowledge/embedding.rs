//! The background that embeds entries, where a model is set. It works on a thread that everything
//! else goes before and that rests while others want the processor, and an embedding that was ever
//! made is taken from the store.

use std::{
    collections::HashMap,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rustix::time::ClockId;
use tokio::sync::oneshot;

use super::{
    search::{Embedding, Meaning, Section, Waiting},
    shared::Shared,
};
use crate::{shutdown::Phase, store::StoredEmbedding};

/// Entries that are embedded at a stretch: half a second's worth.
const STRETCH: usize = 16;
/// How long it rests when nothing waits.
const REST: Duration = Duration::from_secs(1);
/// How far below everything else the thread stands.
const NICENESS: i32 = 15;
/// It is in somebody's way if a text takes so many times what the processor worked on it.
const IN_THE_WAY: f32 = 1.1;
/// The longest that it gets out of the way after a text.
const GIVE_WAY: Duration = Duration::from_millis(200);

/// Embeds what waits until the phase turns to draining.
pub(super) async fn run(shared: Arc<Shared>, phase: Phase) {
    tokio::select! {
        () = embed_all(&shared) => {}
        () = phase.draining() => {}
    }
}

async fn embed_all(shared: &Arc<Shared>) {
    let Some(meaning) = shared.indexer.index().meaning() else { return };
    let mut behind = false;
    loop {
        let waiting = meaning.waiting(STRETCH);
        if waiting.is_empty() {
            tokio::time::sleep(REST).await;
        } else if let Some(known) = embeddings(shared, &meaning, &waiting).await {
            for entry in &waiting {
                let hashes = entry.sections.iter().map(|section| &section.hash);
                let of_entry: Vec<Embedding> =
                    hashes.filter_map(|hash| known.get(hash).cloned()).collect();
                meaning.take(entry, &of_entry);
            }
        } else {
            tracing::error!("entries could not be embedded");
            tokio::time::sleep(REST).await;
        }
        let progress = meaning.progress();
        let gauge = |state| shared.metrics.knowledge_embeddings.with_label_values(&[state]);
        gauge("done").set(i64::try_from(progress.done).unwrap_or(i64::MAX));
        gauge("waiting").set(i64::try_from(progress.left).unwrap_or(i64::MAX));
        if behind && progress.left == 0 {
            tracing::info!(entries = progress.done, "all entries are embedded");
        }
        behind = progress.left > 0;
    }
}

/// The embeddings of what waits, by hash: those that are kept, and the others made and kept.
/// `None` if they could not be made: a defect.
async fn embeddings(
    shared: &Shared,
    meaning: &Arc<Meaning>,
    waiting: &[Waiting],
) -> Option<HashMap<String, Embedding>> {
    let sections: Vec<&Section> = waiting.iter().flat_map(|entry| &entry.sections).collect();
    let hashes = sections.iter().map(|section| section.hash.clone()).collect();
    // Without the store they are made, and made again after a start.
    let kept = shared.store.embeddings(hashes, shared.clock.now()).await.unwrap_or_default();
    let mut known: HashMap<String, Embedding> = HashMap::new();
    for StoredEmbedding { hash, vector } in kept {
        known.extend(meaning.kept(&vector).map(|embedding| (hash, embedding)));
    }
    let missing: HashMap<String, String> = sections
        .into_iter()
        .filter(|section| !known.contains_key(&section.hash))
        .map(|section| (section.hash.clone(), section.text.clone()))
        .collect();
    if !missing.is_empty() {
        let made = make(Arc::clone(meaning), missing).await?;
        let to_keep = made.iter().map(|(hash, embedding)| StoredEmbedding {
            hash: hash.clone(),
            vector: embedding.to_bytes(),
        });
        let kept = shared.store.keep_embeddings(to_keep.collect(), shared.clock.now()).await;
        if let Err(error) = kept {
            tracing::debug!(%error, "embeddings are made again after a start");
        }
        known.extend(made);
    }
    Some(known)
}

/// Embeds texts, by hash, on a thread that gives way to all others.
async fn make(
    meaning: Arc<Meaning>,
    texts: HashMap<String, String>,
) -> Option<Vec<(String, Embedding)>> {
    let (done, made) = oneshot::channel();
    let work = move || {
        // Of this thread alone. Where it is refused, the thread is as others are.
        let _ = rustix::process::nice(NICENESS);
        let mut made = Vec::with_capacity(texts.len());
        for (hash, text) in texts {
            // Nobody waits any more when the service stops.
            if done.is_closed() {
                return;
            }
            let (began, worked) = (Instant::now(), processor_time());
            made.push((hash, meaning.embed(&text)));
            let (took, worked) = (began.elapsed(), processor_time().saturating_sub(worked));
            // A thread below others still takes their caches and the memory's bandwidth.
            if took > worked.mul_f32(IN_THE_WAY) {
                thread::sleep(took.min(GIVE_WAY));
            }
        }
        let _ = done.send(made);
    };
    thread::Builder::new().name("embedding".to_owned()).spawn(work).ok()?;
    made.await.ok()
}

/// How long the processor worked for this thread.
fn processor_time() -> Duration {
    rustix::time::clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}
