//! `Host`: exactly one, that names a host (RFC 9112, 3.2). A request without it, or with two, is
//! read in different ways by different programs on its way, which is how requests are smuggled.

use axum::http::{HeaderMap, Uri, Version, header, uri::Authority};

use crate::http::Error;

/// Refuses a request that does not say once which host it is for.
///
/// # Errors
/// 400.
pub fn check(version: Version, uri: &Uri, headers: &HeaderMap) -> Result<(), Error> {
    let mut named = headers.get_all(header::HOST).iter();
    let (first, second) = (named.next(), named.next());
    if second.is_some() {
        return Err(Error::BadRequest("The request has more than one Host header".into()));
    }
    let Some(host) = first else {
        // HTTP/2 says it in `:authority`; HTTP/1.0 knew no Host.
        return match uri.authority().is_some() || version < Version::HTTP_11 {
            true => Ok(()),
            false => Err(Error::BadRequest("The request has no Host header".into())),
        };
    };
    // Empty is allowed where the target has no host of its own.
    let host = host.to_str().ok();
    // Unlike an authority, it has no user.
    let names = |host: &str| !host.contains('@') && host.parse::<Authority>().is_ok();
    let host = host.filter(|host| host.is_empty() || names(host));
    match (host, uri.authority()) {
        (None, _) => Err(Error::BadRequest("The Host header names no host".into())),
        (Some(host), Some(authority)) if !host.eq_ignore_ascii_case(authority.as_str()) => {
            Err(Error::BadRequest("The Host header is not the host of the request".into()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(version: Version, uri: &str, hosts: &[&str]) -> bool {
        let hosts = hosts.iter().map(|host| (header::HOST, host.parse().unwrap()));
        check(version, &uri.parse().unwrap(), &hosts.collect()).is_ok()
    }

    #[test]
    fn exactly_one_host_is_taken() {
        for host in ["example.org", "example.org:3000", "[::1]:3000", "127.0.0.1", ""] {
            assert!(checked(Version::HTTP_11, "/health", &[host]), "{host}");
        }
        for hosts in [&[][..], &["a", "a"], &["a", "b"], &["a b"], &["a/b"], &["a@b"]] {
            assert!(!checked(Version::HTTP_11, "/health", hosts), "{hosts:?}");
        }
    }

    #[test]
    fn http_2_says_it_in_its_authority_and_both_must_agree() {
        const URI: &str = "http://a.example.org/health";
        assert!(checked(Version::HTTP_2, URI, &[]));
        assert!(checked(Version::HTTP_2, URI, &["A.example.org"]));
        assert!(!checked(Version::HTTP_2, URI, &["b.example.org"]));
        assert!(!checked(Version::HTTP_2, "/health", &[]));
    }

    #[test]
    fn http_1_0_needs_none() {
        assert!(checked(Version::HTTP_10, "/health", &[]));
        assert!(!checked(Version::HTTP_10, "/health", &["a", "b"]));
    }
}
