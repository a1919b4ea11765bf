//! Chromium and its driver, started for whoever looks at the page through them: tests, and the
//! bench that includes this file.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use tempfile::TempDir;
use thirtyfour::{
    ChromeCapabilities, ChromiumLikeCapabilities, DesiredCapabilities, LoggingPrefsLogLevel,
    WebDriver,
};

/// As root Chromium runs without its sandbox only; what it would fetch of its own accord is off.
const ARGUMENTS: [&str; 13] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
    "--lang=en-GB",
    "--force-color-profile=srgb",
];

/// Chromium's driver; ended with the test.
struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        // Both fail where it has ended already, which is as well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the driver on a free port; it says which.
fn start_driver(program: &str) -> (Driver, u16) {
    let mut command = Command::new(program);
    command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}"));
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let driver = Driver(child);
    let said = lines.find(|line| line.contains("successfully on port")).expect("it says its port");
    let port = said.rsplit(' ').next().unwrap().trim_end_matches('.').parse().unwrap();
    // The pipe is read on so that it never fills.
    thread::spawn(move || lines.for_each(drop));
    (driver, port)
}

/// A browser with an empty profile. To be ended in this order.
pub struct Chromium {
    pub web: WebDriver,
    port: u16,
    _driver: Driver,
    _profile: TempDir,
}

impl Chromium {
    /// Started by this driver program.
    pub async fn start(program: &str) -> Self {
        let (driver, port) = start_driver(program);
        let profile = tempfile::tempdir().unwrap();
        let mut wanted: ChromeCapabilities = DesiredCapabilities::chrome();
        let folder = format!("--user-data-dir={}", profile.path().display());
        for argument in ARGUMENTS.iter().copied().chain([folder.as_str()]) {
            wanted.add_arg(argument).unwrap();
        }
        wanted.set_browser_log_level(LoggingPrefsLogLevel::All).unwrap();
        let web = WebDriver::new(format!("http://127.0.0.1:{port}"), wanted).await.unwrap();
        Self { web, port, _driver: driver, _profile: profile }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // The client's own way to end would wait for the runtime that this very thread holds up.
        let session = self.web.session_id().to_string();
        let _ = self.web.clone().leak();
        let _ = end_session(self.port, &session);
    }
}

/// Has the driver end the browser; a driver that is killed would leave it behind.
fn end_session(port: u16, session: &str) -> io::Result<()> {
    let mut driver = TcpStream::connect(("127.0.0.1", port))?;
    driver.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(driver, "DELETE /session/{session} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n")?;
    write!(driver, "content-length: 0\r\n\r\n")?;
    // It answers once the browser has ended, and keeps the connection.
    driver.read(&mut [0; 1024]).map(drop)
}
