//! The compose file: its shape, as far as the example uses it, and that what it names is there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use super::Example;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Compose {
    #[expect(dead_code, reason = "has to be there, and to be text")]
    name: String,
    services: BTreeMap<String, Service>,
    volumes: BTreeMap<String, Empty>,
    secrets: BTreeMap<String, Secret>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "most fields are there to be read into, so that a wrong name or type is refused"
)]
struct Service {
    build: Option<Build>,
    image: String,
    command: Vec<String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    ports: Vec<String>,
    #[serde(default)]
    volumes: Vec<String>,
    #[serde(default)]
    secrets: Vec<String>,
    #[serde(default)]
    depends_on: BTreeMap<String, Dependency>,
    healthcheck: HealthCheck,
    stop_signal: Option<String>,
    stop_grace_period: String,
    restart: Restart,
    cap_drop: Vec<String>,
    security_opt: Vec<String>,
    read_only: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Build {
    context: String,
    dockerfile: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dependency {
    condition: Condition,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Condition {
    ServiceStarted,
    ServiceHealthy,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "times are read so that a wrong name or type is refused"
)]
struct HealthCheck {
    test: Vec<String>,
    interval: String,
    timeout: String,
    retries: u32,
    start_period: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Restart {
    UnlessStopped,
    Always,
}

/// `{}`: a volume with nothing to say about it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Empty {}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Secret {
    file: String,
}

pub(super) fn check(root: &Path, files: &[Example], problems: &mut Vec<String>) {
    for Example { path, text } in files {
        let mut found = Vec::new();
        match serde_saphyr::from_str::<Compose>(text) {
            Ok(compose) => {
                let folder = root.join(path);
                let folder = folder.parent().unwrap_or(root);
                compose.check(folder, &mut found);
            }
            Err(error) => found.push(error.to_string()),
        }
        problems.extend(found.iter().map(|problem| format!("{path}: {problem}")));
    }
}

impl Compose {
    fn check(&self, folder: &Path, problems: &mut Vec<String>) {
        let mut used = BTreeSet::new();
        for (name, service) in &self.services {
            let mut problem = |text: String| problems.push(format!("{name}: {text}"));
            if let Some(build) = &service.build {
                let file = folder.join(&build.context).join(&build.dockerfile);
                if !file.is_file() {
                    problem(format!("no file {}", file.display()));
                }
            }
            for (other, dependency) in &service.depends_on {
                match (self.services.get(other), &dependency.condition) {
                    (Some(_), Condition::ServiceHealthy | Condition::ServiceStarted) => {}
                    (None, _) => problem(format!("no service `{other}`")),
                }
            }
            for secret in &service.secrets {
                used.insert(secret);
                if !self.secrets.contains_key(secret) {
                    problem(format!("no secret `{secret}`"));
                }
            }
            for volume in &service.volumes {
                let source = volume.split(':').next().unwrap_or_default();
                let is_there = match source.starts_with('.') {
                    true => folder.join(source).is_file(),
                    false => self.volumes.contains_key(source),
                };
                if !is_there || !volume.contains(":/") {
                    problem(format!("no volume `{volume}`"));
                }
            }
            if !matches!(
                service.healthcheck.test.first().map(String::as_str),
                Some("CMD" | "CMD-SHELL")
            ) {
                problem("a healthcheck begins with CMD or CMD-SHELL".to_owned());
            }
        }
        for (name, secret) in &self.secrets {
            if !used.contains(name) || !secret.file.starts_with("./secrets/") {
                problems.push(format!("secret `{name}` is not used, or not in ./secrets"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::deploy::{changed, expect_problem};
    use crate::workspace;

    #[track_caller]
    fn check(from: &str, to: &str, expected: &str) {
        let files = [changed("deploy/compose/compose.yaml", from, to)];
        let mut problems = Vec::new();
        super::check(&workspace::root(), &files, &mut problems);
        expect_problem(&problems, expected);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        check("services:", "services:", "");
        check("services:", "servics:", "unknown field");
        check("    restart:", "    restrat:", "unknown field");
        check(
            "restart: unless-stopped",
            "restart: until-stopped",
            "unknown variant",
        );
        check("retries: 10", "retries: ten", "ten");
        check("      nats-2:\n", "      nats-4:\n", "no service `nats-4`");
        check(
            "secrets: [secret, nats-nkey]",
            "secrets: [secrte, nats-nkey]",
            "no secret `secrte`",
        );
        check(
            "secrets: [secret, nats-nkey]",
            "secrets: [secret, nats-nkey]\n    secrets: []",
            "duplicate",
        );
        check(
            "- nats-1:/data",
            "- nats-9:/data",
            "no volume `nats-9:/data`",
        );
        check("./nats-server.conf:/etc", "./nats.conf:/etc", "no volume");
        check(
            "dockerfile: deploy/Dockerfile",
            "dockerfile: Dockerfile",
            "no file",
        );
        check("[\"CMD\", \"wget\"", "[\"wget\"", "begins with CMD");
        check("file: ./secrets/secret", "file: /etc/secret", "./secrets");
        check(
            "  nats-1:\n    image",
            "  nats-1:\n   image",
            "compose.yaml",
        );
    }
}
