//! The monitoring port of a NATS server: it alone tells whether the server writes before it acknowledges.

use std::time::Duration;

use heygen_inbox::jetstream::MIN_SYNC_VERSION;
use serde::Deserialize;

use crate::api::web;
use crate::output::without_query;

/// What `/varz` says, as far as it matters here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Variables {
    version: String,
    jetstream: JetStream,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct JetStream {
    config: Option<Settings>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Settings {
    sync_always: bool,
}

/// Why acknowledged deliveries may be lost, after asking each of these servers; without any, that this is unknown.
pub(super) async fn warnings(monitors: &[String]) -> Vec<String> {
    if monitors.is_empty() {
        return vec![
            "cannot check that the servers write before they acknowledge (sync_interval: always): name their monitoring port with --nats-monitor"
                .to_owned(),
        ];
    }
    let mut warnings = Vec::new();
    for monitor in monitors {
        let server = without_query(monitor);
        match ask(monitor).await {
            Ok(variables) => warnings.extend(warning(&server, &variables)),
            Err(error) => warnings.push(format!("cannot reach {server}: {error:#}")),
        }
    }
    warnings
}

fn warning(server: &str, variables: &Variables) -> Option<String> {
    let version = &variables.version;
    match &variables.jetstream.config {
        None => Some(format!(
            "the server at {server} ({version}) has no JetStream"
        )),
        Some(settings) if settings.sync_always => None,
        Some(_) if !can_sync_first(version) => Some(format!(
            "the server at {server} ({version}) has no setting to write before it acknowledges: update it"
        )),
        Some(_) => Some(format!(
            "the server at {server} ({version}) acknowledges before it writes: set `sync_interval: always` in its jetstream block"
        )),
    }
}

/// Whether it knows `sync_interval: always`. Anything else counts as a new version.
fn can_sync_first(version: &str) -> bool {
    let mut numbers = version.split(['.', '-']).map(str::parse::<u64>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return true;
    };
    (major, minor, 0) >= MIN_SYNC_VERSION
}

async fn ask(monitor: &str) -> anyhow::Result<Variables> {
    let scheme = if monitor.contains("://") {
        ""
    } else {
        "http://"
    };
    let url = format!("{scheme}{}/varz", monitor.trim_end_matches('/'));
    let client = web::client(url.starts_with("https:")).map_err(anyhow::Error::msg)?;
    let answer = client.get(url).timeout(TIME).send().await;
    let answer = answer.map_err(reqwest::Error::without_url)?;
    let answer = answer
        .error_for_status()
        .map_err(reqwest::Error::without_url)?;
    let text = answer.bytes().await.map_err(reqwest::Error::without_url)?;
    Ok(serde_json::from_slice(&text)?)
}

const TIME: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let variables = serde_json::from_str(text).expect("JSON");
        let found = warning("http://a:8222", &variables);
        match (&found, expected) {
            (None, None) => {}
            (Some(found), Some(expected)) => assert!(found.contains(expected), "{found}"),
            _ => panic!("{text}: {found:?}"),
        }
    }

    #[test]
    fn sync_interval_is_read_from_the_monitoring_port() {
        check(
            r#"{"version":"2.15.1","jetstream":{"config":{"sync_interval":120000000000,"sync_always":true}}}"#,
            None,
        );
        check(
            r#"{"version":"2.15.1","jetstream":{"config":{"sync_interval":120000000000}}}"#,
            Some("sync_interval: always"),
        );
        check(
            r#"{"version":"2.9.10","jetstream":{"config":{"max_memory":1}}}"#,
            Some("(2.9.10) has no setting to write before it acknowledges"),
        );
        check(
            r#"{"version":"2.15.1","jetstream":{}}"#,
            Some("no JetStream"),
        );
        check(r#"{"version":"2.15.1"}"#, Some("no JetStream"));
    }
}
