//! How commands ask a running service: where it is, and with which key.

use std::path::Path;

use secrecy::SecretString;

use super::{DEV_CREDENTIALS, Env, Problems, Settings, reader::Reader, server};

/// A running service as its clients know it.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// `ORCHESTRATOR_URL`, else the address of `HOST` and `PORT`; without a slash at its end.
    pub url: String,
    /// `ORCHESTRATOR_API_KEY`, else the service's own where no URL is set.
    pub key: SecretString,
}

/// The two variables as they are set.
pub(super) fn read(reader: &mut Reader<'_>) -> (Option<String>, Option<SecretString>) {
    let url = reader.optional("ORCHESTRATOR_URL", "an http or https URL", |text| {
        let http = text.starts_with("http://") || text.starts_with("https://");
        http.then(|| text.trim_end_matches('/').to_owned())
    });
    (url, reader.secret("ORCHESTRATOR_API_KEY"))
}

/// Reads them. The keys of this machine's service are for this machine's service alone: to
/// another URL only the key goes that is set for it.
///
/// # Errors
/// With every problem.
pub fn client(env: &dyn Env, directory: &Path) -> Result<ClientSettings, Problems> {
    let mut reader = Reader::new(env, directory);
    let (url, key) = read(&mut reader);
    let address = server::host(&mut reader, "HOST").zip(server::port(&mut reader));
    let (host, port) = reader.finish(address)?.0;
    let own = url.is_none();
    let url = url.unwrap_or_else(|| {
        let host = if host.is_unspecified() { [127, 0, 0, 1].into() } else { host };
        format!("http://{}", std::net::SocketAddr::new(host, port))
    });
    if let Some(key) = key {
        return Ok(ClientSettings { url, key });
    }
    let missing = |more: &str| Problems::one(format!("ORCHESTRATOR_API_KEY: is not set{more}"));
    if !own {
        return Err(missing(""));
    }
    let mut settings = Settings::load(env, directory)?;
    settings.find_credentials()?;
    let key = settings.api_keys.into_iter().next().map(|key| key.key);
    let key = key.ok_or_else(|| missing(&format!(", and there is no {DEV_CREDENTIALS}")))?;
    Ok(ClientSettings { url, key })
}
