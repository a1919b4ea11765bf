//! Leases: one holder at a time.

use std::time::Duration;

use orchestrator::store::{Lease, Store};

use super::each_backend;

each_backend![Migrated:
    a_lease_has_one_holder_who_may_prolong_it,
    a_lease_given_back_or_run_out_goes_to_the_next,
    only_the_holder_can_give_a_lease_back,
    of_many_at_once_one_gets_the_lease,
    a_lease_is_held_while_there_is_work_and_then_given_back,
    work_ends_when_its_lease_is_lost,
];

const LONG: Duration = Duration::from_secs(600);

async fn a_lease_has_one_holder_who_may_prolong_it(store: &dyn Store) {
    assert!(store.acquire_lease("retention", "a", LONG).await.unwrap().is_some());
    assert!(store.acquire_lease("retention", "a", LONG).await.unwrap().is_some());
    assert!(store.acquire_lease("retention", "b", LONG).await.unwrap().is_none());
    assert!(store.acquire_lease("consolidation", "b", LONG).await.unwrap().is_some());
}

async fn a_lease_given_back_or_run_out_goes_to_the_next(store: &dyn Store) {
    assert!(store.acquire_lease("retention", "a", LONG).await.unwrap().is_some());
    store.release_lease("retention", "a").await.unwrap();
    assert!(store.acquire_lease("retention", "b", Duration::ZERO).await.unwrap().is_some());
    assert!(store.acquire_lease("retention", "c", LONG).await.unwrap().is_some());
    assert!(store.acquire_lease("retention", "b", LONG).await.unwrap().is_none());
}

async fn only_the_holder_can_give_a_lease_back(store: &dyn Store) {
    assert!(store.acquire_lease("retention", "a", LONG).await.unwrap().is_some());
    store.release_lease("retention", "b").await.unwrap();
    assert!(store.acquire_lease("retention", "b", LONG).await.unwrap().is_none());
    store.release_lease("unheard-of", "b").await.unwrap();
}

async fn of_many_at_once_one_gets_the_lease(store: &dyn Store) {
    let holders: Vec<_> = (0..8).map(|n| n.to_string()).collect();
    let all = holders.iter().map(|holder| store.acquire_lease("retention", holder, LONG));
    let taken = futures::future::try_join_all(all).await.unwrap();
    assert_eq!(taken.into_iter().filter(Option::is_some).count(), 1);
}

async fn a_lease_is_held_while_there_is_work_and_then_given_back(store: &dyn Store) {
    let lease = Lease::take(store, "retention", "a", LONG).await.unwrap().expect("it is free");
    let work = async { Lease::take(store, "retention", "b", LONG).await.unwrap().is_none() };
    assert!(lease.hold_while(work).await.unwrap(), "nobody else has it meanwhile");
    assert!(Lease::take(store, "retention", "b", LONG).await.unwrap().is_some());
}

async fn work_ends_when_its_lease_is_lost(store: &dyn Store) {
    let short = Duration::from_millis(40);
    let lease = Lease::take(store, "retention", "a", short).await.unwrap().expect("it is free");
    store.release_lease("retention", "a").await.unwrap();
    assert!(store.acquire_lease("retention", "b", LONG).await.unwrap().is_some());
    let lost = lease.hold_while(std::future::pending::<()>()).await.unwrap_err();
    assert_eq!(lost.to_string(), "the lease of retention was lost to another process");
    assert!(store.acquire_lease("retention", "a", LONG).await.unwrap().is_none(), "b keeps it");
}
