//! What alert instances say about the entry that they belong to.
//!
//! Nothing here is kept by adding up events as they pass: [`Figures`] are a fold over the stored
//! instances, and [`SummedUp`] is what retention has added up of those that it deleted. An
//! instance whose alert comes back after that carries what is summed up of it ([`Carried`]), so
//! that it counts once.

use serde::{Deserialize, Serialize};

use super::{
    alert::Status,
    time::{Time, epoch_ms_opt},
};

/// Counts of alert instances that add up, and saturate at the ends of their range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Tally {
    /// How many instances; of a question, how often it was asked.
    pub occurrences: i64,
    /// How many of them were resolved.
    pub resolved: i64,
    /// How many of them were closed because a later instance of their fingerprint fired.
    pub superseded: i64,
    /// How long the resolved ones fired together, in milliseconds.
    pub resolve_ms: i64,
}

impl Tally {
    /// One instance in this state.
    pub fn of(status: Status, duration: Option<i64>) -> Self {
        let resolved = status == Status::Resolved;
        Self {
            occurrences: 1,
            resolved: i64::from(resolved),
            superseded: i64::from(status == Status::Superseded),
            resolve_ms: if resolved { duration.unwrap_or(0).max(0) } else { 0 },
        }
    }

    /// The sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            occurrences: self.occurrences.saturating_add(other.occurrences),
            resolved: self.resolved.saturating_add(other.resolved),
            superseded: self.superseded.saturating_add(other.superseded),
            resolve_ms: self.resolve_ms.saturating_add(other.resolve_ms),
        }
    }

    /// The difference.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            occurrences: self.occurrences.saturating_sub(other.occurrences),
            resolved: self.resolved.saturating_sub(other.resolved),
            superseded: self.superseded.saturating_sub(other.superseded),
            resolve_ms: self.resolve_ms.saturating_sub(other.resolve_ms),
        }
    }
}

/// What the stored instances of one entry say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Their counts, less what is summed up of those that came back.
    pub tally: Tally,
    /// How many fire now.
    pub firing: i64,
    /// The latest start.
    pub last_fired: Option<Time>,
    /// When one last changed.
    pub last_changed: Option<Time>,
}

impl Figures {
    /// Takes an instance in.
    pub fn add(&mut self, instance: &Instance) {
        self.tally = self.tally.plus(instance.tally());
        self.firing += i64::from(instance.status == Status::Firing);
        self.last_fired = self.last_fired.max(Some(instance.starts_at));
        self.last_changed = self.last_changed.max(Some(instance.changed_at));
    }

    /// Takes an instance out. The latest times stay, which is right while the instance goes on
    /// in another state or is summed up.
    pub fn remove(&mut self, instance: &Instance) {
        self.tally = self.tally.minus(instance.tally());
        self.firing -= i64::from(instance.status == Status::Firing);
    }
}

/// What counts of an alert instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// The entry that it belongs to.
    pub entry_id: String,
    /// Where it stands.
    pub status: Status,
    /// How long it fired, in milliseconds, once resolved.
    pub duration: Option<i64>,
    /// When it began.
    pub starts_at: Time,
    /// When it last changed.
    pub changed_at: Time,
    /// What is summed up of it already.
    pub carried: Option<Carried>,
}

impl Instance {
    /// Its own counts, without what it carries.
    pub fn tally(&self) -> Tally {
        Tally::of(self.status, self.duration)
    }
}

/// What an entry's [`SummedUp`] already holds of an instance that is stored (again).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Carried {
    /// The entry whose sums hold it.
    pub entry_id: String,
    /// How it was when it was summed up.
    pub status: Status,
    /// How long it had fired then, in milliseconds, if it was resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<i64>,
}

impl Carried {
    /// What the sums hold.
    pub fn tally(&self) -> Tally {
        Tally::of(self.status, self.duration)
    }
}

/// What is known of the instances of an entry that are deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SummedUp {
    /// Their counts.
    pub tally: Tally,
    /// The latest start among them.
    #[serde(with = "epoch_ms_opt", skip_serializing_if = "Option::is_none")]
    pub last_fired: Option<Time>,
    /// When one last changed.
    #[serde(with = "epoch_ms_opt", skip_serializing_if = "Option::is_none")]
    pub last_changed: Option<Time>,
    /// The number of the last batch of retention that was added, so that none is added twice.
    pub batch: i64,
    /// The success rate of an entry of the old orchestrator, which tells no counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stated_success_rate: Option<f64>,
    /// Its mean time to resolve, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stated_mean_ms: Option<i64>,
}

impl SummedUp {
    /// Adds what a batch of retention deletes; the same batch is added once.
    pub fn add_batch(&mut self, batch: i64, sums: &BatchSums) {
        if self.batch >= batch {
            return;
        }
        self.batch = batch;
        self.tally = self.tally.plus(sums.tally);
        self.last_fired = self.last_fired.max(sums.last_fired);
        self.last_changed = self.last_changed.max(sums.last_changed);
    }
}

/// What one batch of retention adds to one entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BatchSums {
    /// The counts that are new to the entry's sums.
    pub tally: Tally,
    /// The latest start.
    #[serde(with = "epoch_ms_opt", skip_serializing_if = "Option::is_none")]
    pub last_fired: Option<Time>,
    /// The latest change.
    #[serde(with = "epoch_ms_opt", skip_serializing_if = "Option::is_none")]
    pub last_changed: Option<Time>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extreme_durations_saturate() {
        let long = Tally::of(Status::Resolved, Some(i64::MAX));
        assert_eq!(long.plus(long).resolve_ms, i64::MAX);
    }

    #[test]
    fn a_batch_is_added_once() {
        let mut sums = SummedUp::default();
        let batch = BatchSums { tally: Tally::of(Status::Firing, None), ..BatchSums::default() };
        sums.add_batch(1, &batch);
        sums.add_batch(1, &batch);
        sums.add_batch(2, &batch);
        assert_eq!((sums.tally.occurrences, sums.batch), (2, 2));
    }
}
