//! The bearer keys: `API_KEY`, or the list in `API_KEY_ROTATION`.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use super::reader::Reader;
use crate::{model::Time, security::Role};

/// One bearer key.
#[derive(Clone, Debug)]
pub struct ApiKeySettings {
    /// The key itself.
    pub key: SecretString,
    /// How logs call it.
    pub label: String,
    /// The highest of its roles: a higher role may do all that a lower one may.
    pub role: Role,
    /// Which edition of the key this is.
    pub version: Option<String>,
    /// When it was made.
    pub created_at: Option<Time>,
    /// When it ends.
    pub expires_at: Option<Time>,
    /// False: refused.
    pub active: bool,
}

impl ApiKeySettings {
    /// The admin key that `API_KEY` gives.
    pub(super) fn single(key: SecretString) -> Self {
        Self {
            key,
            label: "api-key".to_owned(),
            role: Role::Admin,
            version: None,
            created_at: None,
            expires_at: None,
            active: true,
        }
    }
}

const ROTATION: &str = "API_KEY_ROTATION";
const FIELDS: &[&str] = &["key", "label", "roles", "version", "createdAt", "expiresAt", "active"];

pub(super) fn read(reader: &mut Reader<'_>) -> Vec<ApiKeySettings> {
    let single = reader.secret("API_KEY");
    match (reader.secret(ROTATION), single) {
        (Some(list), single) => {
            if single.is_some() {
                reader.warn("API_KEY is ignored, because API_KEY_ROTATION is set");
            }
            rotation(reader, list.expose_secret())
        }
        (None, Some(key)) => vec![ApiKeySettings::single(key)],
        (None, None) => Vec::new(),
    }
}

fn rotation(reader: &mut Reader<'_>, text: &str) -> Vec<ApiKeySettings> {
    let list: Vec<Value> = match serde_json::from_str(text) {
        Ok(Value::Array(list)) if !list.is_empty() => list,
        Ok(_) => {
            reader.problem(ROTATION, "expected a JSON list of at least one key");
            return Vec::new();
        }
        // The parser's own words may quote the text.
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            reader.problem(ROTATION, format!("is not JSON (line {line}, column {column})"));
            return Vec::new();
        }
    };
    let keys: Vec<_> = list.iter().enumerate().filter_map(|(i, v)| entry(reader, i, v)).collect();
    for (i, key) in keys.iter().enumerate() {
        if keys[..i].iter().any(|earlier| earlier.label == key.label) {
            reader.problem(ROTATION, "two keys have the same label");
        }
    }
    keys
}

/// One element of the list; a problem for each field that is wrong.
fn entry(reader: &mut Reader<'_>, index: usize, value: &Value) -> Option<ApiKeySettings> {
    let Value::Object(fields) = value else {
        reader.problem(&format!("{ROTATION}[{index}]"), "expected an object");
        return None;
    };
    if fields.keys().any(|name| !FIELDS.contains(&name.as_str())) {
        let known = FIELDS.join(", ");
        reader.warn(format!("{ROTATION}[{index}] has fields other than {known}; they are ignored"));
    }
    let mut entry = Entry { reader, index, fields };
    let key = entry.required("key", "a key that is not blank", filled_text);
    let label = entry.required("label", "1 to 64 visible characters", label);
    let role = entry.required("roles", "a list of viewer, operator or admin", highest_role);
    let version = entry.optional("version", "a text or a number", version);
    let created_at = entry.optional("createdAt", "an RFC 3339 time or a date", time);
    let expires_at = entry.optional("expiresAt", "an RFC 3339 time or a date", time);
    let active = entry.optional("active", "true or false", Value::as_bool);
    if let (Some(created_at), Some(expires_at)) = (created_at, expires_at)
        && expires_at <= created_at
    {
        entry.problem("expiresAt", "is not after createdAt");
    }
    Some(ApiKeySettings {
        key: SecretString::from(key?),
        label: label?,
        role: role?,
        version,
        created_at,
        expires_at,
        active: active.unwrap_or(true),
    })
}

struct Entry<'r, 'a, 'v> {
    reader: &'r mut Reader<'a>,
    index: usize,
    fields: &'v Map<String, Value>,
}

impl Entry<'_, '_, '_> {
    fn problem(&mut self, field: &str, what: &str) {
        self.reader.problem(&format!("{ROTATION}[{}].{field}", self.index), what);
    }

    fn optional<T>(
        &mut self,
        field: &str,
        expected: &str,
        parse: impl Fn(&Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.fields.get(field).filter(|value| !value.is_null())?;
        let parsed = parse(value);
        if parsed.is_none() {
            self.problem(field, &format!("expected {expected}"));
        }
        parsed
    }

    fn required<T>(
        &mut self,
        field: &str,
        expected: &str,
        parse: impl Fn(&Value) -> Option<T>,
    ) -> Option<T> {
        if self.fields.get(field).is_none_or(Value::is_null) {
            self.problem(field, &format!("is missing; expected {expected}"));
            return None;
        }
        self.optional(field, expected, parse)
    }
}

fn filled_text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned)
}

fn label(value: &Value) -> Option<String> {
    let text = filled_text(value)?;
    (text.chars().count() <= 64 && !text.contains(char::is_control)).then_some(text)
}

/// The highest of at least one; `None` where one of them is unknown.
fn highest_role(value: &Value) -> Option<Role> {
    let roles = value.as_array()?.iter().map(|role| serde_json::from_value(role.clone()).ok());
    roles.collect::<Option<Vec<Role>>>()?.into_iter().max()
}

fn version(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A plain date means its first moment in UTC.
fn time(value: &Value) -> Option<Time> {
    let text = value.as_str()?.trim();
    Time::parse(text).or_else(|| {
        let date: jiff::civil::Date = text.parse().ok()?;
        Time::parse(&format!("{date}T00:00:00Z"))
    })
}
