//! The built binary as its users run it.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::sync::mpsc;

use super::{
    PATIENCE,
    actor::{Actor, Actors},
    eventually,
};

/// A port that nobody listens on now, and that no test gets twice. It is below those that the system
/// gives to connections, so that none of these has it when the server that it is for starts.
pub fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    const PORTS: std::ops::Range<u32> = 15_000..32_000;
    let first = std::process::id().wrapping_mul(331);
    loop {
        let at = first.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(PORTS.start + at % (PORTS.end - PORTS.start)).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A process of the test's own; killed when the test ends.
pub struct Process {
    child: Child,
    lines: mpsc::UnboundedReceiver<String>,
    seen: Vec<String>,
    actors: Option<Actors>,
    address: Option<SocketAddr>,
}

impl Process {
    /// Starts the binary in `directory` with these variables and no others.
    pub fn spawn(directory: &Path, variables: &BTreeMap<String, String>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orchestrator"));
        command.current_dir(directory).env_clear().envs(variables);
        Self::of(command)
    }

    /// Starts any program; its standard error is read line by line.
    pub fn of(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = mpsc::unbounded_channel();
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                // The test may have seen enough; the pipe is read on so that it never fills.
                let _ = sender.send(line);
            }
        });
        Self { child, lines, seen: Vec::new(), actors: None, address: None }
    }

    /// Starts a service whose output goes where the command says; it is known to listen on `port`.
    pub fn silent(mut command: Command, port: u16) -> Self {
        let child = command.stdin(Stdio::null()).spawn().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let (_, lines) = mpsc::unbounded_channel();
        let actors = Some(Actors::of(address));
        Self { child, lines, seen: Vec::new(), actors, address: Some(address) }
    }

    /// Waits for a log line that holds `text`.
    pub async fn line_with(&mut self, text: &str) -> String {
        let found = tokio::time::timeout(PATIENCE, async {
            while let Some(line) = self.lines.recv().await {
                self.seen.push(line);
                let line = self.seen.last().unwrap();
                if line.contains(text) {
                    return Some(line.clone());
                }
            }
            None
        });
        let found = found.await.ok().flatten();
        found.unwrap_or_else(|| panic!("no line with {text:?} in:\n{}", self.seen.join("\n")))
    }

    /// All log lines until now.
    pub fn lines_so_far(&mut self) -> &[String] {
        while let Ok(line) = self.lines.try_recv() {
            self.seen.push(line);
        }
        &self.seen
    }

    /// Waits until it serves; remembers where.
    pub async fn serving(&mut self) {
        let line: Value = serde_json::from_str(&self.line_with("\"serving\"").await).unwrap();
        let address: SocketAddr = line["address"].as_str().unwrap().parse().unwrap();
        self.actors = Some(Actors::of(address));
        self.address = Some(address);
    }

    /// Everyone who may call it.
    pub fn actors(&self) -> Actors {
        self.actors.clone().expect("it serves")
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address.expect("it serves")
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Asks it to stop, as a terminal's Ctrl-C does.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Tells it that its files were rotated.
    pub fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    /// It stands still, with all its connections.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// It goes on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Ends it as a power cut would, as far as the process is concerned.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Whether it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end: the exit code.
    pub async fn exit_code(&mut self) -> i32 {
        let status = eventually("the process ends", async || self.ended()).await;
        status.code().unwrap_or_else(|| panic!("ended by a signal: {status}"))
    }

    /// All lines until its end.
    pub async fn output(&mut self) -> String {
        while let Some(line) = self.lines.recv().await {
            self.seen.push(line);
        }
        self.seen.join("\n")
    }

    pub fn admin(&self) -> Actor {
        self.actors().admin()
    }

    pub fn alertmanager(&self) -> Actor {
        self.actors().alertmanager()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail where it has ended already, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
