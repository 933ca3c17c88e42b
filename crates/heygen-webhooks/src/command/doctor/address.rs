//! The public address: whether it can be reached at all, and what it says to a probe.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use heygen_testkit::{AttemptErrorKind, Sender};
use reqwest::Url;
use tokio::time::timeout;

use super::Plan;
use super::finding::{Finding, all_skipped};
use super::sample::describe;
use super::tls;
use crate::api::error_chain;

pub(super) async fn findings(plan: &Plan) -> Vec<Finding> {
    let Some(url) = &plan.address else {
        return all_skipped(&IDS, "give your address with --public-url");
    };
    let (options, get, tls) = tokio::join!(options(url), get(url), tls::finding(plan, url));
    vec![reachable(plan, url), options, get, tls]
}

/// What the address itself gives away, without trying it.
fn reachable(plan: &Plan, url: &Url) -> Finding {
    const ID: &str = IDS[0];
    if plan.is_sandbox {
        return Finding::ok(
            ID,
            "tried with a sandbox on this machine: any address will do",
        );
    }
    if is_private(url) {
        return Finding::problem(
            ID,
            "localhost or a private network: HeyGen cannot reach it",
            "use the public name; for a machine without one, that of a tunnel",
        );
    }
    if url.scheme() != "https" {
        return Finding::problem(
            ID,
            "plain http: v3 does not take such an address, and everybody on the way can read events and links",
            "serve it by https, behind a proxy or a tunnel",
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
            Err(error) => return Finding::problem(ID, error_chain(&error), "mend --public-url"),
        };
        let attempt = report.attempt();
        slowest = slowest.max(attempt.duration);
        if report.passed() {
            continue;
        }
        let todo = match &attempt.result {
            Ok(answer) if answer.status.is_redirection() => {
                "register the address that the redirect leads to"
            }
            Ok(_) => {
                "have it answer OPTIONS with a 2xx, as `serve` does: HeyGen registers no other; a proxy may be in the way"
            }
            Err(error) => match error.kind() {
                AttemptErrorKind::Timeout => {
                    "have it answer OPTIONS within 1 s, before anything else it does: HeyGen waits no longer"
                }
                _ => {
                    "see that the receiver runs, that name and port are right, and that the firewall lets HeyGen through"
                }
            },
        };
        return Finding::problem(
            ID,
            format!("probe {number} of {PROBES}: {}", describe(attempt)),
            todo,
        );
    }
    let millis = slowest.as_secs_f64() * 1000.0;
    let what = format!("{PROBES} probes passed, the slowest in {millis:.0} ms");
    match slowest > NEARLY {
        false => Finding::ok(ID, what),
        true => Finding::warn(
            ID,
            what,
            "HeyGen waits 1 s, and may be further away than this machine: make it quicker",
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
                    "HeyGen is not known to mind; monitors and people do: `serve` answers GET with 204",
                ),
            }
        }
        Ok(Err(error)) => Finding::warn(ID, error, "see to the OPTIONS probe first"),
        Err(_) => Finding::warn(ID, "no answer in 3 s", "see to the OPTIONS probe first"),
    }
}

async fn status_of_get(url: &Url) -> Result<reqwest::StatusCode, String> {
    let failed = |error: reqwest::Error| error_chain(&error.without_url());
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none());
    builder = builder.tls_backend_preconfigured(tls::config(url.scheme() == "https")?);
    let client = builder.build().map_err(failed)?;
    let answer = client.get(url.clone()).send().await.map_err(failed)?;
    Ok(answer.status())
}

/// Whether both texts mean one address.
pub(super) fn same_address(one: &str, other: &str) -> bool {
    plain(one) == plain(other)
}

/// What two ways to write one address have in common.
pub(super) fn plain(url: &str) -> String {
    let text = Url::parse(url).map_or_else(|_| url.to_owned(), String::from);
    text.trim_end_matches('/').to_owned()
}

/// Whether only this machine, or only its network, can reach it. Names are judged by what they say, and not looked up.
pub(super) fn is_private(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches([']', '.']);
    match host.parse::<IpAddr>() {
        Ok(address) => is_private_ip(address),
        Err(_) => {
            let hidden = |name: &str| host == name || host.ends_with(&format!(".{name}"));
            PRIVATE_NAMES.iter().any(|name| hidden(name)) || !host.contains('.')
        }
    }
}

/// Whether a URL leads to this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

fn is_private_ip(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            let is_shared = first == 100 && (64..128).contains(&second);
            address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_unspecified()
                || is_shared
        }
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => is_private_ip(address.into()),
            None => {
                address.is_loopback()
                    || address.is_unspecified()
                    || address.is_unique_local()
                    || address.is_unicast_link_local()
            }
        },
    }
}

const IDS: [&str; 4] = ["address", "address.options", "address.get", "address.tls"];
const PRIVATE_NAMES: [&str; 6] = ["localhost", "local", "internal", "lan", "home.arpa", "test"];
const PROBES: u32 = 5;
const GET_TIME: Duration = Duration::from_secs(3);

/// So near to the limit that HeyGen's way may be over it.
const NEARLY: Duration = Duration::from_millis(700);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: bool) {
        let url = Url::parse(url).expect("a URL");
        assert_eq!(is_private(&url), expected, "{url}");
    }

    #[test]
    fn what_heygen_cannot_reach() {
        for url in [
            "http://localhost:8080/",
            "https://box.local/",
            "https://db.internal./",
            "https://intranet/",
            "http://127.0.0.1/",
            "http://10.1.2.3/",
            "http://172.16.0.1/",
            "http://192.168.0.1/",
            "http://169.254.1.1/",
            "http://100.64.0.1/",
            "http://0.0.0.0/",
            "http://[::1]/",
            "http://[fd00::1]/",
            "http://[fe80::1]/",
            "http://[::ffff:10.0.0.1]/",
        ] {
            check(url, true);
        }
        for url in [
            "https://hooks.example.com/",
            "https://localhost.example.com/",
            "https://1.1.1.1/",
            "https://172.32.0.1/",
            "https://100.128.0.1/",
            "https://[2606:4700::1111]/",
        ] {
            check(url, false);
        }
    }

    #[test]
    fn one_address_written_twice() {
        assert!(same_address(
            "https://A.example:443/h",
            "https://a.example/h/"
        ));
        assert!(!same_address("https://a.example/h", "https://a.example/H"));
        assert!(!same_address("https://a.example/h", "http://a.example/h"));
    }
}
