//! Keys that the service makes for itself in development, so that it runs on a bare checkout
//! and still nothing is open without a key.
//!
//! They are written once, to [`DEV_CREDENTIALS`], whole or not at all, and used from then on.
//! A step apart from reading the settings, so that only the service itself makes them.

use std::{
    fs::{DirBuilder, File},
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use rand::{TryRng, rngs::SysRng};
use secrecy::{ExposeSecret, SecretString};

use super::{
    ApiKeySettings, Environment, Settings,
    describe::redacted,
    problems::Problems,
    reader::DEFAULT,
    sources::{exposure, read_dotenv},
};

/// Where they are kept, from the working directory.
pub const DEV_CREDENTIALS: &str = "data/dev-credentials.env";

/// Bytes of chance in a key: 64 hexadecimal digits.
pub const KEY_BYTES: usize = 32;

/// Whose credentials the service goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// Those of the settings.
    Configured,
    /// Its own, made at an earlier start; the file that holds them.
    Found(PathBuf),
    /// Its own, made just now; the file that holds them.
    Made(PathBuf),
}

/// A new key of `bytes` random bytes, in hexadecimal digits.
pub fn fresh_key(bytes: usize) -> io::Result<SecretString> {
    let mut key = vec![0; bytes];
    SysRng.try_fill_bytes(&mut key).map_err(io::Error::other)?;
    Ok(SecretString::from(hex::encode(key)))
}

/// A full set of new keys, as lines of a `.env` file. Who has a new secret can sign as is best:
/// with a time, so that no signature is good for ever.
pub fn fresh_credentials(bytes: usize) -> io::Result<String> {
    let mut lines = String::new();
    for name in NAMES {
        lines.push_str(&format!("{name}={}\n", fresh_key(bytes)?.expose_secret()));
    }
    Ok(format!("{lines}{REQUIRE_TIMESTAMP}=true\n"))
}

const REQUIRE_TIMESTAMP: &str = "WEBHOOK_REQUIRE_TIMESTAMP";
const NAMES: [&str; 3] = ["API_KEY", "WEBHOOK_SECRET", "WEBHOOK_TOKEN"];

impl Settings {
    /// In development with no keys at all: uses the service's own, and makes them if there are
    /// none yet. A file that is broken is a problem, and never overwritten.
    pub fn ensure_credentials(&mut self) -> Result<Credentials, Problems> {
        match self.find_credentials()? {
            Some(credentials) => Ok(credentials),
            None => self.make_credentials(),
        }
    }

    /// As [`ensure_credentials`](Self::ensure_credentials), but makes nothing: `None` if the
    /// service would make its own at its start.
    pub fn find_credentials(&mut self) -> Result<Option<Credentials>, Problems> {
        let configured = !self.api_keys.is_empty()
            || self.webhook.secret.is_some()
            || self.webhook.token.is_some();
        if self.environment == Environment::Production || configured {
            return Ok(Some(Credentials::Configured));
        }
        let path = self.directory.join(DEV_CREDENTIALS);
        let mut problems = Problems::default();
        let mut found = read_dotenv(&self.directory, DEV_CREDENTIALS, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        if matches!(path.symlink_metadata(), Err(e) if e.kind() == io::ErrorKind::NotFound) {
            return Ok(None);
        }
        let mut take = |name: &str| {
            let value = found.remove(name).filter(|value| !value.trim().is_empty());
            if value.is_none() {
                problems.push(format!(
                    "{DEV_CREDENTIALS}: {name} is missing; correct the file, or delete it to have new keys made"
                ));
            }
            value.map(SecretString::from)
        };
        let [api_key, secret, token] = NAMES.map(&mut take);
        let (Some(api_key), Some(secret), Some(token)) = (api_key, secret, token) else {
            return Err(problems);
        };
        if let Some(what) = exposure(&path, true) {
            self.warnings.push(format!("{DEV_CREDENTIALS} {what}"));
        }
        self.use_credentials(api_key, secret, token);
        // Files that were made before it was demanded do not have it.
        if found.remove(REQUIRE_TIMESTAMP).is_some_and(|value| value == "true") {
            self.require_timestamp_unless_set();
        }
        Ok(Some(Credentials::Found(path)))
    }

    fn make_credentials(&mut self) -> Result<Credentials, Problems> {
        let path = self.directory.join(DEV_CREDENTIALS);
        let written = fresh_credentials(KEY_BYTES).and_then(|lines| write_once(&path, &lines));
        if let Err(error) = &written
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(Problems::one(format!(
                "{DEV_CREDENTIALS}: cannot be written: {error}; set API_KEY, WEBHOOK_SECRET and WEBHOOK_TOKEN instead"
            )));
        }
        // Read back what the next start will read; another process may have been first.
        match (self.find_credentials()?, written) {
            (Some(Credentials::Found(path)), Ok(())) => Ok(Credentials::Made(path)),
            (Some(credentials), _) => Ok(credentials),
            (None, _) => Err(Problems::one(format!("{DEV_CREDENTIALS}: vanished"))),
        }
    }

    fn use_credentials(
        &mut self,
        api_key: SecretString,
        secret: SecretString,
        token: SecretString,
    ) {
        for (name, key) in NAMES.into_iter().zip([&api_key, &secret, &token]) {
            for row in self.effective.iter_mut().filter(|row| row.variable == name) {
                row.value = redacted(key);
                row.source = DEV_CREDENTIALS.to_owned();
            }
        }
        self.api_keys = vec![ApiKeySettings::single(api_key)];
        self.webhook.secret = Some(secret);
        self.webhook.token = Some(token);
    }

    /// What the environment or `.env` says wins over the file beside the keys.
    fn require_timestamp_unless_set(&mut self) {
        let mut rows = self.effective.iter_mut();
        let row = rows.find(|row| row.variable == REQUIRE_TIMESTAMP && row.source == DEFAULT);
        if let Some(row) = row {
            row.value = "true".to_owned();
            row.source = DEV_CREDENTIALS.to_owned();
            self.webhook.require_timestamp = true;
        }
    }
}

/// Writes the file whole and for its owner only, or fails with `AlreadyExists`.
fn write_once(path: &Path, lines: &str) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let mut file = tempfile::Builder::new().prefix(".dev-credentials").tempfile_in(directory)?;
    writeln!(file, "# Made by the orchestrator at its first start in development.")?;
    file.write_all(lines.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, os::unix::fs::PermissionsExt};

    use super::*;

    fn settings(directory: &Path, variables: &[(&str, &str)]) -> Settings {
        let env: BTreeMap<String, String> =
            variables.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        Settings::load(&env, directory).unwrap()
    }

    fn keys(settings: &Settings) -> [String; 3] {
        let text = |secret: &SecretString| secret.expose_secret().to_owned();
        [
            text(&settings.api_keys[0].key),
            text(settings.webhook.secret.as_ref().unwrap()),
            text(settings.webhook.token.as_ref().unwrap()),
        ]
    }

    #[test]
    fn made_at_the_first_start_and_used_from_then_on() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(DEV_CREDENTIALS);
        let mut first = settings(directory.path(), &[]);
        assert_eq!(first.find_credentials(), Ok(None));
        assert!(!path.exists());
        assert_eq!(first.ensure_credentials(), Ok(Credentials::Made(path.clone())));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let folder = path.parent().unwrap().metadata().unwrap();
        assert_eq!(folder.permissions().mode() & 0o777, 0o700);
        let mut second = settings(directory.path(), &[]);
        assert_eq!(second.ensure_credentials(), Ok(Credentials::Found(path)));
        assert_eq!(keys(&first), keys(&second));
        assert!(keys(&first).iter().all(|key| key.len() == 2 * KEY_BYTES));
        // Nothing half-made is left beside it.
        assert_eq!(std::fs::read_dir(directory.path().join("data")).unwrap().count(), 1);
    }

    #[test]
    fn nothing_is_made_up_where_any_key_is_configured_or_in_production() {
        let directory = tempfile::tempdir().unwrap();
        for name in NAMES {
            let mut settings = settings(directory.path(), &[(name, "0f9b2c-configured")]);
            assert_eq!(settings.ensure_credentials(), Ok(Credentials::Configured));
        }
        let long = [fresh_key(32).unwrap(), fresh_key(32).unwrap()];
        let mut production = settings(
            directory.path(),
            &[
                ("ORCHESTRATOR_ENV", "production"),
                ("API_KEY", long[0].expose_secret()),
                ("WEBHOOK_TOKEN", long[1].expose_secret()),
            ],
        );
        assert_eq!(production.ensure_credentials(), Ok(Credentials::Configured));
        assert!(!directory.path().join("data").exists());
    }

    #[test]
    fn a_broken_file_is_a_problem_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(DEV_CREDENTIALS);
        std::fs::create_dir(directory.path().join("data")).unwrap();
        for content in ["", "API_KEY=hunter2\nWEBHOOK_SECRET=\n", "API_KEY hunter2\n"] {
            std::fs::write(&path, content).unwrap();
            let problems = settings(directory.path(), &[]).ensure_credentials().unwrap_err();
            assert!(!problems.to_string().contains("hunter2"), "{problems}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
    }

    #[test]
    fn of_several_first_starts_at_once_all_use_the_same_keys() {
        let directory = tempfile::tempdir().unwrap();
        let all: Vec<_> = std::thread::scope(|scope| {
            let start = || {
                let mut settings = settings(directory.path(), &[]);
                settings.ensure_credentials().unwrap();
                keys(&settings)
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(all.iter().all(|keys| *keys == all[0]));
    }
}
