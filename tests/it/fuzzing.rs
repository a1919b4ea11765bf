//! The fuzzing targets on a few thousand inputs from a fixed seed each, and as many requests at
//! the built binary. `fuzz/README.md` says how to go on looking.

use std::{fs, net::Ipv4Addr, panic, path::Path};

use crate::harness::{
    Alert, Place, free_port,
    hostile::{Hostile, Secrets, exchange, failures},
    keys,
    mutation::Mutator,
    payload,
};

#[path = "../../fuzz/src/lib.rs"]
mod targets;

const SEED: u64 = 0x5eed_0f09;
/// Of each target.
const INPUTS: usize = 3_000;

/// Runs a target on inputs that are nearly one of the seeds.
fn run(target: fn(&[u8]), seeds: &[Vec<u8>], inputs: usize) {
    let mut mutator = Mutator::of(SEED);
    seeds.iter().for_each(|seed| target(seed));
    for number in 0..inputs {
        let input = mutator.input(seeds);
        let kept = panic::catch_unwind(|| target(&input));
        assert!(kept.is_ok(), "input {number} breaks it: {}", input.escape_ascii());
    }
}

/// The files below a folder of the tests.
fn files(folder: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(folder)];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        for path in entries.collect::<std::collections::BTreeSet<_>>() {
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(fs::read(path).unwrap()),
            }
        }
    }
    found
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

#[test]
fn any_payload_is_taken_within_limits_or_refused_with_a_reason() {
    let own = texts(&[
        r#"{"alerts":[{"status":"firing","labels":{"alertname":"A","cause":"b"},"annotations":{"runbook_url":"https://r"},"startsAt":"2026-11-24T07:00:27Z","generatorURL":"http://p"}],"truncatedAlerts":1}"#,
        r#"{"alerts":[{"status":"resolved","labels":{"alertname":"DatasourceError","rulename":"R"},"endsAt":"9999-12-31T23:59:59Z"}],"groupLabels":{"alertname":"G"},"receiver":"r"}"#,
    ]);
    let fixtures: Vec<_> =
        files("intake").into_iter().filter(|file| file.starts_with(b"{")).collect();
    assert!(!fixtures.is_empty());
    run(targets::payload, &[own, fixtures].concat(), INPUTS);
}

#[test]
fn no_signature_is_good_that_nobody_made() {
    let seeds = texts(&[
        "sha256=0f343b0931126a20f133d67c2b018a3b0f343b0931126a20f133d67c2b018a3b\n1790000000\n{\"alerts\":[]}",
        "0F343B0931126A20F133D67C2B018A3B0F343B0931126A20F133D67C2B018A3B\n\n{\"b\":1,\"a\":[1.0e3,\"\\u00e9\"]}",
        "Bearer webhook-token\n999999999999\n",
    ]);
    run(targets::signature, &seeds, INPUTS);
}

#[test]
fn any_question_is_taken_or_refused_with_a_reason() {
    let seeds = texts(&[
        r#"{"query":"disk full on db-1?","limit":10,"filter":{"category":"runbook","severity":"high","tag":"disk"}}"#,
        r#"{"text":"2026-11-24 ERROR {\"a\": 1}\n\tat x.y(Z.java:1) \ud83d\ude00"}"#,
        "limit=100&from=2026-11-24T07:00:27+01:00&to=1790000000&collection=alerts&collection=metrics",
    ]);
    let pasted = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/pasted-lines.json"));
    run(targets::query, &[seeds, vec![pasted.unwrap()]].concat(), INPUTS);
}

#[test]
fn any_runbook_becomes_entries_that_an_export_gives_back() {
    run(targets::runbook, &files("runbooks"), INPUTS / 2);
}

#[test]
fn any_import_is_read_to_its_end_or_refused_with_a_reason() {
    let header = r#"{"exportDate":"2026-11-24T10:00:00.000Z","schemaVersion":3,"backend":"sqlite","collections":{"metrics":1,"alerts":1,"knowledge_base":1,"consolidations":0,"system_state":1},"databaseSizeBytes":1,"databaseSizeMB":"0.00"}"#;
    let documents = [
        r#"{"collection":"metrics","document":{"name":"m","value":1,"unit":"","timestamp":"2026-11-24T10:00:00.000Z","labels":{}}}"#,
        r#"{"collection":"alerts","document":{"name":"Disk","timestamp":{"$date":"2026-11-24T10:00:00Z"},"labels":{"a":1},"status":"resolved"}}"#,
        r#"{"collection":"knowledge_base","document":{"_id":{"$oid":"65a1"},"title":"t","severity":"P1","firstSeen":{"$date":{"$numberLong":"1"}},"occurrences":{"$numberInt":"3"}}}"#,
        r#"{"collection":"system_state","document":{"key":"lastReport","value":1}}"#,
    ];
    let end = r#"{"end":true,"documents":4}"#;
    let whole = format!("{header}\n{}\n{end}\n", documents.join("\n"));
    run(targets::import, &texts(&[&whole, header, &documents.join("\n")]), INPUTS);
}

const REQUESTS: usize = 20_000;
const WORKERS: usize = 32;

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_mutated_requests_break_nothing() {
    let place = Place::sqlite();
    let metrics_port = free_port();
    let port = metrics_port.to_string();
    // Those who wait for what does not come are gone soon.
    let set = [("METRICS_PORT", port.as_str()), ("REQUEST_TIMEOUT_SECONDS", "5")];
    let mut process = place.spawn(&set).await;
    let secrets = Secrets { admin: keys::ADMIN, token: keys::TOKEN, secret: keys::SECRET };
    let address = process.address();
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..WORKERS {
        workers.spawn(async move {
            let mut hostile = Hostile::of(SEED + worker as u64, secrets);
            let from = Ipv4Addr::new(127, 0, 2, 1 + (worker % 8) as u8);
            let mut answered = 0;
            for _ in 0..REQUESTS / WORKERS {
                let request = hostile.request();
                let reply = exchange(from, address, &request).await;
                let echoed = secrets.found_in(&reply.0);
                assert_eq!(
                    echoed,
                    None,
                    "{}\nwas answered\n{}",
                    request.escape_ascii(),
                    reply.0.escape_ascii()
                );
                let status = reply.status();
                assert!(status.is_none_or(|status| status < 500 || status == 503));
                answered += usize::from(status.is_some_and(|status| status < 300));
            }
            answered
        });
    }
    let answered: usize = workers.join_all().await.into_iter().sum();
    // Most of them got past the lock, and many further.
    assert!(answered > REQUESTS / 10, "{answered}");

    let metrics = process.actors().at(([127, 0, 0, 1], metrics_port).into());
    let text = metrics.get("/metrics").await.expect(200).text();
    assert_eq!(failures(&text), Vec::<&str>::new());
    let good = payload([Alert::firing("AfterTheStorm", "node1")]);
    process.alertmanager().notify(&good).await.expect(200);
    process.actors().anonymous().get("/ready").await.expect(200);
    process.terminate();
    assert_eq!(process.exit_code().await, 0);
    let output = process.output().await;
    let audited = fs::read(place.directory().join("logs/security.jsonl")).unwrap();
    let audited = String::from_utf8(audited).unwrap();
    for line in output.lines().chain(audited.lines()) {
        assert_eq!(secrets.found_in(line.as_bytes()), None, "{line}");
        assert!(!line.contains("panicked"), "{line}");
    }
}
