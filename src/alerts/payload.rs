//! A webhook's body: bytes in, an [`AlertBatch`] or every problem of the envelope out.
//!
//! Past this file there are only valid alerts; no later code checks again what is checked here.
//! Unknown fields are ignored, because Alertmanager's payload grows and Grafana's is a superset.
//! An alert that breaks a rule is refused alone ([`Refused`]), because Alertmanager drops a whole
//! notification that is answered 400.

use serde::{
    Deserialize,
    de::{IgnoredAny, MapAccess, SeqAccess},
};

use super::{
    faults::{Faults, Refused},
    labels::MAX_LABEL_VALUE,
    sent::{Context, SentAlert},
    trimming::{Trimmed, cut, storable},
};
use crate::{
    model::{ReceivedAlert, RefusalReason, SeverityWords, Time, TrimmedField},
    validation::{self, Accept, Field, Problem, Rejection},
};

const MAX_ALERTS: usize = 1000;
/// Not limited by the contract, but each alert carries it.
const MAX_RECEIVER: usize = 1024;
/// What is said of a body that is JSON, but no object.
const EXPECTED: &str = "must be an object as Alertmanager's webhook sends it (version 4), such as \
    {\"version\": \"4\", \"alerts\": [...]}; a bare list of alerts, as Alertmanager's own API takes \
    it, is none";

/// The alerts of one notification.
#[derive(Debug, Default, PartialEq)]
pub struct AlertBatch {
    /// Those that are good, in the payload's order.
    pub alerts: Vec<ReceivedAlert>,
    /// How many Alertmanager left out of the payload (`max_alerts`).
    pub truncated: u64,
    /// The others.
    pub refused: Refused,
    /// What was cut or left out of the good ones.
    pub trimmed: Trimmed,
}

impl From<Vec<ReceivedAlert>> for AlertBatch {
    fn from(alerts: Vec<ReceivedAlert>) -> Self {
        Self { alerts, ..Self::default() }
    }
}

impl AlertBatch {
    /// Reads a body that was received at `now`; `words` say what severities mean.
    ///
    /// # Errors
    /// What is wrong with the envelope, and with the alerts in it. Without an error some alerts
    /// may be refused, or all of them.
    pub fn parse(body: &[u8], now: Time, words: &SeverityWords) -> Result<Self, Rejection> {
        let payload: Payload = validation::read_object(body, EXPECTED)?;
        let problems = payload.problems();
        let batch = payload.receive(now, words);
        if problems.is_empty() {
            return Ok(batch);
        }
        Err(Rejection::Invalid([problems, batch.refused.problems].concat()))
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Payload {
    alerts: Field<SentAlerts>,
    receiver: Field<String>,
    truncated_alerts: Field<i64>,
    group_labels: Field<GroupLabels>,
    common_labels: Field<GroupLabels>,
}

/// As many alerts as are taken, and how many there are.
#[derive(Default)]
struct SentAlerts {
    alerts: Vec<Field<SentAlert>>,
    count: usize,
}

impl Accept for SentAlerts {
    fn from_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        let mut alerts = Vec::new();
        while alerts.len() < MAX_ALERTS
            && let Some(alert) = list.next_element()?
        {
            alerts.push(alert);
        }
        let mut count = alerts.len();
        while count >= MAX_ALERTS && list.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(Some(Self { alerts, count }))
    }
}

/// Of the labels that all alerts of a group share, their name.
#[derive(Default)]
struct GroupLabels(Option<String>);

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum GroupLabel {
    Alertname,
    #[serde(other)]
    Other,
}

impl Accept for GroupLabels {
    fn from_object<'de, A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        let mut name = None;
        while let Some(label) = object.next_key()? {
            match label {
                GroupLabel::Alertname => name = object.next_value::<Field<String>>()?.given(),
                GroupLabel::Other => _ = object.next_value::<IgnoredAny>()?,
            }
        }
        // Each alert without a name of its own will carry it.
        let fits = |name: &String| !name.trim().is_empty() && name.len() <= MAX_LABEL_VALUE;
        Ok(Some(Self(name.filter(fits).map(storable))))
    }
}

impl Payload {
    /// What is wrong with the envelope.
    fn problems(&self) -> Vec<Problem> {
        let alerts = match &self.alerts {
            Field::Given(SentAlerts { count, .. }) if *count > MAX_ALERTS => {
                Some(format!("must hold at most {MAX_ALERTS} alerts, has {count}"))
            }
            Field::Given(_) => None,
            Field::Missing | Field::Null => Some("is required".to_owned()),
            Field::Mistyped => Some("must be a list of alerts".to_owned()),
        };
        let mistyped = |wrong: bool, expected: &str| wrong.then(|| expected.to_owned());
        let receiver = matches!(self.receiver, Field::Mistyped);
        let truncated = matches!(self.truncated_alerts, Field::Mistyped);
        let found = [
            ("alerts", alerts),
            ("receiver", mistyped(receiver, "must be a string")),
            ("truncatedAlerts", mistyped(truncated, "must be a whole number")),
        ];
        let problem = |(path, message): (&str, Option<String>)| {
            Some(Problem { path: path.to_owned(), message: message? })
        };
        found.into_iter().filter_map(problem).collect()
    }

    fn receive(self, now: Time, words: &SeverityWords) -> AlertBatch {
        let name = |field: Field<GroupLabels>| field.given().and_then(|labels| labels.0);
        let group_name = name(self.group_labels).or(name(self.common_labels));
        let mut receiver = storable(self.receiver.given().unwrap_or_default());
        let receiver_cut = cut(&mut receiver, MAX_RECEIVER);
        let context = Context {
            now,
            words,
            receiver: Some(receiver.as_str()).filter(|name| !name.is_empty()),
            group_name: group_name.as_deref(),
        };
        let truncated = self.truncated_alerts.given().and_then(|n| u64::try_from(n).ok());
        let sent = self.alerts.given().unwrap_or_default().alerts;
        let mut batch = AlertBatch { truncated: truncated.unwrap_or(0), ..AlertBatch::default() };
        batch.alerts.reserve(sent.len());
        for (index, alert) in sent.into_iter().enumerate() {
            batch.take(index, alert, &context);
        }
        if receiver_cut && let Some(first) = batch.alerts.first() {
            batch.trimmed.note(TrimmedField::Receiver, &first.name, "receiver");
        }
        batch
    }
}

impl AlertBatch {
    fn take(&mut self, index: usize, alert: Field<SentAlert>, context: &Context<'_>) {
        let mut faults = Faults::of(index);
        let Field::Given(alert) = alert else {
            faults.add("", RefusalReason::WrongType, "must be an object");
            return faults.refuse("unnamed", &mut self.refused);
        };
        match alert.receive(context, &mut faults, &mut self.trimmed) {
            Ok(alert) => self.alerts.push(alert),
            Err(name) => faults.refuse(&name, &mut self.refused),
        }
    }
}

#[cfg(test)]
#[path = "payload_tests.rs"]
mod tests;
