//! Who calls the service: thin clients that differ in what they present.

use std::{collections::BTreeSet, net::SocketAddr};

use hmac::{Hmac, KeyInit, Mac};
use reqwest::{
    Method, RequestBuilder,
    header::{HeaderMap, HeaderName},
};
use serde_json::{Value, json};
use sha2::Sha256;

use super::PATIENCE;

/// What the places of the tests are set up with.
pub mod keys {
    pub const VIEWER: &str = "viewer-key-d41c8e7f6a5b3920e1f4a7c9b8d60352";
    pub const OPERATOR: &str = "operator-key-f3a9c2e8d1b7460598a4c6e2f0d3b591";
    pub const ADMIN: &str = "admin-key-b7c1d98e02f4465a93e0aa51cf3b7d64";
    pub const TOKEN: &str = "webhook-token-1f0e9d8c7b6a59483726150493a2b1c0";
    pub const SECRET: &str = "webhook-secret-92e8f6a1c3b5d7094e6f8a1b3c5d7e90";
}
pub use keys::TOKEN;

/// HMAC-SHA256 in hex, by other code than the service's.
pub fn hmac_hex(secret: &str, message: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(message);
    hex::encode(mac.finalize().into_bytes())
}

/// What an actor presents.
#[derive(Clone)]
pub enum Credential {
    Nothing,
    Bearer(String),
    Signature(String),
}

/// Everyone who may call one service.
#[derive(Clone)]
pub struct Actors {
    client: reqwest::Client,
    address: SocketAddr,
}

impl Actors {
    pub fn of(address: SocketAddr) -> Self {
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE);
        Self { client: client.build().unwrap(), address }
    }

    /// A stranger at another listener.
    pub fn at(&self, address: SocketAddr) -> Actor {
        Self { client: self.client.clone(), address }.anonymous()
    }

    fn actor(&self, credential: Credential) -> Actor {
        let base = format!("http://{}", self.address);
        Actor { client: self.client.clone(), base, credential, headers: HeaderMap::new() }
    }

    pub fn anonymous(&self) -> Actor {
        self.actor(Credential::Nothing)
    }

    pub fn bearer(&self, token: &str) -> Actor {
        self.actor(Credential::Bearer(token.to_owned()))
    }

    pub fn viewer(&self) -> Actor {
        self.bearer(keys::VIEWER)
    }

    pub fn operator(&self) -> Actor {
        self.bearer(keys::OPERATOR)
    }

    pub fn admin(&self) -> Actor {
        self.bearer(keys::ADMIN)
    }

    /// Presents the webhook token, as stock Alertmanager does.
    pub fn alertmanager(&self) -> Actor {
        self.bearer(keys::TOKEN)
    }

    /// Signs what it sends.
    pub fn signer(&self) -> Actor {
        self.actor(Credential::Signature(keys::SECRET.to_owned()))
    }
}

/// Someone who calls.
#[derive(Clone)]
pub struct Actor {
    client: reqwest::Client,
    base: String,
    credential: Credential,
    headers: HeaderMap,
}

impl Actor {
    /// Sends a header more from now on.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        self
    }

    /// A request that proves who sends `body`.
    pub fn request(&self, method: Method, path: &str, body: &[u8]) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        let request = match &self.credential {
            Credential::Nothing => request,
            Credential::Bearer(token) => request.bearer_auth(token),
            Credential::Signature(secret) => {
                request.header("x-webhook-signature", hmac_hex(secret, body))
            }
        };
        request.headers(self.headers.clone())
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, &[]).await
    }

    /// Posts JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_bytes(path, body.to_string().as_bytes()).await
    }

    pub async fn post_bytes(&self, path: &str, body: &[u8]) -> Answer {
        self.call(Method::POST, path, body).await
    }

    /// Puts JSON.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::PUT, path, body.to_string().as_bytes()).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, &[]).await
    }

    pub async fn call(&self, method: Method, path: &str, body: &[u8]) -> Answer {
        let request = self.request(method, path, body);
        let request = if body.is_empty() { request } else { request.body(body.to_vec()) };
        self.send(request).await
    }

    pub async fn send(&self, request: RequestBuilder) -> Answer {
        self.try_send(request).await.expect("an answer")
    }

    /// Sends; an error if nobody answers.
    pub async fn try_send(&self, request: RequestBuilder) -> reqwest::Result<Answer> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, body: response.bytes().await?.to_vec() })
    }

    /// Posts a payload to the webhook.
    pub async fn notify(&self, payload: &Value) -> Answer {
        self.post("/webhook/alerts", payload).await
    }

    /// Asks the knowledge base.
    pub async fn ask(&self, query: &str) -> Value {
        let answer = self.post("/api/knowledge/query", &json!({ "query": query })).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// The entry of this id, as it is shown.
    pub async fn entry(&self, id: &str) -> Value {
        self.get(&format!("/api/knowledge/entries/{id}")).await.expect(200).json()
    }

    /// Writes a new entry by hand.
    pub async fn write(&self, entry: &Value) -> Value {
        self.post("/api/knowledge/entries", entry).await.expect(201).json()
    }

    /// The titles that answer, the best first.
    pub async fn titles(&self, query: &Value) -> Vec<String> {
        let answer = self.post("/api/knowledge/query", query).await.expect(200).json();
        let entries = answer["results"]["entries"].as_array().expect("a list");
        entries.iter().map(|entry| entry["title"].as_str().unwrap().to_owned()).collect()
    }

    /// The titles of all entries.
    pub async fn entry_titles(&self) -> BTreeSet<String> {
        let listed = self.get("/api/knowledge/entries?limit=1000").await.expect(200).json();
        let entries = listed["entries"].as_array().expect("a list");
        entries.iter().map(|entry| entry["title"].as_str().unwrap().to_owned()).collect()
    }

    /// Everything of one collection.
    pub async fn stored(&self, collection: &str) -> Vec<Value> {
        let export =
            self.get(&format!("/api/persistence/export?collection={collection}")).await.json();
        export["data"][collection].as_array().expect("a list of documents").clone()
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("text")
    }

    /// What it says, its names in order, whatever else is in this build of `serde_json`.
    pub fn json(&self) -> Value {
        let read = serde_json::from_slice(&self.body);
        let mut json: Value =
            read.unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.text()));
        json.sort_all_objects();
        json
    }

    /// A header's value; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The answer itself, if it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// The error's sentence, after checking the form that all errors have.
    #[track_caller]
    pub fn error(&self) -> String {
        assert_eq!(self.header("content-type"), "application/json");
        let body = self.json();
        assert_eq!(body["requestId"], self.header("x-request-id"), "{body}");
        let allowed = ["error", "requestId", "details", "requiredRole", "retryAfterSeconds"];
        for name in body.as_object().expect("an object").keys() {
            assert!(allowed.contains(&name.as_str()), "{body}");
        }
        body["error"].as_str().expect("a sentence").to_owned()
    }

    /// The paths of all problems that a 400 lists.
    #[track_caller]
    pub fn problem_paths(&self) -> Vec<String> {
        assert_eq!(self.error(), "Validation failed");
        let details = self.json()["details"].as_array().expect("details").clone();
        details.iter().map(|problem| problem["path"].as_str().unwrap().to_owned()).collect()
    }
}
