//! The registered endpoints, and whether they can work.

use std::collections::BTreeMap;

use heygen_api::{Endpoint, EndpointStatus};
use heygen_connect::{canonical_address, same_address};
use heygen_testkit::Sender;
use reqwest::Url;
use tokio::task::JoinSet;

use super::account::Account;
use super::finding::{Finding, all_skipped};
use super::inputs::Inputs;
use super::sample::describe;
use crate::failure::error_chain;
use crate::output::without_query;
use crate::settings::address::is_private;

pub(super) async fn findings(inputs: &Inputs, account: &Account) -> Vec<Finding> {
    let all = account.endpoints();
    if account.v3.is_err() && all.is_empty() {
        let why = account.unasked();
        let why = why.unwrap_or("unknown: HeyGen did not list the endpoints");
        let mut findings = all_skipped(&IDS, why);
        findings.insert(1, account.v1_finding());
        return findings;
    }
    let ours = ours(inputs, &all);
    vec![
        count(inputs, account, &all),
        account.v1_finding(),
        registered(inputs, &all, &ours).await,
        duplicates(&all),
        disabled(&all, &ours),
        PLAIN_HTTP.finding(inputs, &all, &ours),
        PRIVATE.finding(inputs, &all, &ours),
        foreign(inputs, &all),
    ]
}

/// Our endpoints: those of the public address, else those whose secret is stored beside the inbox.
pub(super) fn ours<'a>(inputs: &Inputs, all: &[&'a Endpoint]) -> Vec<&'a Endpoint> {
    let is_ours = |endpoint: &&Endpoint| match &inputs.address {
        Some(address) => same_address(&endpoint.url, address.as_str()),
        None => knows(inputs, endpoint),
    };
    all.iter().copied().filter(is_ours).collect()
}

/// Whether its secret is stored beside the inbox.
pub(super) fn knows(inputs: &Inputs, endpoint: &Endpoint) -> bool {
    let mut ids = inputs.stored_ids.iter();
    ids.any(|id| endpoint.endpoint_id == *id)
}

/// An endpoint as it is named in findings; a token in its query stays hidden.
pub(super) fn name(endpoint: &Endpoint) -> String {
    format!("{} {}", endpoint.endpoint_id, without_query(&endpoint.url))
}

fn count(inputs: &Inputs, account: &Account, all: &[&Endpoint]) -> Finding {
    const ID: &str = "endpoints";
    if !all.is_empty() {
        let items = all.iter().map(|endpoint| name(endpoint));
        let what = match account.v3 {
            Ok(_) => format!("{} at HeyGen", all.len()),
            Err(_) => format!(
                "{} at HeyGen according to v1; v3 did not list them",
                all.len()
            ),
        };
        return Finding::ok(ID, what).items(items);
    }
    Finding::bad(
        ID,
        inputs.address.is_some(),
        "no endpoint is registered: HeyGen sends nothing",
        "register one with `serve --public-url URL` or `endpoints create URL`",
    )
}

/// Whether the address is registered, and whether it can be reached as HeyGen has it, which need not be as it is given here.
async fn registered(inputs: &Inputs, all: &[&Endpoint], ours: &[&Endpoint]) -> Finding {
    const ID: &str = "endpoints.registered";
    let address = inputs.address.as_ref();
    // One that is written as it was given is tried by itself, more thoroughly.
    let is_given = |endpoint: &&Endpoint| {
        let url = Url::parse(&endpoint.url).ok();
        url.is_some_and(|url| address == Some(&url))
    };
    let (given, mut others): (Vec<&Endpoint>, Vec<&Endpoint>) =
        ours.iter().copied().partition(is_given);
    if let Some(address) = address
        && ours.is_empty()
    {
        let is_here = |endpoint: &&Endpoint| is_same_origin(&endpoint.url, address);
        others.extend(all.iter().copied().filter(is_here));
    }
    let tried = try_all(&others).await;
    let failed = tried.iter().find(|tried| !tried.passed).map(|it| it.fix);
    let given = given.into_iter();
    let given =
        given.map(|endpoint| format!("HeyGen sends to {}: the address given", name(endpoint)));
    let items = given.chain(tried.into_iter().map(|tried| tried.text));
    match (address, ours.is_empty(), failed) {
        (None, true, _) => Finding::skipped(ID, "give your address with --public-url"),
        (None, false, None) => Finding::ok(
            ID,
            "the registered addresses whose secrets are stored here answer",
        ),
        (None, false, Some(fix)) => Finding::warn(
            ID,
            "an address that HeyGen sends to does not answer probes correctly",
            fix,
        ),
        (Some(address), true, _) => Finding::problem(
            ID,
            format!(
                "no endpoint at HeyGen has the address {}",
                without_query(address.as_str())
            ),
            "register it with `serve --public-url URL` or `endpoints create URL`, or correct --public-url",
        ),
        (Some(_), false, None) => Finding::ok(ID, "the public address is registered"),
        (Some(_), false, Some(fix)) => Finding::problem(
            ID,
            "the public address is registered, but as registered it does not answer probes correctly",
            fix,
        ),
    }
    .items(items)
}

struct ProbedEndpoint {
    text: String,
    passed: bool,
    fix: &'static str,
}

async fn try_all(endpoints: &[&Endpoint]) -> Vec<ProbedEndpoint> {
    let mut probes = JoinSet::new();
    for (index, endpoint) in endpoints.iter().take(MOST_TRIED).enumerate() {
        let (name, sender) = (name(endpoint), Sender::new(&endpoint.url));
        probes.spawn(async move { (index, try_one(&name, &sender).await) });
    }
    // A probe that panicked has said so.
    let mut tried: Vec<_> = probes.join_all().await;
    tried.sort_by_key(|(index, _)| *index);
    tried.into_iter().map(|(_, tried)| tried).collect()
}

async fn try_one(name: &str, sender: &Sender) -> ProbedEndpoint {
    let (seen, passed, status) = match sender.probe().await {
        Ok(report) => {
            let attempt = report.attempt();
            let status = attempt.status().map(|status| status.as_u16());
            (describe(attempt), report.passed(), status)
        }
        Err(error) => (error_chain(&error), false, None),
    };
    ProbedEndpoint {
        text: format!("HeyGen sends to {name}: {seen}"),
        passed,
        fix: match status {
            Some(404 | 405) => {
                "the receiver does not serve the path that HeyGen sends to: change it at HeyGen with `endpoints update ID`, or \
                 serve it with --path"
            }
            _ => "make this address lead to the receiver: HeyGen sends only there",
        },
    }
}

fn is_same_origin(url: &str, address: &Url) -> bool {
    Url::parse(url).is_ok_and(|url| url.origin() == address.origin())
}

fn duplicates(all: &[&Endpoint]) -> Finding {
    const ID: &str = "endpoints.duplicates";
    let mut by_url = BTreeMap::<String, Vec<&Endpoint>>::new();
    for endpoint in all {
        by_url
            .entry(canonical_address(&endpoint.url))
            .or_default()
            .push(endpoint);
    }
    let items: Vec<_> = by_url
        .into_values()
        .filter(|same| same.len() > 1)
        .flatten()
        .map(name)
        .collect();
    if items.is_empty() {
        return Finding::ok(ID, "no address is registered twice");
    }
    Finding::warn(
        ID,
        "addresses registered more than once: every event arrives once for each, signed with different secrets",
        "delete all but the one whose secret is known here with `endpoints delete ID`",
    )
    .items(items)
}

fn disabled(all: &[&Endpoint], ours: &[&Endpoint]) -> Finding {
    const ID: &str = "endpoints.disabled";
    let is_out = |endpoint: &&Endpoint| {
        let status = endpoint.status.as_ref();
        status.is_some_and(|status| *status != EndpointStatus::Enabled)
    };
    let out: Vec<_> = all.iter().copied().filter(is_out).collect();
    if out.is_empty() {
        return Finding::ok(ID, "none is disabled");
    }
    let items = out.iter().map(|endpoint| {
        let status = endpoint.status.as_ref().map_or("", EndpointStatus::as_str);
        format!("{}, {status}", name(endpoint))
    });
    // A word that is not documented may mean anything.
    let is_disabled = |endpoint: &&Endpoint| endpoint.status == Some(EndpointStatus::Disabled);
    let nothing_left = all.iter().all(is_disabled) || ours.iter().any(is_disabled);
    Finding::bad(
        ID,
        nothing_left,
        "disabled endpoints: HeyGen sends them nothing",
        "HeyGen cannot enable an endpoint again: delete it with `endpoints delete ID` and register it again",
    )
    .items(items)
}

/// What may be wrong with an address, and is as it should be with a sandbox.
struct AddressFault {
    id: &'static str,
    is_there: fn(&Url) -> bool,
    none: &'static str,
    in_sandbox: &'static str,
    what: &'static str,
    fix: &'static str,
}

const PLAIN_HTTP: AddressFault = AddressFault {
    id: "endpoints.plain-http",
    is_there: |url| url.scheme() == "http",
    none: "none is plain http",
    in_sandbox: "plain http, as with a sandbox",
    what: "plain http: anyone on the network path can read events and links, and v3 does not accept such an address",
    fix: "serve the address with https, behind a proxy or a tunnel, and register that",
};

const PRIVATE: AddressFault = AddressFault {
    id: "endpoints.private",
    is_there: is_private,
    none: "none is on a private address",
    in_sandbox: "private, which a sandbox on this machine can reach",
    what: "addresses that HeyGen cannot reach: localhost or a private network",
    fix: "register the public name, or that of a tunnel if the machine has none",
};

impl AddressFault {
    fn finding(&self, inputs: &Inputs, all: &[&Endpoint], ours: &[&Endpoint]) -> Finding {
        let has =
            |endpoint: &&Endpoint| Url::parse(&endpoint.url).is_ok_and(|url| (self.is_there)(&url));
        let found: Vec<_> = all.iter().copied().filter(has).collect();
        match found.len() {
            0 => Finding::ok(self.id, self.none),
            count if inputs.is_sandbox => {
                Finding::ok(self.id, format!("{count} {}", self.in_sandbox))
            }
            _ => Finding::bad(self.id, ours.iter().any(has), self.what, self.fix)
                .items(found.into_iter().map(name)),
        }
    }
}

fn foreign(inputs: &Inputs, all: &[&Endpoint]) -> Finding {
    const ID: &str = "endpoints.foreign";
    let Some(address) = &inputs.address else {
        return Finding::skipped(ID, "give your address with --public-url");
    };
    let others = all
        .iter()
        .filter(|endpoint| !same_address(&endpoint.url, address.as_str()));
    let items: Vec<_> = others.map(|endpoint| name(endpoint)).collect();
    match items.len() {
        0 => Finding::ok(ID, "no endpoint has another address"),
        count => Finding::ok(
            ID,
            format!("{count} with other addresses (for information)"),
        )
        .items(items),
    }
}

/// Those that can be skipped; `endpoints.v1` stands for itself.
const IDS: [&str; 7] = [
    "endpoints",
    "endpoints.registered",
    "endpoints.duplicates",
    "endpoints.disabled",
    "endpoints.plain-http",
    "endpoints.private",
    "endpoints.foreign",
];

/// Of those that lead here; more than a few is a finding of its own.
const MOST_TRIED: usize = 8;
