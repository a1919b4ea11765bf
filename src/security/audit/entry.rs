//! One event as it is written, to the file and to the log.

use std::net::IpAddr;

use serde::Serialize;
use serde_json::{Map, Value, value::RawValue};

use super::{AuditContext, Event};
use crate::{model::Time, telemetry::ClientText};

/// Elements of a list, and members of an object, that are kept.
const MAX_ELEMENTS: usize = 100;
/// Levels of details that are kept.
const MAX_DEPTH: usize = 4;

/// One line of the file.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    pub timestamp: Time,
    pub event: Event,
    pub request_id: Option<ClientText>,
    pub client_ip: Option<IpAddr>,
    /// How many equal events the line stands for, if not for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    pub details: Box<RawValue>,
}

impl Entry {
    /// Of one event; every text in it is bounded and escaped here.
    pub fn new(timestamp: Time, event: Event, context: AuditContext<'_>, details: Value) -> Self {
        Self {
            timestamp,
            event,
            request_id: context.request_id.map(ClientText::of),
            client_ip: context.client_ip,
            count: None,
            details: raw(&cleaned(details, MAX_DEPTH)),
        }
    }

    /// The copy in the log: a warning if somebody should look.
    pub fn show(&self) {
        let event = self.event.as_str();
        let request_id = self.request_id.as_ref().map(ClientText::as_str);
        let client_ip = self.client_ip.map(tracing::field::display);
        let (count, details) = (self.count, &self.details);
        macro_rules! show {
            ($level:ident) => {
                tracing::$level!(
                    target: "security",
                    event,
                    requestId = request_id,
                    clientIp = client_ip,
                    count,
                    details = %details,
                    "security event"
                )
            };
        }
        if self.event.is_routine() { show!(info) } else { show!(warn) }
    }
}

pub(super) fn raw(details: &Value) -> Box<RawValue> {
    // JSON always serialises.
    serde_json::value::to_raw_value(details).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

fn cleaned(value: Value, depth: usize) -> Value {
    match value {
        Value::String(text) => Value::String(ClientText::of(&text).to_string()),
        Value::Array(_) | Value::Object(_) if depth == 0 => Value::Null,
        Value::Array(list) => {
            list.into_iter().take(MAX_ELEMENTS).map(|value| cleaned(value, depth - 1)).collect()
        }
        Value::Object(members) => {
            let members = members.into_iter().take(MAX_ELEMENTS);
            let member = |(name, value): (String, Value)| {
                (ClientText::of(&name).to_string(), cleaned(value, depth - 1))
            };
            Value::Object(members.map(member).collect::<Map<_, _>>())
        }
        other => other,
    }
}
