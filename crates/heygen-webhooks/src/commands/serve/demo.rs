//! [`Demo`]: `serve --sandbox`, the whole product in one command, offline.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use heygen_api::Credentials;
use heygen_events::EventType;
use heygen_inbox::{Appended, AttemptOutcome, DeliveryId};
use heygen_receiver::{ObservedAttempt, ObservedDelivery, Observer};
use heygen_testkit::EventBuilder;
use heygen_testkit::sandbox::Sandbox;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::failure::Failure;
use crate::output::tame;
use crate::server::sandbox::Control;
use crate::store::location::InboxLocation;

/// What is stored and attempted while the show is played.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally(watch::Sender<Seen>);

#[derive(Debug, Default)]
struct Seen {
    stored: HashSet<DeliveryId>,
    /// Why the last attempt at each failed; `None` where it did not. The inbox may hold deliveries of an earlier run.
    ended: BTreeMap<DeliveryId, Option<String>>,
}

impl Observer for Tally {
    fn stored(&self, stored: &ObservedDelivery<'_>) {
        if let Appended::New(id) = stored.appended {
            self.see(|seen| {
                seen.stored.insert(id);
            });
        }
    }

    fn attempted(&self, attempt: &ObservedAttempt<'_>) {
        let failed = attempt.result != AttemptOutcome::Acknowledged;
        let why = failed.then(|| attempt.detail.unwrap_or_default().to_owned());
        self.see(|seen| {
            seen.ended.insert(attempt.id, why);
        });
    }
}

impl Tally {
    /// Nothing is counted once the show is over.
    fn see(&self, see: impl FnOnce(&mut Seen)) {
        if !self.0.is_closed() {
            self.0.send_modify(see);
        }
    }
}

impl Seen {
    /// Of what was stored, once each: an attempt may be seen before its delivery is, and another attempt at a sample tells
    /// nothing of the next one.
    fn ended(&self) -> impl Iterator<Item = Option<&String>> {
        let ended = self.ended.iter();
        let ended = ended.filter(|(id, _)| self.stored.contains(id));
        ended.map(|(_, why)| why.as_ref())
    }
}

#[derive(Debug)]
pub(super) struct Report {
    samples: usize,
    stored: usize,
    acknowledged: usize,
    reason: Option<String>,
}

impl Report {
    pub(super) fn is_good(&self) -> bool {
        self.acknowledged >= self.samples
    }

    /// For the log, which programs read too.
    pub(super) fn log(&self) {
        let Self {
            samples,
            stored,
            acknowledged,
            reason,
        } = self;
        match self.is_good() {
            true => tracing::info!(samples, stored, acknowledged, "the samples were sent"),
            false => tracing::warn!(
                samples,
                stored,
                acknowledged,
                "the samples were sent, and not all are acknowledged: {}",
                reason.as_deref().unwrap_or("no attempt has failed yet")
            ),
        }
    }

    /// For people: what happened, and nothing else.
    fn text(&self) -> String {
        let Self {
            samples,
            stored,
            acknowledged,
            ..
        } = self;
        let mut text = format!("{stored} stored, {acknowledged} of {samples} acknowledged");
        if let Some(reason) = self.reason.as_ref().filter(|_| !self.is_good()) {
            text.push_str(": ");
            text.push_str(&tame(reason));
        }
        text
    }
}

/// HeyGen in a box, and the key to it.
pub(super) struct Demo {
    sandbox: Arc<Sandbox>,
}

impl Demo {
    pub(super) async fn start() -> Result<Self, Failure> {
        let sandbox = Arc::new(Sandbox::builder().api_key(KEY).start().await?);
        tracing::info!(url = sandbox.url(), "the sandbox simulates HeyGen");
        Ok(Self { sandbox })
    }

    pub(super) fn control(&self) -> Control {
        Control::new(&self.sandbox)
    }

    pub(super) fn base_url(&self) -> &str {
        self.sandbox.url()
    }

    pub(super) fn credentials(&self) -> Credentials {
        Credentials::api_key(KEY)
    }

    /// Has one signed sample of every event delivered, each after the one before has been handled. When one is late, the
    /// rest is sent without waiting.
    pub(super) async fn play(&self, tally: &Tally) -> Report {
        let mut seen = tally.0.subscribe();
        let mut is_late = false;
        for event_type in EventType::KNOWN {
            let before = seen.borrow().ended().count();
            self.sandbox.send(EventBuilder::new(event_type.clone()));
            if is_late {
                continue;
            }
            let handled = seen.wait_for(|seen| seen.ended().count() > before);
            if timeout(PATIENCE, handled).await.is_err() {
                is_late = true;
                tracing::warn!(
                    event_type = event_type.as_str(),
                    "sample not acknowledged after {} s; the others are sent without waiting: check that the output is read, and the log for errors",
                    PATIENCE.as_secs()
                );
            }
        }
        if is_late {
            // The rest was sent without waiting.
            let handled = seen.wait_for(|seen| seen.ended().count() >= EventType::KNOWN.len());
            let _ = timeout(PATIENCE, handled).await;
        }
        let seen = seen.borrow();
        Report {
            samples: EventType::KNOWN.len(),
            stored: seen.stored.len(),
            acknowledged: seen.ended().filter(Option::is_none).count(),
            reason: seen.ended().flatten().last().cloned(),
        }
    }

    /// What a newcomer may want to do next.
    pub(super) fn suggestions(
        &self,
        report: &Report,
        inbox: &InboxLocation,
        dashboard: Option<&str>,
    ) -> String {
        let url = self.sandbox.url();
        let browser = dashboard
            .map(|dashboard| format!("\nSee them in the browser: {dashboard}\n"))
            .unwrap_or_default();
        format!(
            "
Sent one signed sample of each of the {count} known events, as HeyGen would:
{report}
{browser}
It keeps running; try from a second terminal:

  curl {url}/sandbox/events -d '{{\"event_type\":\"avatar_video.fail\",\"data\":{{\"msg\":\"no credit\"}}}}'
  heygen-webhooks inbox list --inbox {inbox}
  HEYGEN_API_KEY={KEY} heygen-webhooks endpoints list --base-url {url}
  HEYGEN_API_KEY={KEY} heygen-webhooks events --base-url {url}

Stop with Ctrl-C. For the real HeyGen: HEYGEN_API_KEY=… heygen-webhooks serve --public-url https://your.host

",
            count = report.samples,
            report = report.text(),
            inbox = inbox,
        )
    }
}

/// The sandbox is on loopback and forgets everything: its key protects nothing.
const KEY: &str = "sandbox";

/// Far more than a sample takes from being sent to being printed.
const PATIENCE: Duration = Duration::from_secs(10);
