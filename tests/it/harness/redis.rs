//! A Redis of the test's own, to be stopped, paused and started again.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use redis::aio::MultiplexedConnection;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{eventually, free_port, require};

const PASSWORD: &str = "p@ss/w:rd%-of-a-redis-of-one-test";
const ENCODED: &str = "p%40ss%2Fw%3Ard%25-of-a-redis-of-one-test";

/// A `redis-server`; killed when the test ends.
pub struct Redis {
    directory: TempDir,
    port: u16,
    tls: bool,
    child: Child,
}

impl Redis {
    /// One without TLS, where tests have services at all.
    pub async fn start() -> Option<Self> {
        Self::started(false).await
    }

    /// One that speaks TLS only.
    pub async fn start_with_tls() -> Option<Self> {
        Self::started(true).await
    }

    async fn started(tls: bool) -> Option<Self> {
        require("TEST_REDIS_URL")?;
        let directory = tempfile::tempdir().unwrap();
        if tls {
            write_certificates(&directory);
        }
        let port = free_port();
        let child = spawn(&directory, port, tls);
        let redis = Self { directory, port, tls, child };
        redis.answering().await;
        Some(redis)
    }

    /// Waits until it accepts connections.
    async fn answering(&self) {
        eventually("Redis listens", async || {
            tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.ok()
        })
        .await;
    }

    /// Where it is, without the password.
    pub fn address(&self) -> String {
        let scheme = if self.tls { "rediss" } else { "redis" };
        format!("{scheme}://localhost:{}/", self.port)
    }

    /// The password, as it is.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// The same by way of another address.
    pub fn through(&self, address: std::net::SocketAddr) -> String {
        format!("redis://default:{ENCODED}@{address}/")
    }

    /// What it listens on.
    pub fn listens(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Where it is, with the password.
    pub fn url(&self) -> String {
        self.address().replace("://", &format!("://:{ENCODED}@"))
    }

    /// The certificate of who signed its own.
    pub fn authority(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// As another program sees it.
    pub async fn connection(&self) -> MultiplexedConnection {
        let client = redis::Client::open(self.url()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    /// Ends it.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again, empty.
    pub async fn restart(&mut self) {
        self.child = spawn(&self.directory, self.port, self.tls);
        self.answering().await;
    }

    /// It keeps its connections and says nothing.
    pub fn pause(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).unwrap();
    }

    /// It goes on.
    pub fn resume(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).unwrap();
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // Both fail where it has ended already, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(directory: &TempDir, port: u16, tls: bool) -> Child {
    let mut settings = format!(
        "bind 127.0.0.1\nrequirepass \"{PASSWORD}\"\nsave \"\"\nappendonly no\ndir {}\n",
        directory.path().display()
    );
    settings.push_str(&match tls {
        false => format!("port {port}\n"),
        true => format!(
            "port 0\ntls-port {port}\ntls-cert-file server.pem\ntls-key-file server.key\n\
             tls-ca-cert-file ca.pem\ntls-auth-clients no\n"
        ),
    });
    let file = directory.path().join("redis.conf");
    fs::write(&file, settings).unwrap();
    let mut command = Command::new("redis-server");
    command.arg(file).current_dir(directory.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("redis-server is installed")
}

fn write_certificates(directory: &TempDir) {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let own = own.signed_by(&key, &issuer).unwrap();
    for (name, text) in [
        ("ca.pem", certificate.pem()),
        ("server.pem", own.pem()),
        ("server.key", key.serialize_pem()),
    ] {
        fs::write(directory.path().join(name), text).unwrap();
    }
}
