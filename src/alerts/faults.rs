//! What is wrong with the alerts of a batch: alert by alert, because one that is refused takes no
//! other down with it.

use super::labels::PairFault;
use crate::{
    model::RefusalReason,
    validation::{Field, Problem},
};

/// Problems of one alert that are told at most.
pub(super) const MAX_FAULTS: usize = 20;

/// The alerts of a batch that were refused.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Refused {
    /// One for each refused alert.
    pub reasons: Vec<RefusalReason>,
    /// What is wrong with them, in the payload's order.
    pub problems: Vec<Problem>,
    /// The name of one of them, for the log.
    pub example: Option<String>,
}

/// What is found wrong with one alert while it is read.
pub(super) struct Faults {
    index: usize,
    reason: Option<RefusalReason>,
    problems: Vec<Problem>,
}

impl Faults {
    /// None yet, of the alert at this place of the payload.
    pub fn of(index: usize) -> Self {
        Self { index, reason: None, problems: Vec::new() }
    }

    pub fn are_none(&self) -> bool {
        self.reason.is_none()
    }

    /// Notes a fault at `path` within the alert.
    pub fn add(&mut self, path: &str, reason: RefusalReason, message: &str) {
        let index = self.index;
        self.reason = Some(self.reason.map_or(reason, |other| other.min(reason)));
        if self.problems.len() < MAX_FAULTS {
            let dot = if path.is_empty() { "" } else { "." };
            let path = format!("alerts.{index}{dot}{path}");
            self.problems.push(Problem { path, message: message.to_owned() });
        }
    }

    /// Notes the faults of the pairs of a field.
    pub fn add_pairs(&mut self, field: &str, faults: Vec<PairFault>) {
        for PairFault { name, reason, message } in faults {
            let path = name.map_or(field.to_owned(), |name| format!("{field}.{name}"));
            self.add(&path, reason, &message);
        }
    }

    /// The value of a field that must be there.
    pub fn required<T>(
        &mut self,
        name: &str,
        field: Field<T>,
        reason: RefusalReason,
        expected: &str,
    ) -> Option<T> {
        match field {
            Field::Given(value) => return Some(value),
            Field::Missing | Field::Null => self.add(name, reason, "is required"),
            Field::Mistyped => self.add(name, reason, expected),
        }
        None
    }

    /// The value of a field that may be missing.
    pub fn optional<T: Default>(
        &mut self,
        name: &str,
        field: Field<T>,
        reason: RefusalReason,
        expected: &str,
    ) -> T {
        if matches!(field, Field::Mistyped) {
            self.add(name, reason, expected);
        }
        field.given().unwrap_or_default()
    }

    /// The alert is refused, if anything is wrong with it.
    pub fn refuse(self, alert: &str, refused: &mut Refused) {
        if let Some(reason) = self.reason {
            refused.reasons.push(reason);
            refused.problems.extend(self.problems);
            refused.example.get_or_insert_with(|| alert.to_owned());
        }
    }
}
