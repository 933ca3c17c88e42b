//! Deliveries that must be rejected.

use heygen_signature::{SIGNATURE, Secret};

use super::Session;
use super::observation::{Finding, Observation, together};
use crate::drill::{bodies, check::Check, scorecard::Verdict};
use crate::random;
use crate::sender::{SendError, Sender};

/// What became of the forged deliveries so far: one defect is to fail one check.
#[derive(Debug, Default)]
pub(super) struct Forgeries {
    is_accepted: bool,
    /// The first check in which one was answered with an error.
    error: Option<Check>,
}

impl Session<'_> {
    /// Sends a delivery that must be rejected.
    pub(super) async fn forged(
        &mut self,
        check: Check,
        sender: Sender,
    ) -> Result<Finding, SendError> {
        let plain = self.known_plain().await?;
        if let Some(skipped) = unanswered(plain.as_ref()) {
            return Ok(skipped);
        }
        let seen = self.deliver(&sender, bodies::plain()).await?;
        Ok(self.judged(check, plain.as_ref(), &seen, &seen.summary))
    }

    /// Sends signatures that a comparison may take for correct, or fail on.
    pub(super) async fn malformed(&mut self) -> Result<Finding, SendError> {
        const CHECK: Check = Check::MalformedSignature;
        let plain = self.known_plain().await?;
        if let Some(skipped) = unanswered(plain.as_ref()) {
            return Ok(skipped);
        }
        if self.forgeries.is_accepted {
            return Ok(Finding::skip("forged deliveries are accepted anyway"));
        }
        let mut all = Vec::new();
        for (how, values, body) in malformed_signatures(self.drill.secret.as_ref()) {
            let bare = self.bare.clone();
            let sender = values
                .into_iter()
                .fold(bare, |sender, value| sender.header(SIGNATURE, value));
            all.push((how, self.deliver(&sender, body).await?));
        }
        // An opening counts more than an error.
        let badness = |seen: &Observation| (seen.accepted(), !is_rejection(seen));
        let Some((_, worst)) = all.iter().max_by_key(|(_, seen)| badness(seen)) else {
            return Ok(Finding::skip("nothing was sent"));
        };
        let same = all
            .iter()
            .filter(|(_, seen)| badness(seen) == badness(worst));
        let summary = together(same.map(|(how, seen)| (*how, seen.status, &*seen.summary)));
        let finding = self.judged(CHECK, plain.as_ref(), worst, &summary);
        Ok(match finding.verdict {
            Verdict::Pass => Finding::new(Verdict::Pass, "all four are rejected"),
            _ => finding,
        })
    }

    /// A rejection proves something only if the plain delivery is accepted.
    fn judged(
        &mut self,
        check: Check,
        plain: Option<&Observation>,
        seen: &Observation,
        summary: &str,
    ) -> Finding {
        let plain_is_accepted = plain.map(Observation::accepted);
        if seen.accepted() {
            self.forgeries.is_accepted = true;
            return Finding::fail(format!("accepted: {summary}"));
        }
        match plain_is_accepted {
            Some(false) => Finding::skip(super::PLAIN_IS_NOT_ACCEPTED),
            // Without a secret, 404 may be the answer to everything.
            None if seen.rejected() => Finding::new(Verdict::Pass, summary),
            None => Finding::skip(format!("no endpoint seems to be there: {summary}")),
            Some(true) if is_rejection(seen) => Finding::new(Verdict::Pass, summary),
            Some(true) => match self.forgeries.error {
                Some(first) if first != check => Finding::skip(format!(
                    "answered with an error, as in the check {}",
                    first.id()
                )),
                Some(_) | None => {
                    self.forgeries.error = Some(check);
                    let seen = format!("not accepted, but not rejected with 4xx either: {summary}");
                    let mut finding = Finding::fail(seen).fix(Some(REJECT));
                    finding.cost = Some(ERROR_COST);
                    finding
                }
            },
        }
    }
}

fn unanswered(plain: Option<&Observation>) -> Option<Finding> {
    let plain = plain.filter(|plain| plain.status.is_none())?;
    let why = match plain.unreachable {
        true => super::UNREACHABLE.to_owned(),
        false => format!("the plain delivery got no answer: {}", plain.summary),
    };
    Some(Finding::skip(why))
}

/// How a signature is malformed, its headers, and the body.
fn malformed_signatures(secret: Option<&Secret>) -> [(&'static str, Vec<String>, bytes::Bytes); 4] {
    let body = || bodies::plain();
    let cut = body();
    // Half of the right one, if that is known.
    let right = secret.map_or_else(random_digits, |secret| secret.sign(&cut).to_string());
    [
        ("empty", vec![String::new()], body()),
        ("cut short", vec![right[..right.len() / 2].to_owned()], cut),
        ("no hex", vec!["z".repeat(right.len())], body()),
        (
            "given twice",
            vec![random_digits(), random_digits()],
            body(),
        ),
    ]
}

fn random_digits() -> String {
    format!("{}{}", random::id(), random::id())
}

/// Where the plain delivery is accepted, any 4xx is one.
fn is_rejection(seen: &Observation) -> bool {
    seen.status.is_some_and(|status| status.is_client_error())
}

const ERROR_COST: &str = "nothing forged gets in, but anyone who knows the URL can make your application fail: errors in its \
                          log, and alarms";
const REJECT: &str = "answer 401 when the signature is missing, is not 64 hexadecimal digits or does not match: \
                      crypto.timingSafeEqual in Node and fixed_length_secure_compare in Ruby raise an error for another length";
