//! The Kubernetes manifests: their shape, and that they fit each other.
//!
//! The shapes are ours and hold what the examples use, no more; a field that is not among them is refused. `k8s-openapi` has
//! them all, and two minutes of building and second versions of two crates with them.

mod shapes;

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Example;
use shapes::{
    ConfigMap, Deployment, Labels, NetworkPolicy, PodDisruptionBudget, Service, StatefulSet,
    Template,
};

/// Everything that the manifests declare.
#[derive(Default)]
struct Cluster {
    config_maps: Vec<(String, ConfigMap)>,
    services: Vec<Service>,
    stateful_sets: Vec<StatefulSet>,
    deployments: Vec<Deployment>,
    budgets: Vec<PodDisruptionBudget>,
    policies: Vec<NetworkPolicy>,
}

/// Checks them and returns the configurations of nats-server that they hold.
pub(super) fn check(
    manifests: &[Example],
    readme: &str,
    accounts: &str,
    problems: &mut Vec<String>,
) -> Vec<Example> {
    let mut cluster = Cluster::default();
    for Example { path, text } in manifests {
        match serde_saphyr::from_multiple::<Value>(text) {
            Ok(documents) => {
                for document in documents {
                    if let Err(problem) = cluster.add(path, document) {
                        problems.push(format!("{path}: {problem}"));
                    }
                }
            }
            Err(error) => problems.push(format!("{path}: {error}")),
        }
    }
    cluster.check(readme, problems);
    cluster.configurations(accounts, problems)
}

impl Cluster {
    fn add(&mut self, path: &str, document: Value) -> Result<(), String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (version, kind) = (text(&document["apiVersion"]), text(&document["kind"]));
        let name = text(&document["metadata"]["name"]);
        let told = |problem: serde_json::Error| format!("{kind} {name}: {problem}");
        match (version.as_str(), kind.as_str()) {
            ("v1", "ConfigMap") => {
                let map = read(document).map_err(told)?;
                self.config_maps.push((path.to_owned(), map));
            }
            ("v1", "Service") => self.services.push(read(document).map_err(told)?),
            ("apps/v1", "StatefulSet") => self.stateful_sets.push(read(document).map_err(told)?),
            ("apps/v1", "Deployment") => self.deployments.push(read(document).map_err(told)?),
            ("policy/v1", "PodDisruptionBudget") => {
                self.budgets.push(read(document).map_err(told)?);
            }
            ("networking.k8s.io/v1", "NetworkPolicy") => {
                self.policies.push(read(document).map_err(told)?);
            }
            _ => {
                return Err(format!(
                    "`{version}` `{kind}` is no kind that is known here"
                ));
            }
        }
        Ok(())
    }

    /// The pods there are, by who makes them.
    fn templates(&self) -> Vec<(&str, &Template)> {
        let sets = self.stateful_sets.iter();
        let sets = sets.map(|set| (set.metadata.name.as_str(), &set.spec.template));
        let deployments = self.deployments.iter();
        sets.chain(deployments.map(|one| (one.metadata.name.as_str(), &one.spec.template)))
            .collect()
    }

    fn check(&self, readme: &str, problems: &mut Vec<String>) {
        for set in &self.stateful_sets {
            let name = &set.metadata.name;
            let claims = set.spec.volume_claim_templates.iter();
            let claims: Vec<&str> = claims.map(|claim| claim.metadata.name.as_str()).collect();
            check_selector(
                name,
                &set.spec.selector.match_labels,
                &set.spec.template,
                problems,
            );
            self.check_pod(name, &set.spec.template, &claims, readme, problems);
            let nodes = |service: &&Service| service.metadata.name == set.spec.service_name;
            match self.services.iter().find(nodes) {
                Some(service) if service.spec.cluster_ip.as_deref() == Some("None") => {}
                _ => problems.push(format!(
                    "{name}: `{}` is no headless Service",
                    set.spec.service_name
                )),
            }
        }
        for deployment in &self.deployments {
            let name = &deployment.metadata.name;
            let spec = &deployment.spec;
            check_selector(name, &spec.selector.match_labels, &spec.template, problems);
            self.check_pod(name, &spec.template, &[], readme, problems);
        }
        for service in &self.services {
            let name = &service.metadata.name;
            let chosen = self.chosen(&service.spec.selector);
            if chosen.is_empty() {
                problems.push(format!("Service {name} chooses no pod"));
            }
            for template in chosen {
                let ports = ports(template);
                for port in &service.spec.ports {
                    if !ports.contains(port.target_port.as_str()) {
                        problems.push(format!("Service {name}: no port `{}`", port.target_port));
                    }
                }
            }
        }
        for budget in &self.budgets {
            let spec = &budget.spec;
            let name = &budget.metadata.name;
            if self.chosen(&spec.selector.match_labels).is_empty() {
                problems.push(format!("PodDisruptionBudget {name} chooses no pod"));
            }
            if spec.min_available.is_some() == spec.max_unavailable.is_some() {
                problems.push(format!(
                    "PodDisruptionBudget {name} needs minAvailable or maxUnavailable"
                ));
            }
        }
        for policy in &self.policies {
            self.check_policy(policy, problems);
        }
    }

    fn check_policy(&self, policy: &NetworkPolicy, problems: &mut Vec<String>) {
        let name = &policy.metadata.name;
        let chosen = self.chosen(&policy.spec.pod_selector.match_labels);
        if chosen.is_empty() {
            problems.push(format!("NetworkPolicy {name} chooses no pod"));
        }
        for rule in &policy.spec.ingress {
            for port in &rule.ports {
                if !chosen
                    .iter()
                    .all(|pod| ports(pod).contains(port.port.as_str()))
                {
                    problems.push(format!("NetworkPolicy {name}: no port `{}`", port.port));
                }
            }
            for selector in rule.from.iter().map(|peer| &peer.pod_selector) {
                let values = selector.match_expressions.iter().flat_map(|expression| {
                    let key = &expression.key;
                    expression.values.iter().map(move |value| (key, value))
                });
                let mut labels: Vec<Labels> = values
                    .map(|(key, value)| Labels::from([(key.clone(), value.clone())]))
                    .collect();
                if !selector.match_labels.is_empty() {
                    labels.push(selector.match_labels.clone());
                }
                for labels in labels {
                    if self.chosen(&labels).is_empty() {
                        problems.push(format!("NetworkPolicy {name}: no pod has {labels:?}"));
                    }
                }
            }
        }
    }

    fn check_pod(
        &self,
        name: &str,
        template: &Template,
        claims: &[&str],
        readme: &str,
        problems: &mut Vec<String>,
    ) {
        let spec = &template.spec;
        let volumes = spec.volumes.iter().map(|volume| volume.name.as_str());
        let volumes: BTreeSet<&str> = volumes.chain(claims.iter().copied()).collect();
        let ports = ports(template);
        for container in &spec.containers {
            for mount in &container.volume_mounts {
                if !volumes.contains(mount.name.as_str()) {
                    problems.push(format!("{name}: no volume `{}`", mount.name));
                }
            }
            let probes = [
                &container.startup_probe,
                &container.readiness_probe,
                &container.liveness_probe,
            ];
            for probe in probes {
                let Some(probe) = probe else {
                    problems.push(format!(
                        "{name}: a startup, readiness or liveness probe is missing"
                    ));
                    continue;
                };
                if !ports.contains(probe.http_get.port.as_str()) {
                    problems.push(format!("{name}: no port `{}`", probe.http_get.port));
                }
            }
        }
        for volume in &spec.volumes {
            if let Some(map) = &volume.config_map
                && !self
                    .config_maps
                    .iter()
                    .any(|(_, one)| one.metadata.name == map.name)
            {
                problems.push(format!("{name}: no ConfigMap `{}`", map.name));
            }
            if let Some(secret) = &volume.secret {
                // Secrets are made by hand: whoever does has to be told what goes in.
                let keys = secret.items.iter().map(|item| &item.key);
                for wanted in std::iter::once(&secret.secret_name).chain(keys) {
                    if !readme.contains(&format!("`{wanted}`")) {
                        problems.push(format!("{name}: deploy/README.md does not name `{wanted}`"));
                    }
                }
            }
        }
    }

    fn chosen(&self, labels: &Labels) -> Vec<&Template> {
        let templates = self.templates().into_iter();
        let templates = templates.map(|(_, template)| template);
        templates
            .filter(|template| !labels.is_empty() && fits(labels, &template.metadata.labels))
            .collect()
    }

    fn configurations(self, accounts: &str, problems: &mut Vec<String>) -> Vec<Example> {
        let mut found = Vec::new();
        for (path, mut map) in self.config_maps {
            if map.data.remove("accounts.conf").as_deref() != Some(accounts) {
                problems.push(format!(
                    "{path}: accounts.conf of ConfigMap {} is not deploy/nats/accounts.conf",
                    map.metadata.name
                ));
            }
            found.extend(map.data.into_iter().map(|(name, text)| Example {
                path: format!("{path}, {name}"),
                text,
            }));
        }
        found
    }
}

fn read<T: DeserializeOwned>(document: Value) -> Result<T, serde_json::Error> {
    serde_json::from_value(document)
}

fn check_selector(name: &str, labels: &Labels, template: &Template, problems: &mut Vec<String>) {
    if labels.is_empty() || !fits(labels, &template.metadata.labels) {
        problems.push(format!("{name}: its selector does not choose its own pods"));
    }
}

fn fits(wanted: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> bool {
    wanted
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value))
}

fn ports(template: &Template) -> BTreeSet<&str> {
    let containers = template.spec.containers.iter();
    let ports = containers.flat_map(|container| &container.ports);
    ports.map(|port| port.name.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use crate::deploy::{changed, examples, expect_problem};
    use crate::workspace;

    /// With one text of one manifest replaced.
    #[track_caller]
    fn check(file: &str, from: &str, to: &str, expected: &str) {
        let root = workspace::root();
        let path = format!("deploy/kubernetes/{file}");
        let mut manifests = examples(&root, "deploy/kubernetes", ".yaml").unwrap();
        manifests.retain(|manifest| manifest.path != path);
        manifests.push(changed(&path, from, to));
        let readme = workspace::read(&root, "deploy/README.md").unwrap();
        let accounts = workspace::read(&root, "deploy/nats/accounts.conf").unwrap();
        let mut problems = Vec::new();
        super::check(&manifests, &readme, &accounts, &mut problems);
        expect_problem(&problems, expected);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        check("nats.yaml", "replicas: 3", "replicas: 3", "");
        check(
            "nats.yaml",
            "replicas: 3",
            "replicaz: 3",
            "unknown field `replicaz`",
        );
        check(
            "nats.yaml",
            "replicas: 3",
            "replicas: three",
            "invalid type",
        );
        check(
            "nats.yaml",
            "replicas: 3",
            "replicas: 3\n  replicas: 5",
            "duplicate",
        );
        check(
            "nats.yaml",
            "kind: StatefulSet",
            "kind: Statefulset",
            "is no kind",
        );
        check(
            "nats.yaml",
            "serviceName: nats-nodes",
            "serviceName: nats",
            "headless",
        );
        check(
            "nats.yaml",
            "  SYS {}",
            "  SYS2 {}",
            "is not deploy/nats/accounts.conf",
        );
        check(
            "nats.yaml",
            "configMap: {name: nats}",
            "configMap: {name: x}",
            "no ConfigMap `x`",
        );
        check("nats.yaml", "  maxUnavailable: 1", "", "needs minAvailable");
        check(
            "worker.yaml",
            "spec:\n  replicas: 2",
            "spec:\n replicas: 2",
            "worker.yaml",
        );
        check(
            "worker.yaml",
            "port: admin",
            "port: adnim",
            "no port `adnim`",
        );
        check(
            "worker.yaml",
            "- {name: ca, mount",
            "- {name: cb, mount",
            "no volume `cb`",
        );
        check(
            "worker.yaml",
            "key: nats-nkey",
            "key: nats-key",
            "does not name `nats-key`",
        );
        check(
            "worker.yaml",
            "          readinessProbe:",
            "          livenessProbe:",
            "duplicate",
        );
        check(
            "receiver.yaml",
            "  selector: {app: heygen-webhooks-receiver}",
            "  selector: {app: receiver}",
            "chooses no pod",
        );
        check(
            "receiver.yaml",
            "      labels: {app: heygen-webhooks-receiver}\n    spec",
            "      labels: {app: receiver}\n    spec",
            "does not choose its own pods",
        );
        check(
            "network-policy.yaml",
            "port: client",
            "port: cleint",
            "no port `cleint`",
        );
        check(
            "network-policy.yaml",
            "receiver,",
            "reciever,",
            "no pod has",
        );
    }
}
