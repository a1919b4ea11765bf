//! How input is judged: every problem with its path, not only the first.
//!
//! [`Field`] takes any JSON where a certain kind is expected, so that a value of the wrong kind
//! is one problem among others and not the end of reading; `validator` does the rest.

mod field;

use std::borrow::Cow;

use serde::{
    Serialize,
    de::{DeserializeOwned, IgnoredAny, MapAccess, value::MapAccessDeserializer},
};
use validator::{Validate, ValidationError, ValidationErrors, ValidationErrorsKind};

pub use field::{Accept, Field};

/// One thing wrong with the input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// Where, as `alerts.0.status`; empty for the whole.
    pub path: String,
    /// What, for a person.
    pub message: String,
}

/// Why a body was not taken.
#[derive(Debug, PartialEq)]
pub enum Rejection {
    /// It is no JSON; the text says where it stops being one.
    Malformed(String),
    /// It is JSON, with these problems; at least one.
    Invalid(Vec<Problem>),
}

impl Rejection {
    /// One problem, at this path.
    pub fn of(path: &str, error: ValidationError) -> Self {
        let message = error.message.unwrap_or_default().into_owned();
        Self::Invalid(vec![Problem { path: path.to_owned(), message }])
    }
}

/// Reads a JSON body and judges it.
pub fn parse<T: DeserializeOwned + Validate>(body: &[u8]) -> Result<T, Rejection> {
    is_object(body)?;
    let value: T = read_object(body, "must be a JSON object")?;
    value.validate().map_err(|errors| Rejection::Invalid(problems(&errors)))?;
    Ok(value)
}

/// Reads a JSON body that must be an object; `expected` is what is said of any other JSON.
pub fn read_object<T: DeserializeOwned>(
    body: &[u8],
    expected: &'static str,
) -> Result<T, Rejection> {
    let of_the_whole =
        |message: String| Rejection::Invalid(vec![Problem { path: String::new(), message }]);
    match serde_json::from_slice(body) {
        Ok(Field::Given(Object(value))) => Ok(value),
        Ok(_) => Err(of_the_whole(expected.to_owned())),
        // Types of fields are Field's business; what is left is a doubled field.
        Err(error) if error.is_data() => Err(of_the_whole(in_plain_words(&error.to_string()))),
        Err(error) => Err(Rejection::Malformed(error.to_string())),
    }
}

struct Object<T>(T);

impl<T: DeserializeOwned> Accept for Object<T> {
    fn from_object<'de, A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(object)).map(|value| Some(Self(value)))
    }
}

/// Serde would take a list for an object whose fields come in order.
fn is_object(body: &[u8]) -> Result<(), Rejection> {
    let found = match body.trim_ascii_start().first() {
        Some(b'[') => "a list",
        Some(b'"') => "a text",
        Some(b't' | b'f') => "true or false",
        Some(b'n') => "null",
        Some(b'-' | b'0'..=b'9') => "a number",
        _ => return Ok(()),
    };
    serde_json::from_slice::<IgnoredAny>(body)
        .map_err(|error| Rejection::Malformed(error.to_string()))?;
    let message = format!("expected a JSON object, found {found}");
    Err(Rejection::Invalid(vec![Problem { path: String::new(), message }]))
}

/// What serde says in the words of whoever wrote the JSON: it names the program's own types.
fn in_plain_words(error: &str) -> String {
    let field = || error.split('`').nth(1).unwrap_or_default();
    if error.starts_with("duplicate field") {
        return format!("the field {} is given twice", field());
    }
    if error.starts_with("missing field") {
        return format!("the field {} is missing", field());
    }
    "is not of the form that is expected here".to_owned()
}

/// A failed check, with the sentence for a person.
pub fn problem(message: impl Into<Cow<'static, str>>) -> ValidationError {
    ValidationError::new("invalid").with_message(message.into())
}

/// All problems in `errors`, by path.
pub fn problems(errors: &ValidationErrors) -> Vec<Problem> {
    let mut found = Vec::new();
    collect("", errors, &mut found);
    found.sort_by(|a, b| natural(&a.path).cmp(&natural(&b.path)).then(a.message.cmp(&b.message)));
    found
}

/// `alerts.10` after `alerts.9`.
fn natural(path: &str) -> Vec<(u64, &str)> {
    path.split('.').map(|part| (part.parse().unwrap_or(u64::MAX), part)).collect()
}

fn collect(prefix: &str, errors: &ValidationErrors, found: &mut Vec<Problem>) {
    for (name, kind) in errors.errors() {
        // An empty name is the whole itself.
        let name = wire_name(name);
        let path = match (prefix, name.as_ref()) {
            ("", name) => name.to_owned(),
            (prefix, "") => prefix.to_owned(),
            (prefix, name) => format!("{prefix}.{name}"),
        };
        match kind {
            ValidationErrorsKind::Struct(inner) => collect(&path, inner, found),
            ValidationErrorsKind::List(items) => {
                for (index, inner) in items {
                    collect(&format!("{path}.{index}"), inner, found);
                }
            }
            ValidationErrorsKind::Field(failures) => found.extend(failures.iter().map(|failure| {
                let message = failure.message.as_deref().unwrap_or(&failure.code).to_owned();
                Problem { path: path.clone(), message }
            })),
        }
    }
}

/// The derive names fields as Rust does, the wire as JavaScript does. Names that come from the
/// wire are left alone: the caller wrote them.
#[allow(clippy::ptr_arg)] // why: whether the name is borrowed tells where it comes from
fn wire_name(name: &Cow<'static, str>) -> Cow<'static, str> {
    match name {
        Cow::Borrowed("generator_url") => "generatorURL".into(),
        Cow::Borrowed(field) if field.contains('_') => camel_case(field).into(),
        other => other.clone(),
    }
}

fn camel_case(field: &str) -> String {
    let mut words = field.split('_');
    let mut name = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name
}

/// Whether a field, if given, is one of these words.
pub fn is_one_of(name: &Field<String>, words: &[&str]) -> Result<(), ValidationError> {
    match name {
        Field::Missing | Field::Null => Ok(()),
        Field::Given(name) if words.contains(&name.as_str()) => Ok(()),
        _ => Err(problem(format!("must be one of {}", words.join(", ")))),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize, Validate)]
    struct Wire {
        size: u8,
        inner: Option<Box<Wire>>,
    }

    fn message(body: &str) -> String {
        match parse::<Wire>(body.as_bytes()) {
            Err(Rejection::Invalid(problems)) => problems[0].message.clone(),
            Err(Rejection::Malformed(place)) => place,
            Ok(wire) => panic!("{wire:?}"),
        }
    }

    #[test]
    fn what_serde_refuses_is_said_without_its_words() {
        for (body, said) in [
            ("[{}]", "expected a JSON object, found a list"),
            ("\"Wire\"", "expected a JSON object, found a text"),
            ("12", "expected a JSON object, found a number"),
            ("1.5", "expected a JSON object, found a number"),
            ("true", "expected a JSON object, found true or false"),
            ("null", "expected a JSON object, found null"),
            ("{\"size\":1,\"size\":2}", "the field size is given twice"),
            ("{}", "the field size is missing"),
            ("{\"size\":{}}", "is not of the form that is expected here"),
            ("{\"size\":256}", "is not of the form that is expected here"),
        ] {
            assert_eq!(message(body), said, "{body}");
        }
        for body in ["[1", "nul", "1x", "{", "{\"size\":", "[1,", "{\"size\":1}x"] {
            let said = message(body);
            assert!(!said.contains("Wire") && !said.contains("struct"), "{said}");
        }
    }
}
