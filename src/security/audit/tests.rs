//! What the audit log keeps, through hostile values, torn lines, rotation and failing disks.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
};

use prometheus::Opts;
use serde_json::json;

use super::{fold::MAX_IN_ALL, *};
use crate::model::{ManualClock, Time};

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

/// An event that does not fold.
fn record(log: &AuditLog, details: Value) {
    log.record(Event::KnowledgeChanged, AuditContext::default(), details);
}

/// One that does, of this client.
fn refuse(log: &AuditLog, client: &str, reason: &str) {
    let client_ip = Some(client.parse().unwrap());
    let context = AuditContext { request_id: Some("r"), client_ip };
    log.record(Event::AuthFailure, context, json!({ "reason": reason }));
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
            "timestamp": "2026-03-01T02:03:04.005Z", "event": "knowledge_changed", "requestId": null,
            "clientIp": null, "details": {},
        }),
    ];
    log.sync().unwrap();
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
    log.sync().unwrap();
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
    log.sync().unwrap();
    fs::rename(fixture.path(), fixture.path().with_extension("1")).unwrap();
    log.reopen().unwrap();
    record(&log, json!("new"));
    log.sync().unwrap();
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
    log.sync().unwrap();
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
    assert_eq!(log.sync().unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(fixture.counters.write_failures.get(), 2);
    fs::remove_file(fixture.path()).unwrap();
    fs::write(fixture.path(), "torn").unwrap();
    record(&log, json!(3));
    log.sync().unwrap();
    assert_eq!(fixture.counters.write_failures.get(), 2);
    assert_eq!(fixture.counters.events.with_label_values(&["knowledge_changed"]).get(), 3);
    assert_eq!((&fixture.lines()[0], &fixture.lines()[1]["details"]), (&json!("torn"), &json!(3)));
}

#[tokio::test]
async fn what_asks_for_proof_hears_whether_it_was_written() {
    let fixture = Fixture::new();
    let export = async |log: &AuditLog| {
        log.record_confirmed(Event::DataExport, AuditContext::default(), json!({})).await
    };
    export(&fixture.open()).await.unwrap();
    assert_eq!(fixture.lines()[0]["event"], "data_export");
    fs::remove_file(fixture.path()).unwrap();
    symlink("/dev/full", fixture.path()).unwrap();
    export(&fixture.open()).await.unwrap_err();
    assert_eq!(fixture.counters.write_failures.get(), 1);
}

#[test]
fn equal_events_of_one_client_within_a_minute_are_one_line_with_a_count() {
    let fixture = Fixture::new();
    let log = fixture.open();
    for _ in 0..50 {
        refuse(&log, "192.0.2.1", "unknown");
        fixture.clock.advance_millis(10);
    }
    refuse(&log, "192.0.2.1", "expired");
    refuse(&log, "192.0.2.2", "unknown");
    log.sync().unwrap();
    // The first of each is there at once.
    assert_eq!(fixture.lines().len(), 3);
    fixture.clock.advance_millis(60_000);
    while fixture.lines().len() < 4 {
        log.sync().unwrap();
    }
    let folded = &fixture.lines()[3];
    assert_eq!((&folded["count"], &folded["clientIp"]), (&json!(49), &json!("192.0.2.1")));
    assert_eq!(folded["details"], json!({"reason": "unknown"}));
    assert_eq!(folded["timestamp"], "2026-03-01T02:03:04.495Z");
    // The next minute begins anew.
    refuse(&log, "192.0.2.1", "unknown");
    log.sync().unwrap();
    assert_eq!(fixture.lines()[4].get("count"), None);
    assert_eq!(fixture.counters.events.with_label_values(&["auth_failure"]).get(), 53);
}

/// Of all lines, how many events they stand for.
fn counted(lines: &[Value]) -> u64 {
    lines.iter().map(|line| line.get("count").map_or(1, |count| count.as_u64().unwrap())).sum()
}

#[test]
fn neither_many_details_nor_many_clients_make_many_lines_and_each_event_counts() {
    let fixture = Fixture::new();
    let log = fixture.open();
    (0..1000).for_each(|n| refuse(&log, "192.0.2.1", &n.to_string()));
    log.sync().unwrap();
    assert!(fixture.lines().len() <= 8, "{}", fixture.lines().len());
    for n in 0..10_000_u32 {
        // All of 198.18.0.0/15, and addresses of one IPv6 network.
        refuse(&log, &std::net::Ipv4Addr::from(0xC612_0000 + n).to_string(), "unknown");
        refuse(&log, &format!("2001:db8::{n:x}"), "unknown");
    }
    drop(log);
    let lines = fixture.lines();
    assert!(lines.len() <= MAX_IN_ALL * 2 + 2, "{}", lines.len());
    assert_eq!(counted(&lines), 21_000);
    let network = lines
        .iter()
        .filter(|line| line["clientIp"].as_str().is_some_and(|ip| ip.starts_with("2001:")));
    let network: Vec<Value> = network.cloned().collect();
    assert_eq!((network.len(), counted(&network)), (2, 10_000));
    assert!(lines.iter().any(|line| line["clientIp"].is_null()), "of all clients");
}

#[test]
fn the_end_is_the_last_line_and_what_folded_comes_before_it() {
    let fixture = Fixture::new();
    let log = fixture.open();
    (0..3).for_each(|_| refuse(&log, "192.0.2.1", "unknown"));
    log.record(Event::Shutdown, AuditContext::default(), json!({}));
    log.sync().unwrap();
    let lines = fixture.lines();
    assert_eq!((lines.len(), &lines[1]["count"]), (3, &json!(2)));
    assert_eq!(lines[2]["event"], "shutdown");
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
    log.sync().unwrap();
    let lines = fixture.lines();
    assert_eq!(lines.len(), 200);
    assert!(lines.iter().all(|line| line["event"] == "knowledge_changed"));
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]
    #[test]
    fn no_value_of_a_client_breaks_the_line(id: String, value in "(?s).{0,400}", name: String) {
        let fixture = Fixture::new();
        let log = fixture.open();
        let details = json!({"value": value, "map": {name: "\n{\"event\":\"forged\"}\r\n\u{202e}"}});
        let context = AuditContext { request_id: Some(&id), client_ip: None };
        log.record(Event::ValidationFailure, context, details);
        drop(log);
        let text = fs::read_to_string(fixture.path()).unwrap();
        proptest::prop_assert_eq!(text.lines().count(), 1);
        proptest::prop_assert!(text.len() < 16_000, "{}", text.len());
        let harmful = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        proptest::prop_assert!(!text.contains(harmful));
        let shown = fixture.lines()[0]["details"]["value"].as_str().unwrap().to_owned();
        proptest::prop_assert!(!shown.contains(harmful));
    }
}
