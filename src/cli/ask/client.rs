//! One request to a running service, and how its refusals are reported.

use std::{error::Error, sync::Arc, time::Duration};

use axum::http::{Method, Request, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as Http, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{ClientConfig, RootCertStore};
use secrecy::ExposeSecret;
use serde_json::Value;
use url::Url;

use crate::{
    cli::{Failure, serve::failed},
    config::{self, ClientSettings, ProcessEnv},
};

const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// No answer of the service is longer.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// A service to ask.
pub(super) struct Client {
    settings: ClientSettings,
}

impl Client {
    /// The one that the environment names.
    pub fn from_process() -> Result<Self, Failure> {
        Ok(Self { settings: config::client(&ProcessEnv, &config::working_directory()?)? })
    }

    /// The answer to a GET.
    pub fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, Failure> {
        let mut url = self.url(path)?;
        url.query_pairs_mut().extend_pairs(query);
        self.send(Method::GET, &url, Bytes::new())
    }

    /// The answer to a POST.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.send(Method::POST, &self.url(path)?, body.to_string().into())
    }

    fn url(&self, path: &str) -> Result<Url, Failure> {
        let url = Url::parse(&format!("{}{path}", self.settings.url));
        url.map_err(|error| Failure::Failed(format!("{}: {error}", self.settings.url)))
    }

    fn send(&self, method: Method, url: &Url, body: Bytes) -> Result<Value, Failure> {
        let key = self.settings.key.expose_secret();
        let request = Request::builder()
            .method(method)
            .uri(url.as_str())
            .header(header::AUTHORIZATION, format!("Bearer {key}"))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("orchestrator/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(body))
            .map_err(failed)?;
        let at = |what: &str| Failure::Failed(format!("{}: {what}", self.settings.url));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(failed)?.block_on(async {
            let answered = tokio::time::timeout(ANSWER_WITHIN, async {
                let http = Http::builder(TokioExecutor::new()).build(connector()?);
                let answer = http.request(request).await.map_err(|error| at(&reason(&error)))?;
                let status = answer.status();
                let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
                let body = body.map_err(|error| at(&reason(error.as_ref())))?.to_bytes();
                Ok::<_, Failure>((status, body))
            });
            let (status, body) = answered.await.map_err(|_| at("no answer within a minute"))??;
            match serde_json::from_slice::<Value>(&body) {
                Ok(body) if status.is_success() => Ok(body),
                Ok(body) => Err(at(&format!("{status}: {}", refusal(&body)))),
                Err(_) => Err(at(&format!("{status}, and no answer of this service"))),
            }
        })
    }
}

/// Connects with TLS where the URL says so; the authorities trusted are the system's, or those of
/// `SSL_CERT_FILE`.
fn connector() -> Result<HttpsConnector<HttpConnector>, Failure> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http();
    Ok(connector.enable_http1().build())
}

/// The innermost cause: the others only say that the request failed.
fn reason(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

fn refusal(body: &Value) -> String {
    let mut text = body["error"].as_str().unwrap_or("refused").to_owned();
    for problem in body["details"].as_array().into_iter().flatten() {
        let (path, message) = (problem["path"].as_str(), problem["message"].as_str());
        text.push_str(&format!("; {}: {}", path.unwrap_or("?"), message.unwrap_or("?")));
    }
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
