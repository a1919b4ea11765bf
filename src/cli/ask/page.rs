//! Answers as a person reads them on a terminal. What senders wrote is shown without anything
//! that a terminal would obey.

use std::fmt::Write;

use console::{Style, measure_text_width, pad_str, truncate_str};
use serde_json::Value;

use crate::{
    model::{Clock, SystemClock, Time},
    telemetry::harmless,
};

/// The answers to a question, the best first.
pub(super) fn answers(answer: &Value, width: usize) -> String {
    let mut page = String::new();
    for entry in items(&answer["results"]["entries"]) {
        let severity = plain(&entry["severity"]);
        let title = Style::new().bold().apply_to(plain(&entry["title"]));
        let category = plain(&entry["category"]).replace('_', " ");
        let severity = style(&severity).apply_to(&severity);
        let sure = sureness(entry);
        let _ = writeln!(page, "{title}  {severity}  {category}{sure}");
        items(&entry["reasons"]).for_each(|reason| paragraph(&mut page, "* ", reason, width));
        for alert in items(&entry["firingAlerts"]) {
            paragraph(&mut page, "Fires: ", &Value::from(labels(alert)), width);
        }
        for fragment in items(&entry["highlights"]) {
            let _ = writeln!(page, "  > {}", highlighted(fragment, width));
        }
        paragraph(&mut page, "", &entry["description"], width);
        paragraph(&mut page, "Cause: ", &entry["rootCause"], width);
        for (number, step) in items(&entry["steps"]).enumerate() {
            paragraph(&mut page, &format!("{}. ", number + 1), step, width);
        }
        paragraph(&mut page, "Solution: ", &entry["solution"], width);
        paragraph(&mut page, "Runbook: ", &entry["runbookUrl"], width);
        page.push('\n');
    }
    if answer["gap"].is_object() {
        page.push_str("Nothing is known for sure; the question is remembered.\n");
    }
    page
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// How sure an answer is.
fn sureness(entry: &Value) -> String {
    let score = entry["score"].as_f64().unwrap_or_default();
    match entry["confidence"].as_str() {
        Some("low") => format!("  unsure ({score:.2})"),
        Some(_) => format!("  sure ({score:.2})"),
        None => String::new(),
    }
}

/// What an alert is about.
fn labels(alert: &Value) -> String {
    let labels = alert["labels"].as_object().into_iter().flatten();
    let labels = labels.filter(|(name, _)| *name != "alertname");
    let labels: Vec<_> =
        labels.map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or("?"))).collect();
    labels.join(" ")
}

/// A part that answers on one line, what was asked underlined.
fn highlighted(fragment: &Value, width: usize) -> String {
    let units: Vec<u16> = fragment["text"].as_str().unwrap_or_default().encode_utf16().collect();
    let mut line = String::new();
    let mut at = 0;
    let place = |value: &Value| value.as_u64().and_then(|place| usize::try_from(place).ok());
    let mut push = |until: usize, look: &Style| {
        let part = String::from_utf16_lossy(units.get(at..until).unwrap_or_default());
        line.push_str(&look.apply_to(visible(&part)).to_string());
        at = until.max(at);
    };
    for span in items(&fragment["spans"]) {
        if let (Some(from), Some(until)) = (place(&span[0]), place(&span[1])) {
            push(from, &Style::new());
            push(until, &Style::new().underlined());
        }
    }
    push(units.len(), &Style::new());
    truncate_str(&line, width.saturating_sub(4), "…").into_owned()
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
    let rows: Vec<[String; 5]> = items(&answer["alerts"]).map(|alert| row(alert, now)).collect();
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
    harmless(text).replace(['\n', '\t'], " ")
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
            "description": "d", "solution": "Delete logs.", "steps": ["df -h"],
            "score": 0.1234, "confidence": "low", "reasons": ["one of its alerts fires now"],
            "firingAlerts": [{"labels": {"alertname": "DiskFull", "instance": "db\u{1b}[31m"}}],
            "highlights": [{"field": "solution", "text": "\u{1f525} Delete\u{9b} logs.",
                "spans": [[3, 9]]}]});
        let answer = json!({"results": {"entries": [entry]}, "gap": {"id": "q"}});
        let page = console::strip_ansi_codes(&answers(&answer, 60)).into_owned();
        for shown in [
            "A disk is full  high  runbook  unsure (0.12)\n",
            "  * one of its alerts fires now\n",
            "  Fires: instance=db\\u{1b}[31m\n",
            "  > \u{1f525} Delete\\u{9b} logs.\n",
            "  1. df -h\n",
            "  Solution: Delete logs.\n",
            "the question is remembered.\n",
        ] {
            assert!(page.contains(shown), "{shown}: {page}");
        }
    }
}
