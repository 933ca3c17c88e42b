//! Two sample deliveries to the public address: one that must be accepted, and one that must be rejected.

use heygen_signature::Secret;
use heygen_testkit::{Attempt, EventBuilder, Sender};
use jiff::Timestamp;

use super::finding::{Finding, all_skipped};
use crate::failure::error_chain;

pub(super) async fn findings(
    url: Result<&str, &str>,
    wanted: bool,
    secret: Option<Secret>,
) -> Vec<Finding> {
    if !wanted {
        return all_skipped(&IDS, "skipped: --no-sample");
    }
    let url = match url {
        Ok(url) => url,
        Err(why) => return all_skipped(&IDS, why),
    };
    let sender = Sender::new(url);
    let signed = async {
        match secret {
            Some(secret) => signed(&sender.clone().secret(secret)).await,
            None => Finding::skipped(IDS[0], "no secret is known here to sign with"),
        }
    };
    let unsigned = unsigned(&sender);
    let (signed, unsigned) = tokio::join!(signed, unsigned);
    vec![signed, unsigned]
}

async fn signed(sender: &Sender) -> Finding {
    const ID: &str = IDS[0];
    let seen = match deliver(sender).await {
        Ok(seen) => seen,
        Err(what) => return Finding::problem(ID, what, "correct --public-url"),
    };
    let Some(status) = seen.status else {
        return Finding::problem(
            ID,
            seen.text,
            "check that the receiver runs and is fast enough: HeyGen waits 10 s for an answer",
        );
    };
    let fix = match status {
        200..=299 => return Finding::ok(ID, seen.text),
        300..=399 => "register the address that the redirect leads to",
        401 | 403 => {
            "compare the secrets, and check that no proxy changes the body; the receiver's log says more"
        }
        404 | 405 => "correct the path of the address, or the target of the proxy",
        413 => "raise the body size limit of the proxy: it is smaller than a delivery",
        503 => {
            "the receiver has no secret, cannot store deliveries, or is overloaded: check its log"
        }
        _ => "check the logs of the receiver and of every proxy before it",
    };
    Finding::problem(ID, seen.text, fix)
}

async fn unsigned(sender: &Sender) -> Finding {
    const ID: &str = IDS[1];
    let seen = match deliver(sender).await {
        Ok(seen) => seen,
        Err(what) => return Finding::problem(ID, what, "correct --public-url"),
    };
    match seen.status {
        Some(200..=299) => Finding::problem(
            ID,
            format!("accepted: {}", seen.text),
            "the receiver accepts unsigned requests: make it verify the signature, as `serve` does",
        ),
        Some(401 | 403) => Finding::ok(ID, format!("rejected: {}", seen.text)),
        Some(_) => Finding::warn(
            ID,
            format!("rejected, but not for its signature: {}", seen.text),
            "fix the signed delivery first",
        ),
        None => Finding::skipped(ID, seen.text),
    }
}

struct SampleResult {
    status: Option<u16>,
    text: String,
}

async fn deliver(sender: &Sender) -> Result<SampleResult, String> {
    let report = sender
        .deliver(body())
        .await
        .map_err(|error| error_chain(&error))?;
    let attempt = report.attempts().last();
    Ok(SampleResult {
        status: attempt
            .and_then(Attempt::status)
            .map(|status| status.as_u16()),
        text: attempt.map(describe).unwrap_or_default(),
    })
}

pub(super) fn describe(attempt: &Attempt) -> String {
    let millis = attempt.duration.as_secs_f64() * 1000.0;
    match &attempt.result {
        Ok(answer) => {
            let said: String = answer.text().trim().chars().take(MOST_CHARS).collect();
            format!("{} after {millis:.0} ms {said}", answer.status)
                .trim_end()
                .to_owned()
        }
        Err(error) => format!("no answer after {millis:.0} ms: {}", error_chain(error)),
    }
}

/// Never the same twice: a duplicate would be answered without being stored.
fn body() -> Vec<u8> {
    EventBuilder::new(EVENT_TYPE)
        .set("sent_by", "heygen-webhooks doctor")
        .set("sent_at", Timestamp::now().to_string())
        .body()
        .to_vec()
}

/// A name of our own, so that it differs from HeyGen's events.
pub(super) const EVENT_TYPE: &str = "heygen-webhooks.doctor";

const IDS: [&str; 2] = ["sample.signed", "sample.unsigned"];
const MOST_CHARS: usize = 100;
