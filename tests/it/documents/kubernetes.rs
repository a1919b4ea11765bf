//! The manifests for Kubernetes: what kustomize makes of them is restricted, fits the service, and
//! is for one replica or for three.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use orchestrator::config::VARIABLES;
use serde_json::{Value, json};

use super::{is_there, path, read};

/// What an overlay applies, by kind. None where there is no kubectl.
fn overlay(name: &str) -> Option<BTreeMap<String, Value>> {
    if !is_there("kubectl") {
        return None;
    }
    let folder = path("ops/kubernetes").join(name);
    let done = Command::new("kubectl").arg("kustomize").arg(folder).output().unwrap();
    assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
    let text = String::from_utf8(done.stdout).unwrap();
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let kind = |document: &Value| document["kind"].as_str().unwrap().to_owned();
    Some(documents.into_iter().map(|document| (kind(&document), document)).collect())
}

/// Both overlays, by name.
fn overlays() -> Vec<(&'static str, BTreeMap<String, Value>)> {
    ["small", "large"].into_iter().filter_map(|name| Some((name, overlay(name)?))).collect()
}

fn pod(documents: &BTreeMap<String, Value>) -> &Value {
    &documents["Deployment"]["spec"]["template"]["spec"]
}

fn container(documents: &BTreeMap<String, Value>) -> &Value {
    &pod(documents)["containers"][0]
}

/// The settings of the service, as its config map and its own list have them.
fn settings(documents: &BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let map = documents["ConfigMap"]["data"].as_object().unwrap().iter();
    let map = map.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()));
    let own = container(documents)["env"].as_array().unwrap().iter().map(|variable| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&variable["name"]), text(&variable["value"]))
    });
    map.chain(own).collect()
}

#[test]
fn pods_are_restricted() {
    for (name, documents) in overlays() {
        let labels = &documents["Namespace"]["metadata"]["labels"];
        assert_eq!(labels["pod-security.kubernetes.io/enforce"], "restricted", "{name}");
        let pod = pod(&documents);
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{name}");
        assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
        assert_eq!(pod["enableServiceLinks"], false, "{name}");
        let context = &container(&documents)["securityContext"];
        assert_eq!(context["allowPrivilegeEscalation"], false, "{name}");
        assert_eq!(context["readOnlyRootFilesystem"], true, "{name}");
        assert_eq!(context["capabilities"], json!({"drop": ["ALL"]}), "{name}");
        let resources = &container(&documents)["resources"];
        assert!(resources["limits"]["memory"].is_string(), "{name}");
        assert!(resources["requests"]["cpu"].is_string(), "{name}");
    }
}

#[test]
fn pods_have_the_compositions_image_settings_that_exist_and_secrets_from_files() {
    let composition: Value = serde_saphyr::from_str(&read("docker-compose.yml")).unwrap();
    let secrets = composition["secrets"].as_object().unwrap();
    let mut known: BTreeSet<String> = BTreeSet::new();
    for variable in VARIABLES {
        known.insert(variable.name.to_owned());
        if variable.secret {
            known.insert(format!("{}_FILE", variable.name));
        }
    }
    for (name, documents) in overlays() {
        let image = &container(&documents)["image"];
        assert_eq!(*image, composition["services"]["orchestrator"]["image"], "{name}");
        for (setting, value) in settings(&documents) {
            assert!(known.contains(&setting), "{name}: {setting}");
            if let Some(secret) = value.strip_prefix("/run/secrets/orchestrator/") {
                // So that the folder of ops/make-secrets.sh makes the cluster's secret.
                assert!(secrets.contains_key(secret), "{name}: {secret}");
            }
            let is_secret = VARIABLES.iter().any(|known| known.secret && known.name == setting);
            let without = !value.contains('@') && setting.ends_with("_URL");
            assert!(!is_secret || without, "{name}: {setting} is in the open");
        }
    }
}

#[test]
fn a_pod_has_time_to_drain_and_is_asked_what_it_can_answer() {
    let default = VARIABLES.iter().find(|known| known.name == "SHUTDOWN_TIMEOUT_SECONDS").unwrap();
    let drain: u64 = default.default.parse().unwrap();
    for (name, documents) in overlays() {
        let grace = pod(&documents)["terminationGracePeriodSeconds"].as_u64().unwrap();
        let container = container(&documents);
        let pause = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap();
        assert!(grace > pause + drain, "{name}");
        for (probe, route) in [("livenessProbe", "/health"), ("readinessProbe", "/ready")] {
            assert_eq!(container[probe]["httpGet"]["path"], route, "{name}");
        }
    }
}

#[test]
fn the_small_overlay_is_one_replica_on_a_disk_of_its_own() {
    let Some(documents) = overlay("small") else { return };
    assert_eq!(documents["Deployment"]["spec"]["replicas"], 1);
    assert_eq!(documents["Deployment"]["spec"]["strategy"], json!({"type": "Recreate"}));
    assert!(settings(&documents)["DATABASE_URL"].starts_with("sqlite:data/"));
    let claim = &documents["PersistentVolumeClaim"]["metadata"]["name"];
    let volumes = pod(&documents)["volumes"].as_array().unwrap();
    assert!(volumes.iter().any(|volume| volume["persistentVolumeClaim"]["claimName"] == *claim));
    assert!(!documents.contains_key("PodDisruptionBudget"));
}

#[test]
fn the_large_overlay_is_three_replicas_that_share_their_stores() {
    let Some(documents) = overlay("large") else { return };
    assert_eq!(documents["Deployment"]["spec"]["replicas"], 3);
    let own = container(&documents)["env"].as_array().unwrap();
    let instance = own.iter().find(|variable| variable["name"] == "INSTANCE_ID").unwrap();
    assert_eq!(instance["valueFrom"]["fieldRef"]["fieldPath"], "metadata.name");
    let settings = settings(&documents);
    for setting in ["MONGO_HOST", "MONGO_PASSWORD_FILE", "REDIS_URL", "REDIS_PASSWORD_FILE"] {
        assert!(settings.contains_key(setting), "{setting}");
    }
    let labels = &documents["Deployment"]["spec"]["selector"]["matchLabels"];
    let budget = &documents["PodDisruptionBudget"]["spec"];
    assert_eq!(budget["minAvailable"], 2);
    assert_eq!(budget["selector"]["matchLabels"], *labels);
    let affinity = &pod(&documents)["affinity"]["podAntiAffinity"];
    let term = &affinity["preferredDuringSchedulingIgnoredDuringExecution"][0]["podAffinityTerm"];
    assert_eq!(term["topologyKey"], "kubernetes.io/hostname");
    assert_eq!(term["labelSelector"]["matchLabels"], *labels);
    let egress = documents["NetworkPolicy"]["spec"]["egress"].to_string();
    assert!(egress.contains("27017") && egress.contains("6379"), "{egress}");
}

#[test]
fn nobody_reaches_a_pod_but_who_is_named() {
    for (name, documents) in overlays() {
        let policy = &documents["NetworkPolicy"]["spec"];
        assert_eq!(policy["policyTypes"], json!(["Ingress", "Egress"]), "{name}");
        for rule in policy["ingress"].as_array().unwrap() {
            assert!(rule["from"].is_array() && rule["ports"].is_array(), "{name}: {rule}");
        }
        let labels = &documents["Deployment"]["spec"]["selector"]["matchLabels"];
        assert_eq!(policy["podSelector"]["matchLabels"], *labels, "{name}");
    }
}

#[test]
fn prometheus_scrapes_the_metrics_and_has_the_same_rules() {
    let rules: Value = serde_saphyr::from_str(&read("monitoring/alert-rules.yml")).unwrap();
    for (name, documents) in overlays() {
        assert_eq!(
            documents["PrometheusRule"]["spec"], rules,
            "{name}: run ops/kubernetes/rules.sh"
        );
        let monitor = &documents["ServiceMonitor"]["spec"];
        let port = &monitor["endpoints"][0]["port"];
        let ports = documents["Service"]["spec"]["ports"].as_array().unwrap();
        assert!(ports.iter().any(|known| known["name"] == *port), "{name}");
        let labels = &documents["Service"]["metadata"]["labels"];
        // The rules go by this job.
        assert_eq!(labels[monitor["jobLabel"].as_str().unwrap()], "orchestrator", "{name}");
        assert_eq!(monitor["selector"]["matchLabels"], *labels, "{name}");
    }
}
