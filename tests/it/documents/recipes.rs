//! The README's recipes, run as a newcomer would: in order, in one shell, against the binary
//! started in an empty directory.

use std::{
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{is_there, markdown::blocks, read};

/// A recipe, and what it shows.
struct Recipe {
    commands: String,
    shows: String,
}

fn recipes(document: &str) -> Vec<Recipe> {
    let mut recipes: Vec<Recipe> = Vec::new();
    for block in blocks(document) {
        match block.info.as_str() {
            "sh recipe" => recipes.push(Recipe { commands: block.text, shows: String::new() }),
            "text shows" => recipes.last_mut().expect("a recipe before").shows = block.text,
            _ => {}
        }
    }
    recipes
}

/// Whether `output` is what is shown: each line's pieces, between the places that differ each
/// time, in their order.
fn missing<'a>(output: &str, shows: &'a str) -> Option<&'a str> {
    let mut rest = output;
    shows.lines().flat_map(|line| line.split('…')).find(|piece| match rest.find(piece) {
        Some(at) => {
            rest = &rest[at + piece.len()..];
            false
        }
        None => true,
    })
}

struct Service(Child);

impl Service {
    fn start(directory: &Path, port: u16, metrics_port: u16) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orchestrator"));
        command.current_dir(directory).env_clear();
        command.env("PORT", port.to_string()).env("METRICS_PORT", metrics_port.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut service = Self(command.spawn().unwrap());
        let deadline = Instant::now() + Duration::from_secs(30);
        // The listener is bound before the store is opened; the credentials are there before it.
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(service.0.try_wait().unwrap().is_none(), "the service has ended");
            assert!(Instant::now() < deadline, "the service does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        service
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Two ports that nobody listens on now.
fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

#[test]
#[allow(clippy::disallowed_methods)]
fn the_readmes_recipes_show_what_they_say() {
    if !is_there("bash") || !is_there("curl") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let [port, metrics_port] = free_ports();
    let _service = Service::start(directory.path(), port, metrics_port);
    std::fs::create_dir_all(directory.path().join("target/release")).unwrap();
    let binary = directory.path().join("target/release/orchestrator");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_orchestrator"), binary).unwrap();

    const END: &str = "\n--- end of recipe ---\n";
    let recipes = recipes(&read("README.md"));
    assert!(recipes.len() > 5);
    let mut script = String::from("set -eu -o pipefail\n");
    for recipe in &recipes {
        let commands = recipe.commands.replace("localhost:3000", &format!("127.0.0.1:{port}"));
        let commands = commands.replace("localhost:9100", &format!("127.0.0.1:{metrics_port}"));
        script.push_str(&format!("{commands}\nprintf '{}'\n", END.replace('\n', "\\n")));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut shell = Command::new("bash");
    shell.current_dir(directory.path()).env_clear().env("PATH", path);
    let done = shell.args(["-c", &script]).stdin(Stdio::null()).output().unwrap();
    let output = String::from_utf8(done.stdout).unwrap();
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{}: {errors}\n{output}", done.status);

    for (recipe, output) in recipes.iter().zip(output.split(END)) {
        if let Some(piece) = missing(output, &recipe.shows) {
            panic!(
                "{}\nprinted:\n{output}\nwithout {piece:?} of:\n{}",
                recipe.commands, recipe.shows
            );
        }
    }
}

#[test]
fn what_a_recipe_shows_must_be_printed_in_that_order() {
    let output = r#"{"a":1,"b":[2],"c":3}"#;
    assert_eq!(missing(output, "{\"a\":1,…\"c\":3}\n"), None);
    assert_eq!(missing(output, "\"c\":3…\"a\":1\n"), Some("\"a\":1"));
    assert_eq!(missing("", ""), None);
}
