//! `export`, `import` and `retention` as scripts see them.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

fn orchestrator(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orchestrator"));
    command.current_dir(folder).env_clear().env("TZ", "Europe/Berlin").args(args).output().unwrap()
}

fn ran(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// An export by hand: a day in November 2020, long over.
fn old_export(samples: usize) -> String {
    let mut lines = vec![format!(
        r#"{{"exportDate":"2020-11-25T10:00:00.000Z","schemaVersion":1,"backend":"mongodb","collections":{{"metrics":{samples},"alerts":1}}}}"#
    )];
    for n in 0..samples {
        lines.push(format!(
            r#"{{"collection":"metrics","document":{{"name":"m","value":{n},"unit":"","timestamp":"2020-11-24T10:00:{n:02}.000Z","labels":{{}}}}}}"#
        ));
    }
    lines.push(r#"{"collection":"alerts","document":{"fingerprint":"f","startsAt":"2020-11-24T10:00:00Z","name":"Disk","severity":"page","status":"firing","message":"m","timestamp":"2020-11-24T10:00:00Z","labels":{},"annotations":{}}}"#.to_owned());
    lines.push(format!(r#"{{"end":true,"documents":{}}}"#, samples + 1));
    lines.join("\n")
}

#[test]
fn an_export_goes_in_is_kept_and_comes_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join("in.ndjson"), old_export(3)).unwrap();
    let text = ran(&orchestrator(path, &["import", "in.ndjson"]));
    assert!(text.starts_with("imported 4 documents of the export of 2020-11-25"), "{text}");

    // Nothing but data on standard output.
    let text = ran(&orchestrator(path, &["export", "--format", "csv", "--collection", "metrics"]));
    assert_eq!(text.lines().count(), 4);
    assert!(text.starts_with("name,value,unit,timestamp,labels"), "{text}");
    assert_eq!(ran(&orchestrator(path, &["export", "--output", "out.ndjson.gz"])), "");
    assert!(!path.join("out.ndjson.gz.part").exists());

    let text = ran(&orchestrator(path, &["retention", "--dry-run"]));
    assert!(text.contains("1 alerts last received before"), "{text}");
    assert!(text.contains("2020-11-24 would be summed up"), "{text}");
    let text = ran(&orchestrator(path, &["retention"]));
    assert!(text.contains("2020-11-24 is summed up\n1 alerts"), "{text}");
    assert!(text.contains("3 samples taken before"), "{text}");
    let text = ran(&orchestrator(path, &["retention"]));
    assert!(text.starts_with("0 alerts"), "{text}");
    let log = fs::read_to_string(path.join("logs/security.jsonl")).unwrap();
    assert_eq!(log.lines().filter(|line| line.contains("retention_run")).count(), 2, "{log}");
    assert_eq!(log.lines().filter(|line| line.contains("data_export")).count(), 2, "{log}");
    for what in ["migration_applied", "data_import"] {
        let told: Vec<_> = log.lines().filter(|line| line.contains(what)).collect();
        assert!(!told.is_empty(), "{what}: {log}");
        assert!(told.iter().all(|line| line.contains(r#""by":"command line""#)), "{told:?}");
    }
    assert!(log.contains(r#""documents":4"#), "{log}");

    // And back.
    ran(&orchestrator(path, &["import", "out.ndjson.gz"]));
    let text =
        ran(&orchestrator(path, &["export", "--format", "ndjson", "--collection", "metrics"]));
    assert!(text.ends_with("{\"end\":true,\"documents\":3}\n"), "{text}");
}

#[test]
fn what_cannot_be_done_is_told_by_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let code = |args: &[&str]| orchestrator(path, args).status.code();
    assert_eq!(code(&["export", "--format", "csv"]), Some(64));
    assert_eq!(code(&["export", "--format", "xml"]), Some(64));
    assert_eq!(code(&["export", "--collection", "users"]), Some(64));
    assert_eq!(code(&["import"]), Some(64));
    assert_eq!(code(&["import", "missing.ndjson"]), Some(1));
    // Of a store that nobody has migrated there is nothing to take out.
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(orchestrator(empty.path(), &["export"]).status.code(), Some(1));
    let whole = old_export(3);
    fs::write(path.join("cut.ndjson"), &whole[..whole.len() / 2]).unwrap();
    let refused = orchestrator(path, &["import", "cut.ndjson"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stdout.is_empty());
    let text =
        ran(&orchestrator(path, &["export", "--format", "ndjson", "--collection", "alerts"]));
    assert!(text.ends_with("{\"end\":true,\"documents\":0}\n"), "{text}");
}
