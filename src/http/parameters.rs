//! Query parameters, judged all at once like a body.
//!
//! The route table says which a route knows. One that it does not know, or one that is given
//! twice, is a problem like any other: leaving it out would answer another question than the one
//! that was asked.

use std::{borrow::Cow, collections::BTreeSet, ops::RangeInclusive};

use axum::http::Uri;

use crate::{
    model::{Collection, Time},
    validation::{Problem, Rejection, problem},
};

/// How much is shown of a name that a client made up, in characters.
const NAME_SHOWN: usize = 64;
/// Names that are looked at: more than any route knows, and more problems than an answer lists.
const NAMES_JUDGED: usize = 64;

/// How long a page is, if it is not said, and at most.
const PAGE: (u32, u32) = (100, 1_000);
const MAX_CURSOR_CHARS: usize = 4_096;

/// A query parameter that a route knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// May be given once.
    Once(&'static str),
    /// May be given any number of times.
    Many(&'static str),
}

impl Parameter {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Once(name) | Self::Many(name) => name,
        }
    }
}

/// The parameters of one request, and what is wrong with them.
pub struct Parameters {
    given: Vec<(String, String)>,
    problems: Vec<Problem>,
}

impl Parameters {
    /// Of this request to a route that knows these.
    pub fn of(uri: &Uri, known: &[Parameter]) -> Self {
        let mut parameters = Self { given: Vec::new(), problems: Vec::new() };
        if uri.query().is_none() {
            return parameters;
        }
        match axum::extract::Query::try_from_uri(uri) {
            Ok(axum::extract::Query(given)) => parameters.given = given,
            Err(_) => parameters.wrong("", "the query string cannot be read".into()),
        }
        parameters.judge_names(known);
        parameters
    }

    fn judge_names(&mut self, known: &[Parameter]) {
        let mut seen = BTreeSet::new();
        let mut problems = Vec::new();
        for (name, _) in self.given.iter().take(NAMES_JUDGED) {
            let first = seen.insert(name.as_str());
            let message = match known.iter().find(|parameter| parameter.name() == name) {
                Some(Parameter::Many(_)) => continue,
                Some(Parameter::Once(_)) if first => continue,
                Some(Parameter::Once(_)) => "is given more than once".to_owned(),
                None if first => unknown(known),
                None => continue,
            };
            problems.push(Problem { path: shown(name).into_owned(), message });
        }
        problems.dedup();
        self.problems.append(&mut problems);
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

    /// A time: RFC 3339, or seconds or milliseconds since 1970.
    pub fn time(&mut self, name: &str) -> Option<Time> {
        let time = time(self.get(name)?);
        if time.is_none() {
            let forms = "must be a time: RFC 3339, or seconds or milliseconds since 1970";
            self.wrong(name, forms.to_owned());
        }
        time
    }

    /// The period from `from` until just before `to`, where either is given.
    pub fn period(&mut self) -> (Option<Time>, Option<Time>) {
        let (from, until) = (self.time("from"), self.time("to"));
        if from.zip(until).is_some_and(|(from, until)| from >= until) {
            self.wrong("to", "must be after from".to_owned());
        }
        (from, until)
    }

    /// Which page of a list: `limit`, how long it is at most, and `cursor`, where it begins.
    pub fn page(&mut self) -> (usize, Option<String>) {
        let (usual, most) = PAGE;
        let limit = self.number("limit", 1..=most).unwrap_or(usual);
        (limit as usize, self.text("cursor", MAX_CURSOR_CHARS))
    }

    /// Pairs `name=value`, given once or more.
    pub fn pairs(&mut self, name: &str, most: usize) -> Vec<(String, String)> {
        let given = self.given.iter().filter(|(known, _)| known == name);
        let pairs: Option<Vec<_>> = given
            .map(|(_, pair)| {
                let (name, value) = pair.split_once('=')?;
                (!name.is_empty()).then(|| (name.to_owned(), value.to_owned()))
            })
            .collect();
        match pairs {
            Some(pairs) if pairs.len() <= most => return pairs,
            Some(_) => self.wrong(name, format!("may be given at most {most} times")),
            None => self.wrong(name, "must be name=value".to_owned()),
        }
        Vec::new()
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

/// A cursor that the list did not give out.
pub fn no_cursor() -> Rejection {
    Rejection::of("cursor", problem("is none of this list"))
}

/// What is below this is a number of seconds: as milliseconds it would be a day of early 1973,
/// as seconds it reaches beyond the year 5000.
const MOST_SECONDS: u64 = 100_000_000_000;

fn time(text: &str) -> Option<Time> {
    if let Ok(number) = text.parse::<i64>() {
        let seconds = number.unsigned_abs() < MOST_SECONDS;
        return Some(Time::from_millis(if seconds { number * 1_000 } else { number }));
    }
    // A `+` that nobody encoded arrives as a space.
    Time::parse(text).or_else(|| {
        let (local, offset) = text.rsplit_once(' ')?;
        Time::parse(&format!("{local}+{offset}"))
    })
}

fn unknown(known: &[Parameter]) -> String {
    let names: Vec<_> = known.iter().map(|parameter| parameter.name()).collect();
    match names.is_empty() {
        true => "is not known: this route takes no query parameters".to_owned(),
        false => format!("is not known: this route takes {}", names.join(", ")),
    }
}

/// A name as it may be shown: short, and without what a terminal or a log would act on.
fn shown(name: &str) -> Cow<'_, str> {
    let plain = name.len() <= NAME_SHOWN && name.bytes().all(|byte| byte.is_ascii_graphic());
    if plain {
        return name.into();
    }
    let cut: String = name.chars().take(NAME_SHOWN).collect();
    cut.escape_debug().to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [Parameter; 2] = [Parameter::Once("days"), Parameter::Many("collection")];

    fn problems(query: &str) -> Vec<(String, String)> {
        let uri = format!("/x?{query}").parse().unwrap();
        match Parameters::of(&uri, &KNOWN).check() {
            Ok(()) => Vec::new(),
            Err(Rejection::Invalid(problems)) => {
                problems.into_iter().map(|problem| (problem.path, problem.message)).collect()
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    fn paths(query: &str) -> Vec<String> {
        problems(query).into_iter().map(|(path, _)| path).collect()
    }

    #[test]
    fn what_is_known_passes_once_or_as_often_as_it_may() {
        for query in ["", "days=1", "collection=a&days=1&collection=a"] {
            assert!(problems(query).is_empty(), "{query}");
        }
    }

    #[test]
    fn what_is_not_known_or_given_twice_is_named() {
        assert_eq!(paths("from=1&days=1&days=1&days=2&to=&from=2"), ["from", "days", "to"]);
        assert_eq!(paths("Days=1&d%61ys=1&=x"), ["Days", ""]);
        let told = &problems("from=1")[0].1;
        assert_eq!(told, "is not known: this route takes days, collection");
        assert_eq!(problems("days=&days=")[0].1, "is given more than once");
    }

    #[test]
    fn a_time_is_rfc_3339_or_a_number_of_seconds_or_milliseconds() {
        let expected = Time::parse("2026-11-25T08:00:00Z");
        for text in [
            "2026-11-25T08:00:00Z",
            "2026-11-25T09:00:00+01:00",
            "2026-11-25T09:00:00 01:00",
            "2026-11-25 09:00:00 01:00",
            "1795593600",
            "1795593600000",
        ] {
            assert_eq!(time(text), expected, "{text}");
        }
        assert_eq!(time("0"), Some(Time::EPOCH));
        for text in ["", " ", "now", "1795593600.5", "2026-11-25", "99999999999999999999"] {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn a_name_is_shown_short_and_harmless() {
        let long = "n".repeat(60_000);
        assert_eq!(paths(&long)[0].len(), NAME_SHOWN);
        assert_eq!(paths("%0A%E2%80%AE%1B")[0], "\\n\\u{202e}\\u{1b}");
        let many: Vec<String> = (0..10_000).map(|n| format!("p{n}")).collect();
        assert_eq!(paths(&many.join("&")).len(), NAMES_JUDGED);
    }
}
