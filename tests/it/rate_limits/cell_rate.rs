//! The limiter's decision, one suite for both of its implementations: a bucket in this process
//! and one on Redis.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use orchestrator::{
    config::{LimitSettings, RedisSettings},
    coordination::Coordination,
    http::guard::rate_limit::{Bucket, CellRate, Counted, Decision, Holder, Limits, Local, Shared},
    telemetry::Metrics,
};

use crate::harness::{PATIENCE, Redis, eventually};

/// Makes a bucket of so many a minute.
type Make<'m> = &'m (dyn Fn(u32) -> Box<dyn CellRate> + Sync);

/// Makes a test of each of these claims in this process and on Redis.
macro_rules! on_each_limiter {
    ($($claim:ident),* $(,)?) => {
        mod local {
            $(
                #[tokio::test]
                async fn $claim() {
                    super::$claim(&|limit| Box::new(super::Local::new(limit).unwrap())).await;
                }
            )*
        }
        mod on_redis {
            $(
                #[tokio::test]
                async fn $claim() {
                    let Some(redis) = super::Redis::start().await else { return };
                    let coordination = super::coordination(&redis).await;
                    let bucket = super::Bucket::Api;
                    super::$claim(&|limit| {
                        Box::new(super::Shared::new(bucket, limit, coordination.clone()))
                    })
                    .await;
                }
            )*
        }
    };
}

on_each_limiter![
    a_burst_of_the_limit_passes_and_each_says_how_many_are_left,
    a_bucket_refills_evenly_and_refusals_cost_nothing,
    who_waits_as_long_as_a_refusal_says_is_taken,
    others_have_buckets_of_their_own,
];

async fn coordination(redis: &Redis) -> Coordination {
    let settings =
        RedisSettings { url: redis.url().into(), password: None, answer_within: PATIENCE };
    let coordination = Coordination::new(Some(&settings), &Metrics::new().unwrap()).unwrap();
    eventually("Redis answers", async || {
        coordination.check().await;
        coordination.status().redis_reachable.then_some(())
    })
    .await;
    coordination
}

fn someone(holder: &str, address: &str) -> Counted {
    Counted::new(holder.to_owned(), address.parse().unwrap())
}

async fn count(limiter: &dyn CellRate, who: &Counted) -> Decision {
    limiter.count(who).await.expect("a decision")
}

async fn a_burst_of_the_limit_passes_and_each_says_how_many_are_left(make: Make<'_>) {
    for limit in [1, 2, 3, 5, 7, 11, 30, 97] {
        let limiter = make(limit);
        let who = someone(&format!("key:{limit}"), "192.0.2.1");
        for left in (0..limit).rev() {
            let decision = count(&*limiter, &who).await;
            let reset = u64::from((limit - left) * 60).div_ceil(u64::from(limit));
            let expected = Decision { limit, remaining: left, reset, refused: false };
            assert_eq!(decision, expected, "{limit}");
        }
        let refused = count(&*limiter, &who).await;
        assert!(refused.refused && refused.remaining == 0, "{refused:?}");
        let interval = 60u64.div_ceil(u64::from(limit));
        assert!((1..=interval).contains(&refused.reset), "{refused:?}");
    }
}

/// 6000 a minute are 100 a second: whatever the machine's pace, who asks all the time gets the
/// burst and 100 for each second that it goes on.
async fn a_bucket_refills_evenly_and_refusals_cost_nothing(make: Make<'_>) {
    let (limiter, who) = (make(6000), someone("", "192.0.2.2"));
    let started = Instant::now();
    let (mut taken, mut refused) = (0, 0);
    let elapsed = loop {
        let asked = started.elapsed();
        match count(&*limiter, &who).await.refused {
            false => taken += 1,
            true => refused += 1,
        }
        if refused > 100 && taken > 6020 {
            break asked.as_secs_f64();
        }
    };
    let expected = 6000.0 + elapsed * 100.0;
    assert!((f64::from(taken) - expected).abs() < 6.0, "{taken} were taken, not {expected}");
}

async fn who_waits_as_long_as_a_refusal_says_is_taken(make: Make<'_>) {
    let (limiter, who) = (make(60), someone("", "192.0.2.3"));
    for _ in 0..60 {
        assert!(!count(&*limiter, &who).await.refused);
    }
    let refused = count(&*limiter, &who).await;
    assert_eq!(refused.reset, 1, "one a second");
    tokio::time::sleep(Duration::from_secs(refused.reset)).await;
    assert!(!count(&*limiter, &who).await.refused);
}

async fn others_have_buckets_of_their_own(make: Make<'_>) {
    let limiter = make(1);
    let apart = [
        someone("", "192.0.2.4"),
        someone("", "192.0.2.5"),
        someone("key:a", "192.0.2.4"),
        someone("key:b", "192.0.2.4"),
        someone("token", "192.0.2.4"),
        someone("", "2001:db8:1:2::1"),
        someone("", "2001:db8:1:3::1"),
    ];
    for who in &apart {
        assert!(!count(&*limiter, who).await.refused, "{who:?}");
        assert!(count(&*limiter, who).await.refused, "{who:?}");
    }
    // The same client, written otherwise.
    for same in ["::ffff:192.0.2.4", "2001:db8:1:2:ffff::9"] {
        assert!(count(&*limiter, &someone("", same)).await.refused, "{same}");
    }
}

#[tokio::test]
async fn what_redis_keeps_of_a_client_expires_when_its_bucket_is_full() {
    let Some(redis) = Redis::start().await else { return };
    let limiter = Shared::new(Bucket::Api, 600, coordination(&redis).await);
    for n in 0..200 {
        count(&limiter, &someone("", &format!("198.51.100.{n}"))).await;
    }
    let mut connection = redis.connection().await;
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
    for key in keys {
        let left: i64 = redis::cmd("PTTL").arg(&key).query_async(&mut connection).await.unwrap();
        assert!(left <= 100 && left != -1, "{key}: {left} ms");
    }
    eventually("everything has expired", async || {
        let kept: u64 = redis::cmd("DBSIZE").query_async(&mut connection).await.unwrap();
        (kept == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn idle_clients_are_evicted_and_busy_ones_are_not() {
    let settings =
        LimitSettings { webhook: 1, api: 0, export: 0, public: 60_000, health: 0, auth_failure: 0 };
    let limits = Limits::new(&settings, &Coordination::default());
    let busy = limits.count(Bucket::Webhook, &Holder::Token, IpAddr::from([192, 0, 2, 1])).await;
    assert!(!busy.unwrap().refused);
    for n in 0..100_000u32 {
        limits.count(Bucket::Public, &Holder::Stranger, IpAddr::from(n.to_be_bytes())).await;
    }
    assert!(limits.clients() > 1);
    eventually("only the busy one is left", async || {
        limits.evict_idle_clients();
        (limits.clients() == 1).then_some(())
    })
    .await;
    let again = limits.count(Bucket::Webhook, &Holder::Token, IpAddr::from([192, 0, 2, 1])).await;
    assert!(again.unwrap().refused);
}
