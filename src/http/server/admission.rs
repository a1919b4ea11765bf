//! Who is let in: so many connections in all, so many a client, and a reserve beyond both for
//! probes, so that whoever watches the service is answered while it is full.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use parking_lot::Mutex;

use super::Limits;
use crate::http::guard::client_ip::{client_key, is_trusted};

/// Of the reserve, how many connections one client may hold: two probes at a time, so that no
/// client takes the reserve from others.
const RESERVE_PER_CLIENT: usize = 2;

/// `MAX_CONNECTIONS` are open.
pub const FULL: &str = "max_connections";
/// The client holds `MAX_CONNECTIONS_PER_CLIENT`.
pub const CLIENT_FULL: &str = "max_connections_per_client";

/// Counts connections.
pub struct Admission {
    limits: Limits,
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    all: usize,
    reserve: usize,
    clients: HashMap<IpAddr, Held>,
}

#[derive(Clone, Copy, Default)]
struct Held {
    full: usize,
    reserve: usize,
}

/// The right to a connection, given back when dropped.
pub struct Admitted {
    client: IpAddr,
    /// Set: the caps are reached, for this reason, and only a probe is answered.
    pub probes_only: Option<&'static str>,
    open: Arc<Mutex<Open>>,
}

impl Admission {
    /// Nothing is open yet.
    pub fn new(limits: &Limits) -> Self {
        Self { limits: limits.clone(), open: Arc::default() }
    }

    /// Lets a peer in.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(&self, peer: IpAddr) -> Result<Admitted, &'static str> {
        let client = client_key(peer);
        let limits = &self.limits;
        let many = is_trusted(peer.to_canonical(), &limits.proxies);
        let mut open = self.open.lock();
        let held = open.clients.get(&client).copied().unwrap_or_default();
        let refusal = if open.all >= limits.connections {
            Some(FULL)
        } else if !many && held.full >= limits.per_client {
            Some(CLIENT_FULL)
        } else {
            None
        };
        if let Some(reason) = refusal
            && (open.reserve >= limits.reserve || held.reserve >= RESERVE_PER_CLIENT)
        {
            return Err(reason);
        }
        let held = open.clients.entry(client).or_default();
        if refusal.is_none() {
            held.full += 1;
            open.all += 1;
        } else {
            held.reserve += 1;
            open.reserve += 1;
        }
        Ok(Admitted { client, probes_only: refusal, open: Arc::clone(&self.open) })
    }
}

impl Admitted {
    /// Whose it is.
    #[cfg(test)]
    fn client(&self) -> IpAddr {
        self.client
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut open = self.open.lock();
        let open = &mut *open;
        let (all, of_client) = match self.probes_only {
            None => (&mut open.all, Held { full: 1, reserve: 0 }),
            Some(_) => (&mut open.reserve, Held { full: 0, reserve: 1 }),
        };
        *all -= 1;
        if let Some(held) = open.clients.get_mut(&self.client) {
            held.full -= of_client.full;
            held.reserve -= of_client.reserve;
            if held.full + held.reserve == 0 {
                open.clients.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn limits(connections: usize, per_client: usize, reserve: usize) -> Limits {
        let second = Duration::from_secs(1);
        Limits {
            connections,
            per_client,
            reserve,
            probes: &["/health"],
            proxies: vec!["10.0.0.0/8".parse().unwrap()],
            request: second,
            head: second,
            idle: second,
            stalled: second,
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_client_over_its_cap_leaves_the_others_theirs() {
        let admission = Admission::new(&limits(10, 2, 0));
        let greedy = ip("192.0.2.1");
        let held: Vec<_> = (0..2).map(|_| admission.admit(greedy).unwrap()).collect();
        assert_eq!(admission.admit(greedy).err(), Some(CLIENT_FULL));
        assert!(admission.admit(ip("192.0.2.2")).unwrap().probes_only.is_none());
        drop(held);
        assert!(admission.admit(greedy).is_ok());
    }

    #[test]
    fn addresses_of_one_64_are_one_client() {
        let admission = Admission::new(&limits(10, 1, 0));
        let first = admission.admit(ip("2001:db8::1")).unwrap();
        assert_eq!(admission.admit(ip("2001:db8::2")).err(), Some(CLIENT_FULL));
        assert!(admission.admit(ip("2001:db8:0:1::1")).is_ok());
        assert_eq!(first.client(), ip("2001:db8::"));
    }

    #[test]
    fn a_trusted_proxy_stands_for_many_clients() {
        let admission = Admission::new(&limits(3, 1, 0));
        let proxy = ip("::ffff:10.1.2.3");
        let _held: Vec<_> = (0..3).map(|_| admission.admit(proxy).unwrap()).collect();
        assert_eq!(admission.admit(proxy).err(), Some(FULL), "but not for all");
    }

    #[test]
    fn beyond_the_caps_there_is_a_reserve_that_no_client_takes_alone() {
        let admission = Admission::new(&limits(1, 1, 3));
        let first = ip("192.0.2.1");
        let full = admission.admit(first).unwrap();
        let reserve: Vec<_> = (0..2).map(|_| admission.admit(first).unwrap()).collect();
        assert!(reserve.iter().all(|admitted| admitted.probes_only == Some(FULL)));
        assert_eq!(admission.admit(first).err(), Some(FULL));
        let other = admission.admit(ip("192.0.2.2")).unwrap();
        assert_eq!(other.probes_only, Some(FULL));
        assert!(admission.admit(ip("192.0.2.3")).is_err(), "the reserve is used up");
        drop((full, reserve, other));
        assert!(admission.admit(ip("192.0.2.3")).unwrap().probes_only.is_none());
        assert_eq!(admission.open.lock().clients.len(), 0, "nobody is remembered");
    }
}
