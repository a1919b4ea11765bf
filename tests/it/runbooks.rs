//! Runbooks by the built binary: imported, imported again, linked with their alerts, and what the
//! knowledge base exports taken back.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Output,
};

use serde_json::{Value, json};

use crate::harness::{Alert, Place, Running, eventually, on_each_store, payload};

on_each_store![
    a_folder_is_imported_once_and_again,
    files_that_are_gone_are_pruned_when_told,
    a_runbook_becomes_an_entry_that_answers,
    a_runbook_that_comes_after_its_alert_is_linked_with_it,
    an_alert_that_comes_after_its_runbook_is_linked_with_it,
    a_pattern_of_another_title_stays_linked,
    an_import_closes_what_it_answers,
    the_markdown_export_gives_equal_entries,
    an_import_beside_the_service_is_soon_seen,
];

const DISK_FULL: &str = include_str!("runbooks/storage/DiskFull.md");

/// The folder of runbooks, copied to where the test may change it.
fn books(place: &Place) -> PathBuf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/runbooks");
    let to = place.directory().join("books");
    fs::create_dir_all(to.join("storage")).unwrap();
    for name in ["CertificateExpiring.md", "LeaderMissing.md", "storage/DiskFull.md"] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
    to
}

fn run(place: &Place, arguments: &[&str]) -> Output {
    let arguments = [&["knowledge", "import"], arguments].concat();
    place.command(&arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// What an import that went well says at its end.
#[track_caller]
fn import(place: &Place, arguments: &[&str]) -> String {
    let output = run(place, arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout).to_owned()
}

/// All entries, as an admin exports them.
async fn exported(service: &Running) -> Vec<Value> {
    let answer = service.admin().get("/api/knowledge/export?format=json").await.expect(200);
    answer.json()["entries"].as_array().expect("a list").clone()
}

async fn start_and_export(place: &Place) -> Vec<Value> {
    let service = place.start().await;
    let entries = exported(&service).await;
    service.stop().await.unwrap();
    entries
}

fn titled<'a>(entries: &'a [Value], title: &str) -> &'a Value {
    let found = entries.iter().find(|entry| entry["title"] == title);
    found.unwrap_or_else(|| panic!("no {title} among {entries:?}"))
}

async fn a_folder_is_imported_once_and_again(place: &Place) {
    let books = books(place);
    assert_eq!(import(place, &["books"]), "3 created, 0 updated, 0 unchanged\n");
    let first = start_and_export(place).await;
    assert_eq!(first.len(), 3);
    assert_eq!(import(place, &["books"]), "0 created, 0 updated, 3 unchanged\n");
    assert_eq!(start_and_export(place).await, first);

    let changed = DISK_FULL.replace("make the volume larger", "call the owner");
    fs::write(books.join("storage/DiskFull.md"), changed).unwrap();
    assert_eq!(import(place, &["books"]), "0 created, 1 updated, 2 unchanged\n");
    let second = start_and_export(place).await;
    let (old, new) = (titled(&first, "A disk is full"), titled(&second, "A disk is full"));
    assert_eq!(new["solution"], "Delete rotated logs, or call the owner.");
    assert_eq!((&new["id"], &new["firstSeen"]), (&old["id"], &old["firstSeen"]));
    assert!(new["lastUpdated"].as_i64() > old["lastUpdated"].as_i64());
    assert_eq!(titled(&second, "CertificateExpiring"), titled(&first, "CertificateExpiring"));
    let told = place.audited("knowledge_changed");
    assert_eq!(
        told.last().unwrap()["details"],
        json!({
            "action": "import", "created": 0, "updated": 1, "unchanged": 2, "pruned": 0,
        })
    );
}

async fn files_that_are_gone_are_pruned_when_told(place: &Place) {
    let books = books(place);
    import(place, &["books"]);
    let service = place.start().await;
    service.operator().write(&json!({"title": "Written by hand"})).await;
    service.alertmanager().notify(&payload([Alert::firing("DiskFull", "a")])).await.expect(200);
    service.stop().await.unwrap();
    fs::remove_file(books.join("storage/DiskFull.md")).unwrap();
    assert_eq!(import(place, &["books"]), "0 created, 0 updated, 2 unchanged\n");
    let pruned = import(place, &["--prune", "books"]);
    assert_eq!(pruned, "0 created, 0 updated, 2 unchanged, 1 pruned\n");
    let entries = start_and_export(place).await;
    let mut titles: Vec<_> = entries.iter().map(|entry| entry["title"].as_str().unwrap()).collect();
    titles.sort();
    let left = [
        "CertificateExpiring",
        "DiskFull: timeout",
        "Nobody is in charge of the cluster",
        "Written by hand",
    ];
    assert_eq!(titles, left);
}

async fn a_runbook_becomes_an_entry_that_answers(place: &Place) {
    books(place);
    import(place, &["books"]);
    let service = place.start().await;
    let answer = service.operator().ask("no space left on the filesystem").await;
    let entry = &answer["results"]["entries"][0];
    assert_eq!(
        (&entry["title"], &entry["category"], &entry["severity"]),
        (&json!("A disk is full"), &json!("runbook"), &json!("critical"))
    );
    assert_eq!(
        entry["description"],
        "No space is left on a filesystem.\n\n## Impact\n\nWrites fail, and the database stops."
    );
    let steps = json!([
        "Find the filesystem:\n\n```sh\ndf -h\n```",
        "Find what fills it: `du -xh --max-depth=1 /`",
    ]);
    assert_eq!(entry["steps"], steps);
    assert_eq!(entry["solution"], "Delete rotated logs, or make the volume larger.");
    assert_eq!(entry["tags"], json!(["DiskFull", "DiskAlmostFull", "storage", "node"]));
    let provenance = &entry["provenance"];
    assert_eq!(
        (&provenance["sourceType"], &provenance["derivedFrom"]),
        (&json!("runbook"), &json!(["storage/DiskFull.md"]))
    );
    for (query, title) in [
        ("DiskAlmostFull", "A disk is full"),
        ("LeaderMissing", "Nobody is in charge of the cluster"),
        ("tls certificate runs out", "CertificateExpiring"),
    ] {
        let titles = service.operator().titles(&json!({"query": query})).await;
        assert_eq!(titles.first().map(String::as_str), Some(title), "{query}");
    }
    let certificate = service.operator().ask("CertificateExpiring").await;
    assert_eq!(certificate["results"]["entries"][0]["rootCause"], "The renewal job is suspended.");
}

/// An alert whose rule says nothing of what helps.
fn disk_full() -> Alert {
    let annotations = json!({"description": "The filesystem is at 99%"});
    Alert::firing("DiskFull", "node1").with("annotations", annotations)
}

/// That pattern and runbook name each other, and that both are one answer: the pattern, with what
/// the runbook says.
async fn linked(service: &Running) {
    let answer = service.operator().ask("DiskFull").await;
    let [pattern] = answer["results"]["entries"].as_array().unwrap().as_slice() else {
        panic!("no single answer: {answer}")
    };
    assert_eq!(pattern["category"], "alert_pattern");
    let id = pattern["relatedEntries"][0].as_str().expect("the runbook");
    let runbook = service.viewer().entry(id).await;
    assert_eq!(runbook["category"], "runbook");
    assert_eq!(runbook["relatedEntries"], json!([pattern["id"]]));
    assert_eq!(pattern["solution"], runbook["solution"]);
    assert_eq!(pattern["steps"], runbook["steps"]);
    assert_eq!(answer["results"]["solutions"], json!([runbook["solution"]]));
    let read = service.viewer().entry(pattern["id"].as_str().unwrap()).await;
    assert_eq!(read["solution"], runbook["solution"]);
    // Borrowed, not taken: the pattern is kept as it was learned.
    let exported = exported(service).await;
    let kept = exported.iter().find(|entry| entry["id"] == pattern["id"]).unwrap();
    assert_eq!((&kept["solution"], &kept["relatedEntries"]), (&json!(""), &json!([])));
}

async fn a_runbook_that_comes_after_its_alert_is_linked_with_it(place: &Place) {
    let service = place.start().await;
    service.alertmanager().notify(&payload([disk_full()])).await.expect(200);
    assert_eq!(service.operator().ask("DiskFull").await["results"]["solutions"], json!([]));
    service.stop().await.unwrap();
    books(place);
    import(place, &["books"]);
    linked(&place.start().await).await;
}

async fn an_alert_that_comes_after_its_runbook_is_linked_with_it(place: &Place) {
    let books = books(place);
    import(place, &["books"]);
    let service = place.start().await;
    service.alertmanager().notify(&payload([disk_full()])).await.expect(200);
    linked(&service).await;
    service.stop().await.unwrap();
    let service = place.start().await;
    linked(&service).await;
    service.stop().await.unwrap();
    // With the runbook the link goes.
    fs::remove_file(books.join("storage/DiskFull.md")).unwrap();
    import(place, &["--prune", "books"]);
    let service = place.start().await;
    let entry = service.operator().ask("DiskFull").await["results"]["entries"][0].take();
    assert_eq!((&entry["relatedEntries"], &entry["solution"]), (&json!([]), &json!("")));
}

async fn a_pattern_of_another_title_stays_linked(place: &Place) {
    books(place);
    import(place, &["books"]);
    let service = place.start().await;
    service.alertmanager().notify(&payload([disk_full()])).await.expect(200);
    let pattern = service.summary().await["topIssues"][0].take();
    let path = format!("/api/knowledge/entries/{}", pattern["id"].as_str().unwrap());
    let text = json!({
        "title": "The disk of the queue", "rootCause": "Logs", "tags": pattern["tags"],
        "description": "DiskFull",
    });
    service.operator().put(&path, &text).await.expect(200);
    linked(&service).await;
    service.stop().await.unwrap();
    let service = place.start().await;
    linked(&service).await;
    service.alertmanager().notify(&payload([disk_full().resolved_after(5)])).await.expect(200);
    linked(&service).await;
}

async fn an_import_closes_what_it_answers(place: &Place) {
    let service = place.start().await;
    let gap = service.operator().ask("who is in charge of the cluster?").await["gap"]["id"].take();
    service.operator().ask("zebra stampede").await;
    service.stop().await.unwrap();
    books(place);
    import(place, &["books"]);
    assert_eq!(import(place, &["books"]), "0 created, 0 updated, 3 unchanged\n");
    let service = place.start().await;
    let page = service.summary().await;
    assert_eq!(page["stats"]["openQuestions"], 1);
    assert_eq!(page["openQuestions"][0]["query"], "zebra stampede");
    let exported = exported(&service).await;
    let runbook = titled(&exported, "Nobody is in charge of the cluster");
    assert_eq!(runbook["provenance"]["derivedFrom"], json!(["LeaderMissing.md", gap]));
}

/// A base with an entry of each kind and texts that Markdown and YAML may misunderstand.
async fn filled(place: &Place) -> Running {
    books(place);
    import(place, &["books"]);
    let service = place.start().await;
    let alerts = [disk_full(), disk_full().label("instance", "node2")];
    service.alertmanager().notify(&payload(alerts)).await.expect(200);
    let resolved = payload([disk_full().resolved_after(90)]);
    service.alertmanager().notify(&resolved).await.expect(200);
    service.operator().ask("zebra: \"stampede\"?").await;
    for entry in [
        json!({"title": "---\nid: \"no\"", "solution": "---\n\n## Steps\n\n1. no step\n",
            "description": "a\n\n---\nid: \"x\"\n---\n# Title\n```\nopen", "tags": ["a, b", "#"],
            "steps": ["1. one\n\n- two", "   indented", "```sh\nls\n```"], "rootCause": " "}),
        json!({"title": "Чёрный \u{1F5A4}\u{0}\u{85}", "expectedOutcome": "\ttab\r\nend\n\n",
            "prerequisites": ["- point", "null", "~"], "severity": "low",
            "runbookUrl": "https://runbooks.example.org/?a=b#c", "category": "metric_anomaly"}),
    ] {
        service.operator().write(&entry).await;
    }
    service
}

async fn the_markdown_export_gives_equal_entries(place: &Place) {
    let service = filled(place).await;
    let entries = exported(&service).await;
    assert_eq!(entries.len(), 7);
    let answer = service.admin().get("/api/knowledge/export?format=markdown").await.expect(200);
    assert_eq!(answer.header("content-type"), "text/markdown; charset=utf-8");
    service.stop().await.unwrap();
    let told = place.audited("data_export");
    assert_eq!(
        told.last().unwrap()["details"],
        json!({"key": "admin", "format": "markdown", "entries": 7})
    );

    // Into an empty base.
    let other = Place::sqlite();
    fs::write(other.directory().join("knowledge.md"), &answer.body).unwrap();
    let output = run(&other, &["knowledge.md"]);
    assert_eq!(text(&output.stdout), "7 created, 0 updated, 0 unchanged\n");
    assert!(!text(&output.stderr).contains("knowledge.md"), "{}", text(&output.stderr));
    assert_eq!(import(&other, &["knowledge.md"]), "0 created, 0 updated, 7 unchanged\n");
    let service = other.start().await;
    assert_eq!(exported(&service).await, entries);

    // What cannot be seen is there too: rates are counted on.
    let alert = disk_full().label("instance", "node3");
    service.alertmanager().notify(&payload([alert])).await.expect(200);
    let exported = exported(&service).await;
    let pattern = titled(&exported, "DiskFull: timeout");
    assert_eq!(
        (&pattern["occurrences"], &pattern["successRate"], &pattern["meanTimeToResolveMs"]),
        (&json!(3), &json!(1.0 / 3.0), &json!(90_000))
    );
    service.stop().await.unwrap();

    // Back into where it came from it changes nothing.
    fs::write(place.directory().join("knowledge.md"), &answer.body).unwrap();
    assert_eq!(import(place, &["knowledge.md"]), "0 created, 0 updated, 7 unchanged\n");
}

async fn an_import_beside_the_service_is_soon_seen(place: &Place) {
    let service = place.start().await;
    let gap = service.operator().ask("nobody in charge").await["gap"]["id"].take();
    service.alertmanager().notify(&payload([disk_full()])).await.expect(200);
    books(place);
    assert_eq!(import(place, &["books"]), "3 created, 0 updated, 0 unchanged\n");
    eventually("the runbooks are seen", async || {
        let page = service.summary().await;
        let seen = page["stats"]["byCategory"]["runbook"] == 3;
        (seen && page["stats"]["openQuestions"] == 0).then_some(())
    })
    .await;
    linked(&service).await;
    let exported = exported(&service).await;
    let runbook = titled(&exported, "Nobody is in charge of the cluster");
    assert_eq!(runbook["provenance"]["derivedFrom"], json!(["LeaderMissing.md", gap]));
}

/// What was removed is not told by any entry's time of change; nor is an entry that is imported as
/// old as it was exported.
#[tokio::test]
async fn what_is_pruned_beside_the_service_is_seen_too() {
    let place = Place::sqlite();
    let books = books(&place);
    import(&place, &["books"]);
    let service = place.start().await;
    let found = async || {
        let titles = service.operator().titles(&json!({"query": "DiskFull"})).await;
        titles.contains(&"A disk is full".to_owned())
    };
    assert!(found().await);
    let old = "---\nid: \"kb-old\"\ntitle: \"Of old\"\ncategory: \"optimization\"\n\
        severity: \"low\"\nfirstSeen: \"2020-01-01T00:00:00.000Z\"\n\
        lastUpdated: \"2020-01-01T00:00:00.000Z\"\noccurrences: 1\n---\n\n## Description\n\nx\n";
    fs::write(place.directory().join("old.md"), old).unwrap();
    assert_eq!(import(&place, &["old.md"]), "1 created, 0 updated, 0 unchanged\n");
    fs::remove_file(books.join("storage/DiskFull.md")).unwrap();
    import(&place, &["--prune", "books"]);
    eventually("the runbook is gone", async || (!found().await).then_some(())).await;
    assert_eq!(titled(&exported(&service).await, "Of old")["lastUpdated"], 1_577_836_800_000_i64);
}

#[tokio::test]
async fn what_is_odd_is_imported_with_a_warning_that_names_the_file() {
    let place = Place::sqlite();
    let books = place.directory().join("books");
    fs::create_dir_all(books.join("copies")).unwrap();
    for (name, content) in [
        ("BadYaml.md", &b"---\ntitle: Bad: yaml\n\t- [\n---\n## Fix\nOne.\n"[..]),
        ("OpenFence.md", b"## Diagnosis\n```sh\nls\n\n## Fix\nTwo.\n"),
        ("NotUtf8.md", b"## Fix\nThr\xe9e.\n"),
        ("copies/BadYaml.md", b"## Fix\nFour.\n"),
        ("Notes.txt", b"no runbook"),
        (".hidden.md", b"no runbook either"),
    ] {
        fs::write(books.join(name), content).unwrap();
    }
    let output = run(&place, &["books"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "3 created, 0 updated, 0 unchanged, 4 warnings\n");
    let warnings = text(&output.stderr);
    for warning in [
        "BadYaml.md: the front matter is no YAML",
        "OpenFence.md: a code fence is not closed",
        "NotUtf8.md: is not UTF-8 throughout",
        "copies/BadYaml.md: another file is for the same alert",
    ] {
        assert!(warnings.contains(warning), "{warning}: {warnings}");
    }
    let entries = start_and_export(&place).await;
    assert_eq!(titled(&entries, "Bad: yaml")["solution"], "One.");
    assert_eq!(titled(&entries, "OpenFence")["solution"], "Two.");
    assert_eq!(titled(&entries, "NotUtf8")["solution"], "Thr\u{fffd}e.");
}

#[test]
fn files_of_one_name_in_two_folders_are_told() {
    let place = Place::sqlite();
    for (folder, words) in [("one", "One."), ("two", "Two.")] {
        fs::create_dir(place.directory().join(folder)).unwrap();
        let path = place.directory().join(folder).join("DiskFull.md");
        fs::write(path, format!("## Fix\n{words}\n")).unwrap();
    }
    let output = run(&place, &["one", "two", "one/DiskFull.md"]);
    assert_eq!(text(&output.stdout), "1 created, 0 updated, 0 unchanged, 1 warnings\n");
    let warnings = text(&output.stderr);
    assert!(warnings.contains("DiskFull.md: another file is for the same alert"), "{warnings}");
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_told_and_the_rest_imported() {
    let place = Place::sqlite();
    let books = books(&place);
    symlink("nowhere", books.join("Dangling.md")).unwrap();
    let output = run(&place, &["books"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "3 created, 0 updated, 0 unchanged, 1 unreadable\n");
    assert!(text(&output.stderr).contains("Dangling.md: cannot be read"));
    assert_eq!(start_and_export(&place).await.len(), 3);
    // What could not be read is not gone.
    fs::remove_file(books.join("LeaderMissing.md")).unwrap();
    symlink("nowhere", books.join("LeaderMissing.md")).unwrap();
    assert_eq!(run(&place, &["--prune", "books"]).status.code(), Some(1));
    assert_eq!(start_and_export(&place).await.len(), 3);
}

#[tokio::test]
async fn prune_takes_folders_with_runbooks_only() {
    let place = Place::sqlite();
    books(&place);
    fs::create_dir(place.directory().join("empty")).unwrap();
    import(&place, &["books"]);
    for arguments in [
        &["--prune", "books/LeaderMissing.md"][..],
        &["--prune", "books", "books/LeaderMissing.md"],
        &["--prune", "empty"],
    ] {
        let output = run(&place, arguments);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), ""), "{arguments:?}");
        assert!(text(&output.stderr).contains("--prune takes folders"));
    }
    assert_eq!(run(&place, &["no-such-folder"]).status.code(), Some(1));
    assert_eq!(run(&place, &[]).status.code(), Some(64));
    assert_eq!(start_and_export(&place).await.len(), 3);
}
