//! What production takes, but should not go unseen: doors without locks, and limits that are off.

use std::net::IpAddr;

use mongodb::options::{ConnectionString, HostInfo, ServerAddress, Tls};
use redis::{ConnectionAddr, ConnectionInfo};

use super::{Environment, LimitSettings, reader::Reader};

/// Warns about limits of 0.
pub(super) fn judge_limits(
    reader: &mut Reader<'_>,
    environment: Environment,
    limits: &LimitSettings,
) {
    let all = [
        ("RATE_LIMIT_WEBHOOK", limits.webhook),
        ("RATE_LIMIT_API", limits.api),
        ("RATE_LIMIT_EXPORT", limits.export),
        ("RATE_LIMIT_PUBLIC", limits.public),
        ("RATE_LIMIT_HEALTH", limits.health),
        ("AUTH_FAILURE_LIMIT", limits.auth_failure),
    ];
    for (name, _) in all.into_iter().filter(|(_, limit)| *limit == 0) {
        warn(reader, environment, format!("{name} is 0: this limit is switched off"));
    }
}

/// Warns about a MongoDB that anyone on the way, or anyone at all, can read.
pub(super) fn judge_mongodb(
    reader: &mut Reader<'_>,
    environment: Environment,
    name: &str,
    parsed: &ConnectionString,
) {
    if parsed.credential.is_none() {
        let what = format!("{name} names no user: whoever reaches MongoDB may change everything");
        warn(reader, environment, what);
    }
    match &parsed.tls {
        Some(Tls::Enabled(options)) if options.allow_invalid_certificates == Some(true) => {
            let what = format!(
                "{name} takes any certificate (tlsInsecure, tlsAllowInvalidCertificates): \
                 whoever is on the way can pose as MongoDB"
            );
            warn(reader, environment, what);
        }
        Some(Tls::Enabled(_)) => {}
        // Where the hosts come from DNS, the driver uses TLS unless told otherwise.
        None if matches!(parsed.host_info, HostInfo::DnsRecord(_)) => {}
        _ if is_local(&parsed.host_info) => {}
        _ => {
            let what = format!(
                "{name} is a MongoDB on another machine without TLS (DATABASE_URL with tls=true): \
                 whoever is on the way reads all data"
            );
            warn(reader, environment, what);
        }
    }
}

/// Warns about a Redis that anyone on the way, or anyone at all, can use.
pub(super) fn judge_redis(
    reader: &mut Reader<'_>,
    environment: Environment,
    parsed: &ConnectionInfo,
    has_password: bool,
) {
    if !has_password {
        let what = "REDIS_URL and REDIS_PASSWORD hold no password: whoever reaches Redis may \
                    change what replicas share";
        warn(reader, environment, what.to_owned());
    }
    if let ConnectionAddr::Tcp(host, _) = parsed.addr()
        && !is_this_machine(host)
    {
        let what = "REDIS_URL is a Redis on another machine without TLS (`rediss://`): whoever is \
                    on the way reads the password";
        warn(reader, environment, what.to_owned());
    }
}

fn warn(reader: &mut Reader<'_>, environment: Environment, what: String) {
    if environment == Environment::Production {
        reader.warn(what);
    }
}

fn is_local(hosts: &HostInfo) -> bool {
    let HostInfo::HostIdentifiers(hosts) = hosts else { return false };
    hosts.iter().all(|host| match host {
        ServerAddress::Tcp { host, .. } => is_this_machine(host),
        _ => true,
    })
}

/// Only what needs no name server to know.
fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
