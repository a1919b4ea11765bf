//! Days are summed up and old data is deleted, once a local day.

use std::sync::Arc;

use orchestrator::{
    history::{ProgressListener, RetentionTask},
    model::{Clock, Consolidation, ManualClock, ReceivedAlert, Time},
    security::AuditLog,
    shutdown::Phase,
    telemetry::Metrics,
};

use crate::harness::{
    Place, on_each_store,
    world::{World, utc},
};

on_each_store![
    a_day_is_summed_up_when_it_has_ended_and_not_before,
    a_day_that_is_summed_up_again_gives_the_same_document,
    a_clock_that_jumps_ten_years_ahead_deletes_nothing,
    days_missed_while_the_service_was_off_are_summed_up_at_the_start,
    days_of_23_and_of_25_hours_are_whole_days,
    alerts_live_48_hours_after_their_last_receipt_and_samples_90_days,
    nothing_is_deleted_before_its_day_has_ended,
    alerts_deleted_while_firing_fire_no_longer_in_store_and_memory,
    a_preview_tells_what_a_run_would_do_and_changes_nothing,
    of_several_replicas_one_runs,
    a_run_by_hand_is_refused_while_another_runs,
    a_run_can_be_stopped_between_batches_and_the_next_one_goes_on,
    a_run_that_is_stopped_sums_up_no_more_days_and_the_next_one_goes_on,
    the_running_service_tells_metrics_and_audit_log_of_a_run,
];

/// Midnight in Berlin is 23:00 UTC in winter; a run waits half a minute for what is on its way.
async fn a_day_is_summed_up_when_it_has_ended_and_not_before(place: &Place) {
    let world = World::at("2026-11-23T12:00:00Z", place).await;
    assert_eq!(world.retain().await.unwrap().consolidated, Vec::<String>::new(), "the first start");
    world.receive(vec![world.firing("a"), world.firing("b")]).await;
    world.sample("alerts_firing", 2.0).await;
    world.set("2026-11-23T23:00:29Z");
    assert_eq!(world.retain().await, None);
    assert_eq!(world.retention().next_due(), utc("2026-11-23T23:00:30Z"));
    world.set("2026-11-23T23:00:30Z");
    assert_eq!(world.retain().await.unwrap().consolidated, ["2026-11-23"]);
    assert_eq!(world.retain().await, None, "once a day");
    let day = only_day(&world).await;
    assert_eq!((day.alerts.total, day.metrics.total), (2, 1));
    assert_eq!((day.timestamp, day.kb_entries_generated), (utc("2026-11-23T23:00:00Z"), 1));
    assert_eq!(day.alerts.top_issues[0].name, "DiskFull");
    assert_eq!(day.insights[0], "DiskFull fired most: 2 of 2 alerts (100 %).");
}

async fn only_day(world: &World) -> Consolidation {
    let mut days = world.store.consolidations_after(Time::from_millis(0)).await.unwrap();
    assert_eq!(days.len(), 1, "{days:?}");
    days.remove(0)
}

async fn a_day_that_is_summed_up_again_gives_the_same_document(place: &Place) {
    let world = World::at("2026-11-23T12:00:00Z", place).await;
    world.receive(vec![world.firing("a"), world.firing("b")]).await;
    world.set("2026-11-24T00:00:00Z");
    world.retain().await.unwrap();
    let first = only_day(&world).await;
    // Repeats move the last receipts on; a run by hand looks at the day again.
    world
        .receive(vec![ReceivedAlert {
            received_at: utc("2026-11-24T00:00:00Z"),
            ..world.firing("a")
        }])
        .await;
    world.retention().run(&world.phase).await.unwrap();
    assert_eq!(only_day(&world).await, first);
    // Even if the document was lost.
    let other = World::at("2026-11-23T12:00:00Z", place).await;
    other.receive(vec![other.firing("a"), other.firing("b")]).await;
    other.set("2026-11-24T05:00:00Z");
    other.retention().run(&other.phase).await.unwrap();
    assert_eq!(only_day(&other).await, first);
}

async fn a_clock_that_jumps_ten_years_ahead_deletes_nothing(place: &Place) {
    const TEN_YEARS: i64 = 10 * 365 * 86_400_000;
    let world = World::at("2026-11-20T12:00:00Z", place).await;
    world.receive(vec![world.firing("a")]).await;
    let job = world.retention();
    world.set("2026-11-21T12:00:00Z");
    job.run_if_due(&world.phase).await.unwrap().expect("a run");
    world.clock.jump_millis(TEN_YEARS);
    // What is stored meanwhile makes the time no truer.
    world.sample("alerts_firing", 1.0).await;
    assert_eq!(job.run_if_due(&world.phase).await.unwrap(), None);
    assert_eq!(world.alerts().await, 1);
    // Nor does a run by a clock that was wrong stop those that are due.
    world.store.note_retention(world.clock.now()).await.unwrap();
    world.clock.jump_millis(-TEN_YEARS);
    world.set("2026-11-23T12:00:00Z");
    let report = job.run_if_due(&world.phase).await.unwrap().expect("a run");
    assert_eq!((report.alerts, world.alerts().await), (1, 0));
}

async fn days_missed_while_the_service_was_off_are_summed_up_at_the_start(place: &Place) {
    let world = World::at("2026-11-20T12:00:00Z", place).await;
    world.receive(vec![world.firing("a")]).await;
    world.set("2026-11-22T12:00:00Z");
    world.receive(vec![world.firing("b")]).await;
    world.set("2026-11-24T12:00:00Z");
    let report = world.retain().await.unwrap();
    // Nothing is known of the 21st and the 23rd.
    assert_eq!(report.consolidated, ["2026-11-20", "2026-11-22"]);
    // What was received more than 48 hours ago was summed up before it was deleted.
    assert_eq!((report.alerts, world.alerts().await), (1, 1));
    assert_eq!(world.retain().await, None);
    assert_eq!(world.days().await, ["2026-11-20", "2026-11-22"]);
}

async fn days_of_23_and_of_25_hours_are_whole_days(place: &Place) {
    for (before, day, begins, last, ends) in [
        (
            "2026-03-28T12:00:00Z",
            "2026-03-29",
            "2026-03-28T23:00:00Z",
            "2026-03-29T21:59:59Z",
            "2026-03-29T22:00:00Z",
        ),
        (
            "2026-10-24T12:00:00Z",
            "2026-10-25",
            "2026-10-24T22:00:00Z",
            "2026-10-25T22:59:59Z",
            "2026-10-25T23:00:00Z",
        ),
    ] {
        let world = World::at(before, place).await;
        world.receive(vec![world.firing("the day before")]).await;
        for (n, at) in [begins, last, ends].into_iter().enumerate() {
            world.set(at);
            world.receive(vec![world.firing(&n.to_string())]).await;
        }
        world.clock.advance_millis(30_000);
        let report = world.retain().await.unwrap();
        assert_eq!(report.consolidated.last().unwrap(), day);
        let summed_up = world.store.consolidations_after(utc(begins)).await.unwrap();
        assert_eq!((summed_up[0].alerts.total, summed_up[0].timestamp), (2, utc(ends)), "{day}");
    }
}

async fn alerts_live_48_hours_after_their_last_receipt_and_samples_90_days(place: &Place) {
    let world = World::at("2026-11-20T12:00:00Z", place).await;
    world.receive(vec![world.firing("quiet"), world.firing("long")]).await;
    world.sample("alerts_firing", 2.0).await;
    let long = world.firing("long");
    world.set("2026-11-22T10:00:00Z");
    let now = utc("2026-11-22T10:00:00Z");
    world.receive(vec![ReceivedAlert { received_at: now, ..long }]).await;
    world.set("2026-11-22T12:00:00Z");
    assert_eq!(world.retention().run(&world.phase).await.unwrap().alerts, 0, "48 hours to the ms");
    world.clock.advance_millis(1);
    assert_eq!(world.retention().run(&world.phase).await.unwrap().alerts, 1);
    assert_eq!(world.alerts().await, 1, "what fires for long is not old");
    world.set("2027-02-18T12:00:00Z");
    assert_eq!(world.retention().run(&world.phase).await.unwrap().samples, 0);
    world.clock.advance_millis(1);
    assert_eq!(world.retention().run(&world.phase).await.unwrap().samples, 1);
}

async fn nothing_is_deleted_before_its_day_has_ended(place: &Place) {
    let mut world = World::at("2026-11-23T08:00:00Z", place).await;
    world.settings.alerts_hours = 1;
    world.receive(vec![world.firing("a")]).await;
    world.set("2026-11-23T20:00:00Z");
    let report = world.retention().run(&world.phase).await.unwrap();
    assert_eq!((report.alerts, report.alerts_before), (0, utc("2026-11-22T23:00:00Z")));
    world.set("2026-11-24T08:00:00Z");
    let report = world.retain().await.unwrap();
    assert_eq!((report.alerts, &report.consolidated[..]), (1, &["2026-11-23".to_owned()][..]));
}

async fn alerts_deleted_while_firing_fire_no_longer_in_store_and_memory(place: &Place) {
    let world = World::at("2026-11-20T12:00:00Z", place).await;
    world.receive(vec![world.firing("a"), world.firing("b")]).await;
    let id = orchestrator::model::pattern_id("DiskFull", "");
    world.set("2026-11-24T12:00:00Z");
    world.receive(vec![world.firing("c")]).await;
    assert_eq!(world.retain().await.unwrap().alerts, 2);
    let stored = world.store.load().await.unwrap();
    assert_eq!((stored.entries.len(), stored.figures[&id].firing), (1, 1));
    let known = world.base.entry(&id).await.unwrap();
    assert_eq!((known.firing(), known.occurrences()), (Some(1), 3), "they did occur");
    let summary = world.base.summary().unwrap();
    let summary: serde_json::Value = serde_json::from_slice(&summary.body).unwrap();
    assert_eq!(summary["alerts"]["firing"], 1);
}

async fn a_preview_tells_what_a_run_would_do_and_changes_nothing(place: &Place) {
    let world = World::at("2026-11-20T12:00:00Z", place).await;
    world.receive(vec![world.firing("a")]).await;
    world.set("2026-11-24T12:00:00Z");
    let preview = world.retention().preview().await.unwrap();
    assert_eq!((preview.alerts, preview.consolidated.len()), (1, 4), "days that may be summed up");
    assert_eq!((world.alerts().await, world.days().await.len()), (1, 0));
    assert!(world.retention().is_due().await.unwrap());
}

async fn of_several_replicas_one_runs(place: &Place) {
    let world = World::at("2026-11-20T12:00:00Z", place).await;
    world.receive(vec![world.firing("a")]).await;
    world.set("2026-11-24T12:00:00Z");
    let jobs: Vec<_> = (0..4).map(|_| world.retention()).collect();
    let runs = jobs.iter().map(|job| job.run_if_due(&world.phase));
    let reports = futures::future::try_join_all(runs).await.unwrap();
    assert_eq!(reports.iter().flatten().count(), 1, "{reports:?}");
    // A replica that comes later finds it done.
    assert_eq!(world.retain().await, None);
}

async fn a_run_by_hand_is_refused_while_another_runs(place: &Place) {
    let world = World::at("2026-11-20T12:00:00Z", place).await;
    let minute = std::time::Duration::from_secs(60);
    assert!(world.store.acquire_lease("retention", "other", minute).await.unwrap().is_some());
    let refused = world.retention().run(&world.phase).await.unwrap_err();
    assert_eq!(refused.to_string(), "another process runs retention now");
    assert_eq!(world.retain().await, None);
}

/// Drains the phase after the first batch.
struct Impatient(Phase);

impl ProgressListener for Impatient {
    fn alerts_expired(&self, _: u64) {
        self.0.drain();
    }
}

async fn a_run_can_be_stopped_between_batches_and_the_next_one_goes_on(place: &Place) {
    let world = World::at("2026-11-20T12:00:00Z", place).await;
    world.receive((0..400).map(|n| world.firing(&n.to_string())).collect()).await;
    world.set("2026-11-24T12:00:00Z");
    let impatient = Arc::new(Impatient(Phase::default()));
    let stop = impatient.0.clone();
    let report = world.retention_with(impatient).run_if_due(&stop).await.unwrap().unwrap();
    assert!(report.stopped && report.alerts < 400, "{report:?}");
    assert_eq!(world.alerts().await, 400 - report.alerts);
    let rest = world.retain().await.unwrap();
    assert_eq!((rest.alerts, rest.stopped), (400 - report.alerts, false));
}

async fn a_run_that_is_stopped_sums_up_no_more_days_and_the_next_one_goes_on(place: &Place) {
    let world = World::at("2026-11-20T12:00:00Z", place).await;
    world.receive(vec![world.firing("a")]).await;
    world.set("2026-11-24T12:00:00Z");
    let stop = Phase::default();
    stop.drain();
    let report = world.retention().run(&stop).await.unwrap();
    assert!(report.stopped, "{report:?}");
    assert_eq!((report.consolidated, world.alerts().await), (Vec::new(), 1));
    let rest = world.retain().await.unwrap();
    assert_eq!((rest.consolidated, rest.alerts), (vec!["2026-11-20".to_owned()], 1));
}

async fn the_running_service_tells_metrics_and_audit_log_of_a_run(place: &Place) {
    let world = World::at("2026-11-20T12:00:00Z", place).await;
    world.receive(vec![world.firing("a")]).await;
    world.set("2026-11-24T12:00:00Z");
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("security.jsonl");
    let metrics = Arc::new(Metrics::new().unwrap());
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&world.clock);
    let audit = AuditLog::open(&log, Arc::clone(&clock), metrics.audit_counters()).unwrap();
    let task = RetentionTask::new(
        Arc::clone(&world.store),
        world.base.clone(),
        clock,
        Arc::clone(&metrics),
        Arc::new(audit),
        world.settings,
    );
    let phase = world.phase.clone();
    let running = tokio::spawn(async move { task.run(&phase).await });
    let line = crate::harness::eventually("the run is audited", async || {
        let text = std::fs::read_to_string(&log).ok()?;
        serde_json::from_str::<serde_json::Value>(text.lines().next()?).ok()
    })
    .await;
    world.phase.drain();
    running.await.unwrap();
    assert_eq!(line["event"], "retention_run");
    assert_eq!(
        (&line["details"]["alerts"], &line["details"]["by"]),
        (&1.into(), &"schedule".into())
    );
    let deleted = metrics.retention_deleted_total.with_label_values(&["alerts"]).get();
    assert_eq!(deleted, 1);
    let last = metrics.retention_last_success_timestamp_seconds.get();
    assert_eq!(last, utc("2026-11-24T12:00:00Z").millis() / 1000);
}
