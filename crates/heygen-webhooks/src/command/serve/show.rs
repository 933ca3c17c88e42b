//! `serve --sandbox`: the whole product in one command, offline.

use heygen_api::Credentials;
use heygen_events::EventType;
use heygen_testkit::EventBuilder;
use heygen_testkit::sandbox::Sandbox;

use super::printer::Handled;
use crate::failure::Failure;
use crate::output;

/// HeyGen in a box, and the key to it.
pub(super) struct Show {
    sandbox: Sandbox,
}

impl Show {
    pub(super) async fn start() -> Result<Self, Failure> {
        let sandbox = Sandbox::builder().api_key(KEY).start().await?;
        tracing::info!(url = sandbox.url(), "the sandbox plays HeyGen");
        Ok(Self { sandbox })
    }

    pub(super) fn base_url(&self) -> &str {
        self.sandbox.url()
    }

    pub(super) fn credentials(&self) -> Credentials {
        Credentials::api_key(KEY)
    }

    /// Has one signed sample of every event delivered, each after the one before has been handled.
    pub(super) async fn play(&self, mut handled: Handled) {
        for event_type in EventType::DOCUMENTED {
            let before = handled.count();
            self.sandbox.send(EventBuilder::new(event_type.clone()));
            handled.reach(before + 1).await;
        }
    }

    /// What a newcomer may want to do next.
    pub(super) fn suggest(&self, json: bool) -> Result<(), Failure> {
        if json {
            return Ok(());
        }
        let url = self.sandbox.url();
        output::write(format!(
            "
That was one signed sample of each of the {count} known events, registered for, delivered, verified, kept and handled as at
HeyGen. It stays up; from a second terminal try:

  curl {url}/sandbox/events -d '{{\"event_type\":\"avatar_video.fail\",\"data\":{{\"msg\":\"no credit\"}}}}'
  heygen-webhooks inbox list --inbox heygen-sandbox.db
  HEYGEN_API_KEY={KEY} heygen-webhooks endpoints list --base-url {url}
  HEYGEN_API_KEY={KEY} heygen-webhooks events --base-url {url}

Ctrl-C ends it. At HeyGen itself: HEYGEN_API_KEY=… heygen-webhooks serve --public-url https://your.host/webhooks/heygen

",
            count = EventType::DOCUMENTED.len(),
        ))?;
        Ok(())
    }
}

/// The sandbox is on loopback and forgets everything: its key protects nothing.
const KEY: &str = "sandbox";
