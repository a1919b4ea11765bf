//! What people paste: log lines, stack traces, PromQL, JSON.
//!
//! Of such a text only the words that somebody chose tell what it is about. What a machine filled
//! in is blanked out: times, ids, addresses. Numbers, and the words that every log line has, are
//! left out by the plan.

use std::sync::LazyLock;

use regex::Regex;

use super::limits;

/// What a machine filled in. The alternatives are tried in their order. All is of ASCII, and what may be
/// long is not counted: the fast engine of [`regex`] would give up on the states of anything else.
#[allow(clippy::expect_used)] // why: a constant pattern that every test of a paste compiles
static FILLED_IN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        // Times: RFC 3339, nginx, klog, syslog, and the clock alone.
        r"[0-9]{4}[-/][0-9][0-9][-/][0-9][0-9](?:[T ][0-9][0-9]:[0-9][0-9](?::[0-9][0-9])?(?:[.,][0-9]{1,9})?(?:Z| ?[+-][0-9][0-9]:?[0-9][0-9])?)?",
        r"|(?-u:\b)[IWEF][0-9]{4} [0-9][0-9]:[0-9][0-9]:[0-9][0-9]\.[0-9]{1,9}(?: {1,6}[0-9]{1,9})?",
        r"|(?-u:\b)(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {1,2}[0-9]{1,2}(?: [0-9]{4})?",
        r"|(?-u:\b)[0-9]{1,2}:[0-9][0-9](?::[0-9][0-9])?(?:[.,][0-9]{1,9})?(?-u:\b)",
        // Ids and pointers.
        r"|(?-u:\b)[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}(?-u:\b)",
        r"|(?-u:\b)0[xX][0-9A-Fa-f]{1,32}(?-u:\b)",
        // Addresses: of the network, of mail, of the web, up to the path.
        r"|(?-u:\b)[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?::[0-9]{1,5})?(?-u:\b)",
        r"|(?-u:\b)[0-9A-Za-z_.+-]+@[0-9A-Za-z_.-]+",
        r"|(?-u:\b)[a-z]{3,8}://[!-.0-~]*",
    ))
    .expect("the pattern is constant")
});

/// A text that somebody pasted, without what a machine filled in. `None` for a typed question.
pub(super) fn pasted(text: &str) -> Option<String> {
    let (mut cleaned, mut filled_in, mut end) = (String::with_capacity(text.len()), 0, 0);
    for found in FILLED_IN.find_iter(text) {
        cleaned.push_str(&text[end..found.start()]);
        cleaned.push(' ');
        end = found.end();
        filled_in += 1;
    }
    cleaned.push_str(&text[end..]);
    let marks = text.chars().filter(|c| "{}[]<>|;\\=\"".contains(*c)).count();
    let lines = text.trim().lines().count();
    let long = text.len() > limits::TYPED_CHARS;
    (long || lines > 2 || marks + 2 * filled_in >= 4).then_some(cleaned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_machine_filled_in_is_blank() {
        for (text, left) in [
            ("2026-03-02T03:40:02.771Z caller=\"a\"", "caller=\"a\""),
            ("2026/03/02 03:31:55 [crit] 29#29: accept", "[crit] 29#29: accept"),
            ("E0302 03:14:07.552113    2417 kubelet.go:1870] x {}", "kubelet.go:1870] x {}"),
            ("Mar  2 03:20:11 node-7 kernel: oops {};;", "node-7 kernel: oops {};;"),
            ("id 6f1c2f0e-0b0a-4f5e-9d5e-2b8f7f1f5a11 {{}}", "id {{}}"),
            ("at 0x7fff5fbff8a0 of 10.4.2.17:8080 {}", "at of {}"),
            ("<op@example.com> GET https://a.example.com/x;", "< > GET /x;"),
        ] {
            let words = pasted(text).unwrap_or_else(|| panic!("{text} was typed"));
            assert_eq!(words.split_whitespace().collect::<Vec<_>>().join(" "), left);
        }
    }

    #[test]
    fn a_question_is_typed() {
        for text in
            ["disk is at 97% on the host", "why does it fail?", "KubePodNotReady", "p99 > 2s here"]
        {
            assert_eq!(pasted(text), None, "{text}");
        }
    }
}
