//! An entry as a person writes it.

use serde::Deserialize;
use validator::{Validate, ValidationError};

use crate::{
    model::{Category, EntryText, Severity, is_web_url},
    validation::{self, Field, Rejection, is_one_of, problem},
};

const MAX_TITLE_CHARS: usize = 500;
const MAX_CONTENT_CHARS: usize = 50_000;
const MAX_TAGS: usize = 20;
const MAX_TAG_CHARS: usize = 50;
const MAX_ITEMS: usize = 200;

/// An entry by hand that has passed every check.
#[derive(Clone, Debug, PartialEq)]
pub struct EntryDraft {
    title: String,
    category: Option<Category>,
    severity: Option<Severity>,
    description: String,
    root_cause: Option<String>,
    solution: String,
    prerequisites: Vec<String>,
    steps: Vec<String>,
    expected_outcome: String,
    tags: Vec<String>,
    related_entries: Vec<String>,
    runbook_url: Option<String>,
}

impl EntryDraft {
    /// Reads the body of a create or a replace.
    ///
    /// # Errors
    /// With every problem.
    pub fn parse(body: &[u8]) -> Result<Self, Rejection> {
        let body: EntryBody = validation::parse(body)?;
        let text = |field: Field<String>| field.given().unwrap_or_default();
        let optional = |field: Field<String>| field.given().filter(|text| !text.is_empty());
        let list = |field: Field<Vec<Field<String>>>| {
            let items = field.given().unwrap_or_default().into_iter();
            // An empty item says nothing, and no store keeps it.
            items.filter_map(Field::given).filter(|item| !item.is_empty()).collect::<Vec<_>>()
        };
        let mut tags: Vec<String> = Vec::new();
        for tag in list(body.tags) {
            let tag = tag.trim().to_owned();
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        let category = body.category.given().and_then(|name| Category::parse(&name));
        let severity = body.severity.given().and_then(|name| Severity::parse(&name));
        Ok(Self {
            title: text(body.title).trim().to_owned(),
            category,
            severity,
            description: text(body.description),
            root_cause: optional(body.root_cause),
            solution: text(body.solution),
            prerequisites: list(body.prerequisites),
            steps: list(body.steps),
            expected_outcome: text(body.expected_outcome),
            tags,
            related_entries: list(body.related_entries),
            runbook_url: optional(body.runbook_url),
        })
    }

    /// The text of a new entry.
    pub(super) fn into_text(self) -> EntryText {
        EntryText {
            title: self.title,
            category: self.category.unwrap_or(Category::Troubleshooting),
            severity: self.severity.unwrap_or(Severity::Medium),
            description: self.description,
            root_cause: self.root_cause,
            solution: self.solution,
            prerequisites: self.prerequisites,
            steps: self.steps,
            expected_outcome: self.expected_outcome,
            tags: self.tags,
            related_entries: self.related_entries,
            runbook_url: self.runbook_url,
        }
    }

    /// The text that takes the place of `known`. Of what kind it is and how bad stays unless
    /// told: a learned pattern that lost its kind would not be counted any more.
    pub(super) fn in_place_of(self, known: &EntryText) -> EntryText {
        let draft = Self {
            category: self.category.or(Some(known.category)),
            severity: self.severity.or(Some(known.severity)),
            ..self
        };
        draft.into_text()
    }
}

#[derive(Deserialize, Default, Validate)]
#[serde(rename_all = "camelCase", default)]
struct EntryBody {
    #[validate(custom(function = "is_title"))]
    title: Field<String>,
    #[validate(custom(function = "is_category"))]
    category: Field<String>,
    #[validate(custom(function = "is_severity"))]
    severity: Field<String>,
    #[validate(custom(function = "is_content"))]
    description: Field<String>,
    #[validate(custom(function = "is_content"))]
    root_cause: Field<String>,
    #[validate(custom(function = "is_content"))]
    solution: Field<String>,
    #[validate(custom(function = "is_list"))]
    prerequisites: Field<Vec<Field<String>>>,
    #[validate(custom(function = "is_list"))]
    steps: Field<Vec<Field<String>>>,
    #[validate(custom(function = "is_content"))]
    expected_outcome: Field<String>,
    #[validate(custom(function = "are_tags"))]
    tags: Field<Vec<Field<String>>>,
    #[validate(custom(function = "is_list"))]
    related_entries: Field<Vec<Field<String>>>,
    #[validate(custom(function = "is_url"))]
    runbook_url: Field<String>,
}

fn is_title(title: &Field<String>) -> Result<(), ValidationError> {
    match title {
        Field::Missing | Field::Null => Err(problem("is required")),
        Field::Given(title) if (1..=MAX_TITLE_CHARS).contains(&title.trim().chars().count()) => {
            Ok(())
        }
        _ => Err(problem(format!("must be a string of 1 to {MAX_TITLE_CHARS} characters"))),
    }
}

/// Open questions are asked, not written.
fn is_category(name: &Field<String>) -> Result<(), ValidationError> {
    let known: Vec<_> = Category::ALL
        .into_iter()
        .filter(|category| *category != Category::Question)
        .map(Category::as_str)
        .collect();
    is_one_of(name, &known)
}

fn is_severity(name: &Field<String>) -> Result<(), ValidationError> {
    is_one_of(name, &Severity::ALL.map(Severity::as_str))
}

fn is_content(text: &Field<String>) -> Result<(), ValidationError> {
    match text {
        Field::Missing | Field::Null => Ok(()),
        Field::Given(text) if text.chars().count() <= MAX_CONTENT_CHARS => Ok(()),
        _ => Err(problem(format!("must be a string of at most {MAX_CONTENT_CHARS} characters"))),
    }
}

fn is_list(list: &Field<Vec<Field<String>>>) -> Result<(), ValidationError> {
    match list {
        Field::Missing | Field::Null => Ok(()),
        Field::Mistyped => Err(problem("must be a list of strings")),
        Field::Given(items) if items.len() > MAX_ITEMS => {
            Err(problem(format!("must hold at most {MAX_ITEMS} items")))
        }
        Field::Given(items) => {
            let lengths = items.iter().map(|item| Some(item.as_given()?.chars().count()));
            match lengths.sum::<Option<usize>>() {
                None => Err(problem("must be a list of strings")),
                Some(length) if length > MAX_CONTENT_CHARS => {
                    Err(problem(format!("must hold at most {MAX_CONTENT_CHARS} characters")))
                }
                Some(_) => Ok(()),
            }
        }
    }
}

fn are_tags(tags: &Field<Vec<Field<String>>>) -> Result<(), ValidationError> {
    match tags {
        Field::Missing | Field::Null => Ok(()),
        Field::Given(tags) if tags.len() <= MAX_TAGS && tags.iter().all(is_tag) => Ok(()),
        _ => Err(problem(format!(
            "must be a list of at most {MAX_TAGS} strings of 1 to {MAX_TAG_CHARS} characters"
        ))),
    }
}

fn is_tag(tag: &Field<String>) -> bool {
    let length = tag.as_given().map(|tag| tag.trim().chars().count());
    length.is_some_and(|length| (1..=MAX_TAG_CHARS).contains(&length))
}

fn is_url(url: &Field<String>) -> Result<(), ValidationError> {
    match url {
        Field::Missing | Field::Null => Ok(()),
        Field::Given(url) if url.is_empty() || is_web_url(url) && url.len() <= 2_000 => Ok(()),
        _ => Err(problem("must be a URL of http or https, at most 2000 bytes long")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_of_the_contract_hold_to_the_character() {
        let taken =
            |body: serde_json::Value| EntryDraft::parse(body.to_string().as_bytes()).is_ok();
        let with = |name: &str, value: serde_json::Value| {
            let mut body = serde_json::json!({"title": "t"});
            body[name] = value;
            taken(body)
        };
        let tags = |n: usize, length: usize| {
            (0..n).map(|i| format!("{i:0>length$}")).collect::<Vec<_>>().into()
        };
        assert!(with("title", "ж".repeat(500).into()) && !with("title", "ж".repeat(501).into()));
        assert!(!with("title", "  ".into()));
        assert!(with("solution", "ж".repeat(50_000).into()));
        assert!(!with("solution", "ж".repeat(50_001).into()));
        assert!(with("tags", tags(20, 50)) && !with("tags", tags(21, 5)));
        assert!(!with("tags", tags(1, 51)));
        assert!(!with("category", "question".into()) && with("category", "optimization".into()));
        assert!(!with("runbookUrl", "javascript:alert(1)".into()));
    }

    #[test]
    fn every_problem_of_a_draft_is_listed() {
        let body = br#"{"title":7,"severity":"x","steps":[1],"tags":"a","rootCause":[]}"#;
        let Err(Rejection::Invalid(problems)) = EntryDraft::parse(body) else { panic!("taken") };
        let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(paths, ["rootCause", "severity", "steps", "tags", "title"]);
    }
}
