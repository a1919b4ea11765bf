//! A million clients behind a trusted proxy, all remembered at once: what the limiter takes, and
//! that it gives it back.

use std::{
    net::Ipv4Addr,
    path::Path,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
    time::sleep,
};

use super::{
    attackers::connect,
    service::{Service, verdict},
};

const ADDRESSES: u32 = 1_000_000;
const CONNECTIONS: u32 = 8;
/// Requests that are sent before their answers are read.
const AHEAD: u32 = 250;
/// The limiter's, in MB.
const MOST_MB: f64 = 64.0;

/// Whether it stays below its bound, and shrinks.
pub async fn run(folder: &Path) -> bool {
    println!("addresses: {ADDRESSES} clients behind a trusted proxy");
    // Two requests a minute: nobody is forgotten before a minute is over.
    let limit = [("RATE_LIMIT_PUBLIC", "2"), ("TRUSTED_PROXIES", "127.0.0.0/8")];
    let service = Service::start(folder, &limit).await;
    // What connections and answers take is not the limiter's.
    clients(&service, u32::MAX - 20_000, 20_000).await;
    let before = service.memory_mb();
    let begun = Instant::now();
    clients(&service, 1 << 24, ADDRESSES).await;
    let (took, full) = (begun.elapsed(), service.memory_mb() - before);
    let mut least = full;
    while least > full / 2.0 && begun.elapsed() < took + Duration::from_secs(75) {
        sleep(Duration::from_secs(1)).await;
        least = least.min(service.memory_mb() - before);
    }
    let after = begun.elapsed() - took;
    verdict(full < MOST_MB, &format!("{full:.1} MB more after {took:.1?}"))
        & verdict(least <= full / 2.0, &format!("{least:.1} MB more {after:.0?} later"))
}

/// Has `count` clients, from this address on, ask once each.
async fn clients(service: &Service, first: u32, count: u32) {
    let address = service.address;
    let each = count / CONNECTIONS;
    let mut connections = JoinSet::new();
    for number in 0..CONNECTIONS {
        let first = first + number * each;
        connections.spawn(async move {
            let stream = connect(Ipv4Addr::new(127, 0, 4, 1 + number as u8), address);
            let (mut read, mut write) = stream.await.unwrap().into_split();
            let mut answers = Vec::new();
            for batch in (first..first + each).step_by(AHEAD as usize) {
                let batch = batch..(batch + AHEAD).min(first + each);
                let asked = batch.len();
                write.write_all(batch.map(request).collect::<String>().as_bytes()).await.unwrap();
                answers.clear();
                while count_of(&answers, b"HTTP/1.1 404") < asked || !answers.ends_with(b"}") {
                    assert_ne!(read.read_buf(&mut answers).await.unwrap(), 0, "it hung up");
                }
            }
        });
    }
    connections.join_all().await;
}

fn request(client: u32) -> String {
    let client = Ipv4Addr::from(client);
    // What is no route is the cheapest that is counted.
    format!("GET /x HTTP/1.1\r\nhost: x\r\nx-forwarded-for: {client}\r\n\r\n")
}

fn count_of(text: &[u8], part: &[u8]) -> usize {
    memchr::memmem::find_iter(text, part).count()
}
