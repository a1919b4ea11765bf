//! Three replicas behind a balancer, on one MongoDB and one Redis, behave as one: real processes,
//! real servers, and a network between them that is cut, slowed down and healed.
//!
//! `claims` is what they promise while all is well, `leases` what a process may do that was
//! stopped while another took its place, `stream` how they stay in step when the server's notifications
//! fail, `chaos` what is left of the promises after faults at random.

mod chaos;
mod claims;
mod fleet;
mod leases;
mod stream;

/// Makes a test of each of these claims on a replica set and on a lone server.
macro_rules! on_each_topology {
    ($($claim:ident),* $(,)?) => {
        mod on_a_replica_set {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $claim() {
                    super::$claim($crate::harness::Topology::ReplicaSet).await;
                }
            )*
        }
        mod on_a_lone_server {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $claim() {
                    super::$claim($crate::harness::Topology::Alone).await;
                }
            )*
        }
    };
}
use on_each_topology;
