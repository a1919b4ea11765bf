//! One alert as its sender wrote it, and what it means.

use serde::{
    Deserialize,
    de::{IgnoredAny, MapAccess},
};

use super::{
    faults::Faults,
    fingerprint,
    labels::{Annotations, Labels},
    times::{SentTime, Span},
    trimming::{Trimmed, cut, storable},
};
use crate::{
    model::{ReceivedAlert, RefusalReason, SeverityWords, Status, Time, TrimmedField, is_web_url},
    validation::{Accept, Field},
};

const MAX_URL: usize = 8 * 1024;
/// Not limited by the contract, but it becomes a key.
const MAX_FINGERPRINT: usize = 256;
/// Where a sender says how bad it is, the usual label first.
const SEVERITY_LABELS: [&str; 3] = ["severity", "priority", "level"];
/// Annotations that say in a sentence what is the matter, the usual one first.
const MESSAGE_ANNOTATIONS: [&str; 4] = ["summary", "description", "message", "title"];
/// Alerts of Grafana's own about a rule that it cannot evaluate: what they are about is told by
/// the rule's name.
const ABOUT_A_RULE: [&str; 2] = ["DatasourceNoData", "DatasourceError"];

/// The fields that are read; others are ignored, and the last of a doubled one counts.
#[derive(Default)]
pub(super) struct SentAlert {
    status: Field<Status>,
    labels: Field<Labels>,
    annotations: Field<Annotations>,
    starts_at: Field<SentTime>,
    ends_at: Field<SentTime>,
    generator_url: Field<String>,
    fingerprint: Field<String>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Name {
    Status,
    Labels,
    Annotations,
    StartsAt,
    EndsAt,
    #[serde(rename = "generatorURL")]
    GeneratorUrl,
    Fingerprint,
    #[serde(other)]
    Other,
}

impl Accept for SentAlert {
    fn from_object<'de, A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        let mut alert = Self::default();
        while let Some(name) = object.next_key()? {
            match name {
                Name::Status => alert.status = object.next_value()?,
                Name::Labels => alert.labels = object.next_value()?,
                Name::Annotations => alert.annotations = object.next_value()?,
                Name::StartsAt => alert.starts_at = object.next_value()?,
                Name::EndsAt => alert.ends_at = object.next_value()?,
                Name::GeneratorUrl => alert.generator_url = object.next_value()?,
                Name::Fingerprint => alert.fingerprint = object.next_value()?,
                Name::Other => _ = object.next_value::<IgnoredAny>()?,
            }
        }
        Ok(Some(alert))
    }
}

impl Accept for Status {
    fn from_text(text: &str) -> Option<Self> {
        [Self::Firing, Self::Resolved].into_iter().find(|status| status.as_str() == text)
    }
}

/// What holds for every alert of a notification.
pub(super) struct Context<'a> {
    pub now: Time,
    pub words: &'a SeverityWords,
    /// Alertmanager's receiver.
    pub receiver: Option<&'a str>,
    /// The name of alerts that have none of their own.
    pub group_name: Option<&'a str>,
}

impl SentAlert {
    /// The alert; or its name, and what is wrong with it among the `faults`.
    pub fn receive(
        self,
        context: &Context<'_>,
        faults: &mut Faults,
        trimmed: &mut Trimmed,
    ) -> Result<ReceivedAlert, String> {
        let own = self.labels.as_given().and_then(|labels| labels.given("alertname"));
        let name = own.or(context.group_name).unwrap_or("unnamed").to_owned();
        let status = RefusalReason::Status;
        let status = faults.required("status", self.status, status, "must be firing or resolved");
        let labels = required_labels(self.labels, faults);
        let annotations = optional_annotations(self.annotations, faults);
        let mut time = |name, field| {
            faults.optional(name, field, RefusalReason::Time, "must be an RFC 3339 time")
        };
        let (starts_at, ends_at) = (time("startsAt", self.starts_at), time("endsAt", self.ends_at));
        let url = RefusalReason::WrongType;
        let mut url = faults.optional("generatorURL", self.generator_url, url, "must be a string");
        let fingerprint = given_fingerprint(self.fingerprint, faults);
        let (Some(status), Some(labels), true) = (status, labels, faults.are_none()) else {
            return Err(name);
        };

        if let Some(what) = &annotations.trimmed {
            trimmed.note(TrimmedField::Annotations, &name, what);
        }
        if cut(&mut url, MAX_URL) {
            trimmed.note(TrimmedField::GeneratorUrl, &name, "generatorURL");
        }
        let severity = SEVERITY_LABELS.iter().find_map(|label| labels.given(label));
        let severity = severity.map_or("none", str::trim).to_owned();
        let Span { starts_at, ends_at } = Span::of(starts_at, ends_at, context.now);
        Ok(ReceivedAlert {
            fingerprint: fingerprint.unwrap_or_else(|| fingerprint::of(&labels.pairs)),
            starts_at,
            ends_at,
            status,
            cause: cause(&name, &labels),
            entry_severity: context.words.of_alert(&severity),
            severity,
            message: annotations.first(&MESSAGE_ANNOTATIONS).unwrap_or(&name).to_owned(),
            name,
            labels: labels.pairs.into(),
            annotations: annotations.pairs.into(),
            generator_url: Some(storable(url)).filter(|url| is_web_url(url)),
            receiver: context.receiver.map(str::to_owned),
            received_at: context.now,
        })
    }
}

fn required_labels(field: Field<Labels>, faults: &mut Faults) -> Option<Labels> {
    let reason = RefusalReason::WrongType;
    let mut labels = faults.required("labels", field, reason, "must be an object of strings")?;
    faults.add_pairs("labels", std::mem::take(&mut labels.faults));
    Some(labels)
}

fn optional_annotations(field: Field<Annotations>, faults: &mut Faults) -> Annotations {
    let reason = RefusalReason::WrongType;
    let expected = "must be an object of strings";
    let mut annotations = faults.optional("annotations", field, reason, expected);
    faults.add_pairs("annotations", std::mem::take(&mut annotations.faults));
    annotations
}

fn given_fingerprint(field: Field<String>, faults: &mut Faults) -> Option<String> {
    let reason = RefusalReason::Fingerprint;
    let text = faults.optional("fingerprint", field, reason, "must be a string");
    if text.len() > MAX_FINGERPRINT {
        let message = format!("must be at most {MAX_FINGERPRINT} bytes long, is {}", text.len());
        faults.add("fingerprint", reason, &message);
    }
    Some(storable(text)).filter(|text| !text.is_empty())
}

fn cause(name: &str, labels: &Labels) -> Option<String> {
    let of_rule = || ABOUT_A_RULE.contains(&name).then(|| labels.given("rulename")).flatten();
    labels.given("cause").or_else(of_rule).map(str::to_owned)
}
