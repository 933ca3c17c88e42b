//! Runs the checks.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use bytes::Bytes;
use heygen_signature::Secret;
use http::StatusCode;

use super::{
    bodies,
    check::Check,
    mistake::{self, Guess, Mistake},
    scorecard::{CheckResult, Scorecard, Verdict},
    setup::Drill,
};
use crate::{
    random,
    sender::{Attempt, SendError, Sender},
};

mod burst;
mod forgery;
mod observation;

use burst::BurstObservation;
use forgery::Forgeries;
use observation::{Finding, Observation, accepted, millis, noted, together};

impl Drill {
    /// Runs the checks and calls `on_result` after each.
    ///
    /// It needs a tokio runtime with time and I/O.
    ///
    /// # Errors
    ///
    /// [`SendError`] if the sender is misconfigured. An unreachable endpoint is part of the
    /// scorecard.
    pub async fn run(
        &self,
        mut on_result: impl FnMut(&CheckResult),
    ) -> Result<Scorecard, SendError> {
        let mut session = Session::new(self);
        let mut results = Vec::new();
        for &check in &self.checks {
            let started = Instant::now();
            let finding = session.find(check).await?;
            let fix = finding.fix.unwrap_or(Cow::Borrowed(check.fix()));
            let result = CheckResult {
                check,
                verdict: finding.verdict,
                seen: finding.seen,
                cost: finding.cost.unwrap_or(check.cost()),
                fix: fix.into_owned(),
                mistakes: finding.mistakes,
                duration: started.elapsed(),
            };
            on_result(&result);
            results.push(result);
        }
        Ok(Scorecard {
            results,
            requests: session.requests,
            slowest: session.slowest,
        })
    }
}

/// The state of a running drill.
struct Session<'a> {
    drill: &'a Drill,
    /// Sends without a signature.
    bare: Sender,
    /// Sends as HeyGen does, if there is a secret.
    signed: Option<Sender>,
    probe: Option<Observation>,
    /// The plain delivery and its result.
    plain: Option<(Bytes, Observation)>,
    /// The result of the plain failure.
    failure: Option<Observation>,
    burst: Option<BurstObservation>,
    forgeries: Forgeries,
    raw_body_failed: bool,
    requests: usize,
    slowest: Option<Duration>,
    answers: usize,
    accepted: usize,
    late: usize,
    redirects: Vec<StatusCode>,
    /// How many of those failed a check of their own.
    reported_late: usize,
    reported_redirects: usize,
    /// Nothing that speaks HTTP is there.
    unreachable: bool,
}

impl<'a> Session<'a> {
    fn new(drill: &'a Drill) -> Self {
        let bare = drill
            .sender
            .clone()
            .timeout(drill.timeout)
            .probe_timeout(drill.probe_timeout);
        let secret = drill.secret.clone();
        Self {
            drill,
            signed: secret.map(|secret| bare.clone().secret(secret)),
            bare,
            probe: None,
            plain: None,
            failure: None,
            burst: None,
            forgeries: Forgeries::default(),
            raw_body_failed: false,
            requests: 0,
            slowest: None,
            answers: 0,
            accepted: 0,
            late: 0,
            redirects: Vec::new(),
            reported_late: 0,
            reported_redirects: 0,
            unreachable: false,
        }
    }

    async fn find(&mut self, check: Check) -> Result<Finding, SendError> {
        if self.unreachable {
            return Ok(Finding::skip(UNREACHABLE));
        }
        let (late, redirects) = (self.late, self.redirects.len());
        let finding = self.make(check).await?;
        // What a skipped check met has been reported if it was met before.
        let is_reported = |before: usize| match finding.verdict {
            Verdict::Fail => true,
            Verdict::Skip => before > 0,
            Verdict::Pass | Verdict::Warn | Verdict::Note => false,
        };
        if is_reported(self.reported_late) {
            self.reported_late += self.late - late;
        }
        if is_reported(self.reported_redirects) {
            self.reported_redirects += self.redirects.len() - redirects;
        }
        Ok(finding)
    }

    async fn make(&mut self, check: Check) -> Result<Finding, SendError> {
        match check {
            Check::Probe => {
                let seen = self.probed().await?;
                // What is there for 405 and timeouts, the check itself says best.
                let is_usual =
                    seen.timed_out || seen.status == Some(StatusCode::METHOD_NOT_ALLOWED);
                Ok(accepted(&seen).fix(seen.advice().filter(|_| !is_usual)))
            }
            Check::Unsigned => {
                let bare = self.bare.clone();
                self.forged(check, bare).await
            }
            // A new one: the endpoint cannot have it.
            Check::WrongSecret => match Secret::new(format!("whsec_{}", random::id())) {
                Ok(secret) => self.forged(check, self.bare.clone().secret(secret)).await,
                Err(error) => Ok(Finding::skip(error.to_string())),
            },
            Check::MalformedSignature => self.malformed().await,
            Check::Latency => {
                self.ensure_delivery().await?;
                Ok(self.latency())
            }
            Check::Redirect => {
                self.ensure_delivery().await?;
                Ok(self.redirect())
            }
            _ => match (self.signed.clone(), self.drill.secret.clone()) {
                (Some(sender), Some(secret)) => self.make_signed(check, sender, &secret).await,
                (None, _) | (_, None) => Ok(Finding::skip("there is no secret to sign with")),
            },
        }
    }

    /// The checks that need a secret.
    async fn make_signed(
        &mut self,
        check: Check,
        sender: Sender,
        secret: &Secret,
    ) -> Result<Finding, SendError> {
        let (plain_body, plain) = self.plain(&sender).await?;
        if check == Check::Valid {
            return self.valid(&sender, secret, &plain_body, &plain).await;
        }
        if check == Check::Tampered {
            return self.forged(check, sender.tampered()).await;
        }
        if plain.unreachable {
            return Ok(Finding::skip(UNREACHABLE));
        }
        if !plain.accepted() {
            return Ok(Finding::skip(PLAIN_IS_NOT_ACCEPTED));
        }
        // The bodies of these are failures.
        if matches!(check, Check::RawBody | Check::OddText | Check::LargeBody)
            && !self.failure(&sender).await?.accepted()
        {
            return Ok(Finding::skip(FAILURE_IS_NOT_ACCEPTED));
        }
        let body = match check {
            Check::Failure => return Ok(accepted(&self.failure(&sender).await?)),
            Check::RawBody => return self.raw_body(&sender, secret).await,
            Check::UnknownEvent => bodies::unknown_event(),
            Check::NullFields => bodies::null_fields(),
            Check::ExtraFields => bodies::extra_fields(),
            Check::NumberIds => bodies::number_ids(),
            Check::OddData => return self.all_of(&sender, bodies::odd_data().into()).await,
            Check::EventKey => bodies::event_key(),
            Check::OddText => {
                let bodies = bodies::odd_text().into_iter();
                // What verifies another spelling has failed a check already.
                let bodies =
                    bodies.filter(|(how, _)| !self.raw_body_failed || *how != bodies::ESCAPES);
                return self.all_of(&sender, bodies.collect()).await;
            }
            Check::LargeBody => bodies::large(),
            Check::Replay => {
                let seen = self.deliver(&sender, plain_body).await?;
                return Ok(repeated(&seen));
            }
            Check::OtherHeader => {
                let sender = sender.header_name(heygen_signature::HEYGEN_SIGNATURE);
                return Ok(noted(&self.deliver(&sender, bodies::plain()).await?));
            }
            Check::UpperCase => {
                let body = bodies::plain();
                let signature = secret.sign(&body).to_string().to_uppercase();
                let sender = sender
                    .unsigned()
                    .header(heygen_signature::SIGNATURE, signature);
                return Ok(noted(&self.deliver(&sender, body).await?));
            }
            Check::Duplicate => {
                let body = bodies::plain();
                let first = self.deliver(&sender, body.clone()).await?;
                if !first.accepted() {
                    return Ok(Finding::skip(format!(
                        "the first delivery is not accepted: {}",
                        first.summary
                    )));
                }
                return Ok(repeated(&self.deliver(&sender, body).await?));
            }
            Check::MissingMedia => {
                return self.all_of(&sender, bodies::missing_media().into()).await;
            }
            Check::Burst | Check::BurstProbe => return self.burst(check, &sender).await,
            Check::Probe
            | Check::Valid
            | Check::Tampered
            | Check::Unsigned
            | Check::WrongSecret
            | Check::MalformedSignature
            | Check::Latency
            | Check::Redirect => plain_body,
        };
        Ok(accepted(&self.deliver(&sender, body).await?))
    }

    /// The delivery that most checks depend on. It is sent once.
    async fn plain(&mut self, sender: &Sender) -> Result<(Bytes, Observation), SendError> {
        if let Some(plain) = &self.plain {
            return Ok(plain.clone());
        }
        let body = bodies::plain();
        let seen = self.deliver(sender, body.clone()).await?;
        self.plain = Some((body.clone(), seen.clone()));
        Ok((body, seen))
    }

    /// A plain failure, which other checks depend on. It is sent once.
    async fn failure(&mut self, sender: &Sender) -> Result<Observation, SendError> {
        if let Some(seen) = &self.failure {
            return Ok(seen.clone());
        }
        let seen = self.deliver(sender, bodies::failure()).await?;
        self.failure = Some(seen.clone());
        Ok(seen)
    }

    /// Sends a delivery if no check sent one yet: latency and redirect need one.
    async fn ensure_delivery(&mut self) -> Result<(), SendError> {
        if self.slowest.is_some() {
            return Ok(());
        }
        match self.signed.clone() {
            Some(signed) => self.plain(&signed).await.map(|_| ()),
            None => {
                let bare = self.bare.clone();
                self.deliver(&bare, bodies::plain()).await.map(|_| ())
            }
        }
    }

    async fn valid(
        &mut self,
        sender: &Sender,
        secret: &Secret,
        body: &Bytes,
        plain: &Observation,
    ) -> Result<Finding, SendError> {
        if plain.accepted() {
            return Ok(self.in_good_time(plain));
        }
        let finding = accepted(plain).fix(plain.advice());
        if !may_be_rejected_for_its_signature(plain) {
            return Ok(finding);
        }
        let guesses = mistake::all(secret, body);
        let found = self.accepted_guess(sender, body, guesses).await?;
        Ok(match found {
            Some(mistakes) => named(finding, mistakes),
            None if plain.rejected() => finding
                .and("no signature with a common mistake is accepted either")
                .fix(Some(COMPARE_SECRETS)),
            None => finding,
        })
    }

    fn in_good_time(&self, plain: &Observation) -> Finding {
        let mut finding = accepted(plain);
        if plain.duration > self.drill.timeout / 2 {
            finding.verdict = Verdict::Warn;
            return finding.and("more than half of the timeout; answer first, work afterwards");
        }
        finding
    }

    async fn raw_body(&mut self, sender: &Sender, secret: &Secret) -> Result<Finding, SendError> {
        let body = bodies::odd_white_space();
        let seen = self.deliver(sender, body.clone()).await?;
        let finding = accepted(&seen);
        self.raw_body_failed = !seen.accepted();
        if seen.accepted() || !may_be_rejected_for_its_signature(&seen) {
            return Ok(finding);
        }
        let guesses = mistake::of_body(secret, &body);
        let found = self.accepted_guess(sender, &body, guesses).await?;
        Ok(match found {
            Some(mistakes) => named(finding, mistakes),
            None => finding,
        })
    }

    /// The mistakes with which a signature of this body is accepted.
    async fn accepted_guess(
        &mut self,
        sender: &Sender,
        body: &Bytes,
        guesses: impl Iterator<Item = Guess>,
    ) -> Result<Option<Vec<Mistake>>, SendError> {
        let started = Instant::now();
        let mut found = None;
        // What is accepted here is no delivery of HeyGen.
        let accepted = self.accepted;
        for guess in guesses {
            if started.elapsed() > self.drill.timeout {
                break;
            }
            let sender = sender.clone().unsigned().header(guess.header, guess.value);
            let seen = self.deliver(&sender, body.clone()).await?;
            if seen.accepted() {
                found = Some(guess.mistakes);
            }
            if !may_be_rejected_for_its_signature(&seen) {
                break;
            }
        }
        self.accepted = accepted;
        Ok(found)
    }

    /// The plain delivery's result, if there is a secret to sign it with.
    async fn known_plain(&mut self) -> Result<Option<Observation>, SendError> {
        match self.signed.clone() {
            Some(signed) => Ok(Some(self.plain(&signed).await?.1)),
            None => Ok(None),
        }
    }

    /// Sends several bodies that must all be accepted.
    async fn all_of(
        &mut self,
        sender: &Sender,
        bodies: Vec<(&'static str, Bytes)>,
    ) -> Result<Finding, SendError> {
        let count = bodies.len();
        let mut refused = Vec::new();
        for (how, body) in bodies {
            let seen = self.deliver(sender, body).await?;
            if !seen.accepted() {
                refused.push((how, seen));
            }
        }
        let refused = refused.iter();
        let summary = together(refused.map(|(how, seen)| (*how, seen.status, &*seen.summary)));
        Ok(if summary.is_empty() {
            Finding::new(Verdict::Pass, format!("all {count} are accepted"))
        } else {
            Finding::fail(summary)
        })
    }

    fn latency(&self) -> Finding {
        let slowest = self.slowest.map(millis).unwrap_or_default();
        let all = self.answers + self.late;
        let late = self.late;
        if late > self.reported_late {
            return Finding::fail(format!(
                "{late} of {all} had no answer in time; the slowest took {slowest}"
            ));
        }
        if late > 0 {
            return Finding::skip("late answers have failed other checks");
        }
        if self.accepted == 0 {
            return Finding::skip(NOTHING_ACCEPTED);
        }
        let seen = format!("the slowest of {all} took {slowest}");
        Finding::new(Verdict::Pass, seen)
    }

    fn redirect(&self) -> Finding {
        match self.redirects.first() {
            Some(status) if self.redirects.len() > self.reported_redirects => {
                Finding::fail(format!(
                    "{} of {} requests, the first with {status}",
                    self.redirects.len(),
                    self.requests
                ))
            }
            Some(_) => Finding::skip("redirects have failed other checks"),
            None if self.accepted == 0 => Finding::skip(NOTHING_ACCEPTED),
            None => Finding::new(Verdict::Pass, format!("none of {} requests", self.requests)),
        }
    }

    async fn deliver(&mut self, sender: &Sender, body: Bytes) -> Result<Observation, SendError> {
        let report = sender.deliver(body).await?;
        Ok(self.record_delivery(report.attempts().last()))
    }

    fn record_delivery(&mut self, attempt: Option<&Attempt>) -> Observation {
        let seen = Observation::of(attempt);
        self.slowest = self.slowest.max(Some(seen.duration));
        self.accepted += usize::from(seen.accepted());
        if seen.timed_out || (seen.status.is_some() && seen.duration > self.drill.timeout) {
            self.late += 1;
        } else if seen.status.is_some() {
            self.answers += 1;
        }
        self.record(&seen);
        seen
    }

    /// The first probe, which more than one check needs.
    async fn probed(&mut self) -> Result<Observation, SendError> {
        if let Some(seen) = &self.probe {
            return Ok(seen.clone());
        }
        let seen = self.probe().await?;
        self.probe = Some(seen.clone());
        Ok(seen)
    }

    async fn probe(&mut self) -> Result<Observation, SendError> {
        let report = self.bare.probe().await?;
        let seen = Observation::of(Some(report.attempt()));
        self.record(&seen);
        Ok(seen)
    }

    fn record(&mut self, seen: &Observation) {
        self.requests += 1;
        self.unreachable |= seen.unreachable;
        self.redirects
            .extend(seen.status.filter(StatusCode::is_redirection));
    }
}

/// That a repetition is accepted says nothing about what is done with it.
fn repeated(seen: &Observation) -> Finding {
    let finding = accepted(seen);
    match finding.verdict {
        Verdict::Pass => finding.and("whether it is handled only once cannot be seen from outside"),
        _ => finding,
    }
}

/// Whether another signature could be accepted. An endpoint that is not there, or that has enough, is not asked more.
fn may_be_rejected_for_its_signature(seen: &Observation) -> bool {
    let is_about_more = matches!(
        seen.status.map(|status| status.as_u16()),
        Some(413 | 429 | 503)
    );
    let is_error = seen.status.is_some_and(|status| status.is_server_error());
    (seen.rejected() || is_error) && !is_about_more && !seen.names_csrf
}

fn named(finding: Finding, mistakes: Vec<Mistake>) -> Finding {
    let texts: Vec<_> = mistakes.iter().map(|mistake| mistake.text()).collect();
    let fixes: Vec<_> = mistakes.iter().map(|mistake| mistake.fix()).collect();
    let mut finding = finding
        .and(&format!("it accepts {}", texts.join(", and ")))
        .fix(Some(fixes.join("; ")));
    finding.mistakes = mistakes;
    finding
}

const UNREACHABLE: &str = "the endpoint cannot be reached";
const PLAIN_IS_NOT_ACCEPTED: &str = "the plain delivery is not accepted either";
const FAILURE_IS_NOT_ACCEPTED: &str = "a plain failure is not accepted either";
const NOTHING_ACCEPTED: &str = "no delivery was accepted";
const COMPARE_SECRETS: &str = "check first that the endpoint has the secret that the drill signs with; then compare the header Signature with the \
     HMAC-SHA256 of the raw body in lower-case hexadecimal digits, with the whole secret (whsec_ included) as the key";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seconds: u64, expected: Verdict) {
        let drill = Drill::new("http://127.0.0.1/");
        let seen = Observation {
            status: Some(StatusCode::OK),
            duration: Duration::from_secs(seconds),
            ..Observation::default()
        };
        assert_eq!(Session::new(&drill).in_good_time(&seen).verdict, expected);
    }

    #[test]
    fn answer_after_half_of_the_timeout_is_a_warning() {
        check(0, Verdict::Pass);
        check(5, Verdict::Pass);
        check(6, Verdict::Warn);
    }
}
