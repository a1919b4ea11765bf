//! Requests per client and minute: who counts against what.
//!
//! Who presents a good key or token counts against the route's bucket of that key at that
//! address; who presents none, against `AUTH_FAILURE_LIMIT` of the address, or, where none is
//! needed, against the route's bucket of strangers there. So nothing that strangers do from an
//! address turns away a good key that calls from the same one.

mod cell_rate;

use std::{net::IpAddr, sync::Arc};

use serde_json::json;

pub use self::cell_rate::{CellRate, Counted, Decision, Local, Shared};
use crate::{
    config::LimitSettings,
    coordination::Coordination,
    http::{Error, extract::RequestContext, state::App},
    security::{Event, Key},
};

/// What a route counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bucket {
    /// Alerts coming in.
    Webhook,
    /// Questions and figures.
    Api,
    /// Taking everything out.
    Export,
    /// The public pages, and what is no route.
    Public,
    /// Liveness and readiness.
    Health,
    /// Failed authentications.
    AuthFailure,
}

impl Bucket {
    /// All buckets.
    pub const ALL: [Self; 6] =
        [Self::Webhook, Self::Api, Self::Export, Self::Public, Self::Health, Self::AuthFailure];

    /// The name in metrics and the audit log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Api => "api",
            Self::Export => "export",
            Self::Public => "public",
            Self::Health => "health",
            Self::AuthFailure => "auth_failure",
        }
    }

    fn per_minute(self, settings: &LimitSettings) -> u32 {
        match self {
            Self::Webhook => settings.webhook,
            Self::Api => settings.api,
            Self::Export => settings.export,
            Self::Public => settings.public,
            Self::Health => settings.health,
            Self::AuthFailure => settings.auth_failure,
        }
    }
}

/// What a request proved before it was counted.
#[derive(Clone, Debug)]
pub enum Holder {
    /// Nothing.
    Stranger,
    /// An API key.
    Key(Arc<Key>),
    /// The webhook token.
    Token,
    /// A webhook's signature.
    Signature,
}

impl Holder {
    fn name(&self) -> String {
        match self {
            Self::Stranger => String::new(),
            Self::Key(key) => format!("key:{}", key.label),
            Self::Token => "token".to_owned(),
            Self::Signature => "signature".to_owned(),
        }
    }
}

/// All buckets that are switched on.
pub struct Limits(Vec<(Bucket, Shared, Local)>);

impl Limits {
    /// Buckets as set; 0 switches one off.
    pub fn new(settings: &LimitSettings, coordination: &Coordination) -> Self {
        let on = Bucket::ALL.into_iter().filter_map(|bucket| {
            let limit = bucket.per_minute(settings);
            let local = Local::new(limit)?;
            Some((bucket, Shared::new(bucket, limit, coordination.clone()), local))
        });
        Self(on.collect())
    }

    /// Counts one request against a bucket; `None` if it is switched off.
    pub async fn count(&self, bucket: Bucket, holder: &Holder, client: IpAddr) -> Option<Decision> {
        let (_, shared, local) = self.0.iter().find(|(known, ..)| *known == bucket)?;
        let who = Counted::new(holder.name(), client);
        let Some(decision) = shared.count(&who).await else { return Some(local.take(&who)) };
        if !decision.refused {
            // So that a replica that loses Redis goes on from what it knows.
            local.take(&who);
        }
        Some(decision)
    }

    /// Evicts clients whose buckets are full again, so that memory stays bounded: a client is
    /// remembered for as long as its requests take to refill, and until the next sweep.
    pub fn evict_idle_clients(&self) {
        self.0.iter().for_each(|(.., local)| local.evict_idle_clients());
    }

    /// How many clients are remembered.
    pub fn clients(&self) -> usize {
        self.0.iter().map(|(.., local)| local.clients()).sum()
    }
}

/// Counts a request against its route's bucket.
///
/// # Errors
/// 429 over the limit; 503 for the webhook token, because Alertmanager retries 5xx but drops the
/// notification on 429.
pub async fn admit(
    app: &App,
    context: &RequestContext,
    bucket: Bucket,
    holder: &Holder,
) -> Result<(), Error> {
    let Some(decision) = app.limits.count(bucket, holder, context.client).await else {
        return Ok(());
    };
    context.note_limit(decision);
    if !decision.refused {
        return Ok(());
    }
    let as_unavailable = bucket == Bucket::Webhook && matches!(holder, Holder::Token);
    Err(refuse(app, context, bucket, holder, decision, as_unavailable))
}

/// Counts a failed authentication against its address: `error`, or 429 over the limit.
pub async fn failed(app: &App, context: &RequestContext, error: Error) -> Error {
    let (bucket, stranger) = (Bucket::AuthFailure, Holder::Stranger);
    let Some(decision) = app.limits.count(bucket, &stranger, context.client).await else {
        return error;
    };
    context.note_limit(decision);
    match decision.refused {
        true => refuse(app, context, bucket, &stranger, decision, false),
        false => error,
    }
}

fn refuse(
    app: &App,
    context: &RequestContext,
    bucket: Bucket,
    holder: &Holder,
    decision: Decision,
    as_unavailable: bool,
) -> Error {
    app.metrics.rate_limited_total.with_label_values(&[bucket.as_str()]).inc();
    let mut details = json!({ "bucket": bucket.as_str() });
    if let Holder::Key(key) = holder {
        details["key"] = json!(key.label);
    }
    context.audit(app, Event::RateLimited, details);
    Error::RateLimited { retry_after: decision.reset, as_unavailable }
}
