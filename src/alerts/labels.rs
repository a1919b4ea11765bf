//! Labels and annotations as they come: names and values in any number and of any kind, judged
//! before they become strings.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use serde::{Deserialize, de::MapAccess};
use validator::{Validate, ValidationErrors, ValidationErrorsKind};

use crate::validation::{Accept, Field, problem};

const MAX_PAIRS: usize = 50;
const MAX_LABEL_NAME: usize = 256;
const MAX_LABEL_VALUE: usize = 4 * 1024;
const MAX_ANNOTATION_VALUE: usize = 16 * 1024;

/// The labels of an alert: required.
#[derive(Deserialize, Default)]
#[serde(transparent)]
pub(super) struct Labels(Field<Pairs>);

/// The annotations of an alert: optional.
#[derive(Deserialize, Default)]
#[serde(transparent)]
pub(super) struct Annotations(Field<Pairs>);

/// Names and values in any number and of any kind; the last of a doubled name counts.
#[derive(Default)]
struct Pairs(HashMap<String, Field<String>>);

impl Accept for Pairs {
    fn from_object<'de, A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        let mut pairs = HashMap::new();
        while let Some((name, value)) = object.next_entry()? {
            pairs.insert(name, value);
        }
        Ok(Some(Self(pairs)))
    }
}

impl Labels {
    /// The pairs, now that they are known to be valid.
    pub(super) fn into_strings(self) -> BTreeMap<String, String> {
        self.0.given().unwrap_or_default().into_strings()
    }
}

impl Annotations {
    /// The pairs, now that they are known to be valid.
    pub(super) fn into_strings(self) -> BTreeMap<String, String> {
        self.0.given().unwrap_or_default().into_strings()
    }
}

impl Validate for Labels {
    fn validate(&self) -> Result<(), ValidationErrors> {
        match &self.0 {
            Field::Missing | Field::Null => Err(whole("is required")),
            Field::Mistyped => Err(whole("must be an object of strings")),
            Field::Given(pairs) => pairs.judge("labels", MAX_LABEL_VALUE),
        }
    }
}

impl Validate for Annotations {
    fn validate(&self) -> Result<(), ValidationErrors> {
        match &self.0 {
            Field::Missing | Field::Null => Ok(()),
            Field::Mistyped => Err(whole("must be an object of strings")),
            Field::Given(pairs) => pairs.judge("annotations", MAX_ANNOTATION_VALUE),
        }
    }
}

/// A problem of the whole map, which has no name of its own inside.
fn whole(message: &'static str) -> ValidationErrors {
    let mut errors = ValidationErrors::new();
    errors.add("", problem(message));
    errors
}

impl Pairs {
    fn judge(&self, kind: &'static str, max_value: usize) -> Result<(), ValidationErrors> {
        let mut errors = ValidationErrors::new();
        if self.0.len() > MAX_PAIRS {
            let found = self.0.len();
            errors.add("", problem(format!("must hold at most {MAX_PAIRS} {kind}, has {found}")));
        }
        for (name, value) in &self.0 {
            if let Some(message) = judge_pair(name, value, max_value) {
                let failures = vec![problem(message)];
                errors.0.insert(Cow::Owned(shown(name)), ValidationErrorsKind::Field(failures));
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    fn into_strings(self) -> BTreeMap<String, String> {
        let given = self.0.into_iter().filter_map(|(name, value)| Some((name, value.given()?)));
        given.collect()
    }
}

fn judge_pair(name: &str, value: &Field<String>, max_value: usize) -> Option<String> {
    if name.is_empty() || name.len() > MAX_LABEL_NAME {
        return Some(format!("the name must be 1 to {MAX_LABEL_NAME} bytes long"));
    }
    // No store can hold it in a key.
    if name.contains('\0') {
        return Some("the name must not hold a NUL".into());
    }
    match value {
        Field::Given(text) if text.len() > max_value => {
            Some(format!("must be at most {max_value} bytes long, is {}", text.len()))
        }
        Field::Given(_) => None,
        _ => Some("must be a string".into()),
    }
}

/// A name as a path shows it: no longer than it helps.
fn shown(name: &str) -> String {
    if name.is_empty() { "\"\"".into() } else { name.chars().take(64).collect() }
}
