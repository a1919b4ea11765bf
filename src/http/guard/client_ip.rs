//! Whose request it is: the address that rate limits count and the audit log names.
//!
//! `X-Forwarded-For` can be written by anyone, so of its addresses only those count that a
//! trusted proxy added: read from the right, the first that is not itself a trusted proxy's.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

const X_FORWARDED_FOR: &str = "x-forwarded-for";

/// The client's address. `peer` is the other end of the connection, `trusted` the networks of
/// the proxies whose `X-Forwarded-For` is believed.
///
/// An entry that cannot be read ends the search, because what stands left of it proves nothing:
/// then the last proxy before it counts. IPv4 addresses written as IPv6 (`::ffff:192.0.2.1`)
/// are IPv4 addresses.
pub fn client_ip(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let mut client = peer.to_canonical();
    if !is_trusted(client, trusted) {
        return client;
    }
    // Several headers are one list in the order in which they come.
    let lines = headers.get_all(X_FORWARDED_FOR).iter().rev();
    let entries = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    // A list may have empty places (RFC 9110, 5.6.1); they say nothing and harm nothing.
    let entries = entries.map(<[u8]>::trim_ascii).filter(|entry| !entry.is_empty());
    for entry in entries {
        let Some(address) = parse(entry) else { break };
        client = address;
        if !is_trusted(client, trusted) {
            break;
        }
    }
    client
}

/// What rate limits count by: an IPv4 address, or the /64 that an IPv6 address is in, because
/// whoever has one address of it has all.
pub fn client_key(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        v4 => v4,
    }
}

/// `address`, `address:port` or `[v6]:port`.
fn parse(entry: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(entry).ok()?;
    let bare = || text.parse().ok();
    let with_port = || text.parse().ok().map(|socket: SocketAddr| socket.ip());
    let bracketed = || Some(IpAddr::V6(text.strip_prefix('[')?.strip_suffix(']')?.parse().ok()?));
    bare().or_else(with_port).or_else(bracketed).map(|address| address.to_canonical())
}

/// Is `address` (IPv4 as such) in one of the networks, be these written as IPv4 or as IPv6?
pub fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|net| match (address, net) {
        (IpAddr::V4(v4), IpNet::V6(net)) => {
            // Only networks within ::ffff:0:0/96 are of IPv4 addresses; ::/0 is all of IPv6.
            net.prefix_len() >= 96 && net.contains(&v4.to_ipv6_mapped())
        }
        _ => net.contains(&address),
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const PROXY: &str = "10.0.0.1";

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn nets(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn headers(lines: &[&str]) -> HeaderMap {
        let lines = lines.iter().map(|line| HeaderValue::from_bytes(line.as_bytes()).unwrap());
        lines.map(|value| (X_FORWARDED_FOR.parse().unwrap(), value)).collect()
    }

    fn behind_proxies(lines: &[&str]) -> IpAddr {
        client_ip(ip(PROXY), &headers(lines), &nets(&["10.0.0.0/8", "fd00::/8"]))
    }

    #[test]
    fn a_stranger_cannot_claim_to_be_someone_else() {
        let claimed = headers(&["192.0.2.1"]);
        let stranger = ip("203.0.113.9");
        assert_eq!(client_ip(stranger, &claimed, &nets(&["10.0.0.0/8"])), stranger);
        assert_eq!(client_ip(ip(PROXY), &claimed, &[]), ip(PROXY));
    }

    #[test]
    fn the_right_most_address_that_is_no_proxy_counts() {
        let cases: [(&[&str], &str); 12] = [
            (&["192.0.2.1"], "192.0.2.1"),
            (&["6.6.6.6, 192.0.2.1"], "192.0.2.1"),
            (&["6.6.6.6, 192.0.2.1, 10.0.0.7,10.0.0.8"], "192.0.2.1"),
            (&["192.0.2.1,"], "192.0.2.1"),
            (&["6.6.6.6", "192.0.2.1", "10.0.0.7"], "192.0.2.1"),
            (&["192.0.2.1:4711, 10.0.0.7:80"], "192.0.2.1"),
            (&["[2001:db8::1]:443, [fd00::7]"], "2001:db8::1"),
            (&["2001:db8::1,fd00::7"], "2001:db8::1"),
            (&["::ffff:192.0.2.1, ::ffff:10.0.0.7"], "192.0.2.1"),
            (&["10.0.0.9, 10.0.0.8"], "10.0.0.9"),
            (&[""], PROXY),
            (&[], PROXY),
        ];
        for (lines, client) in cases {
            assert_eq!(behind_proxies(lines), ip(client), "{lines:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_ends_the_search() {
        for junk in ["unknown", "192.0.2.1.5", "192.0.2.1 192.0.2.2", "fe80::1%eth0", "[::1", "é"]
        {
            assert_eq!(behind_proxies(&[&format!("192.0.2.1, {junk}")]), ip(PROXY), "{junk}");
            let line = format!("192.0.2.1, {junk}, 10.0.0.7");
            assert_eq!(behind_proxies(&[&line]), ip("10.0.0.7"), "{junk}");
        }
        assert_eq!(behind_proxies(&["192.0.2.1", "unknown"]), ip(PROXY));
    }

    #[test]
    fn an_ipv4_proxy_is_trusted_however_it_and_the_list_are_written() {
        let claimed = headers(&["192.0.2.1"]);
        for peer in ["10.0.0.1", "::ffff:10.0.0.1"] {
            for list in ["10.0.0.0/8", "::ffff:10.0.0.0/104", "::ffff:0:0/96"] {
                let client = client_ip(ip(peer), &claimed, &nets(&[list]));
                assert_eq!(client, ip("192.0.2.1"), "{peer} {list}");
            }
            let client = client_ip(ip(peer), &claimed, &nets(&["::/0"]));
            assert_eq!(client, ip("10.0.0.1"), "{peer} is no IPv6 address");
        }
    }

    #[test]
    fn an_ipv6_client_is_counted_by_its_64() {
        assert_eq!(client_key(ip("2001:db8:1:2:3:4:5:6")), ip("2001:db8:1:2::"));
        assert_eq!(client_key(ip("192.0.2.1")), ip("192.0.2.1"));
        assert_eq!(client_key(ip("::ffff:192.0.2.1")), ip("192.0.2.1"));
    }

    proptest! {
        #[test]
        fn whatever_a_client_sends_the_proxys_own_entry_counts(
            sent in prop::collection::vec("[ -~]{0,20}", 0..4),
            address: [u8; 4],
        ) {
            let client = IpAddr::from(address);
            prop_assume!(address[0] != 10);
            let added = client.to_string();
            let mut lines: Vec<&str> = sent.iter().map(String::as_str).collect();
            lines.push(&added);
            prop_assert_eq!(behind_proxies(&lines), client);
            prop_assert_eq!(behind_proxies(&[&lines.join(",")]), client);
        }

        #[test]
        fn any_header_gives_an_answer(bytes: Vec<u8>) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let headers = [(X_FORWARDED_FOR.parse().unwrap(), value)].into_iter().collect();
                client_ip(ip(PROXY), &headers, &nets(&["10.0.0.0/8"]));
            }
        }
    }
}
