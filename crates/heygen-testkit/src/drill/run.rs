//! How each check is made.

use std::time::{Duration, Instant};

use bytes::Bytes;
use heygen_signature::Secret;
use http::StatusCode;
use tokio::task::JoinSet;

use super::{
    bodies,
    check::Check,
    scorecard::{CheckResult, Scorecard, Verdict},
    setup::Drill,
};
use crate::{
    random,
    sender::{Attempt, SendError, Sender},
};

mod seen;

use seen::{Seen, Told, accepted, millis, noted, told_of_many};

impl Drill {
    /// Makes the checks, and tells each result when it is there.
    ///
    /// It is to run on a tokio runtime with time and I/O: a burst is sent by tasks.
    ///
    /// # Errors
    ///
    /// [`SendError`] when nothing could be sent at all. An endpoint that cannot be reached is in the scorecard.
    pub async fn run(
        &self,
        mut on_result: impl FnMut(&CheckResult),
    ) -> Result<Scorecard, SendError> {
        let mut session = Session::new(self);
        let mut results = Vec::new();
        for &check in &self.checks {
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
}

/// What came of a burst.
#[derive(Debug)]
struct BurstSeen {
    deliveries: Vec<Seen>,
    probes: Vec<Seen>,
}

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
            // Nobody else has it.
            Check::WrongSecret => match Secret::new(format!("whsec_{}", random::id())) {
                Ok(secret) => self.forged(self.bare.clone().secret(secret)).await,
                Err(error) => Ok((Verdict::Skip, error.to_string())),
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

    /// A delivery that is to be refused. That it is proves something only where a good one is taken.
    async fn forged(&mut self, sender: Sender) -> Result<Told, SendError> {
        let plain = match self.signed.clone() {
            Some(signed) => Some(self.plain(&signed).await?.1),
            None => None,
        };
        if let Some(plain) = plain.as_ref().filter(|plain| plain.status.is_none()) {
            return Ok((
                Verdict::Skip,
                format!("the plain delivery got none: {}", plain.words),
            ));
        }
        let seen = self.deliver(&sender, bodies::plain()).await?;
        let words = seen.words.clone();
        if seen.accepted() {
            return Ok((Verdict::Fail, format!("taken: {words}")));
        }
        let is_refusal = seen.status.is_some_and(|status| status.is_client_error());
        let nobody_there = matches!(
            seen.status,
            Some(StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::GONE)
        );
        Ok(match plain {
            Some(plain) if plain.accepted() && is_refusal => (Verdict::Pass, words),
            Some(plain) if plain.accepted() => (
                Verdict::Fail,
                format!("not taken, and not refused with a 4xx: {words}"),
            ),
            Some(_) => (
                Verdict::Skip,
                format!(
                    "the plain delivery is not accepted either, so this proves nothing: {words}"
                ),
            ),
            None if is_refusal && !nobody_there => (Verdict::Pass, words),
            None => (
                Verdict::Skip,
                format!("nothing seems to take deliveries there: {words}"),
            ),
        })
    }

    async fn burst(&mut self, check: Check, sender: &Sender) -> Result<Told, SendError> {
        if self.drill.burst == 0 {
            return Ok((Verdict::Skip, "a burst of none".to_owned()));
        }
        let burst = match self.burst.take() {
            Some(burst) => burst,
            None => self.send_burst(sender).await?,
        };
        let told = match check {
            Check::BurstProbe => told_of_many(
                &burst.probes,
                burst.probes.len(),
                "probes answered with 2xx",
            ),
            _ => told_of_many(&burst.deliveries, self.drill.burst, "deliveries accepted"),
        };
        self.burst = Some(burst);
        Ok(told)
    }

    async fn send_burst(&mut self, sender: &Sender) -> Result<BurstSeen, SendError> {
        let mut under_way = JoinSet::new();
        for _ in 0..self.drill.burst {
            let (sender, body) = (sender.clone(), bodies::plain());
            under_way.spawn(async move { sender.deliver(body).await });
        }
        let mut reports = Vec::new();
        let mut probes = Vec::new();
        loop {
            probes.push(self.probe().await?);
            let all = async {
                while let Some(report) = under_way.join_next().await {
                    reports.push(report);
                }
            };
            // What is under way ends by itself: every delivery has its time.
            if tokio::time::timeout(PROBE_PAUSE, all).await.is_ok() {
                break;
            }
        }
        let mut deliveries = Vec::new();
        // A task that panicked is missing in the count, and that is told.
        for report in reports.into_iter().flatten() {
            deliveries.push(self.saw_delivery(report?.attempts().last()));
        }
        Ok(BurstSeen { deliveries, probes })
    }

    async fn missing_media(&mut self, sender: &Sender) -> Result<Told, SendError> {
        let mut refused = Vec::new();
        for (how, body) in bodies::missing_media() {
            let seen = self.deliver(sender, body).await?;
            if !seen.accepted() {
                refused.push(format!("{how}: {}", seen.words));
            }
        }
        Ok(if refused.is_empty() {
            (Verdict::Pass, "all three are accepted".to_owned())
        } else {
            (Verdict::Fail, refused.join("; "))
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

/// Between two probes during a burst.
const PROBE_PAUSE: Duration = Duration::from_millis(100);

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
