//! Runs the checks.

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

mod observation;

use observation::{Finding, Observation, accepted, millis, noted, summarize};

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

/// The results of a burst.
#[derive(Debug)]
struct BurstObservation {
    deliveries: Vec<Observation>,
    probes: Vec<Observation>,
}

/// The state of a running drill.
struct Session<'a> {
    drill: &'a Drill,
    /// Sends without a signature.
    bare: Sender,
    /// Sends as HeyGen does, if there is a secret.
    signed: Option<Sender>,
    /// The plain delivery and its result.
    plain: Option<(Bytes, Observation)>,
    burst: Option<BurstObservation>,
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

    async fn make(&mut self, check: Check) -> Result<Finding, SendError> {
        match check {
            Check::Probe => Ok(accepted(&self.probe().await?)),
            Check::Unsigned => {
                let bare = self.bare.clone();
                self.forged(bare).await
            }
            // A new one: the endpoint cannot have it.
            Check::WrongSecret => match Secret::new(format!("whsec_{}", random::id())) {
                Ok(secret) => self.forged(self.bare.clone().secret(secret)).await,
                Err(error) => Ok((Verdict::Skip, error.to_string())),
            },
            Check::Latency => {
                self.ensure_delivery().await?;
                Ok(self.latency())
            }
            Check::Redirect => {
                self.ensure_delivery().await?;
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
    ) -> Result<Finding, SendError> {
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
                format!(
                    "the plain delivery is not accepted either: {}",
                    plain.summary
                ),
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
                        format!("the first delivery is not accepted: {}", first.summary),
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

    fn valid(&self, plain: &Observation) -> Finding {
        match accepted(plain) {
            (Verdict::Pass, summary) if plain.duration > self.drill.timeout / 2 => (
                Verdict::Warn,
                format!("{summary}: more than half of the timeout; answer first, work afterwards"),
            ),
            finding => finding,
        }
    }

    /// Sends a delivery that must be rejected. A rejection proves something only if the plain
    /// delivery is accepted.
    async fn forged(&mut self, sender: Sender) -> Result<Finding, SendError> {
        let plain = match self.signed.clone() {
            Some(signed) => Some(self.plain(&signed).await?.1),
            None => None,
        };
        if let Some(plain) = plain.as_ref().filter(|plain| plain.status.is_none()) {
            return Ok((
                Verdict::Skip,
                format!("the plain delivery got no answer: {}", plain.summary),
            ));
        }
        let seen = self.deliver(&sender, bodies::plain()).await?;
        let summary = seen.summary.clone();
        if seen.accepted() {
            return Ok((Verdict::Fail, format!("accepted: {summary}")));
        }
        let is_refusal = seen.status.is_some_and(|status| status.is_client_error());
        let is_not_there = matches!(
            seen.status,
            Some(StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::GONE)
        );
        Ok(match plain {
            Some(plain) if plain.accepted() && is_refusal => (Verdict::Pass, summary),
            Some(plain) if plain.accepted() => (
                Verdict::Fail,
                format!("not accepted, and not rejected with 4xx: {summary}"),
            ),
            Some(_) => (
                Verdict::Skip,
                format!(
                    "the plain delivery is not accepted either, so this proves nothing: {summary}"
                ),
            ),
            None if is_refusal && !is_not_there => (Verdict::Pass, summary),
            None => (
                Verdict::Skip,
                format!("no endpoint seems to be there: {summary}"),
            ),
        })
    }

    async fn burst(&mut self, check: Check, sender: &Sender) -> Result<Finding, SendError> {
        if self.drill.burst == 0 {
            return Ok((Verdict::Skip, "the burst is 0".to_owned()));
        }
        let burst = match self.burst.take() {
            Some(burst) => burst,
            None => self.send_burst(sender).await?,
        };
        let finding = match check {
            Check::BurstProbe => summarize(
                &burst.probes,
                burst.probes.len(),
                "probes answered with 2xx",
            ),
            _ => summarize(&burst.deliveries, self.drill.burst, "deliveries accepted"),
        };
        self.burst = Some(burst);
        Ok(finding)
    }

    async fn send_burst(&mut self, sender: &Sender) -> Result<BurstObservation, SendError> {
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
            // The deliveries end by themselves: each has a timeout.
            if tokio::time::timeout(PROBE_PAUSE, all).await.is_ok() {
                break;
            }
        }
        let mut deliveries = Vec::new();
        // A task that panicked is missing in the count, which fails the check.
        for report in reports.into_iter().flatten() {
            deliveries.push(self.record_delivery(report?.attempts().last()));
        }
        Ok(BurstObservation { deliveries, probes })
    }

    async fn missing_media(&mut self, sender: &Sender) -> Result<Finding, SendError> {
        let mut refused = Vec::new();
        for (how, body) in bodies::missing_media() {
            let seen = self.deliver(sender, body).await?;
            if !seen.accepted() {
                refused.push(format!("{how}: {}", seen.summary));
            }
        }
        Ok(if refused.is_empty() {
            (Verdict::Pass, "all three are accepted".to_owned())
        } else {
            (Verdict::Fail, refused.join("; "))
        })
    }

    fn latency(&self) -> Finding {
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

    fn redirect(&self) -> Finding {
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

    async fn deliver(&mut self, sender: &Sender, body: Bytes) -> Result<Observation, SendError> {
        let report = sender.deliver(body).await?;
        Ok(self.record_delivery(report.attempts().last()))
    }

    fn record_delivery(&mut self, attempt: Option<&Attempt>) -> Observation {
        let seen = Observation::of(attempt);
        self.slowest = self.slowest.max(Some(seen.duration));
        if seen.timed_out || (seen.status.is_some() && seen.duration > self.drill.timeout) {
            self.late += 1;
        } else if seen.status.is_some() {
            self.answers += 1;
        }
        self.record(&seen);
        seen
    }

    async fn probe(&mut self) -> Result<Observation, SendError> {
        let report = self.bare.probe().await?;
        let seen = Observation::of(Some(report.attempt()));
        self.record(&seen);
        Ok(seen)
    }

    fn record(&mut self, seen: &Observation) {
        self.requests += 1;
        self.redirects
            .extend(seen.status.filter(StatusCode::is_redirection));
    }
}

/// The pause between two probes during a burst.
const PROBE_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seconds: u64, expected: Verdict) {
        let drill = Drill::new("http://127.0.0.1/");
        let seen = Observation {
            status: Some(StatusCode::OK),
            timed_out: false,
            duration: Duration::from_secs(seconds),
            summary: String::new(),
        };
        assert_eq!(Session::new(&drill).valid(&seen).0, expected);
    }

    #[test]
    fn answer_after_half_of_the_timeout_is_a_warning() {
        check(0, Verdict::Pass);
        check(5, Verdict::Pass);
        check(6, Verdict::Warn);
    }
}
