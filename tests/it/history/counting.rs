//! Counts and series over periods: beyond the life of single alerts, and nothing twice.

use std::sync::Arc;

use orchestrator::{
    history::{Aggregation, HistoryFilter, POINTS_MOST, Point, Sampler},
    model::{Clock, ManualClock, ReceivedAlert, Sample, Status, Time},
    store::Stored,
    telemetry::Metrics,
};

use crate::harness::{
    Place, on_each_store,
    world::{World, utc},
};

on_each_store![
    alerts_are_counted_beyond_their_life_and_each_one_once,
    a_period_longer_than_what_is_kept_begins_with_a_whole_day,
    samples_are_counted_beyond_their_life_too,
    days_that_were_never_summed_up_count_while_they_are_kept,
    a_series_is_given_raw_by_the_hour_and_by_the_local_day,
    a_day_on_which_clocks_change_is_one_point,
    a_series_of_too_many_points_is_cut_to_its_latest,
    the_service_samples_its_own_figures,
];

/// Alerts, samples and consolidations of a period; however alerts are broken down, they are as many.
async fn counted(world: &World, days: u32) -> (u64, u64, u64) {
    let filter = HistoryFilter { breakdown: true, ..HistoryFilter::default() };
    let found = world.totals().of_last(days, filter).await.unwrap();
    let by_severity: u64 = found.alerts_by_severity.values().sum();
    assert_eq!(found.alerts_count, by_severity);
    let by_day = found.alert_days.unwrap();
    assert!(by_day.is_sorted_by_key(|day| day.timestamp));
    assert!(by_day.iter().all(|day| day.total == day.by_severity.values().sum::<u64>()));
    assert_eq!(by_day.iter().map(|day| day.total).sum::<u64>(), found.alerts_count);
    let by_name = found.top_alerts.unwrap();
    assert_eq!(by_name.iter().map(|alert| alert.count).sum::<u64>(), found.alerts_count);
    assert_eq!(found.metrics_count, found.metrics_by_name.values().sum::<u64>());
    (found.alerts_count, found.metrics_count, found.consolidations)
}

async fn alerts_are_counted_beyond_their_life_and_each_one_once(place: &Place) {
    let world = World::at("2026-11-01T12:00:00Z", place).await;
    let mut received = 0;
    for day in 1..=20 {
        world.set(&format!("2026-11-{day:02}T12:00:00Z"));
        world.retain().await;
        // One alert fires all the time and is received every day, the others once.
        let long =
            ReceivedAlert { starts_at: Some(utc("2026-11-01T12:00:00Z")), ..world.firing("long") };
        world.receive(vec![long, world.firing("a"), world.firing("b")]).await;
        received += 2;
        assert_eq!(counted(&world, 30).await.0, received + 1, "on day {day}");
    }
    assert!(world.alerts().await < 10, "single alerts are gone");
    assert_eq!(counted(&world, 30).await, (41, 0, 19));
    // While everything of the period is still there, it counts to the millisecond.
    assert_eq!(counted(&world, 1).await.0, 4, "two at noon yesterday, two now");
    world.clock.advance_millis(1);
    assert_eq!(counted(&world, 1).await.0, 2);
}

async fn a_period_longer_than_what_is_kept_begins_with_a_whole_day(place: &Place) {
    let world = World::at("2026-11-10T06:00:00Z", place).await;
    world.receive(vec![world.firing("before the period")]).await;
    world.set("2026-11-10T18:00:00Z");
    world.receive(vec![world.firing("in the period")]).await;
    world.set("2026-11-15T12:00:00Z");
    world.retain().await.unwrap();
    assert_eq!(counted(&world, 5).await, (2, 0, 1));
    assert_eq!(counted(&world, 4).await, (0, 0, 0));
}

async fn samples_are_counted_beyond_their_life_too(place: &Place) {
    let mut world = World::at("2026-11-01T12:00:00Z", place).await;
    world.settings.metrics_days = 3;
    for day in 1..=10 {
        world.set(&format!("2026-11-{day:02}T12:00:00Z"));
        world.retain().await;
        world.sample("alerts_firing", f64::from(day)).await;
        world.sample("other", 1.0).await;
    }
    let found = world.totals().of_last(30, HistoryFilter::default()).await.unwrap();
    assert_eq!(found.metrics_by_name["alerts_firing"], 10);
    assert_eq!(found.metrics_count, 20);
}

async fn days_that_were_never_summed_up_count_while_they_are_kept(place: &Place) {
    let world = World::at("2026-11-10T12:00:00Z", place).await;
    world.receive(vec![world.firing("a")]).await;
    world.set("2026-11-20T12:00:00Z");
    assert_eq!(counted(&world, 30).await, (1, 0, 0));
    world.retain().await.unwrap();
    assert_eq!(counted(&world, 30).await, (1, 0, 1));
}

async fn points(world: &World, days: u32, aggregation: Aggregation) -> (Vec<Point>, bool) {
    let filter =
        HistoryFilter { metric: Some("alerts_firing"), aggregation, ..HistoryFilter::default() };
    let found = world.totals().of_last(days, filter).await.unwrap();
    (found.series.unwrap(), found.truncated)
}

async fn a_series_is_given_raw_by_the_hour_and_by_the_local_day(place: &Place) {
    let world = World::at("2026-11-20T22:30:00Z", place).await;
    for (at, value) in [
        ("2026-11-20T22:30:00Z", 1.0),
        ("2026-11-20T22:59:00Z", 3.0),
        // The 21st in Berlin.
        ("2026-11-20T23:00:00Z", 8.0),
        ("2026-11-21T22:59:59Z", 6.0),
    ] {
        world.set(at);
        world.sample("alerts_firing", value).await;
    }
    let (raw, truncated) = points(&world, 2, Aggregation::Raw).await;
    assert_eq!((raw.len(), truncated), (4, false));
    let json = serde_json::to_value(&raw[0]).unwrap();
    assert_eq!(
        json,
        serde_json::json!({"timestamp": "2026-11-20T22:30:00.000Z", "value": 1.0, "labels": {}})
    );
    let (hours, _) = points(&world, 2, Aggregation::Hourly).await;
    assert_eq!(hours.len(), 3);
    let (days, _) = points(&world, 2, Aggregation::Daily).await;
    let days = serde_json::to_value(days).unwrap();
    assert_eq!(
        days,
        serde_json::json!([
            {"timestamp": "2026-11-19T23:00:00.000Z", "count": 2, "min": 1.0, "max": 3.0,
             "avg": 2.0, "last": 3.0},
            {"timestamp": "2026-11-20T23:00:00.000Z", "count": 2, "min": 6.0, "max": 8.0,
             "avg": 7.0, "last": 6.0},
        ])
    );
    assert!(world.totals().of_last(2, HistoryFilter::default()).await.unwrap().series.is_none());
}

async fn a_day_on_which_clocks_change_is_one_point(place: &Place) {
    let world = World::at("2026-10-24T21:59:00Z", place).await;
    for hour in 0..27 {
        world.sample("alerts_firing", f64::from(hour)).await;
        world.clock.advance_millis(3_600_000);
    }
    let (days, _) = points(&world, 7, Aggregation::Daily).await;
    let days: Vec<(Time, u64)> = days
        .iter()
        .map(|point| match point {
            Point::Bucket { timestamp, count, .. } => (*timestamp, *count),
            Point::Sample { .. } => panic!("{point:?}"),
        })
        .collect();
    // The 24th to its last minute, the 25th with its 25 hours, and the 26th.
    assert_eq!(
        days,
        [
            (utc("2026-10-23T22:00:00Z"), 1),
            (utc("2026-10-24T22:00:00Z"), 25),
            (utc("2026-10-25T23:00:00Z"), 1),
        ]
    );
    let (hours, _) = points(&world, 7, Aggregation::Hourly).await;
    assert_eq!(hours.len(), 27);
}

async fn a_series_of_too_many_points_is_cut_to_its_latest(place: &Place) {
    let world = World::at("2026-11-20T00:00:00Z", place).await;
    let start = utc("2026-11-20T00:00:00Z");
    let samples = (0..=POINTS_MOST as i64).map(|n| {
        Stored::Sample(Sample {
            name: "alerts_firing".into(),
            value: n as f64,
            unit: String::new(),
            timestamp: start.plus_millis(n * 1000),
            labels: [].into(),
        })
    });
    world.store.put(samples.collect()).await.unwrap();
    world.set("2026-11-21T00:00:00Z");
    let (raw, truncated) = points(&world, 7, Aggregation::Raw).await;
    assert!(truncated);
    assert_eq!(raw.len(), POINTS_MOST);
    assert!(matches!(raw[0], Point::Sample { value: 1.0, .. }), "{:?}", raw[0]);
}

async fn the_service_samples_its_own_figures(place: &Place) {
    let world = World::at("2026-11-20T12:00:00Z", place).await;
    world.receive(vec![world.firing("a"), world.firing("b")]).await;
    let metrics = Arc::new(Metrics::new().unwrap());
    metrics.alert_received("page", Status::Firing);
    metrics.knowledge_queries_total.with_label_values(&["gap"]).inc();
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&world.clock);
    let mut sampler = Sampler::new(Arc::clone(&world.store), metrics, clock, "node-1".to_owned());
    sampler.take(world.now()).await.unwrap();
    world.clock.advance_millis(60_000);
    sampler.take(world.now()).await.unwrap();
    let (points, _) = points(&world, 1, Aggregation::Raw).await;
    assert_eq!(points.len(), 2);
    assert!(matches!(points[1], Point::Sample { value: 2.0, .. }), "{points:?}");
    let found = world.totals().of_last(1, HistoryFilter::default()).await.unwrap();
    for name in ["alerts_received_total", "knowledge_queries_total", "alerts_firing"] {
        assert_eq!(found.metrics_by_name[name], 2, "{name}");
    }
}
