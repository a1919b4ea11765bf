//! What the audit log keeps, through hostile values, torn lines, rotation and failing disks.

use std::os::unix::fs::symlink;

use prometheus::Opts;
use serde_json::json;

use super::*;
use crate::model::ManualClock;

struct Fixture {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    counters: AuditCounters,
}

impl Fixture {
    fn new() -> Self {
        let start = Time::parse("2026-03-01T02:03:04.005Z").unwrap();
        let events = IntCounterVec::new(Opts::new("events", "e"), &["event"]).unwrap();
        let write_failures = IntCounter::new("failures", "f").unwrap();
        Self {
            folder: tempfile::tempdir().unwrap(),
            clock: Arc::new(ManualClock::new(start)),
            counters: AuditCounters { events, write_failures },
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("logs/security.jsonl")
    }

    fn open(&self) -> AuditLog {
        AuditLog::open(self.path(), self.clock.clone(), self.counters.clone()).unwrap()
    }

    fn lines(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path()).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'), "{text}");
        text.lines().map(|line| serde_json::from_str(line).unwrap_or(json!(line))).collect()
    }

    fn mode(&self) -> u32 {
        fs::metadata(self.path()).unwrap().permissions().mode() & 0o7777
    }
}

fn record(log: &AuditLog, details: Value) {
    log.record(Event::AuthFailure, AuditContext::default(), details);
}

#[test]
fn an_event_is_one_line_with_the_names_of_the_contract() {
    let fixture = Fixture::new();
    let log = fixture.open();
    let client_ip = Some("192.0.2.7".parse().unwrap());
    let context = AuditContext { request_id: Some("r-1"), client_ip };
    log.record(Event::RoleDenied, context, json!({"key": "ops"}));
    record(&log, json!({}));
    let expected = [
        json!({
            "timestamp": "2026-03-01T02:03:04.005Z", "event": "role_denied", "requestId": "r-1",
            "clientIp": "192.0.2.7", "details": {"key": "ops"},
        }),
        json!({
            "timestamp": "2026-03-01T02:03:04.005Z", "event": "auth_failure", "requestId": null,
            "clientIp": null, "details": {},
        }),
    ];
    assert_eq!(fixture.lines(), expected);
    assert_eq!(fixture.counters.events.with_label_values(&["role_denied"]).get(), 1);
    assert_eq!(fixture.counters.write_failures.get(), 0);
}

#[test]
fn the_file_is_its_owners_alone_from_the_start() {
    let fixture = Fixture::new();
    fixture.open();
    assert_eq!(fixture.mode(), 0o600);
}

#[test]
fn a_file_open_to_others_is_taken_from_them_and_kept() {
    let fixture = Fixture::new();
    record(&fixture.open(), json!(1));
    fs::set_permissions(fixture.path(), Permissions::from_mode(0o644)).unwrap();
    record(&fixture.open(), json!(2));
    assert_eq!(fixture.mode(), 0o600);
    assert_eq!(fixture.lines().len(), 2);
}

#[test]
fn a_line_torn_by_a_power_cut_spoils_no_other() {
    let fixture = Fixture::new();
    drop(fixture.open());
    fs::write(fixture.path(), "{\"event\":\"star").unwrap();
    let log = fixture.open();
    record(&log, json!("a"));
    record(&log, json!("b"));
    let lines = fixture.lines();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0], json!("{\"event\":\"star"));
    assert_eq!((&lines[1]["details"], &lines[2]["details"]), (&json!("a"), &json!("b")));
}

#[test]
fn after_rotation_the_new_file_is_written() {
    let fixture = Fixture::new();
    let log = fixture.open();
    record(&log, json!("old"));
    fs::rename(fixture.path(), fixture.path().with_extension("1")).unwrap();
    log.reopen().unwrap();
    record(&log, json!("new"));
    assert_eq!(fixture.lines().len(), 1);
    assert_eq!(fixture.lines()[0]["details"], json!("new"));
    assert_eq!(fixture.mode(), 0o600);
}

#[test]
fn a_failed_reopening_keeps_the_open_file() {
    let fixture = Fixture::new();
    let log = fixture.open();
    let moved = fixture.path().with_extension("1");
    fs::rename(fixture.path(), &moved).unwrap();
    fs::create_dir(fixture.path()).unwrap();
    assert!(log.reopen().is_err());
    record(&log, json!("kept"));
    assert!(fs::read_to_string(moved).unwrap().contains("kept"));
}

#[test]
fn a_full_disk_is_counted_and_left_as_soon_as_there_is_room() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.path().parent().unwrap()).unwrap();
    symlink("/dev/full", fixture.path()).unwrap();
    let log = fixture.open();
    record(&log, json!(1));
    record(&log, json!(2));
    assert_eq!(fixture.counters.write_failures.get(), 2);
    fs::remove_file(fixture.path()).unwrap();
    fs::write(fixture.path(), "torn").unwrap();
    record(&log, json!(3));
    assert_eq!(fixture.counters.write_failures.get(), 2);
    assert_eq!(fixture.counters.events.with_label_values(&["auth_failure"]).get(), 3);
    assert_eq!((&fixture.lines()[0], &fixture.lines()[1]["details"]), (&json!("torn"), &json!(3)));
    log.sync().unwrap();
}

/// How many lines of the log say that the audit log cannot be written.
fn complaints(failing: impl FnOnce()) -> usize {
    let written = Arc::new(Mutex::new(Vec::new()));
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || Shared(writer.clone()))
        .finish();
    tracing::subscriber::with_default(subscriber, failing);
    let text = String::from_utf8(written.lock().clone()).unwrap();
    text.lines().filter(|line| line.contains("the audit log cannot be written")).count()
}

struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_failing_disk_is_complained_about_once_a_minute() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.path().parent().unwrap()).unwrap();
    symlink("/dev/full", fixture.path()).unwrap();
    let log = fixture.open();
    let count = complaints(|| {
        for _ in 0..4 {
            (0..10).for_each(|n| record(&log, json!(n)));
            fixture.clock.advance_millis(30_000);
        }
    });
    assert_eq!(count, 2);
    assert_eq!(fixture.counters.write_failures.get(), 40);
}

#[test]
fn what_cannot_be_opened_says_so() {
    let fixture = Fixture::new();
    let folder = fixture.folder.path();
    assert!(AuditLog::open(folder, fixture.clock.clone(), fixture.counters.clone()).is_err());
}

#[test]
fn lines_of_many_threads_do_not_mix() {
    let fixture = Fixture::new();
    let log = fixture.open();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let log = &log;
            scope.spawn(move || (0..50).for_each(|n| record(log, json!([thread, n]))));
        }
    });
    let lines = fixture.lines();
    assert_eq!(lines.len(), 200);
    assert!(lines.iter().all(|line| line["event"] == "auth_failure"));
}

#[test]
fn each_event_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<_> = Event::ALL.map(Event::as_str).into();
    assert_eq!(names.len(), Event::ALL.len());
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]
    #[test]
    fn no_value_of_a_client_breaks_the_line(id: String, value in "(?s).{0,40}", name: String) {
        let fixture = Fixture::new();
        let log = fixture.open();
        let details = json!({"value": value, "map": {name: "\n{\"event\":\"forged\"}\r\n"}});
        let context = AuditContext { request_id: Some(&id), client_ip: None };
        log.record(Event::ValidationFailure, context, details.clone());
        let lines = fixture.lines();
        proptest::prop_assert_eq!(lines.len(), 1);
        proptest::prop_assert_eq!(&lines[0]["requestId"], &json!(id));
        proptest::prop_assert_eq!(&lines[0]["details"], &details);
    }
}
