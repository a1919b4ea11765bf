//! `orchestrator keygen`: new random keys from the operating system.

use secrecy::ExposeSecret;

use super::{Failure, output::print};
use crate::config::{KEY_BYTES, fresh_credentials, fresh_key};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Random bytes in each key; it is printed as twice as many hexadecimal digits
    #[arg(long, default_value_t = KEY_BYTES as u16, value_parser = clap::value_parser!(u16).range(16..=1024))]
    bytes: u16,
    /// Print one key and nothing else
    #[arg(long)]
    bare: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let bytes = usize::from(args.bytes);
    let text = if args.bare {
        fresh_key(bytes).map(|key| format!("{}\n", key.expose_secret()))
    } else {
        fresh_credentials(bytes)
    };
    print(&text.map_err(|error| Failure::Failed(format!("cannot get random bytes: {error}")))?)
}
