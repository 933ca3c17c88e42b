//! How each check is made.

use std::time::{Duration, Instant};

use bytes::Bytes;
use heygen_signature::Secret;
use http::StatusCode;

use super::{Check, CheckResult, Drill, Scorecard, Verdict, bodies};
use crate::sender::{Attempt, SendError, Sender};

mod burst;
mod forged;
mod seen;

use burst::BurstSeen;
use forged::another_secret;
use seen::{Seen, accepted, millis, noted};

/// Makes the checks of a drill, one after the other.
pub(super) async fn run(
    drill: &Drill,
    mut on_result: impl FnMut(&CheckResult),
) -> Result<Scorecard, SendError> {
    let mut session = Session::new(drill);
    let mut results = Vec::new();
    for &check in &drill.checks {
        let started = Instant::now();
        let (verdict, seen) = session.make(check).await?;
        let result = CheckResult {
            check,
            verdict,
            seen,
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

/// A verdict, and what it rests on.
type Told = (Verdict, String);

/// What a drill has seen so far.
struct Session<'a> {
    drill: &'a Drill,
    /// Sends without a signature.
    bare: Sender,
    /// Sends as HeyGen does, where there is a secret.
    signed: Option<Sender>,
    /// The plain delivery, and what came of it.
    plain: Option<(Bytes, Seen)>,
    burst: Option<BurstSeen>,
    requests: usize,
    slowest: Option<Duration>,
    answers: usize,
    late: usize,
    redirects: Vec<StatusCode>,
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
            plain: None,
            burst: None,
            requests: 0,
            slowest: None,
            answers: 0,
            late: 0,
            redirects: Vec::new(),
        }
    }

    async fn make(&mut self, check: Check) -> Result<Told, SendError> {
        match check {
            Check::Probe => Ok(accepted(&self.probe().await?)),
            Check::Unsigned => {
                let bare = self.bare.clone();
                self.forged(bare).await
            }
            Check::WrongSecret => match another_secret() {
                Some(secret) => {
                    let sender = self.bare.clone().secret(secret);
                    self.forged(sender).await
                }
                None => Ok((Verdict::Skip, "no other secret could be made".to_owned())),
            },
            Check::Latency => {
                self.see_a_delivery().await?;
                Ok(self.latency())
            }
            Check::Redirect => {
                self.see_a_delivery().await?;
                Ok(self.redirect())
            }
            Check::Valid
            | Check::Tampered
            | Check::RawBody
            | Check::OtherHeader
            | Check::UpperCase
            | Check::Duplicate
            | Check::UnknownEvent
            | Check::MissingMedia
            | Check::NullFields
            | Check::ExtraFields
            | Check::NumberIds
            | Check::LargeBody
            | Check::Burst
            | Check::BurstProbe
            | Check::Replay => match (self.signed.clone(), self.drill.secret.clone()) {
                (Some(sender), Some(secret)) => self.make_signed(check, sender, &secret).await,
                (None, _) | (_, None) => {
                    Ok((Verdict::Skip, "there is no secret to sign with".to_owned()))
                }
            },
        }
    }

    /// The checks that need a secret.
    async fn make_signed(
        &mut self,
        check: Check,
        sender: Sender,
        secret: &Secret,
    ) -> Result<Told, SendError> {
        let (plain_body, plain) = self.plain(&sender).await?;
        if check == Check::Valid {
            return Ok(self.valid(&plain));
        }
        if check == Check::Tampered {
            return self.forged(sender.tampered()).await;
        }
        if !plain.accepted() {
            return Ok((
                Verdict::Skip,
                format!("the plain delivery is not accepted either: {}", plain.words),
            ));
        }
        let body = match check {
            Check::RawBody => bodies::odd_white_space(),
            Check::UnknownEvent => bodies::unknown_event(),
            Check::NullFields => bodies::null_fields(),
            Check::ExtraFields => bodies::extra_fields(),
            Check::NumberIds => bodies::number_ids(),
            Check::LargeBody => bodies::large(),
            Check::Replay => plain_body,
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
                    return Ok((
                        Verdict::Skip,
                        format!("the first one is not accepted: {}", first.words),
                    ));
                }
                body
            }
            Check::MissingMedia => return self.missing_media(&sender).await,
            Check::Burst | Check::BurstProbe => return self.burst(check, &sender).await,
            Check::Probe
            | Check::Valid
            | Check::Tampered
            | Check::Unsigned
            | Check::WrongSecret
            | Check::Latency
            | Check::Redirect => plain_body,
        };
        Ok(accepted(&self.deliver(&sender, body).await?))
    }

    /// The delivery that most checks rest on; sent once.
    async fn plain(&mut self, sender: &Sender) -> Result<(Bytes, Seen), SendError> {
        if let Some(plain) = &self.plain {
            return Ok(plain.clone());
        }
        let body = bodies::plain();
        let seen = self.deliver(sender, body.clone()).await?;
        self.plain = Some((body.clone(), seen.clone()));
        Ok((body, seen))
    }

    /// What is told of all deliveries needs one, also where no other check made any.
    async fn see_a_delivery(&mut self) -> Result<(), SendError> {
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

    fn valid(&self, plain: &Seen) -> Told {
        match accepted(plain) {
            (Verdict::Pass, words) if plain.duration > self.drill.timeout / 2 => (
                Verdict::Warn,
                format!(
                    "{words}: more than half of the time is gone; answer first, work afterwards"
                ),
            ),
            told => told,
        }
    }

    async fn missing_media(&mut self, sender: &Sender) -> Result<Told, SendError> {
        let mut refused = Vec::new();
        for (how, body) in bodies::missing_media() {
            let seen = self.deliver(sender, body).await?;
            if !seen.accepted() {
                refused.push(format!("{how}: {}", seen.words));
            }
        }
        Ok(match refused.is_empty() {
            true => (Verdict::Pass, "all three are accepted".to_owned()),
            false => (Verdict::Fail, refused.join("; ")),
        })
    }

    fn latency(&self) -> Told {
        let Some(slowest) = self.slowest.filter(|_| self.answers + self.late > 0) else {
            return (Verdict::Skip, "no delivery was answered".to_owned());
        };
        let all = self.answers + self.late;
        let slowest = format!("the slowest of {all} took {}", millis(slowest));
        match self.late {
            0 => (Verdict::Pass, slowest),
            late => (
                Verdict::Fail,
                format!("{late} of {all} had no answer in time; {slowest}"),
            ),
        }
    }

    fn redirect(&self) -> Told {
        match self.redirects.first() {
            Some(status) => (
                Verdict::Fail,
                format!(
                    "{} of {} requests, the first with {status}",
                    self.redirects.len(),
                    self.requests
                ),
            ),
            None if self.answers == 0 => (Verdict::Skip, "no delivery was answered".to_owned()),
            None => (Verdict::Pass, format!("none of {} requests", self.requests)),
        }
    }

    async fn deliver(&mut self, sender: &Sender, body: Bytes) -> Result<Seen, SendError> {
        let report = sender.deliver(body).await?;
        Ok(self.saw_delivery(report.attempts().last()))
    }

    fn saw_delivery(&mut self, attempt: Option<&Attempt>) -> Seen {
        let seen = Seen::of(attempt);
        self.slowest = self.slowest.max(Some(seen.duration));
        if seen.timed_out || (seen.status.is_some() && seen.duration > self.drill.timeout) {
            self.late += 1;
        } else if seen.status.is_some() {
            self.answers += 1;
        }
        self.saw(&seen);
        seen
    }

    async fn probe(&mut self) -> Result<Seen, SendError> {
        let report = self.bare.probe().await?;
        let seen = Seen::of(Some(report.attempt()));
        self.saw(&seen);
        Ok(seen)
    }

    fn saw(&mut self, seen: &Seen) {
        self.requests += 1;
        self.redirects
            .extend(seen.status.filter(StatusCode::is_redirection));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seconds: u64, expected: Verdict) {
        let drill = Drill::new("http://127.0.0.1/");
        let seen = Seen {
            status: Some(StatusCode::OK),
            timed_out: false,
            duration: Duration::from_secs(seconds),
            words: String::new(),
        };
        assert_eq!(Session::new(&drill).valid(&seen).0, expected);
    }

    #[test]
    fn an_answer_in_the_second_half_of_the_time_is_a_warning() {
        check(0, Verdict::Pass);
        check(5, Verdict::Pass);
        check(6, Verdict::Warn);
    }
}
