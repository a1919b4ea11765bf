//! The name of a request: in its answer, its log lines and its audit events the same.

use std::fmt;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use uuid::{Uuid, fmt::Hyphenated};

/// The header that carries it, both ways.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest of a caller's own that is taken over, in bytes.
const MAX_LENGTH: usize = 128;

/// The id of one request; visible ASCII only, and cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The caller's own if it is 1-128 visible ASCII characters, else a new one.
    pub fn of(headers: &HeaderMap) -> Self {
        let own = headers.get(X_REQUEST_ID).filter(|value| is_acceptable(value.as_bytes()));
        own.cloned().map_or_else(Self::random, Self)
    }

    /// A new version 4 UUID.
    pub fn random() -> Self {
        let mut buffer = [0; Hyphenated::LENGTH];
        let text = Uuid::new_v4().hyphenated().encode_lower(&mut buffer);
        // Hex digits and hyphens always make a header value.
        Self(HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("unnamed")))
    }

    /// For log lines and bodies.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// For the answer's header.
    pub fn header_value(&self) -> HeaderValue {
        self.0.clone()
    }
}

fn is_acceptable(value: &[u8]) -> bool {
    (1..=MAX_LENGTH).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic)
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(value: &[u8]) -> RequestId {
        let value = HeaderValue::from_bytes(value).unwrap();
        RequestId::of(&[(X_REQUEST_ID, value)].into_iter().collect())
    }

    fn is_uuid(id: &RequestId) -> bool {
        Uuid::parse_str(id.as_str()).is_ok_and(|uuid| uuid.get_version_num() == 4)
    }

    #[test]
    fn the_callers_own_id_is_kept_as_it_is() {
        for own in ["x", "!~", "0af7-651916cd43dd:1/2", &"i".repeat(128)] {
            let id = given(own.as_bytes());
            assert_eq!(id.as_str(), own);
            assert_eq!(id.header_value(), own);
        }
    }

    #[test]
    fn what_cannot_be_an_id_is_replaced() {
        for bad in [b"".as_slice(), b"a b", b"a\tb", b"\xc3\xa9", &[b'i'; 129]] {
            assert!(is_uuid(&given(bad)), "{bad:?}");
        }
        assert!(is_uuid(&RequestId::of(&HeaderMap::new())));
    }

    #[test]
    fn no_two_requests_get_the_same_id() {
        assert_ne!(RequestId::random(), RequestId::random());
    }

    proptest::proptest! {
        #[test]
        fn an_id_is_always_1_to_128_visible_ascii_characters(bytes: Vec<u8>) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let id = RequestId::of(&[(X_REQUEST_ID, value)].into_iter().collect());
                proptest::prop_assert!(is_acceptable(id.as_str().as_bytes()));
            }
        }
    }
}
