//! Alertmanager's webhook.

use axum::response::Response;
use serde::Serialize;

use crate::{
    alerts::AlertBatch,
    http::{
        Error,
        error::MAX_PROBLEMS,
        extract::{RequestContext, VerifiedBody},
        json,
        routes::openapi::WebhookPayload,
        state::App,
    },
    knowledge::Receipt,
    validation::{Problem, Rejection},
};

/// What became of the alerts.
#[derive(Serialize, utoipa::ToSchema)]
pub struct WebhookAnswer {
    /// `ok`: every alert is durable. `partial`: every alert that is not refused is.
    status: &'static str,
    /// How many alerts the payload held.
    received: usize,
    /// Instances that were not known.
    new: usize,
    /// Known instances that changed.
    updated: usize,
    /// Known instances, unchanged.
    duplicates: usize,
    /// How many alerts were refused, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected: Option<usize>,
    /// Why, at most 20 problems.
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Vec<Problem>>,
}

/// `POST /webhook/alerts`: 200 once every good alert of the payload is durable, 400 if there is
/// none among some.
#[utoipa::path(post, path = "/webhook/alerts", operation_id = "receiveAlerts",
    params(("X-Webhook-Timestamp" = Option<String>, Header,
        description = "Seconds since 1970, part of what is signed; at most 300 s off")),
    request_body(content = WebhookPayload,
        description = "Alertmanager's webhook payload, version 4; Grafana's is one, too"),
    responses((status = 200, description = "What is durable now", body = WebhookAnswer)))]
pub async fn alerts(
    body: VerifiedBody,
    app: App,
    context: RequestContext,
) -> Result<Response, Error> {
    let batch = AlertBatch::parse(body.bytes(), app.clock.now(), &app.severity_words)
        .map_err(|rejection| context.invalid(&app, rejection))?;
    let _room = body.parsed();
    note(&app, &batch);
    let (accepted, rejected) = (batch.alerts.len(), batch.refused.reasons.len());
    let mut problems = batch.refused.problems.clone();
    if accepted == 0 && rejected > 0 {
        return Err(context.invalid(&app, Rejection::Invalid(problems)));
    }
    problems.truncate(MAX_PROBLEMS);
    let Receipt { new, updated, duplicates } = app.base.receive(batch.alerts).await?;
    let partial = rejected > 0;
    json(&WebhookAnswer {
        status: if partial { "partial" } else { "ok" },
        received: accepted + rejected,
        new,
        updated,
        duplicates,
        rejected: partial.then_some(rejected),
        details: partial.then_some(problems),
    })
}

/// Counts a batch, and says in one line each what of it is not taken and what never came.
fn note(app: &App, batch: &AlertBatch) {
    for alert in &batch.alerts {
        app.metrics.alert_received(&alert.severity, alert.status);
    }
    if batch.truncated > 0 {
        app.metrics.alerts_truncated_total.inc_by(batch.truncated);
        tracing::warn!(truncated = batch.truncated, "Alertmanager left alerts out of its payload");
    }
    let (refused, trimmed) = (&batch.refused, &batch.trimmed);
    for reason in &refused.reasons {
        app.metrics.alerts_rejected_total.with_label_values(&[reason.as_str()]).inc();
    }
    let mut trimmings = 0;
    for (field, count) in trimmed.by_field() {
        app.metrics.alerts_trimmed_total.with_label_values(&[field.as_str()]).inc_by(count);
        trimmings += count;
    }
    if refused.reasons.is_empty() && trimmings == 0 {
        return;
    }
    let problem = refused.problems.first();
    let example = trimmed.example.as_ref();
    tracing::warn!(
        refused = refused.reasons.len(),
        refused_alert = refused.example.as_deref(),
        refused_at = problem.map(|problem| problem.path.as_str()),
        refused_because = problem.map(|problem| problem.message.as_str()),
        trimmed = trimmings,
        trimmed_alert = example.map(|example| example.alert.as_str()),
        trimmed_annotation = example.map(|example| example.what.as_str()),
        receiver = batch.alerts.first().and_then(|alert| alert.receiver.as_deref()),
        "alerts were refused or trimmed"
    );
}
