//! Requests per client and minute, and how clients behind proxies are distinguished.

use std::net::IpAddr;

use ipnet::IpNet;

use super::reader::Reader;

/// Requests per client and minute; 0 switches a limit off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitSettings {
    /// `RATE_LIMIT_WEBHOOK`.
    pub webhook: u32,
    /// `RATE_LIMIT_API`.
    pub api: u32,
    /// `RATE_LIMIT_EXPORT`.
    pub export: u32,
    /// `RATE_LIMIT_PUBLIC`.
    pub public: u32,
    /// `RATE_LIMIT_HEALTH`.
    pub health: u32,
    /// `AUTH_FAILURE_LIMIT`.
    pub auth_failure: u32,
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<LimitSettings> {
    let mut limit = |name| reader.number(name, 0..=1_000_000_000);
    let (webhook, api) = (limit("RATE_LIMIT_WEBHOOK"), limit("RATE_LIMIT_API"));
    let (export, public) = (limit("RATE_LIMIT_EXPORT"), limit("RATE_LIMIT_PUBLIC"));
    let (health, auth_failure) = (limit("RATE_LIMIT_HEALTH"), limit("AUTH_FAILURE_LIMIT"));
    Some(LimitSettings {
        webhook: webhook?,
        api: api?,
        export: export?,
        public: public?,
        health: health?,
        auth_failure: auth_failure?,
    })
}

pub(super) fn read_trusted_proxies(reader: &mut Reader<'_>) -> Vec<IpNet> {
    let network =
        |text: &str| text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    let proxies = reader.list("TRUSTED_PROXIES", "an IP address or a network (CIDR)", network);
    if proxies.iter().any(|network| network.prefix_len() == 0) {
        reader.problem(
            "TRUSTED_PROXIES",
            "trusts every address, so that anyone could pose as any client",
        );
    }
    proxies
}
