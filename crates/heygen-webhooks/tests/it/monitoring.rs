//! The alerts and the dashboard in `deploy/` name metrics and labels that `serve` prints.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::http::{get, post};
use crate::identity::Identity;
use crate::support::{SECRET, Serve, Workdir, eventually, sandbox};
use crate::tunnel::Tunnel;

fn read(file: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join(file)).expect("a file")
}

/// What a `serve` prints once it has printed everything of these.
fn printed(serve: &Serve, names: &[&str]) -> String {
    let url = format!("{}/metrics", serve.admin());
    let metrics = || get(&url).body;
    eventually(|| {
        let text = metrics();
        names.iter().all(|name| text.contains(&format!("\n{name}")))
    });
    metrics()
}

/// The metrics of one that registers, reads HeyGen's log, receives and delivers, and of one that has TLS.
async fn all_metrics() -> String {
    let heygen = sandbox("key").await;
    let tunnel = Tunnel::new();
    let public_url = tunnel.url();
    let workdir = Workdir::new();
    let arguments = [
        "--backfill",
        "--base-url",
        heygen.url(),
        "--public-url",
        &public_url,
        "--on-dead-letter",
        "exec:true",
    ];
    let environment = [("HEYGEN_WEBHOOK_SECRET", SECRET), ("HEYGEN_API_KEY", "key")];
    let serve = workdir.serve_with(&arguments, &environment);
    tunnel.lead_to(&serve.url);
    serve.trigger(&workdir, &["avatar_video.success"]).ok();
    let unknown = r#"{"event_type":"brand.new","event_data":{}}"#;
    post(&serve, unknown);
    let first = printed(
        &serve,
        &[
            r#"heygen_webhooks_event_attempts_total{event_type="avatar_video.success",result="acknowledged"} 1"#,
            r#"heygen_webhooks_event_attempts_total{event_type="other",result="acknowledged"} 1"#,
            "heygen_webhooks_registered 1",
            "heygen_webhooks_backfill_runs_total 1",
        ],
    );
    let workdir = Workdir::new();
    let identity = Identity::new();
    workdir.file("chain.pem", &identity.certificate);
    workdir.file("key.pem", &identity.key);
    let serve = workdir.serve(&["--tls-cert", "chain.pem", "--tls-key", "key.pem"]);
    first
        + &printed(
            &serve,
            &["heygen_webhooks_tls_certificate_expiry_timestamp_seconds "],
        )
}

/// Each `name` and each `name{…}` of ours in an expression.
fn selectors(text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for (start, _) in text.match_indices("heygen_webhooks_") {
        let rest = &text[start..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (name, rest) = rest.split_at(end.unwrap_or(rest.len()));
        let labels = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        found.push((name, labels.map_or("", |(labels, _)| labels)));
    }
    found
}

/// Which of the labels of a selector no sample of that name has.
fn wrong_labels(printed: &str, name: &str, labels: &str) -> Vec<String> {
    let samples: Vec<_> = printed
        .lines()
        .filter(|line| line.starts_with(&format!("{name}{{")))
        .collect();
    let wanted = labels.split(',').filter_map(|label| label.split_once('='));
    let mut wrong = Vec::new();
    for (label, value) in wanted {
        let label = label.trim().trim_end_matches('!');
        // What Prometheus adds to each target.
        if ["job", "instance"].contains(&label) {
            continue;
        }
        for value in value.trim_matches(['~', '"']).split('|') {
            let value = value.trim_end_matches('\\');
            let label = format!("{label}=\"{value}\"");
            if !samples.iter().any(|sample| sample.contains(&label)) {
                wrong.push(format!("{name}: {label}"));
            }
        }
    }
    wrong
}

fn expressions(dashboard: &Value) -> Vec<&str> {
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().expect("targets"));
    targets
        .map(|target| target["expr"].as_str().expect("an expression"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_and_dashboard_name_what_serve_prints() {
    let printed = all_metrics().await;
    let names: BTreeSet<_> = printed
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    let dashboard: Value =
        serde_json::from_str(&read("deploy/grafana/dashboard.json")).expect("JSON");
    let expressions = expressions(&dashboard);
    assert!(expressions.len() > 20, "{expressions:?}");
    let variables = dashboard["templating"].to_string();
    let rules = read("deploy/prometheus/heygen-webhooks.rules.yml");
    let page = read("docs/operations.md");
    let mut wrong = Vec::new();
    for text in expressions
        .into_iter()
        .chain([&*variables, &*rules, &*page])
    {
        for (name, labels) in selectors(text) {
            if !names.contains(name) {
                wrong.push(name.to_owned());
            }
            wrong.extend(wrong_labels(&printed, name, labels));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}\nprinted:\n{printed}");
}

#[test]
fn api_that_is_away_shows_in_the_metrics() {
    let workdir = Workdir::new();
    let arguments = [
        "--backfill",
        "--base-url",
        "http://127.0.0.1:1",
        "--public-url",
        "https://hooks.example.com",
    ];
    let environment = [("HEYGEN_WEBHOOK_SECRET", SECRET), ("HEYGEN_API_KEY", "key")];
    let serve = workdir.serve_with(&arguments, &environment);
    let text = printed(&serve, &["heygen_webhooks_backfill_failures_total 1"]);
    for expected in [
        "heygen_webhooks_registered 0.0\n",
        "heygen_webhooks_backfill_runs_total 0\n",
    ] {
        assert!(text.contains(expected), "{expected:?} in {text}");
    }
    for absent in ["backfill_last_success", "last_verified", "certificate"] {
        assert!(
            !text.contains(&format!("heygen_webhooks_{absent}")),
            "{text}"
        );
    }
}

#[test]
fn misspelt_metric_or_label_is_found() {
    let printed = "heygen_webhooks_a_total{result=\"ok\"} 1\nheygen_webhooks_b 2\n";
    let text =
        r#"rate(heygen_webhooks_a_total{job=~"$job", result=~"ok|no"}[5m]) > heygen_webhooks_b"#;
    let [(a, labels), (b, none)] = selectors(text)[..] else {
        panic!("two selectors");
    };
    assert_eq!(
        (a, b, none),
        ("heygen_webhooks_a_total", "heygen_webhooks_b", "")
    );
    assert_eq!(
        wrong_labels(printed, a, labels),
        [r#"heygen_webhooks_a_total: result="no""#]
    );
}

/// Files that are read by other programs say where they are found.
#[test]
fn page_names_the_files() {
    let page = read("docs/operations.md");
    for file in [
        "deploy/prometheus/heygen-webhooks.rules.yml",
        "deploy/grafana/dashboard.json",
    ] {
        let place: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .join(file);
        assert!(place.is_file() && page.contains(file), "{file}");
    }
}
