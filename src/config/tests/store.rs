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
