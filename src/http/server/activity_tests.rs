//! When a connection has broken a rule, and when it has not: each limit, to the second.

use tokio::time::advance;

use super::*;

const HEAD: Duration = Duration::from_secs(10);
const REQUEST: Duration = Duration::from_secs(30);
const IDLE: Duration = Duration::from_secs(60);

fn activity() -> Activity {
    Activity::new(&Limits {
        connections: 1,
        per_client: 1,
        reserve: 0,
        probes: &[],
        proxies: Vec::new(),
        request: REQUEST,
        head: HEAD,
        idle: IDLE,
        stalled: REQUEST,
    })
}

const MOMENT: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn a_connection_that_asks_nothing_is_not_waited_for() {
    for speaks in [false, true] {
        let activity = activity();
        advance(HEAD - MOMENT).await;
        if speaks {
            activity.read();
        }
        assert_eq!(activity.broken(), None);
        advance(MOMENT).await;
        assert_eq!(activity.broken(), Some(Broken::Head), "however late the head began");
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_head_has_its_time_from_its_first_byte() {
    let activity = activity();
    drop(activity.begin(false));
    advance(IDLE - MOMENT).await;
    assert_eq!(activity.broken(), None);
    activity.read();
    advance(HEAD - MOMENT).await;
    activity.read();
    assert_eq!(activity.broken(), Some(Broken::Idle));
    drop(activity.begin(false));
    activity.read();
    advance(HEAD).await;
    assert_eq!(activity.broken(), Some(Broken::Head));
}

#[tokio::test(start_paused = true)]
async fn answered_pings_are_no_requests() {
    let activity = activity();
    drop(activity.begin(true));
    for _ in 0..3 {
        assert_eq!(activity.broken(), None);
        activity.read();
        advance(IDLE / 3).await;
    }
    assert_eq!(activity.broken(), Some(Broken::Idle));
}

#[tokio::test(start_paused = true)]
async fn the_head_is_part_of_the_request() {
    let activity = activity();
    activity.read();
    advance(HEAD / 2).await;
    let (_under_way, deadline) = activity.begin(false);
    assert_eq!(deadline - Instant::now(), REQUEST - HEAD / 2);
    let (_under_way, deadline) = activity.begin(true);
    assert_eq!(deadline - Instant::now(), REQUEST);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_taken_ends_with_its_request() {
    let activity = activity();
    let (ordinary, _) = activity.begin(true);
    let (export, _) = activity.begin(true);
    export.answer_by(Instant::now() + 10 * REQUEST);
    advance(REQUEST).await;
    assert_eq!(activity.broken(), None, "the answer at the deadline is on its way");
    advance(GRACE).await;
    assert_eq!(activity.broken(), Some(Broken::Stalled));
    drop(ordinary);
    assert_eq!(activity.broken(), None, "an export has longer");
    advance(10 * REQUEST).await;
    assert_eq!(activity.broken(), Some(Broken::Stalled));
}

#[tokio::test(start_paused = true)]
async fn what_is_taken_drop_by_drop_is_not_taken() {
    let activity = activity();
    let (export, _) = activity.begin(false);
    export.answer_by(Instant::now() + 100 * REQUEST);
    activity.blocked();
    for _ in 0..29 {
        advance(Duration::from_secs(1)).await;
        activity.wrote(1000);
        activity.blocked();
        assert_eq!(activity.broken(), None);
    }
    advance(Duration::from_secs(1)).await;
    assert_eq!(activity.broken(), Some(Broken::Stalled));
}

#[tokio::test(start_paused = true)]
async fn who_takes_enough_may_go_on_and_who_waits_for_us_is_not_slow() {
    let activity = activity();
    let (export, _) = activity.begin(false);
    export.answer_by(Instant::now() + 100 * REQUEST);
    for _ in 0..3 {
        activity.blocked();
        advance(REQUEST).await;
        activity.wrote(usize::try_from(LEAST_BYTES).unwrap());
        activity.blocked();
        assert_eq!(activity.broken(), None);
    }
    activity.wrote(1);
    advance(3 * REQUEST).await;
    assert_eq!(activity.broken(), None, "nothing waits to be taken");
}
