//! Query parameters, judged all at once like a body.

use std::ops::RangeInclusive;

use axum::http::Uri;

use crate::{
    model::Collection,
    validation::{Problem, Rejection},
};

/// The parameters of one request, and what is wrong with them.
pub struct Parameters {
    given: Vec<(String, String)>,
    problems: Vec<Problem>,
}

impl Parameters {
    /// Of this request.
    pub fn of(uri: &Uri) -> Self {
        match axum::extract::Query::try_from_uri(uri) {
            Ok(axum::extract::Query(given)) => Self { given, problems: Vec::new() },
            Err(_) => Self {
                given: Vec::new(),
                problems: vec![Problem {
                    path: String::new(),
                    message: "the query string cannot be read".into(),
                }],
            },
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.given.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Notes what is wrong with a parameter.
    pub fn wrong(&mut self, name: &str, message: String) {
        self.problems.push(Problem { path: name.into(), message });
    }

    /// A whole number within a range.
    pub fn number(&mut self, name: &str, range: RangeInclusive<u32>) -> Option<u32> {
        let number = self.get(name)?.parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            let (first, last) = range.into_inner();
            self.wrong(name, format!("must be a whole number from {first} to {last}"));
        }
        number
    }

    /// A text of 1 to `max` characters.
    pub fn text(&mut self, name: &str, max: usize) -> Option<String> {
        let text = self.get(name)?;
        if (1..=max).contains(&text.chars().count()) {
            return Some(text.to_owned());
        }
        self.wrong(name, format!("must be 1 to {max} characters long"));
        None
    }

    /// One of these words.
    pub fn one_of(&mut self, name: &str, words: &[&'static str]) -> Option<&'static str> {
        let given = self.get(name)?;
        let found = words.iter().copied().find(|word| *word == given);
        if found.is_none() {
            self.wrong(name, format!("must be one of {}", words.join(", ")));
        }
        found
    }

    /// Collections named once or more; all if none is.
    pub fn collections(&mut self, name: &str) -> Vec<Collection> {
        let named = self.given.iter().filter(|(known, _)| known == name);
        let mut collections = Vec::new();
        let mut wrong = Vec::new();
        for (_, value) in named {
            match value.parse() {
                Ok(collection) if !collections.contains(&collection) => {
                    collections.push(collection);
                }
                Ok(_) => {}
                Err(message) => wrong.push(message),
            }
        }
        wrong.into_iter().for_each(|message| self.wrong(name, message));
        if collections.is_empty() { Collection::ALL.to_vec() } else { collections }
    }

    /// All problems, if there are any.
    pub fn check(self) -> Result<(), Rejection> {
        if self.problems.is_empty() { Ok(()) } else { Err(Rejection::Invalid(self.problems)) }
    }
}
