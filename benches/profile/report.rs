//! What the profile showed: a page with tables, and a plot.

use std::{fmt::Write, time::Duration};

use super::{KINDS, Measured, buckets, latencies, percentile};

/// The page.
pub fn markdown(measured: &Measured, faults: &[String]) -> String {
    let mut text = format!(
        "# 100 requests a second for {} s\n\nDefault limits, SQLite, latency from when a request was due.\n\n\
         | Route | Sent | 200 | Refused | p50 | p95 | p99 | Slowest | Aim |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
        measured.seconds
    );
    for (index, kind) in KINDS.iter().enumerate() {
        let of_kind = |status: fn(u16) -> bool| {
            measured.samples.iter().filter(|s| s.kind == index && status(s.status)).count()
        };
        let sorted = latencies(measured, |sample| sample.kind == index);
        let [p50, p95, p99, slowest] =
            [0.5, 0.95, 0.99, 1.0].map(|part| milliseconds(percentile(&sorted, part)));
        let aim = kind.aim.map_or_else(String::new, milliseconds);
        let (taken, refused) = (of_kind(|s| s == 200), of_kind(|s| s == 429 || s == 503));
        let _ = writeln!(
            text,
            "| `{}` | {} | {taken} | {refused} | {p50} | {p95} | {p99} | {slowest} | {aim} |",
            kind.name,
            sorted.len()
        );
    }
    text.push_str("\n| Limit | Sent | Taken |\n|---|---:|---:|\n");
    for (bucket, sent, taken) in buckets(measured) {
        let _ = writeln!(text, "| `{bucket}` | {sent} | {taken} |");
    }
    let last = measured.memory.last().copied().unwrap_or_default();
    let _ = writeln!(
        text,
        "\nResident memory: {} MiB at the end, {} MiB at most.\n\n![latency and memory](report.svg)\n",
        last / 1024,
        measured.peak / 1024
    );
    if faults.is_empty() {
        text.push_str("All aims hold.\n");
    }
    for fault in faults.iter().take(20) {
        let _ = writeln!(text, "- **does not hold**: {fault}");
    }
    text
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}

const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 220.0;
/// Points of a line; a long run is cut into as many parts.
const POINTS: u64 = 300;
const COLOURS: [&str; 6] = ["#4269d0", "#efb118", "#ff725c", "#3ca951", "#a463f2", "#9c6b4e"];

/// The plot: the 99th percentile of each route over time, and below it the resident memory.
pub fn svg(measured: &Measured) -> String {
    let part = Duration::from_secs(measured.seconds.div_ceil(POINTS).max(1));
    let parts = measured.seconds.div_ceil(part.as_secs()).max(1) as usize;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        WIDTH + 260.0,
        HEIGHT * 2.0 + 120.0
    );
    let lines: Vec<Vec<f64>> =
        (0..KINDS.len()).map(|kind| slowest_percent(measured, kind, part, parts)).collect();
    let seconds = measured.seconds;
    chart(&mut text, 30.0, &format!("99th percentile, ms, over {seconds} s"), &lines);
    for (index, kind) in KINDS.iter().enumerate() {
        let y = 45.0 + 18.0 * index as f64;
        let _ = writeln!(
            text,
            "<text x=\"{}\" y=\"{y}\" fill=\"{}\">{}</text>",
            WIDTH + 60.0,
            COLOURS[index],
            kind.name
        );
    }
    let memory: Vec<f64> = measured
        .memory
        .chunks(part.as_secs() as usize)
        .map(|chunk| chunk.iter().max().copied().unwrap_or_default() as f64 / 1024.0)
        .collect();
    chart(&mut text, HEIGHT + 90.0, "resident memory, MiB", &[memory]);
    text.push_str("</svg>\n");
    text
}

/// The 99th percentile of a kind in each part of the run, in milliseconds.
fn slowest_percent(measured: &Measured, kind: usize, part: Duration, parts: usize) -> Vec<f64> {
    let mut by_part: Vec<Vec<Duration>> = vec![Vec::new(); parts];
    for sample in measured.samples.iter().filter(|sample| sample.kind == kind) {
        let at = (sample.at.as_secs() / part.as_secs()) as usize;
        by_part[at.min(parts - 1)].push(sample.latency);
    }
    let percentiles = by_part.iter_mut().map(|latencies| {
        latencies.sort_unstable();
        percentile(latencies, 0.99).as_secs_f64() * 1e3
    });
    percentiles.collect()
}

/// Lines in a frame, from 0 to the highest.
fn chart(text: &mut String, top: f64, title: &str, lines: &[Vec<f64>]) {
    let highest = lines.iter().flatten().copied().fold(1.0, f64::max);
    let bottom = top + HEIGHT;
    let _ = writeln!(
        text,
        "<text x=\"50\" y=\"{}\">{title}</text>\n\
         <path d=\"M50 {top}V{bottom}H{}\" fill=\"none\" stroke=\"#888\"/>\n\
         <text x=\"45\" y=\"{}\" text-anchor=\"end\">{highest:.0}</text>\n\
         <text x=\"45\" y=\"{bottom}\" text-anchor=\"end\">0</text>",
        top - 8.0,
        WIDTH + 50.0,
        top + 10.0
    );
    for (index, line) in lines.iter().enumerate() {
        let step = WIDTH / (line.len().max(2) - 1) as f64;
        let points: Vec<String> = line
            .iter()
            .enumerate()
            .map(|(i, value)| {
                format!("{:.1},{:.1}", 50.0 + step * i as f64, bottom - HEIGHT * value / highest)
            })
            .collect();
        let _ = writeln!(
            text,
            "<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"1.5\" points=\"{}\"/>",
            COLOURS[index],
            points.join(" ")
        );
    }
}
