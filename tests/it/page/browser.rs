//! A browser that a test looks through.
//!
//! One at a time: each takes most of a core, and none is what the others wait for. Nothing here
//! sleeps: a test waits for what it expects to see.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use fantoccini::{
    Locator,
    actions::{InputSource, KeyAction, KeyActions},
    elements::Element,
    key::Key,
};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

use super::chromium::Chromium;
use crate::harness::{PATIENCE, eventually, require};

/// Remembers what the page was refused by its own policy, from before its first line.
const WATCH: &str = "window.__refused = []; document.addEventListener('securitypolicyviolation', \
    (event) => window.__refused.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`));";

/// The rules of WCAG that a program can check.
const RULES: &str = "const done = arguments[arguments.length - 1];
    axe.run(document, { resultTypes: ['violations'], runOnly: { type: 'tag',
        values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] } })
      .then(({ violations }) => done(violations.map(({ id, nodes }) =>
        `${id}: ${nodes.slice(0, 5).map((node) => `${node.html.slice(0, 160)} ${node.failureSummary}`).join('\\n  ')}`)),
        (error) => done([`axe failed: ${error}`]));";

/// A browser with one window.
pub struct Browser {
    chromium: Chromium,
    base: String,
    _turn: MutexGuard<'static, ()>,
}

impl Browser {
    /// On the page of the service at this address, without a key; `None` where there is no browser.
    pub async fn open(address: SocketAddr) -> Option<Self> {
        static TURN: Mutex<()> = Mutex::const_new(());
        let program = require("TEST_CHROMEDRIVER")?;
        let turn = TURN.lock().await;
        let chromium = Chromium::start(&program).await;
        let base = format!("http://{address}");
        let browser = Self { chromium, base, _turn: turn };
        browser.command("Page.addScriptToEvaluateOnNewDocument", json!({ "source": WATCH })).await;
        browser.size(1440, 900).await;
        browser.chromium.web.goto(&format!("{}/", browser.base)).await.unwrap();
        browser
            .until("the page asks for a key", "document.querySelector('input[type=password]')")
            .await;
        Some(browser)
    }

    /// The same, and signed in.
    pub async fn signed_in(address: SocketAddr, key: &str) -> Option<Self> {
        let browser = Self::open(address).await?;
        browser.sign_in(key).await;
        Some(browser)
    }

    /// Gives the page a key, as a person does.
    pub async fn sign_in(&self, key: &str) {
        self.find("input[type=password]")
            .await
            .send_keys(&format!("{key}{}", Key::Enter))
            .await
            .unwrap();
        self.until("it is signed in", "document.querySelector('#nav a')").await;
    }

    /// A command of Chromium's own.
    pub async fn command(&self, name: &str, parameters: Value) -> Value {
        self.chromium.command(name, parameters).await
    }

    /// Another size of the window.
    pub async fn size(&self, width: u32, height: u32) {
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.command("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// `dark` or `light`, as the system would say.
    pub async fn colours(&self, scheme: &str) {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.command("Emulation.setEmulatedMedia", json!({ "features": [feature] })).await;
    }

    /// Goes to an address of the page: `#/ask`.
    pub async fn visit(&self, address: &str) {
        self.js("location.hash = arguments[0]", &[json!(address)]).await;
    }

    /// Loads an address of the page afresh, as a shared link is opened.
    pub async fn load(&self, address: &str) {
        self.chromium.web.goto("about:blank").await.unwrap();
        self.chromium.web.goto(&format!("{}/{address}", self.base)).await.unwrap();
    }

    /// Runs a script in the page.
    pub async fn js(&self, script: &str, arguments: &[Value]) -> Value {
        let answer = self.chromium.web.execute(script, arguments.to_vec()).await;
        answer.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Runs a script that calls its last argument when it is done.
    pub async fn js_later(&self, script: &str, arguments: &[Value]) -> Value {
        let answer = self.chromium.web.execute_async(script, arguments.to_vec()).await;
        answer.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Waits until an expression of the page is true, or an element is there.
    pub async fn until(&self, what: &str, expression: &str) {
        let script = format!("return Boolean({expression})");
        let seen = async || (self.js(&script, &[]).await == true).then_some(());
        if tokio::time::timeout(PATIENCE - Duration::from_secs(2), eventually(what, seen))
            .await
            .is_err()
        {
            self.screenshot("failed").await;
            panic!("not seen: {what}; but\n{}", self.text("body").await);
        }
    }

    /// Waits until this is written somewhere on the page.
    pub async fn until_text(&self, text: &str) {
        let expression = format!("document.body.innerText.includes({})", json!(text));
        self.until(text, &expression).await;
    }

    /// The first element of a selector.
    pub async fn find(&self, selector: &str) -> Element {
        let found = self.chromium.web.find(Locator::Css(selector)).await;
        found.unwrap_or_else(|error| panic!("{selector}: {error}"))
    }

    /// What is written in the first element of a selector; empty if there is none.
    pub async fn text(&self, selector: &str) -> String {
        let script = "return document.querySelector(arguments[0])?.innerText ?? ''";
        self.js(script, &[json!(selector)]).await.as_str().unwrap().to_owned()
    }

    /// How many elements a selector has.
    pub async fn count(&self, selector: &str) -> u64 {
        let script = "return document.querySelectorAll(arguments[0]).length";
        self.js(script, &[json!(selector)]).await.as_u64().unwrap()
    }

    /// Presses the button or link with this text.
    pub async fn press(&self, text: &str) {
        let script =
            "const button = [...document.querySelectorAll('main button, main a, header button')]
            .find((one) => one.innerText.trim() === arguments[0] && one.offsetParent);
            button?.click(); return Boolean(button)";
        assert!(
            self.js(script, &[json!(text)]).await == true,
            "no {text:?} on\n{}",
            self.text("body").await
        );
    }

    /// Types on the keyboard, wherever the focus is.
    pub async fn keys(&self, keys: &str) {
        let presses = keys.chars().fold(KeyActions::new("keyboard".into()), |presses, value| {
            presses.then(KeyAction::Down { value }).then(KeyAction::Up { value })
        });
        self.chromium.web.perform_actions(presses).await.unwrap();
    }

    /// Writes into a field instead of what is there.
    pub async fn write(&self, selector: &str, text: &str) {
        let field = self.find(selector).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Keeps a picture of the window.
    pub async fn screenshot(&self, name: &str) -> PathBuf {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{name}.png"));
        std::fs::write(&path, self.chromium.web.screenshot().await.unwrap()).unwrap();
        path
    }

    /// Nothing that a program can find keeps anybody out, where its rules are at hand.
    pub async fn assert_accessible(&self, where_: &str) {
        let Some(rules) = axe() else { return };
        if self.js("return typeof axe === 'undefined'", &[]).await == true {
            self.js(&std::fs::read_to_string(rules).unwrap(), &[]).await;
        }
        let found = self.js_later(RULES, &[]).await;
        let found: Vec<&str> = found.as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert!(found.is_empty(), "{where_}:\n{}", found.join("\n"));
    }

    /// No error is on the console but those expected, and nothing met the page's policy.
    pub async fn assert_clean(&self, expected: &[&str]) {
        let refused = self.js("return window.__refused", &[]).await;
        assert_eq!(refused, json!([]));
        for entry in
            self.chromium.vendor("se/log", json!({ "type": "browser" })).await.as_array().unwrap()
        {
            let message = entry["message"].as_str().unwrap();
            let known = expected.iter().any(|part| message.contains(part));
            let bad = matches!(entry["level"].as_str(), Some("SEVERE" | "WARNING"));
            assert!(!bad || known, "{message}");
        }
    }
}

/// Where axe-core is, if it could be had.
#[allow(clippy::disallowed_methods)]
fn axe() -> Option<String> {
    std::env::var("TEST_AXE").ok()
}
