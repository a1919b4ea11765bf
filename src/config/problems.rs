//! What is wrong with the settings: all of it in one list, each line naming its variable and
//! none showing a secret.

use std::fmt;

/// Everything that is wrong, in the order of reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    problems: Vec<String>,
    warnings: Vec<String>,
}

impl Problems {
    /// A list of one.
    pub fn one(problem: impl Into<String>) -> Self {
        Self { problems: vec![problem.into()], warnings: Vec::new() }
    }

    /// Each problem as a sentence that starts with the name of its variable or file.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.problems.iter().map(String::as_str)
    }

    /// What was noted beside them: it may be the cause of one, such as a misspelt name.
    pub fn warnings(&self) -> impl Iterator<Item = &str> {
        self.warnings.iter().map(String::as_str)
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    pub(super) fn push(&mut self, problem: String) {
        self.problems.push(problem);
    }

    pub(super) fn beside(self, warnings: Vec<String>) -> Self {
        Self { warnings, ..self }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let warnings = self.warnings.iter().map(|warning| format!("warning: {warning}"));
        let lines: Vec<String> = self.problems.iter().cloned().chain(warnings).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Problems {}
