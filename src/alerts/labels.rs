//! Labels and annotations as they come: names and values in any number and of any kind, judged
//! while they are read. Labels tell alerts apart, so one that does not fit makes its alert
//! refused; annotations are texts for people, and are trimmed instead.

use std::collections::BTreeMap;

use serde::de::MapAccess;

use super::{
    faults::MAX_FAULTS,
    trimming::{cut, storable},
};
use crate::{
    model::RefusalReason,
    validation::{Accept, Field},
};

const MAX_PAIRS: usize = 50;
const MAX_NAME: usize = 256;
pub(super) const MAX_LABEL_VALUE: usize = 4 * 1024;
const MAX_ANNOTATION_VALUE: usize = 16 * 1024;

/// The annotations that the service itself reads: kept where others are left out.
const READ_ANNOTATIONS: [&str; 11] = [
    "summary",
    "description",
    "message",
    "title",
    "solution",
    "resolution",
    "mitigation",
    "remediation",
    "action",
    "runbook_url",
    "runbook",
];

/// Something wrong with one pair, or, without a name, with all of them together.
#[derive(Debug)]
pub(super) struct PairFault {
    pub name: Option<String>,
    pub reason: RefusalReason,
    pub message: String,
}

impl PairFault {
    fn of(name: &str, reason: RefusalReason, message: impl Into<String>) -> Self {
        Self { name: Some(shown(name)), reason, message: message.into() }
    }
}

/// A name as a path shows it: no longer than it helps.
fn shown(name: &str) -> String {
    if name.is_empty() { "\"\"".into() } else { name.chars().take(64).collect() }
}

/// The labels of an alert; the last of a doubled name counts.
#[derive(Debug, Default)]
pub(super) struct Labels {
    /// Those that can be kept.
    pub pairs: BTreeMap<String, String>,
    /// Why there are others.
    pub faults: Vec<PairFault>,
}

impl Accept for Labels {
    fn from_object<'de, A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        let mut labels = Self::default();
        // Those beyond the limit are only counted: the alert is refused.
        let mut more = 0;
        while let Some((name, value)) = object.next_entry::<String, Field<String>>()? {
            let fault = labels.take(name, value, &mut more);
            labels.faults.extend(fault.filter(|_| labels.faults.len() < MAX_FAULTS));
        }
        if more > 0 {
            let found = MAX_PAIRS + more;
            labels.faults.insert(
                0,
                PairFault {
                    name: None,
                    reason: RefusalReason::TooManyLabels,
                    message: format!("must hold at most {MAX_PAIRS} labels, has {found}"),
                },
            );
        }
        Ok(Some(labels))
    }
}

impl Labels {
    fn take(&mut self, name: String, value: Field<String>, more: &mut usize) -> Option<PairFault> {
        if name.is_empty() || name.len() > MAX_NAME {
            let message = format!("the name must be 1 to {MAX_NAME} bytes long");
            return Some(PairFault::of(&name, RefusalReason::LabelName, message));
        }
        let Field::Given(value) = value else {
            return Some(PairFault::of(&name, RefusalReason::WrongType, "must be a string"));
        };
        if value.len() > MAX_LABEL_VALUE {
            let found = value.len();
            let message = format!("must be at most {MAX_LABEL_VALUE} bytes long, is {found}");
            return Some(PairFault::of(&name, RefusalReason::LabelValue, message));
        }
        let name = storable(name);
        if self.pairs.len() < MAX_PAIRS || self.pairs.contains_key(&name) {
            self.pairs.insert(name, storable(value));
        } else {
            *more += 1;
        }
        None
    }

    /// The value of a label, if it says anything.
    pub fn given(&self, name: &str) -> Option<&str> {
        self.pairs.get(name).map(String::as_str).filter(|value| !value.trim().is_empty())
    }
}

/// The annotations of an alert; the last of a doubled name counts.
#[derive(Debug, Default)]
pub(super) struct Annotations {
    /// What is kept, each as much of it as is.
    pub pairs: BTreeMap<String, String>,
    /// The name of the first that was cut or left out.
    pub trimmed: Option<String>,
    /// Those that are no texts.
    pub faults: Vec<PairFault>,
}

impl Accept for Annotations {
    fn from_object<'de, A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        let mut annotations = Self::default();
        while let Some((name, value)) = object.next_entry::<String, Field<String>>()? {
            annotations.take(name, value);
        }
        Ok(Some(annotations))
    }
}

impl Annotations {
    fn take(&mut self, name: String, value: Field<String>) {
        let Field::Given(value) = value else {
            if self.faults.len() < MAX_FAULTS {
                let fault = PairFault::of(&name, RefusalReason::WrongType, "must be a string");
                self.faults.push(fault);
            }
            return;
        };
        if name.is_empty() || name.len() > MAX_NAME {
            return self.note(&name);
        }
        let (name, mut value) = (storable(name), storable(value));
        if cut(&mut value, MAX_ANNOTATION_VALUE) {
            self.note(&name);
        }
        self.pairs.insert(name, value);
        if self.pairs.len() > MAX_PAIRS {
            self.leave_one_out();
        }
    }

    /// Leaves out the last by name of those that nobody here reads, so that it is always the same
    /// one, in whatever order they come.
    fn leave_one_out(&mut self) {
        let unread = |name: &&String| !READ_ANNOTATIONS.contains(&name.as_str());
        if let Some(name) = self.pairs.keys().rev().find(unread).cloned() {
            self.pairs.remove(&name);
            self.note(&name);
        }
    }

    fn note(&mut self, name: &str) {
        self.trimmed.get_or_insert_with(|| shown(name));
    }

    /// The first of these that says anything.
    pub fn first(&self, names: &[&str]) -> Option<&str> {
        let texts = names.iter().filter_map(|name| self.pairs.get(*name));
        texts.map(String::as_str).find(|text| !text.trim().is_empty())
    }
}
