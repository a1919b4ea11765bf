//! `orchestrator healthcheck`: asks the service at `HOST` and `PORT` how it is, as a container's
//! health check does, over TLS where that is set. One request needs no HTTP client.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use rustls::{ClientConnection, StreamOwned, pki_types::ServerName};

use super::{Failure, output::print, tls};
use crate::{
    config::{self, Listening, ProcessEnv},
    http::routes::health::reachable,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Ask whether it can take requests now (/ready), not only whether it lives (/health)
    #[arg(long)]
    ready: bool,
}

const TIMEOUT: Duration = Duration::from_secs(3);

/// No status line is longer.
const MAX_STATUS_LINE: usize = 256;

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let Listening { host, port, tls } =
        config::listening(&ProcessEnv, &config::working_directory()?)?;
    if port == 0 {
        return Err(Failure::Failed("PORT is 0, so nobody knows where the service is".to_owned()));
    }
    let address = SocketAddr::new(reachable(host), port);
    let path = if args.ready { "/ready" } else { "/health" };
    match status(address, tls, path) {
        Ok(200) => print(&format!("{path} of {address}: 200\n")),
        Ok(status) => Err(Failure::Failed(format!("{path} of {address} answers {status}"))),
        Err(error) => Err(Failure::Failed(format!("{path} of {address}: {error}"))),
    }
}

/// The status of the answer, within [`TIMEOUT`] in all.
fn status(address: SocketAddr, tls: bool, path: &str) -> io::Result<u16> {
    let mut stream = Bounded::connect(address)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let answer = match tls {
        true => ask(&mut encrypted(address, stream)?, &request),
        false => ask(&mut stream, &request),
    }?;
    status_of(&answer).ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "no HTTP answer"))
}

/// The beginning of the answer.
fn ask(stream: &mut (impl Read + Write), request: &str) -> io::Result<Vec<u8>> {
    stream.write_all(request.as_bytes())?;
    stream.flush()?;
    let mut answer = Vec::new();
    while !answer.contains(&b'\n') && answer.len() < MAX_STATUS_LINE {
        let mut piece = [0; MAX_STATUS_LINE];
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => answer.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(answer)
}

fn encrypted(address: SocketAddr, stream: Bounded) -> io::Result<impl Read + Write> {
    let client = tls::client_config().map_err(io::Error::other)?;
    let name = ServerName::IpAddress(address.ip().into());
    let session = ClientConnection::new(client, name).map_err(io::Error::other)?;
    Ok(StreamOwned::new(session, stream))
}

/// A connection with [`TIMEOUT`] for all that is done on it.
struct Bounded {
    stream: TcpStream,
    deadline: Instant,
}

impl Bounded {
    fn connect(address: SocketAddr) -> io::Result<Self> {
        let deadline = Instant::now() + TIMEOUT;
        Ok(Self { stream: TcpStream::connect_timeout(&address, TIMEOUT)?, deadline })
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

/// Linux calls a read that timed out one that would block.
fn timed_out(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock => ErrorKind::TimedOut.into(),
        _ => error,
    }
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(buffer).map_err(timed_out)
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write(bytes).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// The number in `HTTP/1.1 200 OK`.
fn status_of(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\n').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    words.next().filter(|version| version.starts_with("HTTP/"))?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_has_a_status() {
        assert_eq!(status_of(b"HTTP/1.1 503 Service Unavailable\r\nA: b"), Some(503));
        assert_eq!(status_of(b"SSH-2.0-OpenSSH_9.2 200\r\n"), None);
        assert_eq!(status_of(b""), None);
    }
}
