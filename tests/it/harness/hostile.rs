//! Requests that no well-behaved client sends, at every route of the route table, always the same
//! from the same seed, and what comes back. Only ever against this machine.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use hmac::{Hmac, KeyInit, Mac};
use orchestrator::http::{Route, guard::Access, routes};
use sha2::Sha256;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::{attackers::connect, h2, mutation::Mutator};

/// What opens the service; it must never come back.
#[derive(Clone, Copy)]
pub struct Secrets {
    pub admin: &'static str,
    pub token: &'static str,
    pub secret: &'static str,
}

impl Secrets {
    /// Which of them is in a text, if any.
    pub fn found_in(&self, text: &[u8]) -> Option<&'static str> {
        let all = [self.admin, self.token, self.secret];
        all.into_iter().find(|secret| memchr::memmem::find(text, secret.as_bytes()).is_some())
    }
}

const METHODS: [&str; 8] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW"];
const BODIES: [&str; 9] = [
    r#"{"alerts":[{"status":"firing","labels":{"alertname":"A","cause":"b","severity":"critical"},"annotations":{"summary":"s","runbook_url":"https://r"},"startsAt":"2026-11-24T07:00:27Z","generatorURL":"http://p"},{"status":"resolved","labels":{"alertname":"A"},"endsAt":"2026-11-24T08:00:27Z"}]}"#,
    r#"{"alerts":[{"status":"firing","labels":{},"fingerprint":"x"}],"groupLabels":{"alertname":"G"},"truncatedAlerts":7}"#,
    r#"{"query":"disk full on db-1?","limit":10,"filter":{"category":"runbook","severity":"high","tag":"disk"}}"#,
    r#"{"text":"2026-11-24 ERROR {\"a\": 1}\n\tat x.y(Z.java:1) \ud83d\ude00"}"#,
    r#"{"title":"By hand","category":"troubleshooting","severity":"low","tags":["a"],"steps":["one"],"runbookUrl":"https://r"}"#,
    r#"{"solution":"Drain it.","rootCause":null}"#,
    r#"{"text":"seen again"}"#,
    r#"{"helped":true}"#,
    "",
];
const IDS: [&str; 5] = ["nothing", "kb-alert-0f343b0931126a20", "%2e%2e%2f", "%00", "%ff"];
const VALUES: [&str; 14] = [
    "1",
    "0",
    "-1",
    "1000000000000",
    "firing",
    "json",
    "csv",
    "alerts",
    "a=b",
    "2026-11-24T07:00:27Z",
    "daily",
    "%00",
    "%F0%9F%92%A9",
    "true",
];

/// Makes requests.
pub struct Hostile {
    mutator: Mutator,
    routes: Vec<Route>,
    bodies: Vec<Vec<u8>>,
    heads: Vec<Vec<u8>>,
    secrets: Secrets,
}

impl Hostile {
    pub fn of(seed: u64, secrets: Secrets) -> Self {
        let bodies = BODIES.map(|body| body.as_bytes().to_vec()).to_vec();
        let mut hostile = Self {
            mutator: Mutator::of(seed),
            routes: routes(),
            bodies,
            heads: Vec::new(),
            secrets,
        };
        hostile.heads = (0..32).map(|_| hostile.head(7).0).collect();
        hostile
    }

    /// The bytes of one request, or of a connection of HTTP/2.
    pub fn request(&mut self) -> Vec<u8> {
        let chance = self.mutator.below(20);
        if chance == 0 {
            return self.frames();
        }
        let body = match self.mutator.below(3) {
            0 => self.mutator.pick(&self.bodies).clone(),
            _ => self.mutator.input(&self.bodies),
        };
        let (mut head, access) = self.head(body.len());
        if chance.is_multiple_of(2) {
            // Half of them are mixed with others.
            let others = if chance.is_multiple_of(4) { 8 } else { 0 };
            head = self.mutator.input(&[&[head], &self.heads[..others]].concat());
        }
        if !head.ends_with(b"\r\n") {
            // Whoever writes a key where it does not belong has told it himself.
            head.extend(b"\r\n");
        }
        head.extend(self.proof(access, &body));
        [head, b"\r\n".to_vec(), body].concat()
    }

    /// A head without its end and without a proof, and who may call.
    fn head(&mut self, length: usize) -> (Vec<u8>, Access) {
        let route = self.mutator.below(self.routes.len());
        let route = &self.routes[route];
        let method = match self.mutator.below(16) {
            0 => *self.mutator.pick(&METHODS),
            _ => route.method.as_str(),
        };
        let id: &&str = self.mutator.pick(&IDS);
        let mut target = route.path.replace("{id}", id);
        for (number, parameter) in route.parameters.iter().enumerate() {
            if self.mutator.below(4) == 0 {
                let value = self.mutator.pick(&VALUES);
                let mark = if number == 0 { '?' } else { '&' };
                target.push_str(&format!("{mark}{}={value}", parameter.name()));
            }
        }
        let odd = match self.mutator.below(12) {
            0 => "origin: https://evil.example.org\r\naccess-control-request-method: PUT\r\n",
            1 => "x-request-id: r-1\r\nif-none-match: *\r\naccept-encoding: gzip\r\n",
            2 => "if-match: \"1\"\r\nexpect: 100-continue\r\n",
            3 => "x-forwarded-for: 203.0.113.9, unknown\r\ntransfer-encoding: chunked\r\n",
            _ => "",
        };
        let head = format!(
            "{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{odd}\
             content-length: {length}\r\n"
        );
        (head.into_bytes(), route.guarded.access)
    }

    /// Mostly what opens the route, so that more is tried than the lock.
    fn proof(&mut self, access: Access, body: &[u8]) -> Vec<u8> {
        let Secrets { admin, token, secret } = self.secrets;
        let line = match (self.mutator.below(10), access) {
            (0, _) => String::new(),
            (1, _) => "authorization: Bearer wrong-0f343b0931126a20\r\n".to_owned(),
            (2, Access::WebhookSender) => "x-webhook-signature: sha256=00\r\n".to_owned(),
            (3..6, Access::WebhookSender) => {
                let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
                mac.update(body);
                format!("x-webhook-signature: {}\r\n", hex::encode(mac.finalize().into_bytes()))
            }
            (_, Access::WebhookSender) => format!("authorization: Bearer {token}\r\n"),
            _ => format!("authorization: Bearer {admin}\r\n"),
        };
        line.into_bytes()
    }

    /// Frames of HTTP/2 behind a good preface.
    fn frames(&mut self) -> Vec<u8> {
        let mut bytes = h2::preface(None);
        let good = [
            h2::get(1, "/health"),
            [h2::get(1, "/api/auth/me"), h2::get(3, "/api/openapi.json")].concat(),
            [h2::get(1, "/ready"), h2::frame(h2::PING, 0, 0, &[0; 8])].concat(),
            [h2::frame(h2::SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 1]), h2::get(5, "/")].concat(),
            h2::frame(h2::DATA, 1, 1, b"x"),
        ];
        bytes.extend(self.mutator.input(&good));
        bytes
    }
}

/// What came back, as far as it came.
pub struct Reply(pub Vec<u8>);

impl Reply {
    /// The status of an answer of HTTP/1.
    pub fn status(&self) -> Option<u16> {
        let line = self.0.strip_prefix(b"HTTP/1.1 ").or(self.0.strip_prefix(b"HTTP/1.0 "))?;
        str::from_utf8(line.get(..3)?).ok()?.parse().ok()
    }
}

/// How long an answer is waited for before nothing more is said, and after that.
const PATIENCE: Duration = Duration::from_millis(100);
const LAST_PATIENCE: Duration = Duration::from_secs(2);

/// Sends a request on a connection of its own and reads what comes back.
pub async fn exchange(from: Ipv4Addr, to: SocketAddr, request: &[u8]) -> Reply {
    let mut reply = Vec::new();
    let Ok(mut stream) = connect(from, to).await else { return Reply(reply) };
    // Whoever refuses may close before it has read all.
    let _ = stream.write_all(request).await;
    let mut patience = PATIENCE;
    while !is_whole(&reply) {
        match timeout(patience, stream.read_buf(&mut reply)).await {
            Ok(Ok(1..)) => {}
            Ok(_) => break,
            Err(_) if patience == PATIENCE => {
                patience = LAST_PATIENCE;
                let _ = stream.shutdown().await;
            }
            Err(_) => break,
        }
    }
    Reply(reply)
}

/// Whether an answer is there to its end.
fn is_whole(reply: &[u8]) -> bool {
    let Some(end) = memchr::memmem::find(reply, b"\r\n\r\n") else { return false };
    let (head, body) = (&reply[..end], &reply[end + 4..]);
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    match length {
        Some(length) => body.len() >= length,
        None if head.contains("transfer-encoding: chunked") => body.ends_with(b"0\r\n\r\n"),
        // An interim answer, or one without a body.
        None => !head.starts_with("http/1.1 1"),
    }
}

/// The samples of `http_requests_total` that tell of a 5xx.
pub fn failures(metrics: &str) -> Vec<&str> {
    metrics
        .lines()
        .filter(|line| line.starts_with("http_requests_total{") && line.contains(r#"status="5"#))
        .collect()
}
