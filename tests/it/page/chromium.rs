//! Chromium and its driver, started for whoever looks at the page through them: tests, and the
//! bench that includes this file.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use axum::http::Method;
use fantoccini::{Client, ClientBuilder, wd::WebDriverCompatibleCommand};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::{ParseError, Url};

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

/// Starts the driver on a free port. It looks for one before it takes it, so another may be faster:
/// then it ends, and is started again.
fn start_driver(program: &str) -> (Driver, u16) {
    let mut tries = (0..5).filter_map(|_| try_to_start_driver(program));
    tries.next().expect("the driver says its port")
}

fn try_to_start_driver(program: &str) -> Option<(Driver, u16)> {
    let mut command = Command::new(program);
    command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}"));
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let driver = Driver(child);
    let said = lines.find(|line| line.contains("successfully on port"))?;
    let port = said.rsplit(' ').next().unwrap().trim_end_matches('.').parse().unwrap();
    // The pipe is read on so that it never fills.
    thread::spawn(move || lines.for_each(drop));
    Some((driver, port))
}

/// A command that the driver of Chromium knows beside those of WebDriver: what follows the session in
/// its address, and what is sent.
#[derive(Debug)]
struct Vendor(&'static str, Value);

impl WebDriverCompatibleCommand for Vendor {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.0))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.1.to_string()))
    }
}

/// A browser with an empty profile. To be ended in this order.
pub struct Chromium {
    pub web: Client,
    port: u16,
    session: String,
    _driver: Driver,
    _profile: TempDir,
}

impl Chromium {
    /// Started by this driver program.
    pub async fn start(program: &str) -> Self {
        let (driver, port) = start_driver(program);
        let profile = tempfile::tempdir().unwrap();
        let folder = format!("--user-data-dir={}", profile.path().display());
        let arguments: Vec<&str> = ARGUMENTS.iter().copied().chain([folder.as_str()]).collect();
        let wanted = json!({
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let web = ClientBuilder::new(HttpConnector::new())
            .capabilities(serde_json::from_value(wanted).unwrap())
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap();
        let session = web.session_id().await.unwrap().unwrap();
        Self { web, port, session, _driver: driver, _profile: profile }
    }

    /// A command of Chromium's own protocol for developers.
    pub async fn command(&self, name: &str, parameters: Value) -> Value {
        self.vendor("goog/cdp/execute", json!({ "cmd": name, "params": parameters })).await
    }

    /// A command of its driver, by what follows the session in its address.
    pub async fn vendor(&self, path: &'static str, body: Value) -> Value {
        self.web.issue_cmd(Vendor(path, body)).await.unwrap()
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // The client's own way to end would wait for the runtime that this very thread holds up.
        let _ = end_session(self.port, &self.session);
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
