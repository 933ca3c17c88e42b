//! The public address: whether it can be reached, and how it answers probes.

use std::time::{Duration, Instant};

use heygen_testkit::{AttemptErrorKind, Sender};
use reqwest::Url;
use tokio::time::timeout;

use super::finding::{Finding, all_skipped};
use super::inputs::Inputs;
use super::sample::describe;
use super::tls;
use crate::api::web;
use crate::failure::error_chain;
use crate::settings::address::is_private;

pub(super) async fn findings(inputs: &Inputs) -> Vec<Finding> {
    let Some(url) = &inputs.address else {
        return all_skipped(&IDS, inputs.no_address);
    };
    let (options, get, tls) = tokio::join!(options(url), get(url), tls::finding(inputs, url));
    vec![reachable(inputs, url), options, get, tls]
}

/// What the address itself gives away, without trying it.
fn reachable(inputs: &Inputs, url: &Url) -> Finding {
    const ID: &str = IDS[0];
    if inputs.is_sandbox {
        return Finding::ok(
            ID,
            "not checked against a sandbox on this machine: any address works",
        );
    }
    if is_private(url) {
        return Finding::problem(
            ID,
            "localhost or a private network: HeyGen cannot reach it",
            "use the public name, or that of a tunnel if the machine has none",
        );
    }
    if url.scheme() != "https" {
        return Finding::problem(
            ID,
            "plain http: v3 does not accept such an address, and anyone on the network path can read events and links",
            "serve it with https, behind a proxy or a tunnel",
        );
    }
    Finding::ok(ID, "https to a public name")
}

/// Several probes, each on a connection of its own, as HeyGen's would be: one quick answer may be luck.
async fn options(url: &Url) -> Finding {
    const ID: &str = IDS[1];
    let mut slowest = Duration::ZERO;
    for number in 1..=PROBES {
        let report = match Sender::new(url.as_str()).probe().await {
            Ok(report) => report,
            Err(error) => return Finding::problem(ID, error_chain(&error), "correct --public-url"),
        };
        let attempt = report.attempt();
        slowest = slowest.max(attempt.duration);
        if report.passed() {
            continue;
        }
        let fix = match &attempt.result {
            Ok(answer) if answer.status.is_redirection() => {
                "register the address that the redirect leads to"
            }
            Ok(_) => {
                "answer OPTIONS with a 2xx, as `serve` does: HeyGen's v1 registers no other address, and v3 may not either; a proxy may block it"
            }
            Err(error) => match error.kind() {
                AttemptErrorKind::Timeout => {
                    "answer OPTIONS within 1 s, before any other work: HeyGen's v1 waits no longer, and v3 may not either"
                }
                _ => {
                    "check that the receiver runs, that name and port are correct, and that the firewall lets HeyGen through"
                }
            },
        };
        return Finding::problem(
            ID,
            format!("probe {number} of {PROBES}: {}", describe(attempt)),
            fix,
        );
    }
    let millis = slowest.as_secs_f64() * 1000.0;
    let what = format!("{PROBES} probes passed, the slowest in {millis:.0} ms");
    match slowest > NEARLY {
        false => Finding::ok(ID, what),
        true => Finding::warn(
            ID,
            what,
            "HeyGen's v1 waits 1 s and may be further away than this machine: answer faster",
        ),
    }
}

/// HeyGen is not known to use GET; people and monitors do.
async fn get(url: &Url) -> Finding {
    const ID: &str = IDS[2];
    let started = Instant::now();
    match timeout(GET_TIME, status_of_get(url)).await {
        Ok(Ok(status)) => {
            let what = format!(
                "{status} after {:.0} ms",
                started.elapsed().as_secs_f64() * 1000.0
            );
            match status.is_success() {
                true => Finding::ok(ID, what),
                false => Finding::warn(
                    ID,
                    what,
                    "HeyGen is not known to need GET, but monitors and browsers do: answer it with 204, as `serve` does",
                ),
            }
        }
        Ok(Err(error)) => Finding::warn(ID, error, "fix the OPTIONS probe first"),
        Err(_) => Finding::warn(ID, "no answer in 3 s", "fix the OPTIONS probe first"),
    }
}

async fn status_of_get(url: &Url) -> Result<reqwest::StatusCode, String> {
    let failed = |error: reqwest::Error| error_chain(&error.without_url());
    let client = web::client(url.scheme() == "https")?;
    let answer = client.get(url.clone()).send().await.map_err(failed)?;
    Ok(answer.status())
}

const IDS: [&str; 4] = ["address", "address.options", "address.get", "address.tls"];
const PROBES: u32 = 5;
const GET_TIME: Duration = Duration::from_secs(3);

/// So near to the limit that HeyGen's way may be over it.
const NEARLY: Duration = Duration::from_millis(700);
