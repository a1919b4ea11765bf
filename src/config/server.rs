//! The listeners and their limits.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::Duration,
};

use super::{Environment, reader::Reader};
use crate::security::Certificate;

const CERTIFICATES: &str = "TLS_CERT_FILE";
const PRIVATE_KEY: &str = "TLS_KEY_FILE";

/// The listeners and their limits.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// `HOST`.
    pub host: IpAddr,
    /// `PORT`; 0 takes any free one.
    pub port: u16,
    /// `METRICS_HOST`.
    pub metrics_host: IpAddr,
    /// `METRICS_PORT` (or `PROMETHEUS_PORT`); `None` when set to 0: off.
    pub metrics_port: Option<u16>,
    /// `BODY_LIMIT_BYTES`.
    pub body_limit: usize,
    /// `WEBHOOK_BODY_LIMIT_BYTES`.
    pub webhook_body_limit: usize,
    /// `REQUEST_TIMEOUT_SECONDS`.
    pub request_timeout: Duration,
    /// `MAX_CONNECTIONS`.
    pub max_connections: usize,
    /// `MAX_CONNECTIONS_PER_CLIENT`.
    pub max_connections_per_client: usize,
    /// `TLS_CERT_FILE` and `TLS_KEY_FILE`: set, both listeners speak TLS only.
    pub tls: Option<TlsSettings>,
    /// `SHUTDOWN_TIMEOUT_SECONDS`.
    pub shutdown_timeout: Duration,
}

/// `TLS_CERT_FILE` and `TLS_KEY_FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// The certificate and those between it and its root, as PEM.
    pub certificates: PathBuf,
    /// The certificate's private key, as PEM.
    pub key: PathBuf,
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<ServerSettings> {
    let host = host(reader, "HOST");
    let port = port(reader);
    let metrics_host = self::host(reader, "METRICS_HOST");
    let metrics_port = reader.number("METRICS_PORT", 0..=u16::MAX).filter(|port| *port != 0);
    let body_limit = reader.number("BODY_LIMIT_BYTES", 1..=1 << 30);
    let webhook_body_limit = reader.number("WEBHOOK_BODY_LIMIT_BYTES", 1..=1 << 30);
    let request_timeout = seconds(reader, "REQUEST_TIMEOUT_SECONDS", 3600);
    let max_connections = reader.number("MAX_CONNECTIONS", 1..=1_000_000);
    let max_connections_per_client = reader.number("MAX_CONNECTIONS_PER_CLIENT", 1..=1_000_000);
    let tls = tls(reader);
    if let Some(tls) = &tls
        && let Err(error) = Certificate::load(&tls.certificates, &tls.key)
    {
        reader.problem(CERTIFICATES, error);
    }
    let shutdown_timeout = seconds(reader, "SHUTDOWN_TIMEOUT_SECONDS", 3600);
    if port.is_some_and(|port| port != 0 && metrics_port == Some(port)) {
        reader.problem("METRICS_PORT", "is the same as PORT");
    }
    Some(ServerSettings {
        host: host?,
        port: port?,
        metrics_host: metrics_host?,
        metrics_port,
        body_limit: body_limit?,
        webhook_body_limit: webhook_body_limit?,
        request_timeout: request_timeout?,
        max_connections: max_connections?,
        max_connections_per_client: max_connections_per_client?,
        tls,
        shutdown_timeout: shutdown_timeout?,
    })
}

/// `TLS_CERT_FILE` and `TLS_KEY_FILE`.
pub(super) fn tls(reader: &mut Reader<'_>) -> Option<TlsSettings> {
    let path = |text: &str| Some(PathBuf::from(text));
    let certificates = reader.optional(CERTIFICATES, "the path of a PEM file", path);
    let key = reader.optional(PRIVATE_KEY, "the path of a PEM file", path);
    match (certificates, key) {
        (Some(certificates), Some(key)) => Some(TlsSettings {
            certificates: reader.directory.join(certificates),
            key: reader.directory.join(key),
        }),
        (Some(_), None) => {
            reader.problem(PRIVATE_KEY, format!("is not set, but {CERTIFICATES} is"));
            None
        }
        (None, Some(_)) => {
            reader.problem(CERTIFICATES, format!("is not set, but {PRIVATE_KEY} is"));
            None
        }
        (None, None) => None,
    }
}

/// `HOST`.
pub(super) fn host(reader: &mut Reader<'_>, name: &'static str) -> Option<IpAddr> {
    reader.value(name, "an IP address or `localhost`", |text| match text {
        "localhost" => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        _ => text.trim_start_matches('[').trim_end_matches(']').parse().ok(),
    })
}

/// `PORT`.
pub(super) fn port(reader: &mut Reader<'_>) -> Option<u16> {
    reader.number("PORT", 0..=u16::MAX)
}

/// A span of 1 to `most` seconds.
pub(super) fn seconds(reader: &mut Reader<'_>, name: &'static str, most: u64) -> Option<Duration> {
    reader.number(name, 1..=most).map(Duration::from_secs)
}

/// Warns where strangers can reach what is meant for this machine.
pub(super) fn warn(reader: &mut Reader<'_>, server: &ServerSettings, environment: Environment) {
    if environment == Environment::Development && !server.host.is_loopback() {
        reader.warn(format!(
            "HOST {} can be reached from other machines, but ORCHESTRATOR_ENV is not production",
            server.host
        ));
    }
    if server.metrics_port.is_some() && !server.metrics_host.is_loopback() {
        reader.warn(format!(
            "METRICS_HOST {} can be reached from other machines, and metrics need no key",
            server.metrics_host
        ));
    }
}
