//! MongoDB's connection string: given whole, or made up from `MONGO_*`.

use std::net::Ipv6Addr;

use mongodb::options::ConnectionString;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};

use super::{
    Environment, StoreTarget, describe::redacted_url, production, reader::Reader, strength,
};

/// Everything but what RFC 3986 leaves bare.
const USER_INFO: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const DEFAULT_DATABASE: &str = "orchestrator";

/// `DB_NAME` and `MONGO_*` as they are set.
pub(super) struct Parts {
    pub database: Option<String>,
    pub hosts: Option<String>,
    port: Option<u16>,
    username: Option<String>,
    password: Option<SecretString>,
    auth_source: Option<String>,
}

impl Parts {
    pub fn read(reader: &mut Reader<'_>) -> Self {
        let text = |reader: &mut Reader<'_>, name| reader.text(name).map(|found| found.value);
        Self {
            database: reader.optional("DB_NAME", "a MongoDB database name", database_name),
            hosts: text(reader, "MONGO_HOST"),
            port: reader.number("MONGO_PORT", 1..=u16::MAX),
            username: text(reader, "MONGO_USERNAME"),
            password: reader.secret("MONGO_PASSWORD"),
            auth_source: text(reader, "MONGO_AUTH_SOURCE"),
        }
    }

    /// `DATABASE_URL` wins over all of them.
    pub fn ignored(&self, reader: &mut Reader<'_>) {
        let set = [
            ("MONGO_HOST", self.hosts.is_some()),
            ("MONGO_USERNAME", self.username.is_some()),
            ("MONGO_PASSWORD", self.password.is_some()),
        ];
        for (name, _) in set.iter().filter(|(_, set)| *set) {
            reader.warn(format!("{name} is ignored, because DATABASE_URL is set"));
        }
    }

    /// Who sets a user for MongoDB does not mean SQLite.
    pub fn without_host(&self, reader: &mut Reader<'_>) {
        if self.username.is_some() || self.password.is_some() {
            reader.problem(
                "MONGO_HOST",
                "is not set, though MONGO_USERNAME or MONGO_PASSWORD is; set it, or DATABASE_URL",
            );
        }
    }

    /// The store that they make up.
    pub fn target(self, reader: &mut Reader<'_>, environment: Environment) -> Option<StoreTarget> {
        let uri = self.uri(reader)?;
        reader.show_from("DATABASE_URL", redacted_url(&uri), "made up from MONGO_HOST");
        target(reader, "MONGO_HOST", SecretString::from(uri), self.database, environment)
    }

    fn uri(&self, reader: &mut Reader<'_>) -> Option<String> {
        let Some(hosts) = self.host_list() else {
            reader.problem("MONGO_HOST", HOST_EXPECTED);
            return None;
        };
        let credentials = match (&self.username, &self.password) {
            (Some(username), Some(password)) => {
                format!("{}:{}@", encoded(username), encoded(password.expose_secret()))
            }
            (None, None) => {
                if self.auth_source.is_some() {
                    reader.warn("MONGO_AUTH_SOURCE is ignored, because MONGO_USERNAME is not set");
                }
                return Some(format!("mongodb://{hosts}/"));
            }
            (Some(_), None) => {
                reader.problem("MONGO_PASSWORD", "is not set, though MONGO_USERNAME is");
                return None;
            }
            (None, Some(_)) => {
                reader.problem("MONGO_USERNAME", "is not set, though MONGO_PASSWORD is");
                return None;
            }
        };
        // Without a source, drivers look for the user in `admin`; said here so that it shows.
        let source = self.auth_source.as_deref().unwrap_or("admin");
        Some(format!("mongodb://{credentials}{hosts}/?authSource={}", encoded(source)))
    }

    /// Each host with its own port, or else with `MONGO_PORT`; `None` if it is no list of hosts.
    fn host_list(&self) -> Option<String> {
        // Without a port there is a problem already.
        let port = self.port.unwrap_or_default();
        let with_port = |host: &str| {
            if host.parse::<Ipv6Addr>().is_ok() {
                format!("[{host}]:{port}")
            } else if host.contains(':') && !host.ends_with(']') {
                host.to_owned()
            } else {
                format!("{host}:{port}")
            }
        };
        let hosts = self.hosts.as_deref()?.split(',').map(str::trim);
        let hosts: Vec<&str> = hosts.filter(|host| !host.is_empty()).collect();
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
        let fit = !hosts.is_empty() && hosts.iter().all(|host| host.chars().all(plain));
        fit.then(|| hosts.into_iter().map(with_port).collect::<Vec<_>>().join(","))
    }
}

const HOST_EXPECTED: &str = "expected a host name or address, or several separated by commas";

/// The store that `uri` leads to, if it is a connection string. What the driver says is wrong
/// with it may quote it, so that is not passed on.
pub(super) fn target(
    reader: &mut Reader<'_>,
    name: &'static str,
    uri: SecretString,
    database: Option<String>,
    environment: Environment,
) -> Option<StoreTarget> {
    // The driver panics on `%` before a letter that is not ASCII.
    let text = Some(uri.expose_secret()).filter(|text| text.is_ascii());
    let Some(parsed) = text.and_then(|text| ConnectionString::parse(text).ok()) else {
        let what = match name {
            "MONGO_HOST" => HOST_EXPECTED,
            _ => {
                "is not a valid MongoDB connection string (user and password must be \
                 percent-encoded)"
            }
        };
        reader.problem(name, what);
        return None;
    };
    if name == "DATABASE_URL" {
        reader.show(name, redacted_url(uri.expose_secret()));
    }
    production::judge_mongodb(reader, environment, name, &parsed);
    if let Some(password) = parsed.credential.as_ref().and_then(|c| c.password.as_deref()) {
        let name = if name == "MONGO_HOST" { "MONGO_PASSWORD" } else { name };
        strength::judge_password(reader, name, password, environment);
    }
    let database = database
        .or_else(|| parsed.default_database.filter(|name| database_name(name).is_some()))
        .unwrap_or_else(|| DEFAULT_DATABASE.to_owned());
    reader.show("DB_NAME", database.as_str());
    Some(StoreTarget::Mongodb { uri, database })
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, USER_INFO).to_string()
}

/// What MongoDB accepts on every platform.
fn database_name(text: &str) -> Option<String> {
    let forbidden = |c: char| "/\\. \"$*<>:|?".contains(c) || c.is_control();
    (!text.is_empty() && text.len() < 64 && !text.contains(forbidden)).then(|| text.to_owned())
}
