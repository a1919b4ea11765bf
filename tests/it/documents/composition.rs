//! The composition of containers: nothing is open to other machines, every image has a version,
//! every secret is a file.

use std::collections::BTreeSet;

use serde_json::Value;

use super::read;

fn composition() -> Value {
    serde_saphyr::from_str(&read("docker-compose.yml")).unwrap()
}

fn services(composition: &Value) -> impl Iterator<Item = (&String, &Value)> {
    composition["services"].as_object().unwrap().iter()
}

fn list<'a>(service: &'a Value, name: &str) -> &'a [Value] {
    service[name].as_array().map_or(&[], Vec::as_slice)
}

#[test]
fn ports_are_open_to_this_machine_only() {
    let composition = composition();
    for (name, service) in services(&composition) {
        for port in list(service, "ports") {
            assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "{name}: {port}");
        }
        assert!(service.get("network_mode").is_none(), "{name}");
    }
}

#[test]
fn every_image_has_a_version_and_every_service_limits() {
    let composition = composition();
    for (name, service) in services(&composition) {
        let (_, tag) = service["image"].as_str().unwrap().split_once(':').expect("a tag");
        assert!(tag.starts_with(|c: char| c.is_ascii_digit() || c == 'v'), "{name}: {tag}");
        let limits = &service["deploy"]["resources"]["limits"];
        assert!(limits["memory"].is_string() && limits["cpus"].is_string(), "{name}");
    }
    let images = read("Dockerfile");
    let images = images.lines().filter_map(|line| line.strip_prefix("FROM "));
    for image in images {
        assert!(image.contains(':') && !image.contains(":latest"), "{image}");
    }
}

#[test]
fn every_secret_is_a_file_that_is_declared_and_used() {
    let composition = composition();
    let declared = composition["secrets"].as_object().unwrap();
    let mut used = BTreeSet::new();
    for (name, service) in services(&composition) {
        for secret in list(service, "secrets") {
            used.insert(secret.as_str().unwrap());
        }
        for (variable, value) in service["environment"].as_object().into_iter().flatten() {
            let Some(path) = value.as_str().and_then(|path| path.strip_prefix("/run/secrets/"))
            else {
                let secret = ["PASSWORD", "SECRET", "TOKEN", "KEY"];
                assert!(!secret.iter().any(|word| variable.contains(word)), "{name}: {variable}");
                continue;
            };
            let own = list(service, "secrets").iter().any(|secret| secret == path);
            assert!(own, "{name} has no secret {path}");
        }
    }
    let declared: BTreeSet<&str> = declared.keys().map(String::as_str).collect();
    assert_eq!(used, declared);
}

/// With the addresses of either left out, they are the same.
#[test]
fn it_watches_and_notifies_as_the_monitoring_folder_does() {
    let composition = composition();
    for (config, file, changes) in [
        (
            "prometheus",
            "monitoring/prometheus.yml",
            [("127.0.0.1:9093", "alertmanager:9093"), ("127.0.0.1:9100", "orchestrator:9100")],
        ),
        (
            "alertmanager",
            "monitoring/alertmanager.yml",
            [
                ("127.0.0.1:3000", "orchestrator:3000"),
                ("credentials_file: webhook-token", "credentials_file: /run/secrets/webhook_token"),
            ],
        ),
    ] {
        let content = composition["configs"][config]["content"].as_str().unwrap();
        let inside: Value = serde_saphyr::from_str(content).unwrap();
        let text = changes.iter().fold(read(file), |text, (from, to)| text.replace(from, to));
        let outside: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(inside, outside, "{file}");
    }
}
