//! Several alerts in one file: where the text of each begins and ends, and what alerts are
//! called.

use std::ops::Range;

use super::{
    headings::{Heading, headings},
    phrases,
    sections::{Part, Style},
};

/// The text about one alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chapter<'a> {
    /// What its heading says.
    pub title: String,
    /// What is under the heading.
    pub text: &'a str,
}

/// A file about several alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chapters<'a> {
    /// One for each alert.
    pub alerts: Vec<Chapter<'a>>,
    /// What belongs to none of them.
    pub rest: String,
}

/// Takes a file apart that is about several alerts; `None` if it is about one. `names` are
/// alerts that its front matter names.
pub(super) fn split<'a>(body: &'a str, names: &[String]) -> Option<Chapters<'a>> {
    let headings = headings(body, Style::Written);
    let outline = Outline { body, headings: &headings, names };
    let spans = (1..=6).find_map(|level| outline.chapters(level))?;
    let mut alerts = Vec::new();
    let mut rest = String::new();
    let mut at = 0;
    for (number, span) in spans {
        rest.push_str(&body[at..span.start]);
        let heading = &headings[number];
        let title = heading.text.trim().to_owned();
        alerts.push(Chapter { title, text: &body[heading.to..span.end] });
        at = span.end;
    }
    rest.push_str(&body[at..]);
    Some(Chapters { alerts, rest })
}

struct Outline<'a> {
    body: &'a str,
    headings: &'a [Heading],
    names: &'a [String],
}

impl Outline<'_> {
    /// The headings of this level that each are about an alert of its own, and how far each
    /// goes; `None` if there are not several.
    fn chapters(&self, level: u8) -> Option<Vec<(usize, Range<usize>)>> {
        let of_level = |(number, heading): (usize, &Heading)| {
            let candidate = heading.level == level && heading.known.is_none();
            (candidate && !self.is_within_known(number)).then_some(number)
        };
        let candidates: Vec<usize> =
            self.headings.iter().enumerate().filter_map(of_level).collect();
        let alone = self.is_about_one_alert(level);
        let named: Vec<usize> = candidates
            .iter()
            .copied()
            .filter(|number| self.names_an_alert(*number) && (!alone || self.helps(*number)))
            .collect();
        let chosen = if named.len() > 1 {
            named
        } else if alone || self.has_parts_of_the_whole(level) {
            return None;
        } else {
            let own = |number: &usize| {
                let heading = &self.headings[*number].text;
                self.helps(*number) && !phrases::is_circumstance(heading)
            };
            candidates.into_iter().filter(own).collect()
        };
        (chosen.len() > 1)
            .then(|| chosen.into_iter().map(|number| (number, self.span(number))).collect())
    }

    fn names_an_alert(&self, number: usize) -> bool {
        let text = &self.headings[number].text;
        let known = || {
            let name = key(alert_of(text));
            self.names.iter().any(|alert| key(alert) == name)
        };
        is_alert_name(text) || known()
    }

    /// Whether a heading above the level names an alert: then all below is about that one.
    fn is_about_one_alert(&self, level: u8) -> bool {
        self.headings.iter().any(|h| h.level < level && is_alert_name(&h.text))
    }

    /// Whether the file itself is cut into the parts of one runbook at this level or above.
    fn has_parts_of_the_whole(&self, level: u8) -> bool {
        self.headings.iter().any(|h| h.level <= level && h.part() == Some(Part::Solution))
    }

    fn is_within_known(&self, number: usize) -> bool {
        let mut level = self.headings[number].level;
        for heading in self.headings[..number].iter().rev() {
            if heading.level < level {
                if heading.known.is_some() {
                    return !self.is_title(heading);
                }
                level = heading.level;
            }
        }
        false
    }

    /// Whether all else is below this heading: `# Runbook` is what a file is called, and no part of
    /// a runbook.
    fn is_title(&self, heading: &Heading) -> bool {
        let (first, rest) = (self.headings.first(), self.headings.iter().skip(1));
        first.is_some_and(|first| first.from == heading.from)
            && rest.into_iter().all(|other| other.level > heading.level)
    }

    /// Whether what it is about has a way of its own to be helped.
    fn helps(&self, number: usize) -> bool {
        let span = self.span(number);
        let within = |heading: &&Heading| span.contains(&heading.from);
        let mut headings = self.headings[number + 1..].iter().take_while(within);
        headings.any(|heading| heading.part() == Some(Part::Solution))
    }

    fn span(&self, number: usize) -> Range<usize> {
        let heading = &self.headings[number];
        let next = self.headings[number + 1..].iter().find(|next| next.level <= heading.level);
        heading.from..next.map_or(self.body.len(), |next| next.from)
    }
}

/// The name of the alert in a heading: `Alert: DiskFull (critical)` is about `DiskFull`.
pub(super) fn alert_of(heading: &str) -> &str {
    let text = phrases::without_number(heading).trim();
    let text = match text.split_once(':') {
        Some((word, name)) if word.trim().eq_ignore_ascii_case("alert") => name.trim(),
        _ => text,
    };
    let text = text.split_once('(').map_or(text, |(name, _)| name.trim_end());
    text.trim_matches(|c: char| c.is_whitespace() || "`*_[]\"':#".contains(c))
}

/// Whether a heading names an alert by its look: one word with a hump, as rules have them.
pub(super) fn is_alert_name(heading: &str) -> bool {
    let name = alert_of(heading);
    let explicit = phrases::without_number(heading).to_lowercase().starts_with("alert:");
    let word = name.len() >= 4
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.starts_with(|c: char| c.is_ascii_alphabetic());
    let hump = || {
        let bytes = name.as_bytes();
        bytes.windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase())
    };
    word && (explicit || hump())
}

/// What names are compared by: letters and digits, whatever the case.
pub fn key(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(body: &str) -> Vec<String> {
        let chapters = split(body, &["disk_full".to_owned(), "Disk-Slow".to_owned()]);
        chapters.into_iter().flat_map(|c| c.alerts).map(|alert| alert.title).collect()
    }

    #[test]
    fn alert_headings_begin_chapters() {
        let body =
            "# Service\nCall us.\n## Alerts\n### SvcDown\nDown.\n### SvcSlow\nSlow.\n## Links\nx\n";
        let chapters = split(body, &[]).unwrap();
        let texts: Vec<_> = chapters.alerts.iter().map(|alert| alert.text).collect();
        assert_eq!(texts, ["Down.\n", "Slow.\n"]);
        assert_eq!(chapters.rest, "# Service\nCall us.\n## Alerts\n## Links\nx\n");
        assert_eq!(titles("## 1. `SvcDown`\na\n## Alert: SvcSlow (P2)\nb\n").len(), 2);
        assert_eq!(titles("## disk full\na\n## Disk slow\nb\n").len(), 2);
        assert_eq!(titles("# Runbook\n## SvcDown\na\n## SvcSlow\nb\n").len(), 2);
        assert_eq!(
            titles("# DBs\n## No space\n### Fix\na\n## Lag\n### Fix\nb\n"),
            ["No space", "Lag"]
        );
    }

    #[test]
    fn one_alert_is_one_chapter() {
        for body in [
            "# SvcDown\n## Meaning\n### OnePod\n### TwoPods\n## Mitigation\nx\n",
            "# SvcDown\n## Critical\n### Fix\na\n## Warning\n### Fix\nb\n",
            "# Disk\n## Option 1\n### Fix\na\n## Option 2\n### Fix\nb\n",
            "# SvcDown\n## OpenShift\na\n## OpenStack\nb\n",
            "# Disk\n## Fix\na\n## Case\n### Fix\na\n## Notes\n### Fix\n",
            "# Summary\n# Mitigation\n",
            "",
        ] {
            assert_eq!(split(body, &[]), None, "{body}");
        }
    }

    #[test]
    fn alerts_are_known_by_their_look() {
        for name in ["DiskFull", "etcdNoLeader", "KubeAPIDown", "Alert: watchdog", "`SvcDown`"] {
            assert!(is_alert_name(name), "{name}");
        }
        for name in ["Disk full", "Watchdog", "CPU", "a.b", "", "Ünlü"] {
            assert!(!is_alert_name(name), "{name}");
        }
        assert_eq!(alert_of("2. Alert: `SvcDown` (critical)"), "SvcDown");
    }
}
