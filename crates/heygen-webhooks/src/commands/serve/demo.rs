//! [`Demo`]: `serve --sandbox`, the whole product in one command, offline.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use heygen_api::Credentials;
use heygen_events::EventType;
use heygen_inbox::Appended;
use heygen_receiver::{ObservedDelivery, Observer};
use heygen_testkit::EventBuilder;
use heygen_testkit::sandbox::Sandbox;
use tokio::time::timeout;

use crate::dispatch::Count;
use crate::failure::Failure;
use crate::output::tame;
use crate::server::sandbox::Control;
use crate::store::location::InboxLocation;

/// Counts what is stored while the show is played.
#[derive(Clone, Debug, Default)]
pub(super) struct Stored(Arc<AtomicUsize>);

impl Observer for Stored {
    fn stored(&self, stored: &ObservedDelivery<'_>) {
        if matches!(stored.appended, Appended::New(_)) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What became of the samples.
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
    pub(super) fn tell(&self) {
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

    /// For the dashboard.
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
    pub(super) async fn play(&self, mut handled: Count, stored: &Stored) -> Report {
        let mut is_late = false;
        for event_type in EventType::KNOWN {
            let before = handled.now().ended;
            self.sandbox.send(EventBuilder::new(event_type.clone()));
            if is_late {
                continue;
            }
            if timeout(PATIENCE, handled.reach(before + 1)).await.is_err() {
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
            let _ = timeout(PATIENCE, handled.reach(EventType::KNOWN.len())).await;
        }
        let tally = handled.now();
        Report {
            samples: EventType::KNOWN.len(),
            stored: stored.0.load(Ordering::Relaxed),
            acknowledged: tally.acknowledged,
            reason: tally.last_failure,
        }
    }

    /// What a newcomer may want to do next.
    pub(super) fn suggestions(&self, report: &Report, inbox: &InboxLocation) -> String {
        let url = self.sandbox.url();
        format!(
            "
Sent one signed sample of each of the {count} known events, as HeyGen would:
{report}

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

/// Where the sandbox, which is on this machine, reaches a server that listens at `address`: it takes plain http on loopback
/// alone.
pub(super) fn from_here(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    address
}

/// The sandbox is on loopback and forgets everything: its key protects nothing.
const KEY: &str = "sandbox";

/// Far more than a sample takes from being sent to being printed.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_listens_everywhere_listens_on_loopback() {
        for (address, expected) in [
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("127.0.0.2:80", "127.0.0.2:80"),
        ] {
            let address = address.parse().expect("an address");
            assert_eq!(from_here(address).to_string(), expected);
        }
    }
}
