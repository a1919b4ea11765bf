//! Clients that take connections and give nothing back, each in its own way, from addresses of
//! their own. Only ever against this machine.

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::h2::{self, H2};

/// How a client holds its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// HTTP/1: a head, a byte at a time.
    SlowHead,
    /// HTTP/1: a body, a byte at a time.
    SlowBody,
    /// HTTP/2: pings, and no request.
    Pings,
    /// HTTP/1: requests whose answers are never read.
    Unread,
    /// HTTP/2: requests whose answers get no window, and answered pings.
    NoWindow,
}

impl Way {
    pub const ALL: [Self; 5] =
        [Self::SlowHead, Self::SlowBody, Self::Pings, Self::Unread, Self::NoWindow];
}

const PAGE: &str = "/api/openapi.json";
/// How long a slow client waits between two bytes.
const DROP: Duration = Duration::from_millis(250);

/// A connection from this address of the machine's own.
pub async fn connect(from: Ipv4Addr, to: SocketAddr) -> std::io::Result<TcpStream> {
    assert!(from.is_loopback() && to.ip().is_loopback(), "only ever against this machine");
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddrV4::new(from, 0).into())?;
    socket.connect(to).await
}

/// Holds a connection until the other side ends it: how long that took.
pub async fn hold(way: Way, from: Ipv4Addr, to: SocketAddr) -> Duration {
    let begun = Instant::now();
    if let Ok(stream) = connect(from, to).await {
        match way {
            Way::SlowHead => drip(stream, "GET /health HTTP/1.1\r\nx: ").await,
            Way::SlowBody => {
                let head = "POST /webhook/alerts HTTP/1.1\r\nhost: x\r\ncontent-length: 9999\r\n";
                let signed = format!("{head}x-webhook-signature: {}\r\n\r\n", "0".repeat(64));
                drip(stream, &signed).await;
            }
            Way::Pings => ping(stream).await,
            Way::Unread => flood(stream).await,
            Way::NoWindow => {
                let mut connection = H2::on(stream, Some(0)).await;
                for request in 0..10 {
                    connection.send(&h2::get(2 * request + 1, PAGE)).await;
                }
                connection.until_gone().await;
            }
        }
    }
    begun.elapsed()
}

/// Sends a beginning, then a byte at a time until the other side has answered or ended it.
async fn drip(mut stream: TcpStream, beginning: &str) {
    let mut answer = [0; 1024];
    let mut sent = stream.write_all(beginning.as_bytes()).await;
    while sent.is_ok() {
        match timeout(DROP, stream.read(&mut answer)).await {
            Ok(Ok(0) | Err(_)) => return,
            Ok(Ok(_)) => {}
            Err(_) => sent = stream.write_all(b"x").await,
        }
    }
}

async fn ping(stream: TcpStream) {
    let mut connection = H2::on(stream, None).await;
    let ping = h2::frame(h2::PING, 0, 0, &[0; 8]);
    while connection.send(&ping).await {
        if let Ok(None) = timeout(DROP, connection.next()).await {
            return;
        }
        sleep(DROP).await;
    }
}

async fn flood(mut stream: TcpStream) {
    let requests = format!("GET {PAGE} HTTP/1.1\r\nhost: x\r\n\r\n").repeat(50);
    while stream.write_all(requests.as_bytes()).await.is_ok() {}
}

/// So many clients, their ways in turn, over so many addresses. Each way's clients come at once.
pub fn crowd(clients: usize, addresses: u8, to: SocketAddr) -> JoinSet<(Way, Duration)> {
    let mut crowd = JoinSet::new();
    for client in 0..clients {
        let way = Way::ALL[client % Way::ALL.len()];
        let last = u8::try_from(client / Way::ALL.len() % usize::from(addresses)).unwrap();
        let from = Ipv4Addr::new(127, 0, 1, 1 + last);
        crowd.spawn(async move { (way, hold(way, from, to).await) });
    }
    crowd
}

/// Asks `/health` on a connection of its own: how long that took.
///
/// # Panics
/// If the answer is not 200.
pub async fn probe(to: SocketAddr) -> Duration {
    let begun = Instant::now();
    let mut stream = connect(Ipv4Addr::LOCALHOST, to).await.unwrap();
    let request = b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    begun.elapsed()
}

/// Probes for a while: the time that 95 of 100 probes kept to.
pub async fn p95(to: SocketAddr, span: Duration) -> Duration {
    let (begun, mut times) = (Instant::now(), Vec::new());
    while begun.elapsed() < span {
        times.push(probe(to).await);
        sleep(Duration::from_millis(10)).await;
    }
    times.sort_unstable();
    times[times.len() * 95 / 100]
}
