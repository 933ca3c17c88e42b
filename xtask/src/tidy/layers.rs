//! Which crate may reach which, read from `cargo tree`.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::Findings;
use crate::workspace::{self, Member};

/// What one member may know. Only its normal dependencies count: its tests may use anything.
struct Layer {
    name: &'static str,
    /// The members it may reach.
    members: &'static [&'static str],
    /// The foreign crates it may name itself; `None` leaves the choice to its manifest.
    names: Option<&'static [&'static str]>,
    /// What it must not reach at any depth, whatever its features.
    never: &'static [&'static str],
    /// What it must not reach at any depth while its default features are off.
    never_bare: &'static [&'static str],
}

/// The layers. A member without a line here is a problem, and so is a line without a member.
const LAYERS: &[Layer] = &[
    Layer {
        name: "heygen-events",
        members: &[],
        names: Some(&["schemars", "serde", "serde_json"]),
        never: &[
            "axum", "hmac", "http", "hyper", "reqwest", "rusqlite", "sha2", "tokio", "tracing",
        ],
        never_bare: &["schemars"],
    },
    Layer {
        name: "heygen-signature",
        members: &[],
        names: Some(&["hmac", "sha2", "zeroize"]),
        never: &[
            "axum",
            "http",
            "hyper",
            "reqwest",
            "rusqlite",
            "serde_json",
            "tokio",
            "tracing",
        ],
        never_bare: &[],
    },
    Layer {
        name: "heygen-http",
        members: &[],
        names: Some(&["http", "httpdate", "rustls", "rustls-platform-verifier"]),
        never: &["axum", "hyper", "reqwest", "tokio"],
        never_bare: &[],
    },
    Layer {
        name: "heygen-api",
        members: &["heygen-events", "heygen-http"],
        names: None,
        never: &["axum", "rusqlite"],
        never_bare: &[],
    },
    Layer {
        name: "heygen-inbox",
        members: &["heygen-events"],
        names: None,
        never: &["axum", "hyper", "reqwest"],
        never_bare: STORES,
    },
    Layer {
        name: "heygen-receiver",
        members: &[
            "heygen-events",
            "heygen-http",
            "heygen-inbox",
            "heygen-signature",
        ],
        names: None,
        never: &[],
        never_bare: RECEIVER_CHOICES,
    },
    Layer {
        name: "heygen-connect",
        members: &[
            "heygen-api",
            "heygen-events",
            "heygen-http",
            "heygen-inbox",
            "heygen-signature",
        ],
        names: None,
        never: &["axum"],
        never_bare: STORES,
    },
    Layer {
        name: "heygen-testkit",
        members: &["heygen-events", "heygen-signature"],
        names: None,
        never: &["reqwest", "rusqlite"],
        // The sandbox alone routes with it.
        never_bare: &["axum"],
    },
    Layer {
        name: "heygen-webhooks",
        members: &[
            "heygen-api",
            "heygen-connect",
            "heygen-events",
            "heygen-http",
            "heygen-inbox",
            "heygen-receiver",
            "heygen-signature",
            "heygen-testkit",
        ],
        names: None,
        never: &[],
        never_bare: &[],
    },
    Layer {
        name: "xtask",
        members: &["heygen-events", "heygen-signature", "xtask-nats"],
        names: None,
        never: &["hyper", "reqwest", "rusqlite", "tokio"],
        never_bare: &[],
    },
    Layer {
        name: "xtask-bench",
        members: &[
            "heygen-events",
            "heygen-http",
            "heygen-inbox",
            "heygen-receiver",
            "heygen-signature",
            "heygen-testkit",
            "xtask-nats",
        ],
        names: None,
        never: &[],
        never_bare: &[],
    },
    Layer {
        name: "xtask-nats",
        members: &[],
        names: Some(&["anyhow", "getrandom", "serde_json", "tempfile"]),
        never: &["tokio"],
        never_bare: &[],
    },
];

/// SQLite, a client, TLS, what ends programs and the router of the admin listener: each is a
/// feature.
const RECEIVER_CHOICES: &[&str] = &[
    "axum",
    "libsqlite3-sys",
    "reqwest",
    "rusqlite",
    "rustix",
    "rustls",
    "tokio-rustls",
];

/// Compiles C, and is a choice.
const STORES: &[&str] = &["async-nats", "libsqlite3-sys", "rusqlite"];

/// Reached by nobody, not even by tests: the operator's OpenSSL is nothing a receiver should depend on.
const NOWHERE: &[&str] = &["native-tls", "openssl-sys"];

/// Compares every member's dependencies with its layer.
pub(super) fn check(root: &Path, members: &[Member], findings: &mut Findings) -> Result<()> {
    let names: Vec<&str> = members.iter().map(Member::name).collect();
    for layer in LAYERS.iter().filter(|layer| !names.contains(&layer.name)) {
        findings.problem(format!(
            "xtask/src/tidy/layers.rs tells what {} may reach, and there is no such crate",
            layer.name
        ));
    }
    for &name in &names {
        let Some(layer) = LAYERS.iter().find(|layer| layer.name == name) else {
            findings.problem(format!(
                "xtask/src/tidy/layers.rs does not tell what {name} may reach"
            ));
            continue;
        };
        let full = tree(
            root,
            &["--package", name, "--edges", "normal", "--all-features"],
        )?;
        let direct = tree(
            root,
            &[
                "--package",
                name,
                "--edges",
                "normal",
                "--all-features",
                "--depth",
                "1",
            ],
        )?;
        let bare = tree(
            root,
            &[
                "--package",
                name,
                "--edges",
                "normal",
                "--no-default-features",
            ],
        )?;
        for problem in layer.violations(&names, &full, &direct, &bare) {
            findings.problem(problem);
        }
    }
    let everything = tree(root, &["--workspace", "--all-features"])?;
    for name in NOWHERE.iter().filter(|name| everything.contains(**name)) {
        findings.problem(format!(
            "{name} is reached (cargo tree --workspace --all-features --invert {name})"
        ));
    }
    Ok(())
}

impl Layer {
    fn violations(
        &self,
        members: &[&str],
        full: &BTreeSet<String>,
        direct: &BTreeSet<String>,
        bare: &BTreeSet<String>,
    ) -> Vec<String> {
        let name = self.name;
        let mut problems = Vec::new();
        for reached in full {
            let reached = reached.as_str();
            let is_forbidden_member =
                reached != name && members.contains(&reached) && !self.members.contains(&reached);
            if is_forbidden_member || self.never.contains(&reached) {
                problems.push(format!(
                    "{name} reaches {reached} \
                     (cargo tree --package {name} --edges normal --all-features --invert {reached})"
                ));
            }
        }
        for reached in self
            .never_bare
            .iter()
            .filter(|reached| bare.contains(**reached))
        {
            problems.push(format!(
                "{name} reaches {reached} without its default features \
                 (cargo tree --package {name} --edges normal --no-default-features --invert {reached})"
            ));
        }
        if let Some(names) = self.names {
            let unexpected = direct.iter().map(String::as_str).filter(|reached| {
                *reached != name && !names.contains(reached) && !self.members.contains(reached)
            });
            problems.extend(unexpected.map(|reached| {
                format!(
                    "{name} depends on {reached}: it is to name only {}",
                    names.join(", ")
                )
            }));
        }
        problems
    }
}

/// The names of all packages that `cargo tree` prints.
fn tree(root: &Path, arguments: &[&str]) -> Result<BTreeSet<String>> {
    let output = workspace::cargo(root)
        .args(["tree", "--prefix", "none", "--format", "{p}"])
        .args(arguments)
        .output()
        .context("start cargo tree")?;
    if !output.status.success() {
        bail!(
            "`cargo tree {}` failed: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(package_names(&String::from_utf8_lossy(&output.stdout)))
}

/// The first word of each line: `serde v1.0.229 (*)`.
fn package_names(tree: &str) -> BTreeSet<String> {
    tree.lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMBERS: [&str; 3] = ["a", "b", "c"];

    const LAYER: Layer = Layer {
        name: "a",
        members: &["b"],
        names: Some(&["serde"]),
        never: &["tokio"],
        never_bare: &["rusqlite"],
    };

    /// What the layer says of a member that reaches `full`, `direct` and, without features, `bare`.
    #[track_caller]
    fn check(full: &str, direct: &str, bare: &str, expected: &[&str]) {
        let [full, direct, bare] = [full, direct, bare].map(package_names);
        let problems = LAYER.violations(&MEMBERS, &full, &direct, &bare);
        let starts: Vec<&str> = problems
            .iter()
            .map(|problem| problem.split(" (").next().unwrap_or(problem))
            .collect();
        assert_eq!(starts, expected);
    }

    #[test]
    fn a_member_stays_in_its_layer() {
        check(
            "a v1\nb v1\nserde v1\nserde_core v1 (*)",
            "a v1\nb v1\nserde v1",
            "a v1",
            &[],
        );
        check("a v1\nc v1", "a v1", "a v1", &["a reaches c"]);
        check("a v1\ntokio v1", "a v1", "a v1", &["a reaches tokio"]);
        check("a v1\nrusqlite v1", "a v1", "a v1", &[]);
        check(
            "a v1",
            "a v1",
            "a v1\nrusqlite v1",
            &["a reaches rusqlite without its default features"],
        );
        check(
            "a v1\nlog v1",
            "a v1\nlog v1",
            "a v1",
            &["a depends on log: it is to name only serde"],
        );
    }
}
