//! nginx with the configuration that `ops/` ships.

use std::{fs, net::SocketAddr, process::Command};

use tempfile::TempDir;

use super::{Process, actor::Actors, eventually, free_port};

const SHIPPED: &str = include_str!("../../../ops/nginx.conf");

/// A balancer; killed when the test ends.
pub struct Balancer {
    address: SocketAddr,
    _process: Process,
    _directory: TempDir,
}

impl Balancer {
    /// In front of these three, with nothing of the shipped configuration changed but addresses.
    pub async fn start(replicas: [u16; 3]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut shipped = SHIPPED.to_owned();
        for (from, to) in
            [8080, 3001, 3002, 3003].into_iter().zip([[port].as_slice(), &replicas].concat())
        {
            let (from, to) = (format!("127.0.0.1:{from}"), format!("127.0.0.1:{to}"));
            assert!(shipped.contains(&from), "{from}");
            shipped = shipped.replace(&from, &to);
        }
        fs::write(directory.path().join("orchestrator.conf"), shipped).unwrap();
        // What Debian's own file has around it, in a place of the test's own; one process, so that none
        // is left when it is killed.
        let main = "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\n\
            events { worker_connections 256; }\n\
            http {\n access_log off;\n client_body_temp_path body;\n proxy_temp_path proxy;\n \
            fastcgi_temp_path fastcgi;\n uwsgi_temp_path uwsgi;\n scgi_temp_path scgi;\n \
            include orchestrator.conf;\n}\n";
        fs::write(directory.path().join("nginx.conf"), main).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-p").arg(directory.path()).args(["-c", "nginx.conf", "-e", "stderr"]);
        let process = Process::of(command);
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        eventually("nginx listens", async || tokio::net::TcpStream::connect(address).await.ok())
            .await;
        Self { address, _process: process, _directory: directory }
    }

    /// Everyone who may call the service behind it.
    pub fn actors(&self) -> Actors {
        Actors::of(self.address)
    }
}
