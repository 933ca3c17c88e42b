//! References that no schema checks: each name in a manifest belongs to something that is there.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value};

/// The objects of all Kubernetes manifests together.
pub(super) fn in_cluster(objects: &[Value], readme: &str, accounts: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let pods = all(objects, "template");
    let labels: Vec<_> = pods
        .iter()
        .filter_map(|pod| pod.pointer("/metadata/labels")?.as_object())
        .collect();
    let mut selectors: Vec<_> = all(objects, "matchLabels");
    let services = objects.iter().filter(|object| object["kind"] == "Service");
    selectors.extend(services.filter_map(|service| service.pointer("/spec/selector")));
    let in_lists = all(objects, "matchExpressions");
    let in_lists = in_lists.into_iter().flat_map(items).flat_map(|expression| {
        let key = text(&expression["key"]);
        let values = items(&expression["values"]);
        values.map(move |value| Value::from(Map::from_iter([(key.to_owned(), value.clone())])))
    });
    let wanted = selectors.into_iter().cloned().chain(in_lists);
    for selector in wanted.collect::<Vec<_>>() {
        if !labels.iter().any(|labels| is_chosen(labels, &selector)) {
            problems.push(format!("no pod has the labels {selector}"));
        }
    }
    let ports = all(objects, "ports").into_iter().flat_map(items);
    let ports: BTreeSet<_> = ports
        .filter(|port| port["containerPort"].is_number())
        .map(|port| text(&port["name"]))
        .collect();
    let named = ["port", "targetPort"].map(|key| all(objects, key));
    for port in named.concat().into_iter().filter_map(Value::as_str) {
        if !ports.contains(port) {
            problems.push(format!("no container has a port `{port}`"));
        }
    }
    let maps: Vec<_> = objects
        .iter()
        .filter(|object| object["kind"] == "ConfigMap")
        .collect();
    for name in all(objects, "configMap").iter().map(|map| &map["name"]) {
        if !maps.iter().any(|map| map["metadata"]["name"] == *name) {
            problems.push(format!("no ConfigMap is called {name}"));
        }
    }
    for map in maps {
        if map["data"]["accounts.conf"] != accounts {
            problems.push("accounts.conf in a ConfigMap is not deploy/nats/accounts.conf".into());
        }
    }
    for object in objects {
        volumes(object, &mut problems);
        let service = &object["spec"]["serviceName"];
        let is_headless = |other: &&Value| {
            other["metadata"]["name"] == *service && other["spec"]["clusterIP"] == "None"
        };
        if !service.is_null() && !objects.iter().any(|other| is_headless(&other)) {
            problems.push(format!("{service} is no headless Service"));
        }
    }
    // Secrets are made by hand: the README must say what goes in.
    for secret in all(objects, "secret") {
        let keys = items(&secret["items"]).map(|item| &item["key"]);
        for name in std::iter::once(&secret["secretName"]).chain(keys).map(text) {
            if !readme.contains(&format!("`{name}`")) {
                problems.push(format!(
                    "deploy/README.md does not name the secret `{name}`"
                ));
            }
        }
    }
    problems
}

/// What the containers of an object mount is a volume of it.
fn volumes(object: &Value, problems: &mut Vec<String>) {
    let Some(pod) = object.pointer("/spec/template/spec") else {
        return;
    };
    let labels = &object["spec"]["template"]["metadata"]["labels"];
    let selector = &object["spec"]["selector"]["matchLabels"];
    let chooses_own = labels.as_object().is_some_and(|it| is_chosen(it, selector));
    let name = text(&object["metadata"]["name"]);
    if !chooses_own {
        problems.push(format!("{name} does not choose its own pods"));
    }
    let claims = items(&object["spec"]["volumeClaimTemplates"]).map(|claim| &claim["metadata"]);
    let volumes: Vec<_> = items(&pod["volumes"]).chain(claims).collect();
    for mount in items(&pod["containers"]).flat_map(|one| items(&one["volumeMounts"])) {
        if !volumes.iter().any(|volume| volume["name"] == mount["name"]) {
            problems.push(format!("{name} has no volume {}", mount["name"]));
        }
    }
}

/// A Compose file in `folder`.
pub(super) fn in_compose(compose: &Value, folder: &Path) -> Vec<String> {
    let mut problems = Vec::new();
    let services = &compose["services"];
    for (name, service) in services.as_object().into_iter().flatten() {
        let mut need = |is_there: bool, what: &str, other: &str| {
            if !is_there {
                problems.push(format!("{name}: there is no {what} `{other}`"));
            }
        };
        for other in service["depends_on"].as_object().into_iter().flatten() {
            need(services.get(other.0).is_some(), "service", other.0);
        }
        for secret in items(&service["secrets"]).map(text) {
            need(compose["secrets"].get(secret).is_some(), "secret", secret);
        }
        for volume in items(&service["volumes"]).map(text) {
            let source = volume.split(':').next().unwrap_or_default();
            let is_there = if source.starts_with('.') {
                folder.join(source).is_file()
            } else {
                compose["volumes"].get(source).is_some()
            };
            need(is_there, "volume", source);
        }
        if let Some(file) = service["build"]["dockerfile"].as_str() {
            let path = folder.join(text(&service["build"]["context"])).join(file);
            need(path.is_file(), "file", file);
        }
    }
    problems
}

/// A unit reads only credentials that it loads.
pub(super) fn in_unit(path: &str, unit: &str) -> Vec<String> {
    unit.split_whitespace()
        .filter_map(|word| word.split_once("%d/"))
        .filter(|(_, name)| !unit.contains(&format!("LoadCredential={name}:/")))
        .map(|(_, name)| format!("{path}: no LoadCredential is called `{name}`"))
        .collect()
}

/// What stands under `key`, at any depth.
fn all<'a>(values: impl IntoIterator<Item = &'a Value>, key: &str) -> Vec<&'a Value> {
    let mut found = Vec::new();
    for value in values {
        let below: Vec<_> = match value {
            Value::Object(map) => {
                found.extend(map.get(key));
                map.values().collect()
            }
            Value::Array(list) => list.iter().collect(),
            _ => continue,
        };
        found.extend(all(below, key));
    }
    found
}

fn is_chosen(labels: &Map<String, Value>, selector: &Value) -> bool {
    let wanted = selector.as_object().into_iter().flatten();
    let mut wanted = wanted.peekable();
    wanted.peek().is_some() && wanted.all(|(key, value)| labels.get(key) == Some(value))
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Sets what stands at `pointer` of a sound cluster.
    #[track_caller]
    fn check(pointer: &str, value: Value, expected: &str) {
        let mut objects = json!([
            {"kind": "ConfigMap", "metadata": {"name": "nats"}, "data": {"accounts.conf": "A"}},
            {"kind": "Service", "metadata": {"name": "nodes"}, "spec": {
                "clusterIP": "None", "selector": {"app": "nats"}, "ports": [{"targetPort": "client"}],
            }},
            {"kind": "StatefulSet", "metadata": {"name": "nats"}, "spec": {
                "serviceName": "nodes",
                "selector": {"matchLabels": {"app": "nats"}},
                "template": {"metadata": {"labels": {"app": "nats"}}, "spec": {
                    "containers": [{
                        "ports": [{"name": "client", "containerPort": 4222}],
                        "volumeMounts": [{"name": "config"}, {"name": "data"}],
                    }],
                    "volumes": [
                        {"name": "config", "configMap": {"name": "nats"}},
                        {"name": "tls", "secret": {"secretName": "s", "items": [{"key": "k"}]}},
                    ],
                }},
                "volumeClaimTemplates": [{"metadata": {"name": "data"}}],
            }},
            {"kind": "NetworkPolicy", "spec": {
                "matchExpressions": [{"key": "app", "values": ["nats"]}], "ports": [{"port": "client"}],
            }},
        ]);
        if !pointer.is_empty() {
            *objects.pointer_mut(pointer).expect("a value") = value;
        }
        let problems = in_cluster(objects.as_array().expect("a list"), "`s` `k`", "A");
        expect(&problems, expected);
    }

    #[track_caller]
    fn expect(problems: &[String], expected: &str) {
        if expected.is_empty() {
            assert_eq!(problems, [""; 0]);
        } else {
            let found = problems.iter().any(|problem| problem.contains(expected));
            assert!(found, "{problems:?}");
        }
    }

    #[test]
    fn reference_of_a_cluster_leads_somewhere() {
        check("", Value::Null, "");
        check("/0/metadata/name", json!("x"), "no ConfigMap");
        check("/0/data", json!({"accounts.conf": "B"}), "accounts.conf");
        check("/1/spec/selector", json!({"app": "x"}), "no pod has");
        check("/1/spec/ports/0/targetPort", json!("x"), "a port `x`");
        check("/1/spec/clusterIP", json!("1.2.3.4"), "headless");
        check("/2/spec/selector/matchLabels/app", json!("x"), "own pods");
        let template = "/2/spec/template/spec";
        let volume = format!("{template}/volumes/0/name");
        check(&volume, json!("x"), "no volume \"config\"");
        let claim = "/2/spec/volumeClaimTemplates";
        check(claim, json!([]), "no volume \"data\"");
        let key = format!("{template}/volumes/1/secret/items/0/key");
        check(&key, json!("x"), "does not name the secret `x`");
        let values = "/3/spec/matchExpressions/0/values/0";
        check(values, json!("x"), "no pod has");
        check("/3/spec/ports/0/port", json!("x"), "a port `x`");
    }

    #[test]
    fn reference_of_a_compose_file_leads_somewhere() {
        let sound = json!({
            "services": {"a": {
                "depends_on": {"b": {}}, "secrets": ["s"], "volumes": ["v:/data", "./deploy.rs:/x"],
                "build": {"context": "..", "dockerfile": "Cargo.toml"},
            }, "b": {}},
            "secrets": {"s": {}},
            "volumes": {"v": {}},
        });
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        expect(&in_compose(&sound, &folder), "");
        for (from, expected) in [
            ("\"b\":{}}", "service `b`"),
            ("\"s\":{}", "secret `s`"),
            ("\"v\":{}", "volume `v`"),
            ("./deploy.rs", "volume `./"),
            ("Cargo.toml", "file `"),
        ] {
            let text = sound.to_string();
            let (before, after) = text.rsplit_once(from).expect(from);
            let spoilt = format!(
                "{before}{}{after}",
                from.replace(['b', 's', 'v', 'C', 'd'], "x")
            );
            let spoilt = serde_json::from_str(&spoilt).expect("JSON");
            expect(&in_compose(&spoilt, &folder), expected);
        }
    }

    #[test]
    fn unit_loads_the_credentials_that_it_reads() {
        let unit = "ExecStart=/x --secret-file=%d/secret\nLoadCredential=secret:/etc/secret\n";
        expect(&in_unit("u", unit), "");
        expect(&in_unit("u", &unit.replace("=secret:", "=x:")), "`secret`");
    }
}
