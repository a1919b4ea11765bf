//! What a million clients cost the limiter: memory while they are remembered, after they are
//! evicted, and the time for one decision. `cargo bench --bench limits`

use std::{fs, hint::black_box, net::IpAddr, time::Instant};

use orchestrator::http::guard::rate_limit::{Counted, Local};

const CLIENTS: u32 = 1_000_000;
/// A minute to refill one request: nobody is idle before the run is over.
const SLOW: u32 = 1;
/// A tenth of a millisecond to refill one: everybody is.
const FAST: u32 = 600_000;

fn main() {
    for limit in [SLOW, FAST] {
        run(limit);
    }
}

fn run(limit: u32) {
    let Some(limiter) = Local::new(limit) else { return };
    let before = resident_mb();
    let started = Instant::now();
    for n in 0..CLIENTS {
        black_box(limiter.take(&Counted::new(String::new(), IpAddr::from(n.to_be_bytes()))));
    }
    let each = started.elapsed() / CLIENTS;
    let full = resident_mb() - before;
    let remembered = limiter.clients();
    let started = Instant::now();
    limiter.evict_idle_clients();
    println!(
        "{limit} a minute: {remembered} clients take {full:.1} MB, {each:?} a decision; \
         after an eviction of {:?} {} clients take {:.1} MB",
        started.elapsed(),
        limiter.clients(),
        resident_mb() - before,
    );
}

/// Memory that this process has now.
fn resident_mb() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kb = resident.and_then(|text| text.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kb.unwrap_or(f64::NAN) / 1024.0
}
