//! How SQLite goes about what may be asked of millions of rows: by an index, every time.

use std::{collections::HashSet, path::Path, sync::mpsc};

use rusqlite::{
    Connection, OpenFlags, StatementStatus,
    trace::{TraceEvent, TraceEventCodes},
};

use super::{
    alerts, connection::connect, embeddings, export, figures, functions, history, listing,
    retention, series,
};
use crate::{
    model::{Collection, ReceivedAlert, Severity, Status, TextMap, Time},
    store::{
        AlertFilter, Buckets, ExpiryBatch, ListPosition,
        migrate::{Migration, migrations},
        recording::AssignedAlert,
    },
};

const MIGRATIONS: &[Migration] = migrations!("sqlite", ".sql");

/// A database with its schema, and the statements that run on it from now on.
fn traced() -> (Connection, mpsc::Receiver<String>) {
    let memory = Path::new(":memory:");
    let mut connection = connect(memory, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    functions::register(&connection).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE system_state (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)",
        )
        .unwrap();
    for migration in MIGRATIONS {
        connection.execute_batch(migration.script).unwrap();
    }
    let (ran, statements) = mpsc::channel();
    let note = move |event: TraceEvent<'_>| {
        if let TraceEvent::Stmt(_, sql) = event {
            ran.send(sql.to_owned()).unwrap();
        }
    };
    connection.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(note)).unwrap();
    (connection, statements)
}

/// What reads a table or an index from end to end; what a subquery found is neither.
fn scans(connection: &Connection, sql: &str) -> Vec<String> {
    let whole = |step: &String| step.starts_with("SCAN") && !step.starts_with("SCAN (subquery");
    steps(connection, sql).into_iter().filter(whole).collect()
}

/// How often a statement is prepared again because its parameters are others.
fn prepared_again(connection: &Connection, sql: &str) -> i32 {
    let mut statement = connection.prepare(sql).unwrap();
    for value in 1..4 {
        for place in 1..=statement.parameter_count() {
            statement.raw_bind_parameter(place, value).unwrap();
        }
        let mut rows = statement.raw_query();
        while rows.next().unwrap().is_some() {}
    }
    statement.get_status(StatementStatus::RePrepare)
}

/// How SQLite goes about a statement.
fn steps(connection: &Connection, sql: &str) -> Vec<String> {
    let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    for place in 1..=plan.parameter_count() {
        plan.raw_bind_parameter(place, 1).unwrap();
    }
    let mut rows = plan.raw_query();
    let mut steps = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        steps.push(row.get("detail").unwrap());
    }
    steps
}

#[test]
fn history_and_retention_read_no_collection_whole() {
    let (mut connection, statements) = traced();
    let (from, until) = (Time::from_millis(1), Time::from_millis(2));
    history::received_since(&connection, from).unwrap();
    figures::of(&connection, &["kb".to_owned()]).unwrap();
    embeddings::of(&connection, &["hash".to_owned()], until).unwrap();
    history::firing_alerts(&connection).unwrap();
    alerts::firing_of(&connection, &[("kb".to_owned(), 5)]).unwrap();
    history::sample_counts(&connection, from, until).unwrap();
    history::received_counts(&connection, from, until).unwrap();
    history::counts_of(&connection, "Disk", from, until).unwrap();
    history::issues(&connection, from, until).unwrap();
    history::sample_days(&connection, from, until).unwrap();
    history::consolidations_after(&connection, from).unwrap();
    history::history_start(&connection).unwrap();
    history::newest_data(&connection, from).unwrap();
    series::samples(&connection, "alerts_firing", from, until, 10).unwrap();
    let wanted = Buckets { from, until, width_ms: 1, offset_ms: 0 };
    series::buckets(&connection, "alerts_firing", wanted).unwrap();
    series::alerts(&connection, "Disk", wanted, 10).unwrap();
    retention::expired_counts(&connection, until, until).unwrap();
    let tx = connection.transaction().unwrap();
    let batch = ExpiryBatch { before: until, limit: 10, now: until };
    retention::expire_alerts(&tx, batch).unwrap();
    retention::forget_alerts(&tx, until, 10).unwrap();
    embeddings::mark(&tx, &["hash".to_owned()], until).unwrap();
    embeddings::keep(&tx, &[], until).unwrap();
    retention::expire_samples(&tx, until, 10).unwrap();
    tx.commit().unwrap();
    let statements: Vec<String> = statements.try_iter().collect();
    let asked =
        statements.iter().filter(|sql| !["BEGIN", "COMMIT"].iter().any(|s| sql.starts_with(s)));
    let mut count = 0;
    for sql in asked {
        count += 1;
        assert_eq!(scans(&connection, sql), Vec::<String>::new(), "{sql}");
        assert_eq!(prepared_again(&connection, sql), 0, "{sql}");
    }
    assert!(count >= 15, "{statements:#?}");
    assert_eq!(
        scans(&connection, "SELECT value FROM metrics"),
        ["SCAN metrics USING COVERING INDEX metrics_series"]
    );
}

fn received(fingerprint: &str, status: Status) -> AssignedAlert {
    let alert = ReceivedAlert {
        fingerprint: fingerprint.to_owned(),
        starts_at: (status == Status::Firing).then_some(Time::EPOCH),
        ends_at: None,
        status,
        name: "Disk".to_owned(),
        cause: None,
        severity: "warning".to_owned(),
        entry_severity: Severity::Medium,
        message: "Full".to_owned(),
        labels: TextMap::default(),
        annotations: TextMap::default(),
        generator_url: None,
        receiver: None,
        received_at: Time::EPOCH,
    };
    AssignedAlert { alert, entry_id: "kb".to_owned() }
}

/// What is written is looked at, too, once for each alert.
#[test]
fn a_statement_is_prepared_once_whatever_its_parameters_are() {
    let (mut connection, statements) = traced();
    let tx = connection.transaction().unwrap();
    for status in [Status::Firing, Status::Firing, Status::Resolved] {
        let fold = alerts::decide(&tx, &[received("a", status)]).unwrap();
        alerts::write(&tx, &fold.writes).unwrap();
    }
    tx.commit().unwrap();
    let statements: HashSet<String> = statements.try_iter().collect();
    for beginning in ["SELECT", "INSERT", "UPDATE"] {
        let own: Vec<_> = statements.iter().filter(|sql| sql.starts_with(beginning)).collect();
        assert!(!own.is_empty(), "{beginning}: {statements:#?}");
        for sql in own {
            assert_eq!(prepared_again(&connection, sql), 0, "{sql}");
        }
    }
}

/// Every way to ask for a list of alerts.
fn filters() -> Vec<AlertFilter> {
    let texts = || [None, Some("x".to_owned())];
    let mut filters = Vec::new();
    for status in [None, Some(Status::Firing)] {
        for name in texts() {
            for severity in texts() {
                for fingerprint in texts() {
                    for at in [None, Some(Time::from_millis(1))] {
                        filters.push(AlertFilter {
                            status,
                            name: name.clone(),
                            severity: severity.clone(),
                            fingerprint: fingerprint.clone(),
                            from: at,
                            until: at.map(|at| at.plus_millis(9)),
                            labels: Vec::new(),
                        });
                    }
                }
            }
        }
    }
    filters
}

#[test]
fn an_export_holds_nothing_but_the_row_that_it_reads() {
    let (connection, _) = traced();
    let whole = Collection::ALL.map(|collection| (collection, false));
    let of_period = [Collection::Alerts, Collection::Metrics].map(|collection| (collection, true));
    for (collection, within_period) in whole.into_iter().chain(of_period) {
        let sql = export::statement(collection, within_period);
        let steps = steps(&connection, &sql);
        assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{sql}: {steps:#?}");
        if within_period {
            assert_eq!(scans(&connection, &sql), Vec::<String>::new(), "{sql}");
        }
    }
}

#[test]
fn a_list_of_alerts_is_walked_along_an_index_and_sorted_by_nothing_else() {
    let (connection, statements) = traced();
    for filter in filters() {
        let tie = if filter.fingerprint.is_some() { String::new() } else { "7".to_owned() };
        for after in [None, Some(ListPosition { at: Time::from_millis(5), tie })] {
            let page = listing::alerts(&connection, &filter, after.as_ref(), 10).unwrap();
            assert!(page.is_some(), "{filter:?}");
            let sql = statements.try_iter().last().unwrap();
            let steps = steps(&connection, &sql);
            let searched =
                steps.iter().filter(|step| step.starts_with("SEARCH alerts USING INDEX"));
            assert!(searched.count() > 0, "{sql}: {steps:#?}");
            let wrong = |step: &&String| step.contains("TEMP B-TREE") || step.starts_with("SCAN");
            assert_eq!(steps.iter().find(wrong), None, "{sql}: {steps:#?}");
            assert_eq!(prepared_again(&connection, &sql), 0, "{sql}");
        }
    }
}
