//! Answers by what texts mean, where a model is set: a model so small that its meanings are known.

use std::{collections::HashMap, fmt::Write, fs, path::Path};

use orchestrator::service::ServiceError;
use safetensors::{Dtype, tensor::TensorView};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::harness::{Place, Running, eventually};

/// The model's words, each with the number of its meaning; the first three mean nothing.
const WORDS: [(&str, Option<usize>); 8] = [
    ("[UNK]", None),
    ("[CLS]", None),
    ("[SEP]", None),
    ("zebra", Some(0)),
    ("striped", Some(0)),
    ("kafka", Some(1)),
    ("walrus", Some(2)),
    ("tusks", Some(2)),
];
const SIZE: usize = 8;

/// Writes a model without layers, in which words of one meaning have one embedding.
fn write_model(folder: &Path) {
    let mut words = vec![0.0f32; WORDS.len() * SIZE];
    for (at, meaning) in WORDS.iter().enumerate().filter_map(|(at, word)| Some((at, word.1?))) {
        words[at * SIZE + meaning] = 1.0;
    }
    let bytes =
        |numbers: &[f32]| -> Vec<u8> { numbers.iter().flat_map(|x| x.to_le_bytes()).collect() };
    let tensors: HashMap<&str, (Vec<usize>, Vec<u8>)> = [
        ("embeddings.word_embeddings.weight", (vec![WORDS.len(), SIZE], bytes(&words))),
        ("embeddings.position_embeddings.weight", (vec![16, SIZE], bytes(&[0.0; 16 * SIZE]))),
        ("embeddings.token_type_embeddings.weight", (vec![2, SIZE], bytes(&[0.0; 2 * SIZE]))),
        ("embeddings.LayerNorm.weight", (vec![SIZE], bytes(&[1.0; SIZE]))),
        ("embeddings.LayerNorm.bias", (vec![SIZE], bytes(&[0.0; SIZE]))),
    ]
    .into_iter()
    .collect();
    let views = tensors.iter().map(|(name, (shape, data))| {
        (*name, TensorView::new(Dtype::F32, shape.clone(), data).unwrap())
    });
    let weights = safetensors::serialize(views, None).unwrap();
    let vocabulary = WORDS.map(|(word, _)| word).join("\n");
    let config = json!({
        "vocab_size": WORDS.len(), "hidden_size": SIZE, "num_hidden_layers": 0,
        "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 16,
        "type_vocab_size": 2, "layer_norm_eps": 1e-12,
    });
    let mut sums = String::new();
    fs::create_dir_all(folder).unwrap();
    for (name, bytes) in [
        ("config.json", config.to_string().into_bytes()),
        ("vocab.txt", vocabulary.into_bytes()),
        ("model.safetensors", weights),
    ] {
        writeln!(sums, "{}  {name}", hex::encode(Sha256::digest(&bytes))).unwrap();
        fs::write(folder.join(name), bytes).unwrap();
    }
    fs::write(folder.join("SHA256SUMS"), sums).unwrap();
}

fn with_model() -> Place {
    let mut place = Place::sqlite();
    write_model(&place.directory().join("model"));
    place.set("EMBEDDING_MODEL", "model");
    place
}

async fn embedded(service: &Running, entries: f64) {
    eventually("all entries are embedded", async || {
        let state = async |state: &str| {
            service.sample(&format!("knowledge_embeddings{{state=\"{state}\"}}")).await
        };
        ((state("done").await, state("waiting").await) == (entries, 0.0)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_answer_is_found_by_its_meaning_where_no_word_of_it_was_asked() {
    let place = with_model();
    let service = place.start().await;
    for title in ["Striped animals run", "Kafka consumers lag", "Tusks are blunt"] {
        service.operator().write(&json!({"title": title})).await;
    }
    embedded(&service, 3.0).await;
    let first = async |service: &Running, query: &str| {
        let answer = service.operator().ask(query).await;
        let best = &answer["results"]["entries"][0];
        (best["title"].clone(), best["confidence"].clone())
    };
    let found = first(&service, "zebra").await;
    assert_eq!(found, (json!("Striped animals run"), json!("high")));
    assert_eq!(first(&service, "walrus").await, (json!("Tusks are blunt"), json!("high")));
    service.stop().await.unwrap();

    // After a start all are embedded, none of them made again.
    let service = place.start().await;
    embedded(&service, 3.0).await;
    let made = "store_operation_duration_seconds_count{operation=\"keep_embeddings\"}";
    assert_eq!(service.sample(made).await, 0.0);
    assert_eq!(first(&service, "zebra").await, found);
    let entry = service.operator().write(&json!({"title": "A zebra has stripes"})).await;
    embedded(&service, 4.0).await;
    let path = format!("/api/knowledge/entries/{}", entry["id"].as_str().unwrap());
    service.operator().delete(&path).await.expect(204);
    embedded(&service, 3.0).await;
}

#[tokio::test]
async fn without_a_model_words_alone_decide() {
    let place = Place::sqlite();
    let service = place.start().await;
    service.operator().write(&json!({"title": "Striped animals run"})).await;
    assert!(service.operator().ask("zebra").await["gap"].is_object());
    assert_eq!(service.sample("knowledge_embeddings{state=\"done\"}").await, 0.0);
}

#[tokio::test]
async fn a_model_that_is_not_the_one_that_was_fetched_is_refused() {
    let place = with_model();
    let folder = place.directory().join("model");
    let refused = async |file: &str| {
        let refused = place.try_start(&[]).await.err().expect("a refusal");
        assert!(matches!(refused, ServiceError::Model { .. }), "{refused}");
        assert!(refused.to_string().contains(file), "{refused}");
    };
    let weights = fs::read(folder.join("model.safetensors")).unwrap();
    fs::write(folder.join("model.safetensors"), &weights[1..]).unwrap();
    refused("model.safetensors is not what SHA256SUMS says").await;
    fs::remove_file(folder.join("vocab.txt")).unwrap();
    refused("vocab.txt").await;
    fs::remove_dir_all(&folder).unwrap();
    refused("SHA256SUMS").await;
}

/// The model that `ops/fetch-model.sh` gets: `ops/test.sh` names its folder.
#[tokio::test]
async fn the_model_that_is_fetched_finds_what_no_word_of_the_question_tells() {
    let Some(folder) = std::env::var_os("TEST_EMBEDDING_MODEL") else { return };
    let mut place = Place::sqlite();
    place.set("EMBEDDING_MODEL", folder.to_str().unwrap());
    let service = place.start().await;
    let entries = [
        ("Payment provider rejects cards", "Customers cannot pay for their orders."),
        ("Ruptured water pipe in the basement", "Close the main valve and call the plumber."),
        ("Greyhound race results", "The fastest dog wins."),
    ];
    for (title, description) in entries {
        service.operator().write(&json!({"title": title, "description": description})).await;
    }
    embedded(&service, 3.0).await;
    for (question, title) in [
        ("checkout fails with a declined transaction", entries[0].0),
        ("flooding downstairs, everything is wet", entries[1].0),
    ] {
        let answer = service.operator().ask(question).await;
        assert_eq!(answer["results"]["entries"][0]["title"], title, "{question}");
    }
}
