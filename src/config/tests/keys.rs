//! Which keys and secrets are good enough.

use super::*;

#[test]
fn one_api_key_is_an_admin_key() {
    let settings = load(&[("API_KEY", LONG[0])]).unwrap();
    let [key] = &settings.api_keys[..] else { panic!() };
    assert_eq!((key.label.as_str(), key.role, key.active), ("api-key", Role::Admin, true));
}

#[test]
fn a_rotation_list_replaces_the_one_key() {
    let list = r#"[
        {"key":"k-one-k-one","label":"old","roles":["viewer","operator"],"version":1,"createdAt":"2026-01-01","expiresAt":"2026-12-31T12:00:00Z"},
        {"key":"k-two-k-two","label":"new","roles":["admin"],"version":"2b","active":false}
    ]"#;
    let settings = load(&[("API_KEY", LONG[0]), ("API_KEY_ROTATION", list)]).unwrap();
    let [old, new] = &settings.api_keys[..] else { panic!() };
    assert_eq!((old.role, old.active, old.version.as_deref()), (Role::Operator, true, Some("1")));
    assert_eq!(old.created_at, Time::parse("2026-01-01T00:00:00Z"));
    assert_eq!(old.expires_at, Time::parse("2026-12-31T12:00:00Z"));
    assert_eq!((new.role, new.active, new.version.as_deref()), (Role::Admin, false, Some("2b")));
    assert!(settings.warnings.iter().any(|w| w.starts_with("API_KEY is ignored")));
}

#[test]
fn each_wrong_field_of_a_rotation_list_is_named_without_its_content() {
    let list = r#"[
        {"key":" ","label":"","roles":[],"version":[],"createdAt":"yesterday","expiresAt":5,"active":"hunter2"},
        {"roles":["hunter2"]},
        {"key":"a-key-a-key","label":"x","roles":["viewer"],"createdAt":"2026-02-02","expiresAt":"2026-01-01"},
        {"key":"b-key-b-key","label":"x","roles":["viewer"]},
        "hunter2"
    ]"#;
    let problems = problems(&[("API_KEY_ROTATION", list)]).join("\n");
    for field in [
        "[0].key",
        "[0].label",
        "[0].roles",
        "[0].version",
        "[0].createdAt",
        "[0].expiresAt",
        "[0].active",
        "[1].key",
        "[1].label",
        "[1].roles",
        "[2].expiresAt",
        "[4]:",
    ] {
        assert!(problems.contains(&format!("API_KEY_ROTATION{field}")), "{field}: {problems}");
    }
    assert!(!problems.contains("hunter2") && !problems.contains("yesterday"));
}

#[test]
fn labels_are_unique_and_the_list_is_not_empty() {
    let twice = r#"[{"key":"a-key-a-key","label":"x","roles":["viewer"]},{"key":"b-key-b-key","label":"x","roles":["viewer"]}]"#;
    assert_eq!(
        problems(&[("API_KEY_ROTATION", twice)]),
        ["API_KEY_ROTATION: two keys have the same label"]
    );
    for list in ["[]", "{}", "null"] {
        assert_eq!(problems(&[("API_KEY_ROTATION", list)]).len(), 1);
    }
}

#[test]
fn production_accepts_real_secrets_and_refuses_missing_ones() {
    assert!(load(&production(&[])).is_ok());
    assert!(load(&production(&[("WEBHOOK_SECRET", ""), ("WEBHOOK_TOKEN", LONG[2])])).is_ok());
    assert!(problems(&production(&[("API_KEY", "")]))[0].starts_with("API_KEY:"));
    assert!(problems(&production(&[("WEBHOOK_SECRET", "")]))[0].starts_with("WEBHOOK_SECRET:"));
}

#[test]
fn production_refuses_short_and_placeholder_secrets_and_development_warns() {
    for (name, value) in [
        ("API_KEY", "short-9f8e7d6c"),
        ("WEBHOOK_SECRET", "changeme"),
        ("WEBHOOK_TOKEN", "your-webhook-token-goes-in-here-please"),
        ("WEBHOOK_SECRET_PREVIOUS", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("API_KEY_ROTATION", r#"[{"key":"short-9f8e7d6c","label":"x","roles":["admin"]}]"#),
        ("DATABASE_URL", "mongodb://u:changeme@h/db"),
        ("REDIS_PASSWORD", "ChangeMe"),
    ] {
        let redis = [("REDIS_URL", "redis://h")];
        let more =
            [&[(name, value)][..], if name.starts_with("REDIS") { &redis } else { &[] }].concat();
        let refused = problems(&production(&more)).join("\n");
        assert!(refused.starts_with(name), "{refused}");
        let mut mild = production(&more);
        mild[0] = ("ORCHESTRATOR_ENV", "development");
        mild.retain(|(name, _)| *name != "ORCHESTRATOR_ENV");
        let settings = load(&mild).unwrap();
        assert!(settings.warnings.iter().any(|w| w.starts_with(name)), "{:?}", settings.warnings);
    }
}

#[test]
fn one_secret_opens_one_door() {
    let problems = problems(&[("API_KEY", LONG[0]), ("WEBHOOK_TOKEN", LONG[0])]);
    assert_eq!(problems, ["API_KEY, WEBHOOK_TOKEN: must be different secrets, but are the same"]);
}

#[test]
fn a_key_that_fits_no_header_is_a_problem() {
    for key in ["schlüssel-schlüssel", "two words", "end\n"] {
        assert!(problems(&[("API_KEY", key)])[0].starts_with("API_KEY:"));
    }
    assert!(load(&[("WEBHOOK_SECRET", "two wörds")]).is_ok());
}
