//! Who am I?

use axum::response::Response;
use serde::Serialize;

use crate::{
    http::{
        Error,
        extract::{Caller, GuardedRequest, Viewer},
        json,
        state::App,
    },
    security::Role,
};

/// The key that was presented.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Me<'a> {
    /// Its label.
    label: &'a str,
    /// Its role.
    role: Role,
    /// All roles that it may act in.
    roles: Vec<Role>,
    /// Which edition of the key it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    /// When it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

/// `GET /api/auth/me`: what the presented key may do.
#[utoipa::path(get, path = "/api/auth/me", operation_id = "getCaller",
    responses((status = 200, description = "The key, without its value", body = Me)))]
pub async fn me(caller: Caller<Viewer>, _: App, _: GuardedRequest) -> Result<Response, Error> {
    let key = &caller.key;
    let roles = [Role::Viewer, Role::Operator, Role::Admin];
    json(&Me {
        label: &key.label,
        role: key.role,
        roles: roles.into_iter().filter(|role| *role <= key.role).collect(),
        version: key.version.as_deref(),
        expires_at: key.expires_at.map(|time| time.to_string()),
    })
}
