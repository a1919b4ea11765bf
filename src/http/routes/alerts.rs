//! Stored alerts, listed.

use axum::response::Response;
use serde::Serialize;

use crate::{
    http::{
        Error,
        extract::{Caller, GuardedRequest, Viewer},
        json,
        parameters::{self, Parameters},
        routes::openapi::Moment,
        state::App,
    },
    model::{Alert, Status, Time},
    store::{AlertFilter, AlertPage, ListPosition},
};

const MAX_TEXT_CHARS: usize = 4_096;
/// As many as an alert may have.
const MAX_LABELS: usize = 50;

/// A page of alerts.
#[derive(Serialize, utoipa::ToSchema)]
pub struct AlertList {
    alerts: Vec<Alert>,
    /// To be given as `cursor` for the next page, which there may be even after a short one.
    next: Option<String>,
}

/// `GET /api/alerts`: stored alerts, the newest first.
#[utoipa::path(get, path = "/api/alerts", operation_id = "listAlerts",
    params(("status" = Option<String>, Query, description = "Only alerts that fire, or that are resolved"),
        ("alertname" = Option<String>, Query, min_length = 1, max_length = 4096,
            description = "Only alerts of this name"),
        ("severity" = Option<String>, Query, min_length = 1, max_length = 4096,
            description = "Only alerts of this severity, as it was sent"),
        ("label" = Option<Vec<String>>, Query, max_items = 50,
            description = "Only alerts with this label, as name=value; may repeat: all of them"),
        ("fingerprint" = Option<String>, Query, min_length = 1, max_length = 4096,
            description = "Only instances of this label set, the latest start first"),
        ("from" = Option<Moment>, Query, description = "First received at or after"),
        ("to" = Option<Moment>, Query, description = "First received before; later than from"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000,
            description = "How many at most, 100 if not given"),
        ("cursor" = Option<String>, Query, min_length = 1, max_length = 4096,
            description = "`next` of the page before")),
    responses((status = 200, description = "A page of alerts", body = AlertList)))]
pub async fn list(_: Caller<Viewer>, app: App, request: GuardedRequest) -> Result<Response, Error> {
    let mut parameters = request.parameters();
    let filter = filter(&mut parameters);
    let (limit, cursor) = parameters.page();
    parameters.check().map_err(|rejection| request.context.invalid(&app, rejection))?;
    let no_cursor = || request.context.invalid(&app, parameters::no_cursor());
    let after = cursor.map(|cursor| position_of(&cursor).ok_or_else(no_cursor)).transpose()?;
    let page = app.store.list_alerts(filter, after, limit).await?;
    let AlertPage { alerts, next } = page.ok_or_else(no_cursor)?;
    // What retention has noted about it is of the store.
    let alerts = alerts.into_iter().map(|alert| Alert { carried: None, ..alert }).collect();
    json(&AlertList { alerts, next: next.as_ref().map(cursor_of) })
}

fn filter(parameters: &mut Parameters) -> AlertFilter {
    let status = parameters.one_of("status", &["firing", "resolved"]);
    let (from, until) = parameters.period();
    AlertFilter {
        status: status.and_then(Status::parse),
        name: parameters.text("alertname", MAX_TEXT_CHARS),
        severity: parameters.text("severity", MAX_TEXT_CHARS),
        labels: parameters.pairs("label", MAX_LABELS),
        fingerprint: parameters.text("fingerprint", MAX_TEXT_CHARS),
        from,
        until,
    }
}

fn cursor_of(position: &ListPosition) -> String {
    hex::encode(format!("{}:{}", position.at.millis(), position.tie))
}

fn position_of(cursor: &str) -> Option<ListPosition> {
    let text = String::from_utf8(hex::decode(cursor).ok()?).ok()?;
    let (at, tie) = text.split_once(':')?;
    Some(ListPosition { at: Time::from_millis(at.parse().ok()?), tie: tie.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_comes_back_from_its_cursor() {
        for (at, tie) in [(0, ""), (-5, "7"), (1_764_057_600_000, "a:b ü:1764057600000")] {
            let expected = ListPosition { at: Time::from_millis(at), tie: tie.to_owned() };
            assert_eq!(position_of(&cursor_of(&expected)), Some(expected));
        }
        for wrong in ["x", "", "3a", "zz", "31"] {
            assert_eq!(position_of(wrong), None, "{wrong}");
        }
    }
}
