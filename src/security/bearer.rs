//! `Authorization: Bearer <token>`: the token out of the header, and the webhook's own token.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use secrecy::ExposeSecret;
use subtle::{Choice, ConstantTimeEq};
use thiserror::Error;

use super::digest::Digest;
use crate::config::WebhookSettings;

/// Why a request presents no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BearerError {
    /// No `Authorization` header.
    #[error("no Authorization header")]
    Missing,
    /// Not one header of the form `Bearer <token>`.
    #[error("the Authorization header is not of the form \"Bearer <token>\"")]
    Malformed,
}

impl BearerError {
    /// Every [`reason`](Self::reason).
    pub const REASONS: [&str; 2] = ["missing", "malformed"];

    /// The name in metrics and in the audit log.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
        }
    }
}

/// The token in the values of a request's `Authorization` headers.
///
/// The scheme is read in either case; a second header, a second token or anything but visible
/// ASCII is refused rather than guessed about.
pub fn token<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Result<&'a [u8], BearerError> {
    let mut values = values.into_iter();
    let value = values.next().ok_or(BearerError::Missing)?;
    if values.next().is_some() {
        return Err(BearerError::Malformed);
    }
    parse(value.trim_ascii()).ok_or(BearerError::Malformed)
}

fn parse(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked("bearer".len())?;
    let token = rest.strip_prefix(b" ")?.trim_ascii_start();
    let whole = !token.is_empty() && token.iter().all(u8::is_ascii_graphic);
    (scheme.eq_ignore_ascii_case(b"bearer") && whole).then_some(token)
}

/// `WEBHOOK_TOKEN`: opens the webhook for senders that cannot sign, and nothing else. While it is
/// rotated, `WEBHOOK_TOKEN_PREVIOUS` does, too. Both may be replaced while they are in use.
pub struct WebhookToken(ArcSwap<Vec<Digest>>);

impl WebhookToken {
    /// The tokens of the settings, if there are any. A blank one opens nothing.
    pub fn new(settings: &WebhookSettings) -> Self {
        Self(ArcSwap::from_pointee(Self::known(settings)))
    }

    /// From now on these tokens open, and no others.
    pub fn replace(&self, settings: &WebhookSettings) {
        self.0.store(Arc::new(Self::known(settings)));
    }

    fn known(settings: &WebhookSettings) -> Vec<Digest> {
        let tokens = [&settings.token, &settings.previous_token].into_iter().flatten();
        let tokens = tokens.map(ExposeSecret::expose_secret);
        let given = tokens.filter(|token| !token.trim().is_empty());
        given.map(|token| Digest::of(token.as_bytes())).collect()
    }

    /// Is there a token that a sender could present?
    pub fn is_configured(&self) -> bool {
        !self.0.load().is_empty()
    }

    /// Is `presented` one of the tokens? Takes the same time whatever the answer.
    pub fn matches(&self, presented: &[u8]) -> bool {
        let digest = Digest::of(presented);
        let known = self.0.load();
        let tries = known.iter().map(|known| known.ct_eq(&digest));
        tries.fold(Choice::from(0), |any, this| any | this).into()
    }
}

impl fmt::Debug for WebhookToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookToken").field("configured", &self.is_configured()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(value: &str) -> Result<&[u8], BearerError> {
        token([value.as_bytes()])
    }

    #[test]
    fn the_scheme_is_read_in_either_case() {
        for value in ["Bearer abc", "bearer abc", "BEARER abc", "Bearer   abc", " Bearer abc "] {
            assert_eq!(one(value), Ok(b"abc".as_slice()), "{value:?}");
        }
    }

    #[test]
    fn no_header_is_missing_and_not_malformed() {
        assert_eq!(token([]), Err(BearerError::Missing));
    }

    #[test]
    fn what_is_not_exactly_one_token_is_malformed() {
        let values = [
            "",
            "Bearer",
            "Bearer ",
            "Bearerabc",
            "Basic abc",
            "abc",
            "Bearer a b",
            "Bearer\tabc",
            "Bearer a,Bearer\u{7f}",
            "Bearer ä",
            "Bearer a\0",
            "Bear",
            "Bearer: abc",
        ];
        for value in values {
            assert_eq!(one(value), Err(BearerError::Malformed), "{value:?}");
        }
    }

    #[test]
    fn two_headers_are_malformed_even_if_equal() {
        let value = b"Bearer abc".as_slice();
        assert_eq!(token([value, value]), Err(BearerError::Malformed));
    }

    #[test]
    fn the_webhook_token_matches_itself_only() {
        let settings = WebhookSettings { token: Some("t0ken".into()), ..Default::default() };
        let known = WebhookToken::new(&settings);
        assert!(known.matches(b"t0ken"));
        for presented in ["", "t0ke", "t0kenn", "T0ken"] {
            assert!(!known.matches(presented.as_bytes()), "{presented:?}");
        }
    }

    #[test]
    fn without_a_token_or_with_a_blank_one_nothing_matches() {
        for token in [None, Some("".into()), Some(" ".into())] {
            let known = WebhookToken::new(&WebhookSettings { token, ..Default::default() });
            assert!(!known.is_configured());
            assert!(!known.matches(b"") && !known.matches(b" "));
        }
    }

    proptest::proptest! {
        #[test]
        fn a_token_comes_out_as_it_went_in(presented in "[!-~]{1,200}") {
            let value = format!("Bearer {presented}");
            proptest::prop_assert_eq!(one(&value), Ok(presented.as_bytes()));
        }

        #[test]
        fn any_bytes_give_an_answer(value: Vec<u8>) {
            let _ = token([value.as_slice()]);
        }
    }
}
