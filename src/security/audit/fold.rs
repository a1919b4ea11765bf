//! Equal events of one client within a minute: the first is written at once, the others are one
//! line with a `count` when the minute is over.
//!
//! What may be told apart is bounded, by client and in all, because details hold what clients
//! send and addresses can be many: beyond that, events fold into one line of the client, and
//! then into one of all clients. No event goes uncounted.

use std::{
    collections::{HashMap, hash_map},
    net::IpAddr,
};

use ipnet::IpNet;
use serde_json::json;

use super::{
    Event,
    entry::{Entry, raw},
};
use crate::{model::Time, telemetry::ClientText};

/// How long equal events fold into one line.
const WINDOW_MS: i64 = 60_000;
/// Different details of one event of one client that are distinguished.
const MAX_OF_CLIENT: usize = 8;
/// The same for reads, which are of known callers and not endless.
const MAX_READS: usize = 64;
/// Different events of all clients that are distinguished.
pub(super) const MAX_IN_ALL: usize = 512;

/// What makes events equal.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    event: Event,
    /// The client's network; `None`: any client's.
    client: Option<IpNet>,
    details: Details,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Details {
    /// These, as JSON.
    Equal(Box<str>),
    /// Whatever there is no room for otherwise.
    Various,
}

/// Events that were seen less than a minute ago.
#[derive(Default)]
pub(super) struct Folds(HashMap<Key, Fold>);

struct Fold {
    first: Time,
    last: Time,
    /// Events that are in no line yet.
    count: u64,
    request_id: Option<ClientText>,
    client_ip: Option<IpAddr>,
}

impl Folds {
    /// Whether the event is to be written now. If not, or if there is no `room` for it now, it is
    /// counted and comes with a later line.
    pub fn admit(&mut self, entry: &Entry, room: bool) -> bool {
        let client = entry.client_ip.map(network);
        let key =
            Key { event: entry.event, client, details: Details::Equal(entry.details.get().into()) };
        if let Some(fold) = self.0.get_mut(&key) {
            fold.add(entry);
            return false;
        }
        let most = if entry.event == Event::DataRead { MAX_READS } else { MAX_OF_CLIENT };
        let known = self.0.keys().filter(|key| (key.event, key.client) == (entry.event, client));
        if self.0.len() < MAX_IN_ALL && known.count() < most {
            let fold = self.0.entry(key).or_insert(Fold::begin(entry));
            if !room {
                fold.count += 1;
            }
            return room;
        }
        let mut key = Key { details: Details::Various, ..key };
        if self.0.len() >= MAX_IN_ALL && !self.0.contains_key(&key) {
            key.client = None;
        }
        match self.0.entry(key) {
            hash_map::Entry::Occupied(mut fold) => fold.get_mut().add(entry),
            hash_map::Entry::Vacant(place) => place.insert(Fold::begin(entry)).count += 1,
        }
        false
    }

    /// The lines of what folded, for the minutes that are over.
    pub fn take_due(&mut self, now: Time) -> Vec<Entry> {
        // A clock that was set back ends the minute, too.
        self.take(|fold| !(0..WINDOW_MS).contains(&now.since(fold.first)))
    }

    /// The lines of all that folded.
    pub fn take_all(&mut self) -> Vec<Entry> {
        self.take(|_| true)
    }

    fn take(&mut self, over: impl Fn(&Fold) -> bool) -> Vec<Entry> {
        let over = self.0.extract_if(|_, fold| over(fold)).filter(|(_, fold)| fold.count > 0);
        let mut lines: Vec<Entry> = over.map(|(key, fold)| fold.line(key)).collect();
        lines.sort_by_key(|line| line.timestamp);
        lines
    }
}

impl Fold {
    fn begin(entry: &Entry) -> Self {
        Self {
            first: entry.timestamp,
            last: entry.timestamp,
            count: 0,
            request_id: entry.request_id.clone(),
            client_ip: entry.client_ip,
        }
    }

    fn add(&mut self, entry: &Entry) {
        self.count += 1;
        self.last = entry.timestamp;
        self.request_id.clone_from(&entry.request_id);
    }

    fn line(self, key: Key) -> Entry {
        let details = match key.details {
            Details::Equal(details) => serde_json::value::RawValue::from_string(details.into()),
            Details::Various => Ok(raw(&json!({ "folded": "various" }))),
        };
        Entry {
            timestamp: self.last,
            event: key.event,
            request_id: self.request_id,
            client_ip: key.client.and(self.client_ip),
            count: Some(self.count),
            details: details.unwrap_or_else(|_| raw(&json!({}))),
        }
    }
}

/// Whoever has one address of an IPv6 /64 has all.
fn network(client: IpAddr) -> IpNet {
    match client.to_canonical() {
        IpAddr::V6(client) => IpNet::new(client.into(), 64)
            .map_or(IpNet::from(IpAddr::from(client)), |net| net.trunc()),
        client => client.into(),
    }
}
