//! Reads one variable at a time, and notes on the way what is wrong, what deserves a warning,
//! and what holds. An empty variable counts as unset: compose files pass empty ones.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    str::FromStr,
};

use secrecy::SecretString;

use super::{
    describe::Effective,
    problems::Problems,
    sources::{Env, NotUnicode, exposure, read_dotenv, read_text},
    variables::{Variable, variable},
};

/// A variable as it was found.
pub(super) struct Found {
    /// The name that it was set under: its own, or an alias.
    pub name: String,
    /// Its value, not empty.
    pub value: String,
    source: &'static str,
}

/// The one file beside the environment.
const DOTENV: &str = ".env";

pub(super) struct Reader<'a> {
    env: &'a dyn Env,
    dotenv: BTreeMap<String, String>,
    /// Where relative paths start.
    pub directory: &'a Path,
    problems: Problems,
    warnings: Vec<String>,
    effective: BTreeMap<&'static str, Effective>,
}

impl<'a> Reader<'a> {
    pub fn new(env: &'a dyn Env, directory: &'a Path) -> Self {
        let mut problems = Problems::default();
        let dotenv = read_dotenv(directory, DOTENV, &mut problems);
        let holds_secret = dotenv.iter().any(|(name, value)| is_secret(name) && !value.is_empty());
        let warnings = exposure(&directory.join(DOTENV), holds_secret)
            .map(|what| format!("{DOTENV} {what}"))
            .into_iter()
            .collect();
        Self { env, dotenv, directory, problems, warnings, effective: BTreeMap::new() }
    }

    /// Notes what is wrong with `name`.
    pub fn problem(&mut self, name: &str, what: impl Display) {
        self.problems.push(format!("{name}: {what}"));
    }

    /// Notes something legal that deserves a line.
    pub fn warn(&mut self, what: impl Into<String>) {
        self.warnings.push(what.into());
    }

    /// Does a person look at what is printed?
    pub fn terminal(&self) -> bool {
        self.env.terminal()
    }

    /// What the environment alone has under `name`, which is no variable of this service.
    pub fn foreign(&self, name: &str) -> Option<String> {
        self.env.get(name).ok().flatten()
    }

    /// Whether `.env` sets `name`.
    pub fn in_dotenv(&self, name: &str) -> bool {
        self.dotenv.contains_key(name)
    }

    /// Shows `value` for `name` in the list of effective settings.
    pub fn show(&mut self, name: &str, value: impl Into<String>) {
        if let Some(row) = self.effective.get_mut(name) {
            row.value = value.into();
        }
    }

    /// As [`show`](Self::show), for a value that was made up from another variable's.
    pub fn show_from(&mut self, name: &str, value: impl Into<String>, source: &str) {
        self.show(name, value);
        if let Some(row) = self.effective.get_mut(name) {
            row.source = source.to_owned();
        }
    }

    /// The names of all variables that are set, whoever they are for.
    pub fn names(&self) -> BTreeSet<String> {
        self.env.names().into_iter().chain(self.dotenv.keys().cloned()).collect()
    }

    /// What came of it: `value` if nothing is wrong.
    pub fn finish<T>(self, value: Option<T>) -> Result<(T, Notes), Problems> {
        match value {
            Some(value) if self.problems.is_empty() => {
                let effective = self.effective.into_values().collect();
                Ok((value, Notes { warnings: self.warnings, effective }))
            }
            _ => Err(self.problems.beside(self.warnings)),
        }
    }

    /// The value, or its default, through `parse`; a problem where that fails.
    pub fn value<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let found = self.text(name);
        let (name, text) = match &found {
            Some(found) => (found.name.as_str(), found.value.as_str()),
            None => (name, variable(name).map_or("", |variable| variable.default)),
        };
        let parsed = parse(text);
        if parsed.is_none() {
            self.problem(name, format!("expected {expected}, found {}", quoted(text)));
        }
        parsed
    }

    /// As [`value`](Self::value), for a variable without a default.
    pub fn optional<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let found = self.text(name)?;
        let parsed = parse(&found.value);
        if parsed.is_none() {
            let text = quoted(&found.value);
            self.problem(&found.name, format!("expected {expected}, found {text}"));
        }
        parsed
    }

    /// A whole number within `range`.
    pub fn number<T>(&mut self, name: &'static str, range: RangeInclusive<T>) -> Option<T>
    where
        T: FromStr + PartialOrd + Display,
    {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.value(name, &expected, |text| text.parse().ok().filter(|n| range.contains(n)))
    }

    /// Yes or no.
    pub fn flag(&mut self, name: &'static str) -> Option<bool> {
        self.value(name, "true or false", |text| match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => None,
        })
    }

    /// A list separated by commas or blanks; a problem for each element that `parse` refuses.
    pub fn list<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        let found = self.text(name);
        let text = match &found {
            Some(found) => found.value.as_str(),
            None => variable(name).map_or("", |variable| variable.default),
        };
        let elements = text.split(|c: char| c == ',' || c.is_whitespace());
        let mut list = Vec::new();
        for element in elements.filter(|element| !element.is_empty()) {
            match parse(element) {
                Some(value) => list.push(value),
                None => {
                    self.problem(name, format!("expected {expected}, found {}", quoted(element)))
                }
            }
        }
        list
    }

    /// The value as it is, without surrounding blanks, and noted for the list of effective
    /// settings.
    pub fn text(&mut self, name: &'static str) -> Option<Found> {
        let row = variable(name)?;
        let found =
            self.find(row).map(|found| Found { value: found.value.trim().to_owned(), ..found });
        let (value, source) = match &found {
            Some(found) if found.name == name => (found.value.clone(), found.source.to_owned()),
            Some(found) => (found.value.clone(), format!("{} ({})", found.source, found.name)),
            None if row.default.is_empty() => (UNSET.to_owned(), DEFAULT.to_owned()),
            None => (row.default.to_owned(), DEFAULT.to_owned()),
        };
        self.effective.insert(row.name, Effective { variable: row.name, value, source });
        found
    }

    /// A secret: the variable, or the content of the file that `<name>_FILE` names.
    pub fn secret(&mut self, name: &'static str) -> Option<SecretString> {
        self.secret_or_blank(name, Self::not_blank)
    }

    /// As [`secret`](Self::secret), for one that is there only while another is rotated: an empty
    /// file stands for none, so that it can come and go without a restart.
    pub fn previous_secret(&mut self, name: &'static str) -> Option<SecretString> {
        self.secret_or_blank(name, |_, _, text| {
            (!text.trim().is_empty()).then(|| SecretString::from(text))
        })
    }

    fn secret_or_blank(
        &mut self,
        name: &'static str,
        in_file: impl Fn(&mut Self, &str, String) -> Option<SecretString>,
    ) -> Option<SecretString> {
        let row = variable(name)?;
        let file_name = format!("{name}_FILE");
        let (direct, file) = (self.find(row), self.lookup(&file_name));
        if let (Some(_), Some(_)) = (&direct, &file) {
            self.problem(name, format!("is set, and so is {file_name}; set one of them"));
        }
        let (secret, source) = match (direct, file) {
            (Some(found), _) => (self.not_blank(name, found.value), found.source.to_owned()),
            (None, Some(found)) => (
                self.secret_file(&file_name, &found.value, in_file),
                format!("{} ({file_name})", found.source),
            ),
            (None, None) => (None, DEFAULT.to_owned()),
        };
        let value = match &secret {
            Some(secret) => super::describe::redacted(secret),
            None if row.default.is_empty() => UNSET.to_owned(),
            None => row.default.to_owned(),
        };
        self.effective.insert(row.name, Effective { variable: row.name, value, source });
        secret
    }

    fn secret_file(
        &mut self,
        name: &str,
        path: &str,
        in_file: impl Fn(&mut Self, &str, String) -> Option<SecretString>,
    ) -> Option<SecretString> {
        let path: PathBuf = self.directory.join(path.trim());
        match read_text(&path) {
            Ok(text) => {
                if let Some(what) = exposure(&path, true) {
                    self.warn(format!("{name}: the file {} {what}", path.display()));
                }
                let text = text
                    .strip_suffix('\n')
                    .map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
                in_file(self, name, text.to_owned())
            }
            Err(reason) => {
                self.problem(name, format!("the file {} {reason}", path.display()));
                None
            }
        }
    }

    fn not_blank(&mut self, name: &str, text: String) -> Option<SecretString> {
        if text.trim().is_empty() {
            self.problem(name, "is blank");
            return None;
        }
        Some(SecretString::from(text))
    }

    /// The first of the variable's names that is set: in the environment, then in `.env`.
    fn find(&mut self, variable: &Variable) -> Option<Found> {
        let names = [variable.name].into_iter().chain(variable.aliases.iter().copied());
        let mut found: Vec<Found> = names.filter_map(|name| self.lookup(name)).collect();
        found.sort_by_key(|found| found.source == DOTENV);
        let mut found = found.into_iter();
        let first = found.next()?;
        for other in found.filter(|other| other.value != first.value) {
            self.warn(format!("{} is ignored, because {} is set too", other.name, first.name));
        }
        Some(first)
    }

    fn lookup(&mut self, name: &str) -> Option<Found> {
        let found = |value: String, source| Found { name: name.to_owned(), value, source };
        match self.env.get(name) {
            Ok(Some(value)) if !value.is_empty() => return Some(found(value, "environment")),
            Ok(_) => {}
            Err(NotUnicode) => {
                self.problem(name, "is not UTF-8 text");
                return None;
            }
        }
        let value = self.dotenv.get(name).filter(|value| !value.is_empty())?;
        Some(found(value.clone(), DOTENV))
    }
}

fn is_secret(name: &str) -> bool {
    variable(name).is_some_and(|variable| variable.secret)
}

/// What was noted while reading.
pub(super) struct Notes {
    pub warnings: Vec<String>,
    pub effective: Vec<Effective>,
}

const UNSET: &str = "<not set>";
pub(super) const DEFAULT: &str = "default";

/// Of a value that is no secret, as much as a person needs to find it.
fn quoted(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}
