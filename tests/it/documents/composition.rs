//! The composition of containers: nothing is open to other machines, every image has a version,
//! every secret is a file.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{path, read};

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
fn every_service_is_hardened_and_says_how_it_is() {
    let composition = composition();
    for (name, service) in services(&composition) {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"], json!(["ALL"]), "{name}");
        assert!(service.get("cap_add").is_none(), "{name}");
        assert_eq!(service["security_opt"], json!(["no-new-privileges:true"]), "{name}");
        assert!(service["healthcheck"]["test"].is_array(), "{name}");
        assert!(service["deploy"]["resources"]["reservations"]["memory"].is_string(), "{name}");
        // What would be copied into a container that is read-only is refused by the engine.
        assert!(service.get("configs").is_none(), "{name}");
    }
    assert!(composition.get("configs").is_none());
    assert_eq!(composition["networks"]["stores"]["internal"], true);
}

#[test]
fn every_file_that_is_mounted_is_there() {
    let composition = composition();
    for (name, service) in services(&composition) {
        for volume in list(service, "volumes") {
            let source = volume.as_str().unwrap().split(':').next().unwrap();
            assert!(!source.starts_with('.') || path(source).exists(), "{name}: {source}");
        }
    }
}

#[test]
fn make_secrets_makes_every_secret() {
    let script = read("ops/make-secrets.sh");
    for name in composition()["secrets"].as_object().unwrap().keys() {
        assert!(script.contains(name), "{name}");
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

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

/// But for the names of the network, the second replica and the rules of a drill.
#[test]
fn it_watches_and_notifies_as_the_monitoring_folder_does() {
    let mut inside = yaml(&read("ops/compose/prometheus.yml"));
    let outside = read("monitoring/prometheus.yml")
        .replace("127.0.0.1:9093", "alertmanager:9093")
        .replace("127.0.0.1:9100", "orchestrator:9100");
    let rules = inside["rule_files"].as_array_mut().unwrap();
    assert_eq!(rules.pop(), Some(json!("rules/*.yml")));
    let job = inside["scrape_configs"][0].as_object_mut().unwrap();
    assert!(job.remove("dns_sd_configs").is_some());
    assert_eq!(inside, yaml(&outside));

    let outside = read("monitoring/alertmanager.yml")
        .replace("127.0.0.1:3000", "orchestrator:3000")
        .replace("credentials_file: webhook-token", "credentials_file: /run/secrets/webhook_token");
    assert_eq!(yaml(&read("ops/compose/alertmanager.yml")), yaml(&outside));
}
