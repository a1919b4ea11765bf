//! A MongoDB of the test's own, to be stopped, paused and started again.

use std::{process::Command, time::Duration};

use mongodb::{
    Client, Database,
    bson::doc,
    options::{ClientOptions, ServerAddress},
};
use tempfile::TempDir;

use super::{Process, eventually, free_port, require};

/// How the server stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    ReplicaSet,
    Alone,
}

/// A server; killed when the test ends.
pub struct Mongod {
    directory: TempDir,
    program: String,
    topology: Topology,
    port: u16,
    process: Process,
    client: Client,
}

impl Mongod {
    /// One of this topology, started by the program of `TEST_MONGODB_SERVER`.
    pub async fn start(topology: Topology) -> Option<Self> {
        let program = require("TEST_MONGODB_SERVER")?;
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let process = spawn(&program, &directory, port, topology);
        let host = ServerAddress::Tcp { host: "127.0.0.1".to_owned(), port: Some(port) };
        let soon = Duration::from_millis(500);
        let options = ClientOptions::builder()
            .hosts(vec![host])
            .direct_connection(true)
            .server_selection_timeout(soon);
        let client = Client::with_options(options.build()).unwrap();
        let server = Self { directory, program, topology, port, process, client };
        server.answering().await;
        Some(server)
    }

    async fn answering(&self) {
        let admin = self.client.database("admin");
        eventually("MongoDB takes writes", async || {
            let hello = admin.run_command(doc! { "hello": 1 }).await.ok()?;
            if self.topology == Topology::ReplicaSet && !hello.contains_key("setName") {
                let member = doc! { "_id": 0, "host": self.address() };
                let set = doc! { "_id": "test", "members": [member] };
                drop(admin.run_command(doc! { "replSetInitiate": set }).await);
                return None;
            }
            hello.get_bool("isWritablePrimary").ok()?.then_some(())
        })
        .await;
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A database as another program sees it.
    pub fn raw(&self, database: &str) -> Database {
        self.client.database(database)
    }

    /// Ends it as its operators do, and starts it again on its data.
    pub async fn restart(&mut self) {
        self.process.terminate();
        eventually("MongoDB ends", async || self.process.ended()).await;
        self.process = spawn(&self.program, &self.directory, self.port, self.topology);
        self.answering().await;
    }

    /// It keeps its connections and says nothing.
    pub fn pause(&self) {
        self.process.pause();
    }

    /// It goes on.
    pub fn resume(&self) {
        self.process.resume();
    }
}

fn spawn(program: &str, directory: &TempDir, port: u16, topology: Topology) -> Process {
    let topology = match topology {
        Topology::ReplicaSet => "replica-set",
        Topology::Alone => "standalone",
    };
    let mut command = Command::new(program);
    command.arg(directory.path()).arg(port.to_string()).arg(topology);
    Process::of(command)
}
