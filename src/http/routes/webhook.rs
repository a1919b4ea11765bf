//! Alertmanager's webhook.

use axum::response::Response;
use serde::Serialize;

use crate::{
    alerts::AlertBatch,
    http::{
        Error,
        extract::{About, ProvenBody},
        json,
        state::App,
    },
};

/// What became of the alerts.
#[derive(Serialize, utoipa::ToSchema)]
pub struct WebhookAnswer {
    /// `ok`: every alert is durable.
    status: &'static str,
    /// How many alerts the payload held.
    received: usize,
    /// Instances that were not known.
    new: usize,
    /// Known instances that changed.
    updated: usize,
    /// Known instances, unchanged.
    duplicates: usize,
}

/// `POST /webhook/alerts`: 200 once every alert of the payload is durable.
#[utoipa::path(post, path = "/webhook/alerts",
    request_body(content_type = "application/json",
        description = "Alertmanager's webhook payload, version 4"),
    responses((status = 200, body = WebhookAnswer)))]
pub async fn alerts(body: ProvenBody, app: App, about: About) -> Result<Response, Error> {
    let batch = AlertBatch::parse(body.bytes(), app.clock.now())
        .map_err(|rejection| about.invalid(&app, rejection))?;
    for alert in &batch.alerts {
        app.metrics.alert_received(&alert.severity, alert.status);
    }
    if batch.truncated > 0 {
        app.metrics.alerts_truncated_total.inc_by(batch.truncated);
        tracing::warn!(truncated = batch.truncated, "Alertmanager left alerts out of its payload");
    }
    let received = batch.alerts.len();
    let receipt = app.base.receive(batch.alerts).await?;
    json(&WebhookAnswer {
        status: "ok",
        received,
        new: receipt.new,
        updated: receipt.updated,
        duplicates: receipt.duplicates,
    })
}
