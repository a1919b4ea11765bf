//! How far a long command is, with counts and rates, on standard error if that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar that counts documents; it draws nothing where nobody watches.
pub(super) fn bar(what: &'static str, all: u64) -> ProgressBar {
    let bar = ProgressBar::new(all).with_message(what);
    let template = "{msg:12} [{bar:30}] {human_pos}/{human_len}  {per_sec}  {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// A bar that counts bytes out of a database of `size`; an export may have fewer or more.
pub(super) fn bytes(documents: u64, size: u64) -> ProgressBar {
    let bar = ProgressBar::new(size).with_message(format!("exporting {documents} documents"));
    let template = "{msg} [{bar:30}] {bytes} of about {total_bytes}  {bytes_per_sec}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
