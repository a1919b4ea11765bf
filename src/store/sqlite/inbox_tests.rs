//! The inbox shows in nothing that is decided or read: what goes through it is the same in the end
//! as what is written into the table at once.

use std::sync::Arc;

use proptest::prelude::*;
use rusqlite::Connection;

use super::{commit::commit, functions, inbox::Inbox};
use crate::{
    model::{
        Alert, AlertPattern, Category, Entry, EntryText, ReceivedAlert, Severity, Status, TextMap,
        Time,
    },
    store::{
        AssignedAlert, Committed, Group, Pattern,
        migrate::{Migration, migrations},
        recording::Write,
    },
};

const MIGRATIONS: &[Migration] = migrations!("sqlite", ".sql");
const ENTRY: &str = "kb-alert-disk";

/// A database, and what a process holds of it.
struct Process {
    connection: Connection,
    inbox: Inbox,
}

impl Process {
    fn on(path: &str) -> Self {
        let connection = Connection::open(path).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        functions::register(&connection).unwrap();
        Self { connection, inbox: Inbox::default() }
    }

    fn new(path: &str) -> Self {
        let process = Self::on(path);
        process
            .connection
            .execute_batch(
                "CREATE TABLE system_state (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)",
            )
            .unwrap();
        for migration in MIGRATIONS {
            process.connection.execute_batch(migration.script).unwrap();
        }
        process
    }

    fn commit(&mut self, hurry: bool, alerts: &[ReceivedAlert]) -> Committed {
        let tx = self.connection.transaction().unwrap();
        self.inbox.follow(&tx).unwrap();
        let committed = commit(&tx, &mut self.inbox, hurry, &group(alerts)).unwrap();
        tx.commit().unwrap();
        self.inbox.end(true);
        committed
    }

    fn take_back(&mut self, alerts: &[ReceivedAlert]) {
        let tx = self.connection.transaction().unwrap();
        self.inbox.follow(&tx).unwrap();
        commit(&tx, &mut self.inbox, true, &group(alerts)).unwrap();
        self.inbox.settle(&tx).unwrap();
        tx.rollback().unwrap();
        self.inbox.end(false);
    }

    fn settle(&mut self) {
        let tx = self.connection.transaction().unwrap();
        self.inbox.follow(&tx).unwrap();
        self.inbox.settle(&tx).unwrap();
        tx.commit().unwrap();
        self.inbox.end(true);
    }

    /// All that is in the table, and in the counts by hour.
    fn stored(&mut self) -> (Vec<Alert>, i64) {
        self.settle();
        let sql = format!("SELECT {} FROM alerts", super::alerts::COLUMNS);
        let mut select = self.connection.prepare(&sql).unwrap();
        let read =
            |row: &rusqlite::Row<'_>| super::alerts::alert(&mut super::columns::Columns::of(row));
        let mut alerts: Vec<Alert> =
            select.query_map([], read).unwrap().collect::<Result<_, _>>().unwrap();
        alerts.sort_by_key(Alert::key);
        let counted = "SELECT total(alerts) FROM alert_hours";
        let counted: f64 = self.connection.query_row(counted, [], |row| row.get(0)).unwrap();
        (alerts, counted as i64)
    }

    fn waiting(&self) -> i64 {
        let count = "SELECT count(*) FROM alert_inbox";
        self.connection.query_row(count, [], |row| row.get(0)).unwrap()
    }
}

fn group(alerts: &[ReceivedAlert]) -> Group {
    let of = AlertPattern { alertname: "Disk".to_owned(), cause: String::new() };
    let text = EntryText::new("Disk".to_owned(), Category::AlertPattern, Severity::Low);
    let entry = Entry::new(ENTRY.to_owned(), text, Time::from_millis(0));
    let entry = Arc::new(Entry { pattern: Some(Arc::new(of)), ..entry });
    let assign =
        |alert: &ReceivedAlert| AssignedAlert { alert: alert.clone(), entry_id: ENTRY.to_owned() };
    Group {
        patterns: vec![Pattern { entry, known: true }],
        alerts: alerts.iter().map(assign).collect(),
        ..Group::default()
    }
}

fn alert(fingerprint: u8, start: Option<i64>, status: Status, minute: i64) -> ReceivedAlert {
    let at = |minute: i64| Time::from_millis(1_795_000_000_000 + minute * 60_000);
    ReceivedAlert {
        fingerprint: format!("f{fingerprint}"),
        starts_at: start.map(at),
        ends_at: None,
        status,
        name: "Disk".to_owned(),
        cause: None,
        severity: "warning".to_owned(),
        entry_severity: Severity::Low,
        message: "full".to_owned(),
        labels: TextMap::from([("alertname".to_owned(), "Disk".to_owned())]),
        annotations: TextMap::from([("summary".to_owned(), "full".to_owned())]),
        generator_url: None,
        receiver: None,
        received_at: at(minute),
    }
}

/// What happens to a database.
#[derive(Clone, Debug)]
enum Step {
    Receive(Vec<(u8, Option<i64>, bool)>),
    TakenBack(Vec<(u8, Option<i64>, bool)>),
    Quiet,
    Restart,
    Other(Vec<(u8, Option<i64>, bool)>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let alert = (0..4u8, prop::option::weighted(0.8, 0..4i64), any::<bool>());
    let alerts = || prop::collection::vec(alert.clone(), 1..4);
    let step = prop_oneof![
        6 => alerts().prop_map(Step::Receive),
        1 => alerts().prop_map(Step::TakenBack),
        1 => Just(Step::Quiet),
        1 => Just(Step::Restart),
        1 => alerts().prop_map(Step::Other),
    ];
    prop::collection::vec(step, 1..20)
}

fn received(alerts: &[(u8, Option<i64>, bool)], minute: usize) -> Vec<ReceivedAlert> {
    let status = |firing| if firing { Status::Firing } else { Status::Resolved };
    let received = alerts.iter().map(|(f, start, firing)| {
        alert(*f, *start, status(*firing), 10 + i64::try_from(minute).unwrap())
    });
    received.collect()
}

fn decided(mut committed: Committed) -> (Vec<crate::model::Outcome>, Vec<String>) {
    let mut changes: Vec<_> = committed.changes.drain(..).map(|c| format!("{c:?}")).collect();
    changes.sort();
    (committed.outcomes, changes)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_waits_is_decided_upon_and_stored_as_if_it_did_not_wait(steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inbox.db").to_string_lossy().into_owned();
        let mut hurried = Process::new(&path);
        let mut other = Process::on(&path);
        let mut direct = Process::new(":memory:");
        for (minute, step) in steps.iter().enumerate() {
            match step {
                Step::Receive(alerts) => {
                    let alerts = received(alerts, minute);
                    let (one, two) = (hurried.commit(true, &alerts), direct.commit(false, &alerts));
                    prop_assert_eq!(decided(one), decided(two));
                }
                Step::Other(alerts) => {
                    let alerts = received(alerts, minute);
                    let (one, two) = (other.commit(true, &alerts), direct.commit(false, &alerts));
                    prop_assert_eq!(decided(one), decided(two));
                }
                Step::TakenBack(alerts) => hurried.take_back(&received(alerts, minute)),
                Step::Quiet => hurried.settle(),
                Step::Restart => hurried = Process::on(&path),
            }
        }
        prop_assert_eq!(direct.waiting(), 0);
        prop_assert_eq!(hurried.stored(), direct.stored());
    }
}

#[test]
fn groups_that_follow_one_another_wait_until_there_are_many() {
    let mut process = Process::new(":memory:");
    process.commit(true, &[alert(0, Some(0), Status::Firing, 1)]);
    assert_eq!(process.waiting(), 0, "its pattern is new");
    for n in 1..=200 {
        process.commit(true, &[alert(n, Some(0), Status::Firing, 1)]);
        assert_eq!(process.waiting(), i64::from(n), "one row a group");
    }
    let many: Vec<_> = (0..100).map(|n| alert(n, Some(1), Status::Firing, 2)).collect();
    process.commit(true, &many);
    assert_eq!(process.waiting(), 0, "there is no room for so many");
    assert_eq!(process.stored().0.len(), 301);
}

#[test]
fn a_row_keeps_every_value() {
    let mut odd = alert(1, Some(0), Status::Resolved, 1);
    odd.fingerprint = "a\0\"\u{2028}😀\\".to_owned();
    odd.message = "\u{7f}\r\n".to_owned();
    odd.ends_at = Some(Time::parse("9999-12-30T23:59:59.999Z").unwrap());
    odd.starts_at = Some(Time::parse("0001-01-02T00:00:00Z").unwrap());
    odd.labels.insert(String::new(), "\0".to_owned());
    let fold = crate::store::recording::fold(
        Vec::new(),
        &std::collections::HashMap::new(),
        &group(&[odd]).alerts,
    );
    let row = serde_json::to_string(&fold.writes).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Write>>(&row).unwrap(), fold.writes);
}
