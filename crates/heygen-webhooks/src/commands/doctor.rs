//! `doctor`: checks whether deliveries can arrive, and says how to fix what is wrong.
//!
//! A file for each group of findings. They are looked into side by side, each with a time of its own, so that the whole
//! takes less than 15 seconds, whatever hangs.

use std::pin::pin;
use std::time::Duration;

use serde_json::json;
use tokio::runtime::{Builder, Handle};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use crate::cli::Doctor;
use crate::commands::{progress, prose};
use crate::failure::Failure;
use crate::output::{self, without_query};
use crate::process::runtime::run_on;
use crate::store::location::InboxLocation;

mod account;
mod address;
mod endpoints;
mod events;
mod filesystem;
mod finding;
mod inbox;
mod inputs;
mod local;
mod rejected;
mod sample;
mod secrets;
mod tls;

use account::{Account, Why};
use finding::{Finding, Level};
use inputs::Inputs;
use secrets::Known;

pub(super) fn run(options: &Doctor) -> Result<(), Failure> {
    let mut inputs = Inputs::of(options)?;
    let waiting =
        progress::spinner("checking HeyGen and the public address; this takes a few seconds …")?;
    let findings = run_on(&mut Builder::new_multi_thread(), async {
        Ok(examine(&mut inputs).await)
    })?;
    waiting.finish_and_clear();
    let is_healthy = findings
        .iter()
        .all(|finding| finding.level != Level::Problem);
    match options.json {
        true => output::json(&json!({
            "healthy": is_healthy,
            "public_url": inputs.address.as_ref().map(|url| without_query(url.as_str())),
            "findings": findings,
        }))?,
        false => output::write(text(&findings))?,
    }
    Failure::unless(is_healthy)
}

async fn examine(inputs: &mut Inputs) -> Vec<Finding> {
    let sample_at = Instant::now() + SAMPLE_WAITS;
    // HeyGen is asked while the secrets are read.
    let asking = match inputs.client.clone() {
        Ok(client) => tokio::spawn(Account::ask(client, API_TIME)),
        Err(why) => tokio::spawn(async move { Account::without(&why) }),
    };
    let known = Known::load(inputs).await;
    let inputs = &*inputs;
    let (location, nats) = (inputs.inbox.clone(), inputs.nats.clone());
    let beside = location.beside();
    let (account_and_sample, address, local, inbox, rejected) = tokio::join!(
        Box::pin(account_and_sample(inputs, &known, asking, sample_at)),
        Box::pin(address::findings(inputs)),
        Box::pin(local::probe(inputs)),
        look_into(&inbox::IDS, "the inbox", move || {
            Handle::current().block_on(inbox::findings(&location, &nats))
        }),
        look_into(&[rejected::ID], "the rejected requests", move || {
            vec![rejected::finding(&beside)]
        }),
    );
    let (account, endpoints, sample) = account_and_sample;
    let mut findings = vec![account.key()];
    findings.extend(endpoints);
    findings.extend(events::findings(inputs, &account));
    findings.extend(secrets::findings(inputs, &account, &known));
    let is_ok = |found: &[Finding], id| {
        let of_id = found.iter().find(|finding| finding.id == id);
        of_id.is_some_and(|finding| finding.level == Level::Ok)
    };
    let is_reached = is_ok(&address, "address.options");
    let is_expected = inputs.local.is_named
        || matches!(inputs.inbox, InboxLocation::File(_)) && is_ok(&inbox, "inbox");
    findings.extend(address);
    findings.extend(sample);
    findings.extend(local.findings(&inputs.local, is_expected, is_reached));
    findings.extend(inbox);
    findings.extend(rejected);
    tls::say_once(&mut findings);
    findings
}

/// What HeyGen says may tell which secret to sign the sample with, so the sample waits for it, but not beyond `sample_at`.
///
/// The sample goes where HeyGen sends to, which may be the public address in another spelling.
async fn account_and_sample(
    inputs: &Inputs,
    known: &Known,
    asking: JoinHandle<Account>,
    sample_at: Instant,
) -> (Account, Vec<Finding>, Vec<Finding>) {
    let sample = |account: Option<&Account>| {
        let secret = known.for_sample(inputs, account).cloned();
        let given = inputs.address.as_ref().map(|url| url.as_str().to_owned());
        let url = given.map(|given| {
            let all = account.map(Account::endpoints).unwrap_or_default();
            let ours = endpoints::ours(inputs, &all);
            ours.first().map_or(given, |endpoint| endpoint.url.clone())
        });
        async move {
            let url = url.as_deref().ok_or(inputs.no_address);
            sample::findings(url, inputs.sample, secret).await
        }
    };
    let mut asking = pin!(async {
        let asked = asking.await;
        asked.unwrap_or_else(|_| Account::without(&Why::Late))
    });
    match timeout_at(sample_at, &mut asking).await {
        Ok(account) => {
            let (endpoints, sample) = tokio::join!(
                endpoints::findings(inputs, &account),
                sample(Some(&account))
            );
            (account, endpoints, sample)
        }
        Err(_) => {
            let asked = async {
                let account = asking.await;
                let endpoints = endpoints::findings(inputs, &account).await;
                (account, endpoints)
            };
            let ((account, endpoints), sample) = tokio::join!(asked, sample(None));
            (account, endpoints, sample)
        }
    }
}

/// A disk that hangs holds up a thread alone. Without an answer these `ids` are skipped.
async fn look_into(
    ids: &[&'static str],
    what: &str,
    look: impl FnOnce() -> Vec<Finding> + Send + 'static,
) -> Vec<Finding> {
    match timeout(DISK_TIME, tokio::task::spawn_blocking(look)).await {
        Ok(Ok(findings)) => findings,
        Ok(Err(_)) | Err(_) => {
            finding::all_skipped(ids, &format!("{what} could not be read in time"))
        }
    }
}

fn text(findings: &[Finding]) -> String {
    let count = |level: Level| findings.iter().filter(|it| it.level == level).count();
    let width = prose::width();
    let looked_at = findings.iter().filter(|it| it.level != Level::Skipped);
    let mut lines: String = looked_at.map(|it| it.text(width)).collect();
    lines.push_str(&finding::skipped_text(findings, width));
    let (problems, warnings, skipped) = (
        count(Level::Problem),
        count(Level::Warn),
        count(Level::Skipped),
    );
    let verdict = match problems {
        0 => "no problem was found",
        _ => "deliveries may not arrive",
    };
    format!("{lines}\n{verdict} (problems: {problems}, warnings: {warnings}, skipped: {skipped})\n")
}

/// Together with the 10 s that a sample may take, `SAMPLE_WAITS` stays below 15 s; so does `secrets::TIME` with each of the others,
/// and `API_TIME` with the second that a probe may take.
const SAMPLE_WAITS: Duration = Duration::from_secs(3);
const API_TIME: Duration = Duration::from_secs(12);
const DISK_TIME: Duration = Duration::from_secs(10);
