//! Answers as a person reads them on a terminal. What senders wrote is shown without anything
//! that a terminal would obey.

use std::fmt::Write;

use console::{Style, measure_text_width, pad_str, truncate_str};
use serde_json::Value;

use crate::model::{Clock, SystemClock, Time};

/// The answers to a question, the best first.
pub(super) fn answers(answer: &Value, width: usize) -> String {
    let mut page = String::new();
    for entry in answer["results"]["entries"].as_array().into_iter().flatten() {
        let severity = plain(&entry["severity"]);
        let title = Style::new().bold().apply_to(plain(&entry["title"]));
        let category = plain(&entry["category"]).replace('_', " ");
        let _ = writeln!(page, "{title}  {}  {category}", style(&severity).apply_to(&severity));
        paragraph(&mut page, "", &entry["description"], width);
        paragraph(&mut page, "Cause: ", &entry["rootCause"], width);
        for (number, step) in entry["steps"].as_array().into_iter().flatten().enumerate() {
            paragraph(&mut page, &format!("{}. ", number + 1), step, width);
        }
        paragraph(&mut page, "Solution: ", &entry["solution"], width);
        paragraph(&mut page, "Runbook: ", &entry["runbookUrl"], width);
        page.push('\n');
    }
    page
}

/// A text below its entry; of a long one the beginning.
fn paragraph(page: &mut String, label: &str, text: &Value, width: usize) {
    const MAX_LINES: usize = 12;
    let mut lines = Vec::new();
    let text = text.as_str().unwrap_or_default().trim();
    for line in text.lines() {
        let options = textwrap::Options::new(width.saturating_sub(2 + label.len()).max(20));
        lines.extend(textwrap::wrap(&visible(line), options).into_iter().map(|l| l.into_owned()));
    }
    let more = lines.len() > MAX_LINES;
    for (number, line) in lines.iter().take(MAX_LINES).enumerate() {
        let label = if number == 0 { label.to_owned() } else { " ".repeat(label.len()) };
        let _ = writeln!(page, "  {label}{line}");
    }
    if more {
        let _ = writeln!(page, "  {}…", " ".repeat(label.len()));
    }
}

/// A table of alerts as wide as the terminal.
pub(super) fn alerts(answer: &Value, width: usize) -> String {
    let now = SystemClock.now();
    let rows: Vec<[String; 5]> =
        answer["alerts"].as_array().into_iter().flatten().map(|alert| row(alert, now)).collect();
    let head = ["STATUS", "SEVERITY", "SINCE", "ALERT", "MESSAGE"].map(str::to_owned);
    let mut widths = [0; 5];
    for row in rows.iter().chain([&head]) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = measure_text_width(cell).clamp(*width, 40.max(*width));
        }
    }
    let used: usize = widths[..4].iter().map(|width| width + 2).sum();
    widths[4] = width.saturating_sub(used).max(10);
    let mut page = line(&head, widths, &Style::new().bold());
    for row in &rows {
        let look = if row[0] == "firing" { style(&row[1]) } else { Style::new().dim() };
        page.push_str(&line(row, widths, &look));
    }
    if let Some(next) = answer["next"].as_str() {
        let _ = writeln!(page, "More: --cursor {}", visible(next));
    }
    page
}

fn row(alert: &Value, now: Time) -> [String; 5] {
    let starts = &alert["startsAt"];
    let starts = starts.as_i64().map(Time::from_millis).or_else(|| Time::parse(starts.as_str()?));
    let age = starts.map_or_else(String::new, |at| age(now.millis() - at.millis()));
    let instance = plain(&alert["labels"]["instance"]);
    let name = plain(&alert["name"]);
    let name = if instance.is_empty() { name } else { format!("{name} {instance}") };
    [plain(&alert["status"]), plain(&alert["severity"]), age, name, plain(&alert["message"])]
}

fn line(cells: &[String; 5], widths: [usize; 5], look: &Style) -> String {
    let mut line = String::new();
    for (number, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let cut = truncate_str(cell, width, "…");
        let padded = pad_str(&cut, width, console::Alignment::Left, None);
        let shown = if number < 2 { look.apply_to(padded).to_string() } else { padded.into() };
        line.push_str(&shown);
        line.push_str(if number < 4 { "  " } else { "" });
    }
    line.trim_end().to_owned() + "\n"
}

fn age(millis: i64) -> String {
    let minutes = millis.max(0) / 60_000;
    match minutes {
        0..=99 => format!("{minutes}m"),
        100..=2_879 => format!("{}h", minutes / 60),
        _ => format!("{}d", minutes / 1_440),
    }
}

fn style(severity: &str) -> Style {
    match severity {
        "critical" => Style::new().red().bold(),
        "high" | "error" | "page" => Style::new().red(),
        "medium" | "warning" => Style::new().yellow(),
        _ => Style::new().cyan(),
    }
}

/// A text on one line.
fn plain(value: &Value) -> String {
    visible(value.as_str().unwrap_or_default())
}

fn visible(text: &str) -> String {
    let obeyed = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if obeyed(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_fits_its_width_and_obeys_no_sender() {
        let alert = json!({"status": "firing", "severity": "critical", "name": "DiskFull",
            "labels": {"instance": "db-1"}, "message": "x\u{1b}[31m\u{202e}".repeat(50),
            "startsAt": "2026-11-25T00:00:00Z"});
        let page = alerts(&json!({"alerts": [alert], "next": null}), 80);
        assert!(page.lines().all(|line| measure_text_width(line) <= 80), "{page}");
        assert!(page.contains("DiskFull db-1") && !page.contains("[31m\u{202e}"), "{page}");
        assert_eq!(
            (age(5 * 60_000), age(200 * 60_000), age(-5)),
            ("5m".into(), "3h".into(), "0m".into())
        );
    }

    #[test]
    fn an_answer_shows_what_to_do() {
        let entry = json!({"title": "A disk is full", "severity": "high", "category": "runbook",
            "description": "d", "solution": "Delete logs.", "steps": ["df -h"]});
        let page = answers(&json!({"results": {"entries": [entry]}}), 60);
        assert!(page.contains("A disk is full") && page.contains("1. df -h"), "{page}");
        assert!(page.contains("Solution: Delete logs."));
    }
}
