//! How webhooks prove who sent them.

use secrecy::SecretString;

use super::reader::Reader;

/// How webhooks prove who sent them.
#[derive(Clone, Debug, Default)]
pub struct WebhookSettings {
    /// `WEBHOOK_SECRET`.
    pub secret: Option<SecretString>,
    /// `WEBHOOK_SECRET_PREVIOUS`.
    pub previous_secret: Option<SecretString>,
    /// `WEBHOOK_TOKEN`.
    pub token: Option<SecretString>,
    /// `WEBHOOK_TOKEN_PREVIOUS`.
    pub previous_token: Option<SecretString>,
    /// `WEBHOOK_REQUIRE_TIMESTAMP`.
    pub require_timestamp: bool,
    /// `WEBHOOK_SIGNATURE_COMPAT=canonical-json`.
    pub canonical_json: bool,
}

pub(super) fn read(reader: &mut Reader<'_>) -> WebhookSettings {
    let webhook = WebhookSettings {
        secret: reader.secret("WEBHOOK_SECRET"),
        previous_secret: reader.previous_secret("WEBHOOK_SECRET_PREVIOUS"),
        token: reader.secret("WEBHOOK_TOKEN"),
        previous_token: reader.previous_secret("WEBHOOK_TOKEN_PREVIOUS"),
        require_timestamp: reader.flag("WEBHOOK_REQUIRE_TIMESTAMP").unwrap_or_default(),
        canonical_json: reader
            .optional("WEBHOOK_SIGNATURE_COMPAT", "`canonical-json`", |text| {
                (text == "canonical-json").then_some(true)
            })
            .unwrap_or_default(),
    };
    if webhook.previous_secret.is_some() && webhook.secret.is_none() {
        reader.problem("WEBHOOK_SECRET_PREVIOUS", "is set, but WEBHOOK_SECRET is not");
    }
    if webhook.previous_token.is_some() && webhook.token.is_none() {
        reader.problem("WEBHOOK_TOKEN_PREVIOUS", "is set, but WEBHOOK_TOKEN is not");
    }
    webhook
}
