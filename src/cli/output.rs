//! What a person sees. Whoever reads may stop reading at any time (`| head`): that is no failure,
//! and no reason to panic.

use std::{
    error::Error,
    io::{self, ErrorKind, Write},
};

use super::Failure;
use crate::telemetry::harmless;

/// Prints `text`, which brings its own line ends.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::Failed(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Says on standard error why it failed: the failure, and each line of its cause.
pub(super) fn complain(failure: &Failure) {
    let mut text = format!("orchestrator: {failure}\n");
    if let Some(cause) = failure.source() {
        for line in cause.to_string().lines() {
            text.push_str(&format!("  {line}\n"));
        }
    }
    // Where nobody listens, the exit code must do.
    let _ = io::stderr().lock().write_all(harmless(&text).as_bytes());
}
