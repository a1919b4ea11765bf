//! Where variables come from: the process environment, and one `.env` file in the working
//! directory. The only code that asks the operating system; it changes nothing there.

use std::{
    collections::BTreeMap,
    fs, io,
    io::{IsTerminal, Read},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use super::problems::Problems;

/// The process environment, or what stands in for it.
pub trait Env {
    /// The variable, if it is set. [`NotUnicode`] if it is set to something that is no text.
    fn get(&self, name: &str) -> Result<Option<String>, NotUnicode>;

    /// The names of all variables that are set.
    fn names(&self) -> Vec<String>;

    /// Does a person look at what is printed?
    fn terminal(&self) -> bool {
        false
    }
}

/// A variable holds bytes that are no UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotUnicode;

/// The environment that this process was started with.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnv;

impl Env for ProcessEnv {
    // The one place that reads the environment.
    #[allow(clippy::disallowed_methods)]
    fn get(&self, name: &str) -> Result<Option<String>, NotUnicode> {
        match std::env::var(name) {
            Ok(value) => Ok(Some(value)),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => Err(NotUnicode),
        }
    }

    fn names(&self) -> Vec<String> {
        std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect()
    }

    fn terminal(&self) -> bool {
        io::stderr().is_terminal()
    }
}

impl Env for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Result<Option<String>, NotUnicode> {
        Ok(self.get(name).cloned())
    }

    fn names(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }
}

/// No secret or `.env` is longer; what is (a device, a wrong path) is refused.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Reads a small text file. The reason is fit for a problem: it never shows content.
pub(super) fn read_text(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err("is longer than 1 MiB".to_owned());
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())
}

/// Where containers are given secrets: in a file system of the container's own, often readable by
/// all of its users because the file belongs to another one.
const MOUNTED_SECRETS: &str = "/run/secrets/";

/// What is wrong with the mode of a file, if others may change it, or read it though it holds a
/// secret.
pub(super) fn exposure(path: &Path, secret: bool) -> Option<&'static str> {
    let mode = fs::metadata(path).ok().filter(fs::Metadata::is_file)?.permissions().mode();
    if mode & 0o022 != 0 {
        return Some("can be changed by other users of this machine: chmod 0600");
    }
    let readable = secret && mode & 0o044 != 0 && !path.starts_with(MOUNTED_SECRETS);
    readable.then_some("can be read by other users of this machine: chmod 0600")
}

/// The variables of the file `name` in `directory`; none if there is no such file.
pub(super) fn read_dotenv(
    directory: &Path,
    name: &str,
    problems: &mut Problems,
) -> BTreeMap<String, String> {
    let path = directory.join(name);
    if matches!(path.symlink_metadata(), Err(e) if e.kind() == io::ErrorKind::NotFound) {
        return BTreeMap::new();
    }
    match read_text(&path) {
        Ok(text) => parse_dotenv(&text, name, problems),
        Err(reason) => {
            problems.push(format!("{name}: {reason}"));
            BTreeMap::new()
        }
    }
}

fn parse_dotenv(text: &str, name: &str, problems: &mut Problems) -> BTreeMap<String, String> {
    // The parser takes a byte order mark for part of a name, and blanks before the end of a
    // last line without a line feed for an open value.
    let text = format!("{}\n", text.trim_start_matches('\u{feff}'));
    let mut variables = BTreeMap::new();
    for item in dotenvy::from_read_iter(text.as_bytes()) {
        match item {
            Ok((variable, value)) => match variables.get(&variable) {
                Some(earlier) if *earlier != value => {
                    problems.push(format!("{name}: {variable} is set twice, to different values"));
                }
                _ => {
                    variables.insert(variable, value);
                }
            },
            Err(dotenvy::Error::LineParse(content, _)) => {
                problems.push(format!(
                    "{name}: line {} is not of the form NAME=value (put values with blanks in quotes)",
                    line_number(&text, &content)
                ));
            }
            Err(_) => problems.push(format!("{name}: cannot be read")),
        }
    }
    variables
}

/// Where `content`, a line or several, begins in `text`; counted from 1.
fn line_number(text: &str, content: &str) -> usize {
    let before = text.find(content).map_or("", |at| &text[..at]);
    before.matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (BTreeMap<String, String>, Vec<String>) {
        let mut problems = Problems::default();
        let variables = parse_dotenv(text, ".env", &mut problems);
        (variables, problems.iter().map(str::to_owned).collect())
    }

    #[test]
    fn comments_quotes_export_and_crlf_are_understood() {
        let text =
            "\u{feff}PORT=1\r\n# no\r\nexport HOST='::1'\r\nAPI_KEY=\"a b\" # yes\r\nDB_NAME=x ";
        let (variables, problems) = parsed(text);
        assert_eq!(problems, Vec::<String>::new());
        let expected = [("API_KEY", "a b"), ("DB_NAME", "x"), ("HOST", "::1"), ("PORT", "1")];
        let found: Vec<_> = variables.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_malformed_line_is_named_by_its_number_and_never_shown() {
        let (variables, problems) = parsed("PORT=1\n\nhunter2 hunter2\nHOST=::1\n");
        assert_eq!(
            problems,
            [".env: line 3 is not of the form NAME=value (put values with blanks in quotes)"]
        );
        assert_eq!(variables.len(), 2);
    }

    #[test]
    fn an_open_quote_is_a_problem() {
        let (_, problems) = parsed("PORT=1\nAPI_KEY='hunter2\nHOST=::1\n");
        assert_eq!(
            problems,
            [".env: line 2 is not of the form NAME=value (put values with blanks in quotes)"]
        );
    }

    #[test]
    fn a_variable_set_twice_to_different_values_is_a_problem() {
        let (_, problems) = parsed("API_KEY=hunter2\nAPI_KEY=hunter3\nPORT=1\nPORT=1\n");
        assert_eq!(problems, [".env: API_KEY is set twice, to different values"]);
    }

    #[test]
    fn an_unreadable_file_is_a_problem_and_a_missing_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let mut problems = Problems::default();
        assert!(read_dotenv(directory.path(), ".env", &mut problems).is_empty());
        assert!(problems.is_empty());
        fs::create_dir(directory.path().join(".env")).unwrap();
        read_dotenv(directory.path(), ".env", &mut problems);
        assert_eq!(problems.iter().count(), 1);
    }
}
