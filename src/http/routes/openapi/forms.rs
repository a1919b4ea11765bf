//! The forms of what comes in, where the code that reads it has another type for it: they are
//! only for the document.
#![allow(dead_code)] // why: nothing but the document is made of them

use utoipa::ToSchema;

use crate::model::TextMap;

/// A time: RFC 3339, or seconds or milliseconds since 1970.
#[derive(ToSchema)]
pub struct Moment(String);

/// Alertmanager's webhook payload, version 4. Fields that are not listed are ignored.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct WebhookPayload {
    /// At most 1000. An alert that breaks a rule is refused alone; if all do, all is refused.
    #[schema(max_items = 1000)]
    alerts: Vec<WebhookAlert>,
    /// Alertmanager's receiver.
    receiver: Option<String>,
    /// How many alerts Alertmanager left out.
    truncated_alerts: Option<i64>,
    /// Labels of the group, of which `alertname` names alerts without a name of their own.
    #[schema(value_type = Object, required = false)]
    group_labels: Option<TextMap>,
    /// Labels that all alerts share, for the same.
    #[schema(value_type = Object, required = false)]
    common_labels: Option<TextMap>,
}

/// An alert of a webhook.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct WebhookAlert {
    /// `firing` or `resolved`.
    #[schema(value_type = String)]
    status: String,
    labels: TextMap,
    annotations: Option<TextMap>,
    /// When it began; empty, year 1 or none at all if the sender does not know.
    starts_at: Option<String>,
    /// When it ended; the same.
    ends_at: Option<String>,
    /// Where it comes from; cut beyond 8 KiB.
    #[schema(rename = "generatorURL")]
    generator_url: Option<String>,
    /// Identity of the label set, at most 256 bytes; Prometheus' own if not given.
    #[schema(max_length = 256)]
    fingerprint: Option<String>,
}

/// A request or a notification of JSON-RPC 2.0, as the Model Context Protocol uses it.
#[derive(ToSchema)]
pub struct JsonRpcMessage {
    /// `2.0`.
    jsonrpc: String,
    /// Which request, for its answer; not given for a notification.
    #[schema(value_type = String, required = false)]
    id: Option<String>,
    /// What is asked, as `tools/list`.
    method: String,
    /// With what.
    #[schema(value_type = Object, required = false)]
    params: Option<()>,
}

/// An answer of JSON-RPC 2.0: a result or an error.
#[derive(ToSchema)]
pub struct JsonRpcAnswer {
    /// `2.0`.
    jsonrpc: String,
    /// Which request it answers, if it could be read.
    #[schema(value_type = String, required = false)]
    id: Option<String>,
    /// What was asked for.
    #[schema(value_type = Object, required = false)]
    result: Option<()>,
    /// Why there is none: `code` and `message`.
    #[schema(value_type = Object, required = false)]
    error: Option<()>,
}

/// What a patch changes (RFC 7396): fields that are not given stay, `null` takes one away. What it
/// makes of the entry is judged like a whole one. It has the fields of `EntryRequest`.
#[derive(ToSchema)]
pub struct EntryPatch(String);
