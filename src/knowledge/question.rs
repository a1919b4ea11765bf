//! A question as it is asked: what its body may hold, and which entries it is put to.

use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize, de::MapAccess};
use validator::{Validate, ValidationError, ValidationErrors};

use crate::{
    model::{Category, Entry, Severity},
    validation::{self, Accept, Field, Rejection, is_one_of, problem},
};

const MAX_QUERY_CHARS: usize = 5000;
const MAX_TEXT_CHARS: usize = 20_000;
const DEFAULT_LIMIT: usize = 10;
const MAX_LIMIT: i64 = 100;
const MAX_TAG_CHARS: usize = 200;

/// What a query may hold: letters, digits and marks of any script, white space, and the marks
/// that people and metric names need. No control characters but tab and line ends.
#[allow(clippy::expect_used)] // why: a constant pattern that every test of a query compiles
static ALLOWED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"^(?:[\p{L}\p{N}\p{M}\p{Zs}\t\n\r\-.()_:/,'"?!%@#+=&])*$"#)
        .expect("the pattern is constant")
});

/// A question that has passed every check.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The text, trimmed.
    pub text: String,
    /// How many entries to return at most, 1 to 100.
    pub limit: usize,
    /// Which entries to look among.
    pub filter: QuestionFilter,
}

/// Which entries to look among; what is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QuestionFilter {
    /// Entries of this category.
    pub category: Option<Category>,
    /// Entries of this severity.
    pub severity: Option<Severity>,
    /// Entries with this tag, whatever its case.
    pub tag: Option<String>,
}

impl QuestionFilter {
    /// Whether an entry is to be looked at.
    pub fn admits(&self, entry: &Entry) -> bool {
        self.category.is_none_or(|category| entry.category == category)
            && self.severity.is_none_or(|severity| entry.severity == severity)
            && self.tag.as_ref().is_none_or(|wanted| {
                entry.tags.iter().any(|tag| tag.to_lowercase() == wanted.to_lowercase())
            })
    }
}

impl Question {
    /// Reads the body of a query.
    pub fn parse(body: &[u8]) -> Result<Self, Rejection> {
        let Asked(asked) = validation::parse(body)?;
        let filter = asked.filter.given().unwrap_or_default();
        let limit = asked.limit.given().and_then(|limit| usize::try_from(limit).ok());
        let text = asked.query.given().or(asked.text.given()).unwrap_or_default();
        Ok(Self {
            text: text.trim().to_owned(),
            limit: limit.unwrap_or(DEFAULT_LIMIT),
            filter: QuestionFilter {
                category: filter.category.given().and_then(|name| Category::parse(&name)),
                severity: filter.severity.given().and_then(|name| Severity::parse(&name)),
                tag: filter.tag.given(),
            },
        })
    }
}

/// A body that asks in exactly one of the two ways.
#[derive(Deserialize)]
#[serde(transparent)]
struct Asked(QueryBody);

impl Validate for Asked {
    fn validate(&self) -> Result<(), ValidationErrors> {
        let Self(body) = self;
        let mut errors = body.validate().err().unwrap_or_default();
        let missing = |field: &Field<String>| matches!(field, Field::Missing | Field::Null);
        let asked = match (missing(&body.query), missing(&body.text)) {
            (true, false) => is_text(&body.text).map_err(|problem| ("text", problem)),
            (false, true) => is_query(&body.query).map_err(|problem| ("query", problem)),
            (true, true) => Err(("query", problem("is required, or text"))),
            (false, false) => Err(("text", problem("must not be given beside query"))),
        };
        if let Err((field, problem)) = asked {
            errors.add(field, problem);
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

#[derive(Deserialize, Default, Validate)]
#[serde(default)]
struct QueryBody {
    query: Field<String>,
    text: Field<String>,
    #[validate(custom(function = "is_limit"))]
    limit: Field<i64>,
    #[validate(nested)]
    filter: Field<FilterBody>,
}

#[derive(Deserialize, Default, Validate, Serialize)]
#[serde(default)]
struct FilterBody {
    #[validate(custom(function = "is_category"))]
    category: Field<String>,
    #[validate(custom(function = "is_severity"))]
    severity: Field<String>,
    #[validate(custom(function = "is_tag"))]
    tag: Field<String>,
}

impl Accept for FilterBody {
    fn from_object<'de, A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
        Self::deserialize(serde::de::value::MapAccessDeserializer::new(object)).map(Some)
    }
}

impl Validate for Field<FilterBody> {
    fn validate(&self) -> Result<(), ValidationErrors> {
        match self {
            Self::Missing | Self::Null => Ok(()),
            Self::Given(filter) => filter.validate(),
            Self::Mistyped => {
                let mut errors = ValidationErrors::new();
                errors.add("", problem("must be an object"));
                Err(errors)
            }
        }
    }
}

fn is_query(query: &Field<String>) -> Result<(), ValidationError> {
    let text = is_of_length(query, MAX_QUERY_CHARS)?;
    if ALLOWED.is_match(text) { Ok(()) } else { Err(problem("Invalid characters")) }
}

/// What people paste: no control characters but tab and line ends, a Windows one among them.
fn is_text(text: &Field<String>) -> Result<(), ValidationError> {
    let text = is_of_length(text, MAX_TEXT_CHARS)?;
    let mut after = text.chars().skip(1);
    let refused = |c: char| {
        let next = after.next();
        c.is_control() && !matches!(c, '\t' | '\n') && (c, next) != ('\r', Some('\n'))
    };
    if text.chars().any(refused) { Err(problem("Invalid characters")) } else { Ok(()) }
}

fn is_of_length(text: &Field<String>, max: usize) -> Result<&str, ValidationError> {
    match text.as_given().map(|text| text.trim()) {
        None => Err(problem("must be a string")),
        Some("") => Err(problem("must not be empty")),
        Some(text) if text.chars().count() > max => {
            Err(problem(format!("must be at most {max} characters long")))
        }
        Some(text) => Ok(text),
    }
}

fn is_limit(limit: &Field<i64>) -> Result<(), ValidationError> {
    match limit {
        Field::Missing | Field::Null => Ok(()),
        Field::Given(limit) if (1..=MAX_LIMIT).contains(limit) => Ok(()),
        _ => Err(problem(format!("must be a whole number from 1 to {MAX_LIMIT}"))),
    }
}

fn is_category(name: &Field<String>) -> Result<(), ValidationError> {
    is_one_of(name, &Category::ALL.map(Category::as_str))
}

fn is_severity(name: &Field<String>) -> Result<(), ValidationError> {
    is_one_of(name, &Severity::ALL.map(Severity::as_str))
}

fn is_tag(tag: &Field<String>) -> Result<(), ValidationError> {
    match tag {
        Field::Missing | Field::Null => Ok(()),
        Field::Given(tag) if (1..=MAX_TAG_CHARS).contains(&tag.chars().count()) => Ok(()),
        _ => Err(problem(format!("must be a string of 1 to {MAX_TAG_CHARS} characters"))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_whole_number_may_be_written_with_a_point() {
        let limit = |limit: &str| {
            let body = format!(r#"{{"query":"disk","limit":{limit}}}"#);
            Question::parse(body.as_bytes()).ok().map(|question| question.limit)
        };
        assert_eq!([limit("5"), limit("5.0"), limit("1e2")], [Some(5), Some(5), Some(100)]);
        assert_eq!([limit("5.5"), limit("1e300"), limit("0.0")], [None, None, None]);
    }

    #[test]
    fn a_query_may_hold_what_people_and_metric_names_need() {
        for text in [
            "node_filesystem_avail_bytes:rate5m",
            "Почему диск заполнен? (95%)",
            "ディスク e\u{301}\tcafé\nO'Brien, \"disk\" +1 = & # @/x.y-z!",
        ] {
            let body = serde_json::json!({"query": text}).to_string();
            assert_eq!(Question::parse(body.as_bytes()).unwrap().text, text);
        }
        for mark in "<>;{}$|\\`^~[]*\u{0}\u{7}\u{1b}\u{7f}\u{85}\u{200b}".chars() {
            let body = serde_json::json!({"query": format!("a{mark}b")}).to_string();
            let Err(Rejection::Invalid(problems)) = Question::parse(body.as_bytes()) else {
                panic!("{mark:?} was taken");
            };
            assert_eq!(problems[0].message, "Invalid characters");
        }
    }

    #[test]
    fn every_problem_of_a_query_is_listed() {
        let body = br#"{"query":"  ","limit":0,"filter":{"category":"x","severity":1,"tag":""}}"#;
        let Err(Rejection::Invalid(problems)) = Question::parse(body) else { panic!("was taken") };
        let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(paths, ["filter.category", "filter.severity", "filter.tag", "limit", "query"]);
    }

    #[test]
    fn five_thousand_characters_are_taken_and_one_more_is_not() {
        let body = |n: usize| format!(r#"{{"query":" {} "}}"#, "ж".repeat(n));
        assert!(Question::parse(body(5000).as_bytes()).is_ok());
        assert!(Question::parse(body(5001).as_bytes()).is_err());
    }

    #[test]
    fn a_text_may_hold_whatever_people_paste() {
        for text in [
            "{\"State\": {\"OOMKilled\": false}} <b> $x | y; `z` \\ ~ ^ [1] *",
            "it’s down – please help … 5 € > 3 🔥",
            "line one\r\n\tat com.acme.Main(Main.java:1)\n",
            "rate(http_requests_total{status!~\"5..\"}[5m]) > 0",
        ] {
            let body = serde_json::json!({"text": text}).to_string();
            assert_eq!(Question::parse(body.as_bytes()).unwrap().text, text.trim());
        }
        for mark in "\u{0}\u{7}\u{1b}\u{7f}\u{85}\r".chars() {
            let body = serde_json::json!({"text": format!("a{mark}b")}).to_string();
            let Err(Rejection::Invalid(problems)) = Question::parse(body.as_bytes()) else {
                panic!("{mark:?} was taken");
            };
            assert_eq!((problems[0].path.as_str(), problems.len()), ("text", 1));
        }
        let of = |n: usize| serde_json::json!({"text": "ж".repeat(n)}).to_string();
        assert!(Question::parse(of(20_000).as_bytes()).is_ok());
        assert!(Question::parse(of(20_001).as_bytes()).is_err());
    }

    #[test]
    fn a_question_is_asked_in_exactly_one_way() {
        for (body, path) in [
            (r#"{}"#, "query"),
            (r#"{"text":null}"#, "query"),
            (r#"{"query":"a","text":"b"}"#, "text"),
            (r#"{"query":"a","text":7}"#, "text"),
            (r#"{"text":7}"#, "text"),
            (r#"{"text":" "}"#, "text"),
        ] {
            let Err(Rejection::Invalid(problems)) = Question::parse(body.as_bytes()) else {
                panic!("{body} was taken");
            };
            assert_eq!((problems[0].path.as_str(), problems.len()), (path, 1), "{body}");
        }
        assert!(Question::parse(br#"{"query":null,"text":"b"}"#).is_ok());
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in r#"(\{("(query|text|limit|filter|tag)":("[^"]{0,9}"|-?[0-9]{1,20}|[0-9]e[0-9]|null|\[\]|\{"tag":"x"\}),?){0,4}\}?|.{0,40})"#) {
            let _ = Question::parse(body.as_bytes());
        }
    }
}
