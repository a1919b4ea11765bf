//! Alerts: as they are received, as they are stored, and what receiving one did.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Carried, Instance, Severity, TextMap, Time, epoch_ms};

/// Whether the condition behind an alert still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It holds.
    Firing,
    /// It is over.
    Resolved,
    /// Nobody knows: a later instance of the same fingerprint fired while this one was open.
    Superseded,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Firing, Self::Resolved, Self::Superseded];

    /// Alertmanager's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
            Self::Superseded => "superseded",
        }
    }

    /// The status of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == name)
    }
}

/// An alert that fires now, in short.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FiringAlert {
    /// The entry that it belongs to.
    #[serde(skip)]
    pub entry_id: String,
    /// Which alert.
    pub fingerprint: String,
    /// Since when.
    #[serde(with = "epoch_ms")]
    #[schema(value_type = i64)]
    pub starts_at: Time,
    /// What it is about.
    pub labels: TextMap,
}

/// An alert of a webhook's payload that has passed every check.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceivedAlert {
    /// The payload's, or Prometheus' own over the labels.
    pub fingerprint: String,
    /// When it began; where missing, the store joins it to the open alert of this fingerprint.
    pub starts_at: Option<Time>,
    /// When it ended, if it has.
    pub ends_at: Option<Time>,
    /// Firing or resolved.
    pub status: Status,
    /// The label `alertname`, else that of the notification's group, or `unnamed`.
    pub name: String,
    /// What, beside the name, makes alerts one pattern: the label `cause`, or for an alert of
    /// Grafana's own about a rule the rule's name.
    pub cause: Option<String>,
    /// The label `severity` as sent, else `priority` or `level`, or `none`.
    pub severity: String,
    /// What that means for the entry learned from it.
    pub entry_severity: Severity,
    /// The sentence for a person: the summary, else the description, else the name.
    pub message: String,
    /// All labels.
    pub labels: TextMap,
    /// All annotations.
    pub annotations: TextMap,
    /// Where the alert comes from, for a person to click.
    pub generator_url: Option<String>,
    /// Alertmanager's receiver that the notification went to.
    pub receiver: Option<String>,
    /// When this service received it.
    pub received_at: Time,
}

/// What makes two notifications be about one alert instance.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertKey {
    /// Identity of the label set.
    pub fingerprint: String,
    /// When this instance began.
    pub starts_at: Time,
}

/// One alert instance as stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// Identity of the label set.
    pub fingerprint: String,
    /// When it began.
    #[schema(value_type = String)]
    pub starts_at: Time,
    /// The label `alertname`.
    pub name: String,
    /// What caused it, where it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The entry that it belongs to.
    pub entry_id: String,
    /// The label `severity` as sent, or `none`.
    pub severity: String,
    /// Firing, resolved or superseded.
    pub status: Status,
    /// The sentence for a person.
    pub message: String,
    /// When it was last received; retention goes by this.
    #[schema(value_type = String)]
    pub timestamp: Time,
    /// When it was first received; history counts it on that day and on no other.
    #[schema(value_type = String)]
    pub first_received: Time,
    /// When it was received that its status, its duration or its entry last changed.
    #[schema(value_type = String)]
    pub changed_at: Time,
    /// When it ended, if resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub resolved_at: Option<Time>,
    /// `resolved_at - starts_at` in milliseconds, never negative.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<i64>,
    /// All labels.
    pub labels: TextMap,
    /// All annotations.
    pub annotations: TextMap,
    /// Where the alert comes from.
    #[serde(default, rename = "generatorURL", skip_serializing_if = "Option::is_none")]
    pub generator_url: Option<String>,
    /// Alertmanager's receiver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiver: Option<String>,
    /// What retention has summed up of it, if it was deleted before and came back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub carried: Option<Carried>,
}

impl Alert {
    /// The instance that this is.
    pub fn key(&self) -> AlertKey {
        AlertKey { fingerprint: self.fingerprint.clone(), starts_at: self.starts_at }
    }

    /// The part of it that an entry's figures are made of.
    pub fn instance(&self) -> Instance {
        Instance {
            entry_id: self.entry_id.clone(),
            status: self.status,
            duration: self.duration,
            starts_at: self.starts_at,
            changed_at: self.changed_at,
            carried: self.carried.clone(),
        }
    }
}

/// What is left of an instance for some time after its alert was deleted, so that it counts once
/// when it comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// What is summed up of it.
    pub carried: Carried,
    /// When its alert was first received.
    pub first_received: Time,
}

/// What receiving an alert changed in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// An instance that was not known.
    New,
    /// A known instance whose status or content changed.
    Updated,
    /// A known instance, sent again unchanged.
    Duplicate,
}

impl Outcome {
    /// The name in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Updated => "updated",
            Self::Duplicate => "duplicate",
        }
    }
}

/// What a change of the store did to one alert instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceChange {
    /// As it was; `None` if it was not stored.
    pub before: Option<Instance>,
    /// As it is; `None` if it is not stored any more.
    pub after: Option<Instance>,
}
