//! The bearer keys of the API: which one is presented, and is it still good.
//!
//! A key appears outside this file by its label, never by its value.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use secrecy::ExposeSecret;
use subtle::{ConditionallySelectable, ConstantTimeEq};
use thiserror::Error;

use super::{Role, digest::Digest};
use crate::{config::ApiKeySettings, model::Time};

/// How long before its end a key is warned about: 14 days, in milliseconds.
pub const EXPIRY_WARNING_MS: i64 = 14 * 24 * 60 * 60 * 1000;

/// A key that opens something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// How logs call it.
    pub label: String,
    /// What it opens.
    pub role: Role,
    /// Which edition of the key it is.
    pub version: Option<String>,
    /// From when on it is refused.
    pub expires_at: Option<Time>,
}

impl Key {
    /// Over at `now`; the end itself is already over.
    pub fn is_expired(&self, now: Time) -> bool {
        self.expires_at.is_some_and(|end| now >= end)
    }

    /// Not over at `now`, but within 14 days of it.
    pub fn is_expiring(&self, now: Time) -> bool {
        self.expires_at.is_some_and(|end| now < end && end.since(now) <= EXPIRY_WARNING_MS)
    }
}

/// Why a presented key opens nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyRefusal {
    /// None of the known keys.
    #[error("unknown API key")]
    Unknown,
    /// A known key past its end.
    #[error("API key expired")]
    Expired {
        /// The key's.
        label: String,
    },
    /// A known key that is switched off.
    #[error("API key inactive")]
    Inactive {
        /// The key's.
        label: String,
    },
}

impl KeyRefusal {
    /// Every [`reason`](Self::reason).
    pub const REASONS: [&str; 3] = ["unknown", "expired", "inactive"];

    /// The name in metrics and in the audit log.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Expired { .. } => "expired",
            Self::Inactive { .. } => "inactive",
        }
    }

    /// The label of the key that was refused, if it is a known one.
    pub fn label(&self) -> Option<&str> {
        match self {
            Self::Unknown => None,
            Self::Expired { label } | Self::Inactive { label } => Some(label),
        }
    }
}

struct Known {
    digest: Digest,
    active: bool,
    key: Arc<Key>,
}

/// All known keys; they may be replaced while they are in use.
pub struct KeyRing(ArcSwap<Vec<Known>>);

impl KeyRing {
    /// The keys of the settings. A blank one opens nothing: settings refuse it, and so does this.
    pub fn new(keys: &[ApiKeySettings]) -> Self {
        Self(ArcSwap::from_pointee(Self::known(keys)))
    }

    /// From now on these keys are known, and no others. A request that was let in goes on.
    pub fn replace(&self, keys: &[ApiKeySettings]) {
        self.0.store(Arc::new(Self::known(keys)));
    }

    fn known(keys: &[ApiKeySettings]) -> Vec<Known> {
        let given = keys.iter().filter(|key| !key.key.expose_secret().trim().is_empty());
        let known = given.map(|settings| Known {
            digest: Digest::of(settings.key.expose_secret().as_bytes()),
            active: settings.active,
            key: Arc::new(Key {
                label: settings.label.clone(),
                role: settings.role,
                version: settings.version.clone(),
                expires_at: settings.expires_at,
            }),
        });
        known.collect()
    }

    /// Whose key is `presented`? Always walks all keys, so that the time taken tells neither
    /// whether nor where it was found. Should two keys be equal, the later one counts.
    pub fn identify(&self, presented: &[u8], now: Time) -> Result<Arc<Key>, KeyRefusal> {
        let digest = Digest::of(presented);
        let all = self.0.load();
        let mut found = u64::MAX;
        for (place, known) in (0u64..).zip(all.iter()) {
            found.conditional_assign(&place, known.digest.ct_eq(&digest));
        }
        let known = usize::try_from(found).ok().and_then(|place| all.get(place));
        let Known { active, key, .. } = known.ok_or(KeyRefusal::Unknown)?;
        if !active {
            return Err(KeyRefusal::Inactive { label: key.label.clone() });
        }
        if key.is_expired(now) {
            return Err(KeyRefusal::Expired { label: key.label.clone() });
        }
        Ok(Arc::clone(key))
    }

    /// Active keys within 14 days of their end, in the order of the settings.
    pub fn expiring(&self, now: Time) -> Vec<Arc<Key>> {
        let all = self.0.load();
        let active = all.iter().filter(|known| known.active).map(|known| &known.key);
        active.filter(|key| key.is_expiring(now)).map(Arc::clone).collect()
    }

    /// No key is known, so nobody can be let in.
    pub fn is_empty(&self) -> bool {
        self.0.load().is_empty()
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.load().iter().map(|known| &known.key)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 24 * 60 * 60 * 1000;

    fn now() -> Time {
        Time::parse("2026-03-01T00:00:00Z").unwrap()
    }

    fn settings(key: &str, role: Role) -> ApiKeySettings {
        ApiKeySettings {
            key: key.into(),
            label: format!("{}-label", role.as_str()),
            role,
            version: None,
            created_at: None,
            expires_at: None,
            active: true,
        }
    }

    fn ending(key: &str, in_ms: i64) -> ApiKeySettings {
        let expires_at = Some(now().plus_millis(in_ms));
        ApiKeySettings { expires_at, label: key.into(), ..settings(key, Role::Viewer) }
    }

    #[test]
    fn each_key_is_identified_by_its_own_value() {
        let ring = KeyRing::new(&[settings("alpha", Role::Viewer), settings("beta", Role::Admin)]);
        assert_eq!(ring.identify(b"alpha", now()).unwrap().role, Role::Viewer);
        assert_eq!(ring.identify(b"beta", now()).unwrap().role, Role::Admin);
    }

    #[test]
    fn what_is_only_like_a_key_is_unknown() {
        let ring = KeyRing::new(&[settings("alpha", Role::Viewer)]);
        for presented in ["", "alph", "alpha ", "Alpha", "alphaa", "alpha\0"] {
            let refusal = ring.identify(presented.as_bytes(), now()).unwrap_err();
            assert_eq!(refusal, KeyRefusal::Unknown, "{presented:?}");
        }
    }

    #[test]
    fn without_keys_nobody_is_let_in() {
        let ring = KeyRing::new(&[]);
        assert!(ring.is_empty());
        assert_eq!(ring.identify(b"", now()).unwrap_err(), KeyRefusal::Unknown);
    }

    #[test]
    fn a_blank_key_opens_nothing() {
        let ring = KeyRing::new(&[settings("", Role::Admin), settings("  ", Role::Admin)]);
        assert!(ring.identify(b"", now()).is_err());
        assert!(ring.identify(b"  ", now()).is_err());
    }

    #[test]
    fn a_key_is_refused_from_its_end_on() {
        let ring = KeyRing::new(&[ending("alpha", 1)]);
        assert!(ring.identify(b"alpha", now()).is_ok());
        let refusal = ring.identify(b"alpha", now().plus_millis(1)).unwrap_err();
        assert_eq!(refusal, KeyRefusal::Expired { label: "alpha".into() });
    }

    #[test]
    fn an_inactive_key_is_refused_by_its_label() {
        let ring =
            KeyRing::new(&[ApiKeySettings { active: false, ..settings("alpha", Role::Admin) }]);
        let refusal = ring.identify(b"alpha", now()).unwrap_err();
        assert_eq!(refusal, KeyRefusal::Inactive { label: "admin-label".into() });
    }

    #[test]
    fn after_a_change_the_new_keys_are_known_and_no_others() {
        let ring = KeyRing::new(&[settings("alpha", Role::Viewer)]);
        ring.replace(&[settings("beta", Role::Admin)]);
        assert_eq!(ring.identify(b"alpha", now()).unwrap_err(), KeyRefusal::Unknown);
        assert_eq!(ring.identify(b"beta", now()).unwrap().role, Role::Admin);
    }

    #[test]
    fn only_keys_in_their_last_14_days_are_warned_about() {
        let ring = KeyRing::new(&[
            ending("over", 0),
            ending("last-moment", 1),
            ending("just-within", 14 * DAY_MS),
            ending("just-outside", 14 * DAY_MS + 1),
            settings("endless", Role::Viewer),
            ApiKeySettings { active: false, ..ending("off", DAY_MS) },
        ]);
        let expiring = ring.expiring(now());
        let labels: Vec<_> = expiring.iter().map(|key| key.label.as_str()).collect();
        assert_eq!(labels, ["last-moment", "just-within"]);
    }

    #[test]
    fn a_key_shows_by_its_label_only() {
        let ring = KeyRing::new(&[settings("s3cr3t-value", Role::Admin)]);
        let shown = format!("{ring:?}");
        assert!(shown.contains("admin-label"), "{shown}");
        assert!(!shown.contains("s3cr3t"), "{shown}");
    }

    proptest::proptest! {
        #[test]
        fn any_two_different_values_are_told_apart(key in "[!-~]{1,64}", other: Vec<u8>) {
            let ring = KeyRing::new(&[settings(&key, Role::Viewer)]);
            let known = ring.identify(&other, now()).is_ok();
            proptest::prop_assert_eq!(known, key.as_bytes() == other);
            proptest::prop_assert!(ring.identify(key.as_bytes(), now()).is_ok());
        }
    }
}
