//! Where the store is, and who the service is there.

use super::*;

fn mongodb(settings: &Settings) -> (ConnectionString, &str) {
    match &settings.store.target {
        StoreTarget::Mongodb { uri, database } => {
            (ConnectionString::parse(uri.expose_secret()).unwrap(), database)
        }
        StoreTarget::Sqlite { path } => panic!("SQLite at {path:?}"),
    }
}

#[test]
fn a_connection_string_that_the_driver_chokes_on_is_a_problem() {
    assert!(problems(&[("DATABASE_URL", "mongodb://%ኲ@host")])[0].starts_with("DATABASE_URL:"));
}

#[test]
fn sqlite_paths_start_in_the_working_directory() {
    let directory = tempfile::tempdir().unwrap();
    for (url, path) in [
        ("sqlite:a/b.db", directory.path().join("a/b.db")),
        ("sqlite://a/b.db", directory.path().join("a/b.db")),
        ("sqlite:///a/b.db", "/a/b.db".into()),
        ("sqlite:/a/b.db", "/a/b.db".into()),
    ] {
        let settings = load_in(directory.path(), &[("DATABASE_URL", url)]).unwrap();
        assert!(
            matches!(settings.store.target, StoreTarget::Sqlite { path: p } if p == path),
            "{url}"
        );
    }
    for url in ["sqlite:", "sqlite::memory:", "sqlite:a.db?mode=rwc", "a.db"] {
        assert!(problems(&[("DATABASE_URL", url)])[0].starts_with("DATABASE_URL:"));
    }
}

#[test]
fn the_database_is_named_by_db_name_else_by_the_url() {
    for (variables, expected) in [
        (&[("DATABASE_URL", "mongodb://h/ops?w=1")][..], "ops"),
        (&[("DATABASE_URL", "mongodb://h/ops"), ("DB_NAME", "mine")], "mine"),
        (&[("DATABASE_URL", "mongodb+srv://u:p%40@cluster.example.net")], "orchestrator"),
        (&[("MONGO_HOST", "h"), ("DB_NAME", "mine")], "mine"),
    ] {
        let settings = load(variables).unwrap();
        assert!(
            matches!(&settings.store.target, StoreTarget::Mongodb { database, .. } if database == expected)
        );
    }
}

#[test]
fn mongo_hosts_may_be_several_and_bring_their_own_ports() {
    for (host, hosts) in [
        ("mongo", "mongo:27018"),
        ("a,b:1, c", "a:27018,b:1,c:27018"),
        ("::1", "[::1]:27018"),
        ("[::1]:5", "[::1]:5"),
    ] {
        let settings = load(&[("MONGO_HOST", host), ("MONGO_PORT", "27018")]).unwrap();
        let StoreTarget::Mongodb { uri, .. } = &settings.store.target else { panic!("{host}") };
        assert_eq!(uri.expose_secret(), format!("mongodb://{hosts}/"));
    }
    for host in ["a/b", "u:p@h", "h:port", ",", "mongodb://h"] {
        assert!(problems(&[("MONGO_HOST", host)])[0].starts_with("MONGO_HOST:"), "{host}");
    }
}

#[test]
fn production_is_warned_of_a_store_that_others_can_read_or_pose_as() {
    const KEYS: [(&str, &str); 1] = [("MONGO_HOST", "")];
    let warned = |more: &[(&'static str, &'static str)]| {
        let settings = load(&production(&[&KEYS, more].concat())).unwrap();
        settings.warnings.join("\n")
    };
    for (url, user, tls, certificate) in [
        ("mongodb://db.example.net", true, true, false),
        ("mongodb://u:p4ss@db.example.net", false, true, false),
        ("mongodb://u:p4ss@db.example.net/?tls=true", false, false, false),
        ("mongodb+srv://u:p4ss@db.example.net", false, false, false),
        ("mongodb+srv://u:p4ss@db.example.net/?tls=false", false, true, false),
        ("mongodb://u:p4ss@db.example.net/?tls=true&tlsInsecure=true", false, false, true),
        ("mongodb://u:p4ss@h/?tls=true&tlsAllowInvalidCertificates=true", false, false, true),
        ("mongodb://u:p4ss@127.0.0.1,[::1],localhost", false, false, false),
    ] {
        let said = warned(&[("DATABASE_URL", url)]);
        assert_eq!(said.contains("names no user"), user, "{url}: {said}");
        assert_eq!(said.contains("without TLS"), tls, "{url}: {said}");
        assert_eq!(said.contains("any certificate"), certificate, "{url}: {said}");
        assert!(!said.contains("p4ss"), "{said}");
    }
    let mild = load(&[("DATABASE_URL", "mongodb://db.example.net")]).unwrap();
    assert_eq!(mild.warnings, Vec::<String>::new(), "in development");
}

#[test]
fn redis_may_speak_tls_and_production_is_warned_where_it_does_not() {
    for (variables, tls, password) in [
        (&[("REDIS_URL", "rediss://:p4ss@redis.example.net")][..], false, false),
        (&[("REDIS_URL", "redis://:p4ss@redis.example.net")], true, false),
        (&[("REDIS_URL", "redis://127.0.0.1")], false, true),
        (&[("REDIS_URL", "redis://localhost"), ("REDIS_PASSWORD", "p4ss")], false, false),
    ] {
        let said = load(&production(variables)).unwrap().warnings.join("\n");
        assert_eq!(said.contains("without TLS"), tls, "{said}");
        assert_eq!(said.contains("no password"), password, "{said}");
    }
}

#[test]
fn half_of_mongodbs_credentials_is_a_problem() {
    for (variables, name) in [
        (&[("MONGO_HOST", "h"), ("MONGO_USERNAME", "u")][..], "MONGO_PASSWORD:"),
        (&[("MONGO_HOST", "h"), ("MONGO_PASSWORD", "p")], "MONGO_USERNAME:"),
        (&[("MONGO_USER", "u"), ("MONGO_PASSWORD", "p")], "MONGO_HOST:"),
    ] {
        assert!(problems(variables)[0].starts_with(name));
    }
}

proptest! {
    #[test]
    fn any_mongodb_user_and_password_arrive_as_they_are(user in "[^\0 \t\n]{1,20}", password in "\\PC{1,20}") {
        prop_assume!(!user.trim().is_empty() && user.trim() == user && !password.trim().is_empty());
        let settings = load(&[
            ("MONGO_HOST", "mongo"),
            ("MONGO_USER", &user),
            ("MONGO_PASSWORD", &password),
        ]).unwrap();
        let (parsed, _) = mongodb(&settings);
        let credential = parsed.credential.unwrap();
        prop_assert_eq!(credential.username, Some(user));
        prop_assert_eq!(credential.password, Some(password));
        prop_assert_eq!(credential.source.as_deref(), Some("admin"));
    }
}
