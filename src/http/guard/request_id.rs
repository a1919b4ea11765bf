//! The name of a request: in its answer, its log lines and its audit events the same.
//!
//! `tower-http` gives each request one and puts it into the answer, whatever answers; what cannot
//! be an id is taken off before.

use std::fmt;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Request},
};
use tower::util::MapRequestLayer;
use tower_http::request_id::{
    MakeRequestId, PropagateRequestIdLayer, RequestId as RequestIdHeader, SetRequestIdLayer,
};
use uuid::Uuid;

/// The header that carries it, both ways.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Keeps a good id, gives one else, and puts it into the answer.
type RequestIdLayer = (
    MapRequestLayer<fn(Request<Body>) -> Request<Body>>,
    SetRequestIdLayer<NewUuid>,
    PropagateRequestIdLayer,
);

/// The longest of a caller's own that is taken over, in bytes.
const MAX_LENGTH: usize = 128;

/// Names every request and its answer: the caller's own id if it is 1-128 visible ASCII
/// characters, else a new version 4 UUID.
pub fn layer() -> RequestIdLayer {
    (
        MapRequestLayer::new(without_unacceptable),
        SetRequestIdLayer::new(X_REQUEST_ID, NewUuid),
        PropagateRequestIdLayer::new(X_REQUEST_ID),
    )
}

fn without_unacceptable(mut request: Request<Body>) -> Request<Body> {
    let headers = request.headers_mut();
    if let Some(own) = headers.remove(X_REQUEST_ID)
        && is_acceptable(own.as_bytes())
    {
        headers.insert(X_REQUEST_ID, own);
    }
    request
}

/// Makes a version 4 UUID, without a text of its own in between.
#[derive(Clone, Copy)]
pub struct NewUuid;

impl MakeRequestId for NewUuid {
    fn make_request_id<B>(&mut self, _: &Request<B>) -> Option<RequestIdHeader> {
        Some(RequestIdHeader::new(RequestId::random().0))
    }
}

/// The id of one request; visible ASCII only, and cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// Of a request that [`layer`] does not come to.
    pub fn of(headers: &HeaderMap) -> Self {
        let own = headers.get(X_REQUEST_ID).filter(|value| is_acceptable(value.as_bytes()));
        own.cloned().map_or_else(Self::random, Self)
    }

    /// Of a request that [`layer`] has named.
    pub fn given<B>(request: &Request<B>) -> Self {
        let given = request.extensions().get::<RequestIdHeader>();
        given.map_or_else(|| Self::of(request.headers()), |id| Self(id.header_value().clone()))
    }

    fn random() -> Self {
        let mut text = Uuid::encode_buffer();
        let made = HeaderValue::from_str(Uuid::new_v4().hyphenated().encode_lower(&mut text));
        // A UUID always makes a header value.
        Self(made.unwrap_or(HeaderValue::from_static("unnamed")))
    }

    /// For the answer's header.
    pub fn header_value(&self) -> HeaderValue {
        self.0.clone()
    }

    /// For log lines and bodies.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
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

    fn kept(value: &[u8]) -> Option<HeaderValue> {
        let Ok(value) = HeaderValue::from_bytes(value) else { return None };
        let request = Request::builder().header(X_REQUEST_ID, value).body(()).unwrap();
        without_unacceptable(request.map(|()| Body::empty())).headers().get(X_REQUEST_ID).cloned()
    }

    #[test]
    fn the_callers_own_id_is_kept_as_it_is() {
        for own in ["x", "!~", "0af7-651916cd43dd:1/2", &"i".repeat(128)] {
            assert_eq!(kept(own.as_bytes()).unwrap(), own);
        }
    }

    #[test]
    fn what_cannot_be_an_id_is_taken_off() {
        for bad in [b"".as_slice(), b"a b", b"a\tb", b"\xc3\xa9", &[b'i'; 129]] {
            assert_eq!(kept(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn of_several_the_first_counts() {
        let request = Request::builder().header(X_REQUEST_ID, "a").header(X_REQUEST_ID, "b");
        let request = without_unacceptable(request.body(Body::empty()).unwrap());
        assert_eq!(request.headers().get_all(X_REQUEST_ID).iter().count(), 1);
        assert_eq!(RequestId::of(request.headers()).as_str(), "a");
    }

    proptest::proptest! {
        #[test]
        fn an_id_is_always_1_to_128_visible_ascii_characters(bytes: Vec<u8>) {
            if let Some(id) = kept(&bytes) {
                proptest::prop_assert!(is_acceptable(id.as_bytes()));
            }
        }
    }
}
