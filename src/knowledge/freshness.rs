//! How old the knowledge is, without looking at every entry.

use imbl::OrdMap;
use serde::Serialize;

use crate::model::Time;

const STALE_AFTER_HOURS: i64 = 72;
const HOUR_MS: i64 = 3_600_000;

/// How old the knowledge is.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Freshness {
    /// `empty`; `fresh` if something changed within half of `staleAfterHours`, `aging` within
    /// all of it, else `stale`.
    pub status: &'static str,
    /// Hours after its last change at which an entry counts as stale.
    pub stale_after_hours: i64,
    /// When the newest entry changed.
    pub latest_entry_updated_at: Option<String>,
    /// When the oldest entry changed.
    pub oldest_entry_updated_at: Option<String>,
    /// Entries older than that, counted by full hours.
    pub stale_entries: usize,
    /// The others.
    pub fresh_entries: usize,
    /// Hours since the newest change.
    pub age_hours: Option<f64>,
}

/// How many entries last changed in each hour.
#[derive(Clone, Debug, Default)]
pub struct Ages(OrdMap<i64, usize>);

impl Ages {
    /// One more entry that changed at `time`.
    pub fn add(&mut self, time: Time) {
        *self.0.entry(time.millis().div_euclid(HOUR_MS)).or_default() += 1;
    }

    /// One less.
    pub fn remove(&mut self, time: Time) {
        let hour = time.millis().div_euclid(HOUR_MS);
        if let Some(count) = self.0.get_mut(&hour) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&hour);
            }
        }
    }

    /// The picture at `now`, given the newest and the oldest change.
    pub fn freshness(&self, now: Time, newest: Option<Time>, oldest: Option<Time>) -> Freshness {
        let stale_hour = now.millis().div_euclid(HOUR_MS) - STALE_AFTER_HOURS;
        let stale_entries = self.0.range(..stale_hour).map(|(_, count)| count).sum();
        let fresh_entries = self.0.range(stale_hour..).map(|(_, count)| count).sum();
        let age_ms = newest.map(|newest| now.since(newest).max(0));
        let status = match age_ms {
            None => "empty",
            Some(age) if age <= STALE_AFTER_HOURS * HOUR_MS / 2 => "fresh",
            Some(age) if age <= STALE_AFTER_HOURS * HOUR_MS => "aging",
            Some(_) => "stale",
        };
        Freshness {
            status,
            stale_after_hours: STALE_AFTER_HOURS,
            latest_entry_updated_at: newest.map(|time| time.to_string()),
            oldest_entry_updated_at: oldest.map(|time| time.to_string()),
            stale_entries,
            fresh_entries,
            age_hours: age_ms.map(|age| (age as f64 / HOUR_MS as f64 * 10.0).round() / 10.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_ages_and_grows_stale() {
        let mut ages = Ages::default();
        let born = Time::from_millis(1_000 * HOUR_MS);
        ages.add(born);
        let at = |hours: i64| {
            let now = born.plus_millis(hours * HOUR_MS);
            let picture = ages.freshness(now, Some(born), Some(born));
            (picture.status, picture.stale_entries, picture.fresh_entries)
        };
        assert_eq!(at(0), ("fresh", 0, 1));
        assert_eq!(at(40), ("aging", 0, 1));
        assert_eq!(at(73), ("stale", 1, 0));
        assert_eq!(Ages::default().freshness(born, None, None).status, "empty");
    }
}
