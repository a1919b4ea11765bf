//! `orchestrator sign`: the headers that prove a webhook's body, for scripts and for trying out.

use std::io::{self, Read};

use secrecy::SecretString;

use super::{Failure, output::print};
use crate::{
    config::{self, ProcessEnv},
    model::{Clock, SystemClock},
    security::signature,
};

pub(super) const HELP: &str = "\
The secret is WEBHOOK_SECRET, or the one that the service made for itself in development.

Examples:
  orchestrator sign < body.json | curl -H @- --data-binary @body.json <url>
  curl $(orchestrator sign --curl < body.json) --data-binary @body.json <url>

Exit codes: 0 done, 1 failed, 64 wrong usage, 78 wrong configuration.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Sign the body alone, so that the signature never ends
    #[arg(long)]
    no_timestamp: bool,
    /// Print the headers as arguments of curl, on one line
    #[arg(long)]
    curl: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let secret = config::webhook_secret(&ProcessEnv, &config::working_directory()?)?;
    let mut body = Vec::new();
    io::stdin()
        .lock()
        .read_to_end(&mut body)
        .map_err(|error| Failure::Failed(format!("cannot read standard input: {error}")))?;
    let timestamp = (!args.no_timestamp).then(|| SystemClock.now().millis().div_euclid(1000));
    print(&headers(&secret, timestamp, &body, args.curl))
}

fn headers(secret: &SecretString, timestamp: Option<i64>, body: &[u8], curl: bool) -> String {
    let signature = signature::sign(secret, timestamp, body);
    let timestamp = timestamp.map(|seconds| ("X-Webhook-Timestamp", seconds.to_string()));
    let signature = ("X-Webhook-Signature", format!("sha256={signature}"));
    let headers = timestamp.into_iter().chain([signature]);
    if curl {
        // Without blanks, so that the shell can split the line without quotes.
        let arguments: Vec<_> = headers.map(|(name, value)| format!("-H {name}:{value}")).collect();
        format!("{}\n", arguments.join(" "))
    } else {
        headers.map(|(name, value)| format!("{name}: {value}\n")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // printf '1700000000:{"a":1}' | openssl dgst -sha256 -hmac s3cr3t
    const SIGNATURE: &str = "c27bf53028b5a09eacad0cd5b2a1248a12e2d83c69373645dbfc5578fb7d3ae1";

    #[test]
    fn the_headers_are_those_that_openssl_would_give() {
        let secret = SecretString::from("s3cr3t");
        assert_eq!(
            headers(&secret, Some(1_700_000_000), br#"{"a":1}"#, false),
            format!("X-Webhook-Timestamp: 1700000000\nX-Webhook-Signature: sha256={SIGNATURE}\n")
        );
        assert_eq!(
            headers(&secret, Some(1_700_000_000), br#"{"a":1}"#, true),
            format!(
                "-H X-Webhook-Timestamp:1700000000 -H X-Webhook-Signature:sha256={SIGNATURE}\n"
            )
        );
    }
}
