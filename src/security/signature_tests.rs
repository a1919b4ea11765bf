//! What a signature proves, and all the ways in which it does not.

use proptest::prelude::*;

use super::*;

const NOW: i64 = 1_770_000_000;

fn now() -> Time {
    Time::from_millis(NOW * 1000)
}

fn settings(secret: &str) -> WebhookSettings {
    WebhookSettings { secret: Some(secret.into()), ..Default::default() }
}

fn verifier() -> Verifier {
    Verifier::new(&settings("s3cret"))
}

fn signed(timestamp: Option<i64>, body: &[u8]) -> String {
    sign(&"s3cret".into(), timestamp, body)
}

fn judge(
    verifier: &Verifier,
    signature: &str,
    timestamp: Option<i64>,
    body: &[u8],
) -> Result<(), SignatureRefusal> {
    let timestamp = timestamp.map(|seconds| seconds.to_string());
    verifier.verify(signature.as_bytes(), timestamp.as_deref().map(str::as_bytes), body, now())
}

#[test]
fn the_signature_is_that_of_rfc_4231() {
    let cases = [
        (
            "Jefe",
            "what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            "\u{b}\u{b}\u{b}\u{b}\u{b}\u{b}\u{b}\u{b}\u{b}\u{b}\u{b}\u{b}\u{b}\u{b}\u{b}\u{b}\u{b}\u{b}\u{b}\u{b}",
            "Hi There",
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
    ];
    for (secret, body, expected) in cases {
        assert_eq!(sign(&secret.into(), None, body.as_bytes()), expected);
    }
}

#[test]
fn a_timestamp_is_signed_before_a_colon_and_the_body() {
    assert_eq!(signed(Some(17), b"body"), signed(None, b"17:body"));
}

#[test]
fn the_prefix_and_either_case_are_accepted() {
    let signature = signed(None, b"body");
    let upper = signature.to_uppercase();
    for header in
        [signature.clone(), upper.clone(), format!("sha256={signature}"), format!("SHA256={upper}")]
    {
        assert_eq!(judge(&verifier(), &header, None, b"body"), Ok(()), "{header}");
    }
}

#[test]
fn what_is_not_64_hex_digits_is_malformed() {
    let good = signed(None, b"body");
    for header in [
        String::new(),
        "sha256=".into(),
        good[..63].into(),
        format!("{good}0"),
        format!(" {good}"),
        format!("sha1={good}"),
        format!("sha256=sha256={good}"),
        format!("{}g", &good[..63]),
        format!("{good},{good}"),
    ] {
        let refusal = judge(&verifier(), &header, None, b"body");
        assert_eq!(refusal, Err(SignatureRefusal::MalformedSignature), "{header}");
    }
}

#[test]
fn without_a_secret_or_with_a_blank_one_nothing_is_accepted() {
    for secret in [None, Some("".into()), Some("  ".into())] {
        let settings = WebhookSettings { secret, ..Default::default() };
        let signature = sign(&"".into(), None, b"body");
        let refusal = judge(&Verifier::new(&settings), &signature, None, b"body");
        assert_eq!(refusal, Err(SignatureRefusal::NotConfigured));
    }
}

#[test]
fn current_and_previous_secret_are_both_accepted_and_no_other() {
    let verifier = Verifier::new(&WebhookSettings {
        previous_secret: Some("0ld".into()),
        ..settings("s3cret")
    });
    for (secret, expected) in
        [("s3cret", Ok(())), ("0ld", Ok(())), ("older", Err(SignatureRefusal::Mismatch))]
    {
        let signature = sign(&secret.into(), None, b"body");
        assert_eq!(judge(&verifier, &signature, None, b"body"), expected, "{secret}");
    }
}

#[test]
fn the_time_may_differ_by_300_seconds_either_way() {
    let cases = [
        (NOW - 300, Ok(())),
        (NOW + 300, Ok(())),
        (NOW - 301, Err(SignatureRefusal::TimestampTooOld)),
        (NOW + 301, Err(SignatureRefusal::TimestampTooNew)),
        (0, Err(SignatureRefusal::TimestampTooOld)),
        (NOW * 1000, Err(SignatureRefusal::MalformedTimestamp)),
    ];
    for (timestamp, expected) in cases {
        let signature = signed(Some(timestamp), b"body");
        let verdict = judge(&verifier(), &signature, Some(timestamp), b"body");
        assert_eq!(verdict, expected, "{timestamp}");
    }
}

#[test]
fn with_a_timestamp_the_plain_form_does_not_count() {
    let plain = signed(None, b"body");
    assert_eq!(judge(&verifier(), &plain, Some(NOW), b"body"), Err(SignatureRefusal::Mismatch));
}

#[test]
fn a_timestamp_cannot_be_moved_into_the_body_or_left_out() {
    let signature = signed(Some(NOW), b"body");
    let refusal = judge(&verifier(), &signature, None, b"body");
    assert_eq!(refusal, Err(SignatureRefusal::Mismatch));
    let refusal = judge(&verifier(), &signature, Some(NOW + 1), b"body");
    assert_eq!(refusal, Err(SignatureRefusal::Mismatch));
}

#[test]
fn a_required_timestamp_is_missed() {
    let verifier =
        Verifier::new(&WebhookSettings { require_timestamp: true, ..settings("s3cret") });
    let plain = judge(&verifier, &signed(None, b"body"), None, b"body");
    assert_eq!(plain, Err(SignatureRefusal::TimestampMissing));
    let timed = judge(&verifier, &signed(Some(NOW), b"body"), Some(NOW), b"body");
    assert_eq!(timed, Ok(()));
}

#[test]
fn what_is_not_a_number_of_seconds_is_malformed() {
    for header in ["", " 1770000000", "+1770000000", "-1", "1770000000.5", "0x10", "9999999999999"]
    {
        let signature = sign(&"s3cret".into(), None, format!("{header}:body").as_bytes());
        let verdict =
            verifier().verify(signature.as_bytes(), Some(header.as_bytes()), b"body", now());
        assert_eq!(verdict, Err(SignatureRefusal::MalformedTimestamp), "{header:?}");
    }
}

#[test]
fn the_old_form_counts_only_when_asked_for_and_without_timestamp() {
    let body = br#"{"b": 1, "a": [{"d": 2, "c": 3}]}"#;
    let old = sign(&"0ld".into(), None, br#"{"a":[{"c":3,"d":2}],"b":1}"#);
    let compat = WebhookSettings {
        previous_secret: Some("0ld".into()),
        canonical_json: true,
        ..settings("s3cret")
    };
    let plain = WebhookSettings { canonical_json: false, ..compat.clone() };
    assert_eq!(judge(&Verifier::new(&compat), &old, None, body), Ok(()));
    let refused = Err(SignatureRefusal::Mismatch);
    assert_eq!(judge(&Verifier::new(&compat), &old, Some(NOW), body), refused);
    assert_eq!(judge(&Verifier::new(&plain), &old, None, body), refused);
    let raw = sign(&"s3cret".into(), None, body);
    assert_eq!(judge(&Verifier::new(&compat), &raw, None, body), Ok(()));
}

#[test]
fn each_refusal_has_a_reason_of_its_own() {
    let reasons: std::collections::BTreeSet<_> =
        SignatureRefusal::ALL.map(SignatureRefusal::reason).into();
    assert_eq!(reasons.len(), SignatureRefusal::ALL.len());
}

#[test]
fn no_secret_shows() {
    assert!(!format!("{:?}", verifier()).contains("s3cret"));
}

fn flipped(bytes: &[u8], bit: prop::sample::Index) -> Vec<u8> {
    let bit = bit.index(bytes.len() * 8);
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

proptest! {
    #[test]
    fn what_is_signed_is_accepted(body: Vec<u8>, ahead in proptest::option::of(-300i64..=300)) {
        let timestamp = ahead.map(|seconds| NOW + seconds);
        let signature = signed(timestamp, &body);
        prop_assert_eq!(judge(&verifier(), &signature, timestamp, &body), Ok(()));
    }

    #[test]
    fn any_flipped_bit_of_the_body_is_refused(
        body in prop::collection::vec(any::<u8>(), 1..200),
        bit: prop::sample::Index,
        timed: bool,
    ) {
        let timestamp = timed.then_some(NOW);
        let signature = signed(timestamp, &body);
        let verdict = judge(&verifier(), &signature, timestamp, &flipped(&body, bit));
        prop_assert_eq!(verdict, Err(SignatureRefusal::Mismatch));
    }

    #[test]
    fn any_flipped_bit_of_the_signature_is_refused(body: Vec<u8>, bit: prop::sample::Index) {
        let signature = flipped(&hex::decode(signed(None, &body)).unwrap(), bit);
        let verdict = judge(&verifier(), &hex::encode(signature), None, &body);
        prop_assert_eq!(verdict, Err(SignatureRefusal::Mismatch));
    }

    #[test]
    fn any_flipped_bit_of_the_timestamp_is_refused(body: Vec<u8>, bit: prop::sample::Index) {
        let signature = signed(Some(NOW), &body);
        let timestamp = flipped(NOW.to_string().as_bytes(), bit);
        let verdict = verifier().verify(signature.as_bytes(), Some(&timestamp), &body, now());
        prop_assert!(verdict.is_err());
    }

    #[test]
    fn arbitrary_headers_are_refused_without_a_panic(
        signature: Vec<u8>,
        timestamp: Option<Vec<u8>>,
        body: Vec<u8>,
    ) {
        let settings = WebhookSettings { canonical_json: true, ..settings("s3cret") };
        let verdict =
            Verifier::new(&settings).verify(&signature, timestamp.as_deref(), &body, now());
        prop_assert!(verdict.is_err());
    }
}
