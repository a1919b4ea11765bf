//! Secrets that may change while the service runs: keys, webhook secrets and tokens, and the
//! certificate.
//!
//! They are read again as a whole, and taken over as a whole or not at all: what is wrong with
//! one of them keeps all of them as they were. Requests under way and open connections go on
//! with what they began with, so that there is no gap.

use std::{path::Path, sync::Arc, time::Duration};

use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::{
    config::{ApiKeySettings, Problems, Settings, TlsSettings, WebhookSettings},
    http::{server::SharedTls, state::App},
    security::{AuditContext, Certificate, CertificateError, Event},
};

/// How often the certificate's files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Why secrets were kept as they were.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The settings are wrong.
    #[error("{0}")]
    Settings(#[from] Problems),
    /// The certificate is.
    #[error("TLS_CERT_FILE: {0}")]
    Certificate(#[from] CertificateError),
    /// TLS cannot be switched on or off while the listeners are open.
    #[error("TLS_CERT_FILE: TLS is switched on and off by a restart only")]
    TlsSwitched,
}

/// What is used now, and where it is used.
pub struct Secrets {
    app: App,
    tls: Option<SharedTls>,
    current: Mutex<Current>,
}

/// What is used now.
struct Current {
    api_keys: Vec<ApiKeySettings>,
    webhook: WebhookSettings,
    files: Option<TlsSettings>,
    certificate: Option<Certificate>,
}

impl Secrets {
    /// The certificate of the settings, if there is to be TLS. One that has expired is taken at
    /// the start: a service that clients mistrust is better than none.
    pub(super) fn certificate(
        settings: &Settings,
    ) -> Result<Option<Certificate>, CertificateError> {
        let files = settings.server.tls.as_ref();
        files.map(|files| Certificate::load(&files.certificates, &files.key)).transpose()
    }

    /// Those that the service was started with.
    pub(super) fn new(
        app: App,
        settings: &Settings,
        certificate: Option<Certificate>,
        tls: Option<SharedTls>,
    ) -> Self {
        let current = Mutex::new(Current {
            api_keys: settings.api_keys.clone(),
            webhook: settings.webhook.clone(),
            files: settings.server.tls.clone(),
            certificate,
        });
        Self { app, tls, current }
    }

    /// Takes over all secrets of the settings, as they were read just now; the names of those
    /// that changed. Audited, whatever comes of it.
    ///
    /// # Errors
    /// [`SecretsError`]; then everything is as it was.
    pub fn reload(
        &self,
        read: Result<Settings, Problems>,
    ) -> Result<Vec<&'static str>, SecretsError> {
        let changed = self.take_over(read);
        self.report(&changed);
        changed
    }

    fn take_over(
        &self,
        read: Result<Settings, Problems>,
    ) -> Result<Vec<&'static str>, SecretsError> {
        let settings = read?;
        let files = settings.server.tls.as_ref();
        if files.is_some() != self.tls.is_some() {
            return Err(SecretsError::TlsSwitched);
        }
        let certificate = files.map(|files| self.fresh_certificate(files)).transpose()?;
        let mut current = self.current.lock();
        let next = Current {
            api_keys: settings.api_keys,
            webhook: settings.webhook,
            files: settings.server.tls,
            certificate,
        };
        let changed = current.changes(&next);
        self.app.keys.replace(&next.api_keys);
        self.app.verifier.replace(&next.webhook);
        self.app.webhook_token.replace(&next.webhook);
        self.use_certificate(next.certificate.as_ref());
        *current = next;
        Ok(changed)
    }

    /// What the files hold; one that has expired is only taken if it is the one in use.
    fn fresh_certificate(&self, files: &TlsSettings) -> Result<Certificate, CertificateError> {
        let certificate = Certificate::load(&files.certificates, &files.key)?;
        if !self.current.lock().has(&certificate) {
            certificate.check(self.app.clock.now())?;
        }
        Ok(certificate)
    }

    fn use_certificate(&self, certificate: Option<&Certificate>) {
        if let (Some(tls), Some(certificate)) = (&self.tls, certificate) {
            tls.replace(Arc::clone(&certificate.config));
        }
    }

    fn report(&self, changed: &Result<Vec<&'static str>, SecretsError>) {
        let details = match changed {
            Ok(changed) => json!({ "outcome": "reloaded", "changed": changed }),
            Err(error) => json!({ "outcome": "kept", "error": error.to_string() }),
        };
        self.app.audit.record(Event::SecretsReloaded, AuditContext::default(), details);
        match changed {
            Ok(changed) => tracing::info!(changed = changed.join(", "), "secrets were read again"),
            Err(error) => tracing::error!(%error, "secrets are kept as they were"),
        }
        self.warn_of_ends();
    }

    /// Takes over a certificate whose files changed, until draining begins.
    ///
    /// The files are two, and written one after the other: what is read must be the same twice
    /// before it counts.
    pub(super) async fn follow_certificate(&self) {
        let Some(mut seen) = self.current.lock().files.as_ref().map(contents) else {
            return self.app.phase.draining().await;
        };
        let mut settled = seen.clone();
        while self.app.phase.pause(LOOK_EVERY).await {
            let Some(files) = self.current.lock().files.clone() else { continue };
            let now = contents(&files);
            if now == seen && now != settled {
                settled = now.clone();
                self.renew(&files);
            }
            seen = now;
        }
    }

    fn renew(&self, files: &TlsSettings) {
        let renewed = self.fresh_certificate(files);
        let mut current = self.current.lock();
        // SIGHUP was quicker.
        if renewed.as_ref().is_ok_and(|renewed| current.has(renewed)) {
            return;
        }
        let changed = renewed.map(|certificate| {
            self.use_certificate(Some(&certificate));
            current.certificate = Some(certificate);
            vec!["TLS_CERT_FILE"]
        });
        drop(current);
        self.report(&changed.map_err(SecretsError::from));
    }

    /// Warns of keys and of a certificate that end soon.
    pub(super) fn warn_of_ends(&self) {
        let now = self.app.clock.now();
        for key in self.app.keys.expiring(now) {
            let expires_at = key.expires_at.map(|time| time.to_string());
            let details = json!({ "key": key.label, "expiresAt": expires_at });
            self.app.audit.record(Event::ApiKeyExpiring, AuditContext::default(), details);
        }
        if let Some(certificate) = &self.current.lock().certificate
            && certificate.is_expiring(now)
        {
            let expires_at = certificate.expires_at;
            tracing::warn!(%expires_at, "the certificate has expired or soon will");
        }
    }
}

impl Current {
    fn has(&self, certificate: &Certificate) -> bool {
        self.certificate.as_ref().is_some_and(|current| current.is_same(certificate))
    }

    /// The names of what differs.
    fn changes(&self, next: &Self) -> Vec<&'static str> {
        let differ = |a: &Option<SecretString>, b: &Option<SecretString>| {
            a.as_ref().map(ExposeSecret::expose_secret)
                != b.as_ref().map(ExposeSecret::expose_secret)
        };
        let (old, new) = (&self.webhook, &next.webhook);
        let same_certificate = match (&self.certificate, &next.certificate) {
            (Some(old), Some(new)) => old.is_same(new),
            (old, new) => old.is_none() && new.is_none(),
        };
        let changes = [
            ("API_KEY_ROTATION", !same_keys(&self.api_keys, &next.api_keys)),
            ("WEBHOOK_SECRET", differ(&old.secret, &new.secret)),
            ("WEBHOOK_SECRET_PREVIOUS", differ(&old.previous_secret, &new.previous_secret)),
            ("WEBHOOK_TOKEN", differ(&old.token, &new.token)),
            ("WEBHOOK_TOKEN_PREVIOUS", differ(&old.previous_token, &new.previous_token)),
            ("TLS_CERT_FILE", !same_certificate),
        ];
        changes.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name).collect()
    }
}

fn same_keys(old: &[ApiKeySettings], new: &[ApiKeySettings]) -> bool {
    let parts = |key: &ApiKeySettings| {
        (key.label.clone(), key.role, key.version.clone(), key.expires_at, key.active)
    };
    old.len() == new.len()
        && old.iter().zip(new).all(|(old, new)| {
            old.key.expose_secret() == new.key.expose_secret() && parts(old) == parts(new)
        })
}

/// What stands in both files, as far as they can be read.
fn contents(files: &TlsSettings) -> [Option<Vec<u8>>; 2] {
    let read = |path: &Path| std::fs::read(path).ok();
    [read(&files.certificates), read(&files.key)]
}
