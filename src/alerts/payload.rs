//! A webhook's body: bytes in, an [`AlertBatch`] or every problem out.
//!
//! Past this file there are only valid alerts; no later code checks again what is checked here.
//! Unknown fields are ignored, because Alertmanager's payload grows and Grafana's is a superset.

use std::collections::BTreeMap;

use serde::{Deserialize, de::MapAccess};
use validator::{Validate, ValidationError, ValidationErrors, ValidationErrorsKind};

use super::{
    fingerprint,
    labels::{Annotations, Labels},
};
use crate::{
    model::{ReceivedAlert, Severity, Status, Time},
    validation::{self, Accept, Field, Rejection, problem},
};

const MAX_ALERTS: usize = 1000;
/// Fields that are not limited by the contract but become keys or columns.
const MAX_TEXT: usize = 4 * 1024;
const MAX_FINGERPRINT: usize = 256;

/// The alerts of one notification.
#[derive(Debug, PartialEq)]
pub struct AlertBatch {
    /// In the payload's order.
    pub alerts: Vec<ReceivedAlert>,
    /// How many Alertmanager left out of the payload (`max_alerts`).
    pub truncated: u64,
}

impl AlertBatch {
    /// Reads a body that was received at `now`.
    pub fn parse(body: &[u8], now: Time) -> Result<Self, Rejection> {
        let payload: Payload = validation::parse(body)?;
        let receiver = payload.receiver.given().filter(|name| !name.is_empty());
        let truncated = payload.truncated_alerts.given().and_then(|n| u64::try_from(n).ok());
        let alerts = payload.alerts.given().unwrap_or_default();
        let received = alerts.into_iter().map(|alert| alert.receive(receiver.as_deref(), now));
        Ok(Self { alerts: received.collect(), truncated: truncated.unwrap_or(0) })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Payload {
    alerts: Field<Vec<PayloadAlert>>,
    receiver: Field<String>,
    truncated_alerts: Field<i64>,
}

impl Validate for Payload {
    fn validate(&self) -> Result<(), ValidationErrors> {
        let mut errors = ValidationErrors::new();
        if matches!(self.receiver, Field::Mistyped) {
            errors.add("receiver", problem("must be a string"));
        }
        if matches!(self.truncated_alerts, Field::Mistyped) {
            errors.add("truncatedAlerts", problem("must be a whole number"));
        }
        match &self.alerts {
            Field::Given(alerts) if alerts.len() > MAX_ALERTS => {
                let found = alerts.len();
                let message = format!("must hold at most {MAX_ALERTS} alerts, has {found}");
                errors.add("alerts", problem(message));
            }
            Field::Given(alerts) => {
                let judged = alerts.iter().enumerate();
                let wrong: BTreeMap<usize, Box<ValidationErrors>> = judged
                    .filter_map(|(index, alert)| Some((index, Box::new(alert.validate().err()?))))
                    .collect();
                if !wrong.is_empty() {
                    errors.0.insert("alerts".into(), ValidationErrorsKind::List(wrong));
                }
            }
            Field::Missing | Field::Null => errors.add("alerts", problem("is required")),
            Field::Mistyped => errors.add("alerts", problem("must be a list of alerts")),
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

/// One alert of a payload; takes any JSON, so that an alert that is no object is a problem of
/// that alert alone.
#[derive(Default)]
struct PayloadAlert(Option<AlertFields>);

#[derive(Deserialize, Validate, Default)]
#[serde(rename_all = "camelCase", default)]
struct AlertFields {
    #[validate(custom(function = "is_status"))]
    status: Field<String>,
    #[validate(nested)]
    labels: Labels,
    #[validate(nested)]
    annotations: Annotations,
    #[validate(custom(function = "is_time_or_absent"))]
    starts_at: Field<String>,
    #[validate(custom(function = "is_time_or_absent"))]
    ends_at: Field<String>,
    #[serde(rename = "generatorURL")]
    #[validate(custom(function = "is_text_or_absent"))]
    generator_url: Field<String>,
    #[validate(custom(function = "is_fingerprint_or_absent"))]
    fingerprint: Field<String>,
}

impl<'de> Deserialize<'de> for PayloadAlert {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Field::<AlertFields>::deserialize(deserializer)?.given()))
    }
}

impl Accept for AlertFields {
    fn from_object<'de, A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
        Self::deserialize(serde::de::value::MapAccessDeserializer::new(object)).map(Some)
    }
}

impl Validate for PayloadAlert {
    fn validate(&self) -> Result<(), ValidationErrors> {
        match &self.0 {
            Some(fields) => fields.validate(),
            None => {
                let mut errors = ValidationErrors::new();
                errors.add("", problem("must be an object"));
                Err(errors)
            }
        }
    }
}

fn is_status(status: &Field<String>) -> Result<(), ValidationError> {
    match status {
        Field::Given(text) if parse_status(text).is_some() => Ok(()),
        Field::Missing | Field::Null => Err(problem("is required")),
        _ => Err(problem("must be firing or resolved")),
    }
}

fn parse_status(text: &str) -> Option<Status> {
    [Status::Firing, Status::Resolved].into_iter().find(|status| status.as_str() == text)
}

fn is_time_or_absent(time: &Field<String>) -> Result<(), ValidationError> {
    match time {
        Field::Missing | Field::Null => Ok(()),
        Field::Given(text) if text.is_empty() || Time::parse(text).is_some() => Ok(()),
        _ => Err(problem("must be an RFC 3339 time")),
    }
}

fn is_text_or_absent(text: &Field<String>) -> Result<(), ValidationError> {
    match text {
        Field::Mistyped => Err(problem("must be a string")),
        Field::Given(text) if text.len() > MAX_TEXT => {
            Err(problem(format!("must be at most {MAX_TEXT} bytes long")))
        }
        _ => Ok(()),
    }
}

fn is_fingerprint_or_absent(print: &Field<String>) -> Result<(), ValidationError> {
    match print {
        Field::Missing | Field::Null => Ok(()),
        Field::Given(text) if text.len() <= MAX_FINGERPRINT && !text.contains('\0') => Ok(()),
        _ => Err(problem(format!("must be a string of at most {MAX_FINGERPRINT} bytes"))),
    }
}

impl PayloadAlert {
    /// The alert, now that it is known to be valid.
    fn receive(self, receiver: Option<&str>, now: Time) -> ReceivedAlert {
        let fields = self.0.unwrap_or_default();
        let labels = fields.labels.into_strings();
        let annotations = fields.annotations.into_strings();
        let text = |name: &str| labels.get(name).filter(|value| !value.is_empty());
        let name = text("alertname").cloned().unwrap_or_else(|| "unnamed".into());
        let severity = text("severity").cloned().unwrap_or_else(|| "none".into());
        let message = ["summary", "description", "message", "title"]
            .iter()
            .find_map(|name| annotations.get(*name).filter(|value| !value.trim().is_empty()))
            .unwrap_or(&name)
            .clone();
        let given = |field: Field<String>| field.given().filter(|value| !value.is_empty());
        let time = |field: Field<String>| {
            given(field).and_then(|text| Time::parse(&text)).filter(|time| !time.is_go_zero())
        };
        ReceivedAlert {
            fingerprint: given(fields.fingerprint).unwrap_or_else(|| fingerprint::of(&labels)),
            starts_at: time(fields.starts_at),
            ends_at: time(fields.ends_at),
            status: fields.status.given().and_then(|s| parse_status(&s)).unwrap_or(Status::Firing),
            name,
            message,
            cause: labels.get("cause").filter(|cause| !cause.is_empty()).cloned(),
            entry_severity: Severity::of_alert(&severity),
            severity,
            labels,
            annotations,
            generator_url: given(fields.generator_url),
            receiver: receiver.map(str::to_owned),
            received_at: now,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::validation::Problem;

    const NOW: i64 = 1_700_000_000_000;

    fn parse(body: &Value) -> Result<AlertBatch, Rejection> {
        AlertBatch::parse(body.to_string().as_bytes(), Time::from_millis(NOW))
    }

    fn problems(body: &Value) -> Vec<(String, String)> {
        match parse(body) {
            Err(Rejection::Invalid(problems)) => {
                problems.into_iter().map(|Problem { path, message }| (path, message)).collect()
            }
            other => panic!("expected problems, got {other:?}"),
        }
    }

    #[test]
    fn every_problem_is_listed_with_its_path() {
        let found = problems(&json!({"receiver": 5, "alerts": [
            {"status": "burning", "labels": {"a": 1, "": "x"}, "annotations": [], "startsAt": "now"},
            7,
            {"labels": null, "endsAt": 3, "generatorURL": {}, "fingerprint": []},
        ]}));
        let paths: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
        for path in [
            "alerts.0.annotations",
            "alerts.0.labels.\"\"",
            "alerts.0.labels.a",
            "alerts.0.startsAt",
            "alerts.0.status",
            "alerts.1",
            "alerts.2.endsAt",
            "alerts.2.fingerprint",
            "alerts.2.generatorURL",
            "alerts.2.labels",
            "alerts.2.status",
            "receiver",
        ] {
            assert!(paths.contains(&path), "{path} is not among {paths:?}");
        }
    }

    #[test]
    fn the_limits_of_the_contract_hold_to_the_byte() {
        let alert = |labels: Value| json!({"alerts": [{"status": "firing", "labels": labels}]});
        let pairs = |n: usize| {
            (0..n).map(|i| (format!("l{i}"), json!("v"))).collect::<serde_json::Map<_, _>>()
        };
        assert!(parse(&alert(pairs(50).into())).is_ok());
        assert_eq!(problems(&alert(pairs(51).into()))[0].0, "alerts.0.labels");
        assert!(parse(&alert(json!({"n".repeat(256): "v".repeat(4096)}))).is_ok());
        assert_eq!(problems(&alert(json!({"n".repeat(257): "v"}))).len(), 1);
        assert_eq!(problems(&alert(json!({"n": "v".repeat(4097)})))[0].0, "alerts.0.labels.n");
        let many = |n| json!({"alerts": vec![json!({"status": "firing", "labels": {}}); n]});
        assert_eq!(parse(&many(1000)).unwrap().alerts.len(), 1000);
        assert_eq!(problems(&many(1001))[0].0, "alerts");
    }

    #[test]
    fn what_is_missing_is_filled_in_as_prometheus_would() {
        let batch = parse(&json!({"alerts": [{
            "status": "firing", "labels": {"alertname": "Up"}, "startsAt": "0001-01-01T00:00:00Z",
            "fingerprint": "", "notification_reason": {"new": ["field"]}}]}))
        .unwrap();
        let alert = &batch.alerts[0];
        assert_eq!(alert.fingerprint, fingerprint::of(&alert.labels));
        assert_eq!((alert.starts_at, alert.ends_at), (None, None));
        assert_eq!((alert.severity.as_str(), alert.message.as_str()), ("none", "Up"));
    }

    #[test]
    fn what_is_no_json_is_malformed_and_what_is_no_object_is_invalid() {
        for body in [&b""[..], b"{", b"\xff", b"{\"alerts\":[]} x", "[".repeat(5000).as_bytes()] {
            let parsed = AlertBatch::parse(body, Time::default());
            assert!(matches!(parsed, Err(Rejection::Malformed(_))), "{parsed:?}");
        }
        for body in [&b"[]"[..], b"1", b"null", b"{}", b"{\"alerts\":null}"] {
            let parsed = AlertBatch::parse(body, Time::default());
            assert!(matches!(parsed, Err(Rejection::Invalid(_))), "{parsed:?}");
        }
    }

    /// Any JSON, with the payload's own names and values likely.
    fn any_json() -> impl Strategy<Value = Value> {
        let name = prop_oneof![
            "(alerts|status|labels|annotations|startsAt|endsAt|fingerprint|generatorURL|receiver|truncatedAlerts)",
            ".{0,5}",
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "(firing|resolved|2026-01-02T03:04:05Z|-9999-01-01T00:00:00Z|.{0,9})"
                .prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 64, 8, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::hash_map(name.clone(), inner, 0..8)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_json_makes_it_panic(body in any_json()) {
            let _ = parse(&body);
        }

        #[test]
        fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = AlertBatch::parse(&body, Time::default());
        }

        #[test]
        fn what_is_taken_keeps_every_label(
            labels in prop::collection::btree_map("[a-z_]{1,9}", ".{0,20}", 0..20),
        ) {
            let batch = parse(&json!({"alerts": [{"status": "resolved", "labels": labels}]})).unwrap();
            prop_assert_eq!(&batch.alerts[0].labels, &labels);
        }
    }
}
