//! [`Site`]: what every page knows.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use heygen_inbox::{
    BoxInbox, InboxAdmin as _, InboxError, InboxErrorKind, RejectedRequests, StoredDelivery,
};
use heygen_signature::{Secret, Secrets};
use tokio::sync::Semaphore;
use tokio::task::JoinError;

use crate::fact::Fact;
use crate::gate::Gate;
use crate::job::Jobs;
use crate::live::{Copies, Pulse};
use crate::problem::Problem;
use crate::sandbox::SandboxControl;
use crate::sender::Sender;

/// What every page is given.
pub(crate) type Shared = State<Arc<Site>>;

/// A page, or where to go from here.
pub(crate) type Answer<T = Response> = Result<T, Problem>;

/// What every page knows.
pub(crate) struct Site {
    pub(crate) inbox: BoxInbox,
    pub(crate) base: String,
    pub(crate) hosts: Vec<String>,
    pub(crate) is_read_only: bool,
    /// Whether what comes through a proxy is answered without a token.
    pub(crate) is_behind_proxy: bool,
    pub(crate) gate: Option<Gate>,
    pub(crate) facts: Option<Facts>,
    pub(crate) secrets: Option<NamedSecrets>,
    pub(crate) sender: Option<Box<dyn Sender>>,
    pub(crate) rejected: Option<Arc<dyn RejectedRequests>>,
    pub(crate) sandbox: Option<Arc<dyn SandboxControl>>,
    /// Whether there are pages of the inbox.
    pub(crate) has_inbox: bool,
    pub(crate) webhook_url: Option<String>,
    pub(crate) pulse: Pulse,
    pub(crate) copies: Copies,
    /// A permit for each stream of changes.
    pub(crate) streams: Arc<Semaphore>,
    /// A permit for each thread that may block: a disk that hangs must not take one for each view.
    threads: Arc<Semaphore>,
    pub(crate) replay: Jobs,
    pub(crate) reverify: Jobs,
}

type Facts = Arc<dyn Fn() -> Vec<Fact> + Send + Sync>;
type NamedSecrets = Box<dyn Fn() -> Vec<(String, Secret)> + Send + Sync>;

impl Site {
    pub(crate) fn new(inbox: BoxInbox) -> Self {
        Self {
            inbox,
            base: String::new(),
            hosts: Vec::new(),
            is_read_only: false,
            is_behind_proxy: false,
            gate: None,
            facts: None,
            secrets: None,
            sender: None,
            rejected: None,
            sandbox: None,
            has_inbox: true,
            webhook_url: None,
            pulse: Pulse::default(),
            copies: Copies::default(),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            threads: Arc::new(Semaphore::new(MAX_THREADS)),
            replay: Jobs::default(),
            reverify: Jobs::default(),
        }
    }

    /// Whether a page of the menu has something to show.
    pub(crate) fn has_page(&self, path: &str) -> bool {
        match path {
            "/rejected" => self.rejected.is_some(),
            "/sandbox" => self.sandbox.is_some(),
            _ => self.has_inbox,
        }
    }

    /// Where a page is; `path` begins with `/`.
    pub(crate) fn path(&self, path: &str) -> String {
        match (path, self.base.as_str()) {
            ("/", base) if !base.is_empty() => base.to_owned(),
            (path, base) => format!("{base}{path}"),
        }
    }

    /// The delivery of that id.
    pub(crate) async fn stored(&self, id: &str) -> Answer<StoredDelivery> {
        let id = id.parse();
        let id = id.map_err(|_| Problem::not_found("That is not the id of a delivery."))?;
        let stored = self.inbox.get(id).await?;
        stored.ok_or_else(|| {
            let text = "There is no delivery of this id: it was never here, or it has been pruned.";
            Problem::not_found(text)
        })
    }

    /// What the program around it knows.
    pub(crate) async fn facts(&self) -> Vec<Fact> {
        let Some(facts) = self.facts.clone() else {
            return Vec::new();
        };
        let asked = tokio::time::timeout(FACTS_TIME, self.blocking(move || facts())).await;
        let Ok(asked) = asked else {
            let text = format!("not known after {} s", FACTS_TIME.as_secs());
            return vec![Fact::new("This server", text).advice("See whether a disk hangs.")];
        };
        asked.unwrap_or_else(|error| {
            tracing::warn!(%error, "the dashboard cannot tell what this server knows");
            Vec::new()
        })
    }

    /// Does this on a thread that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        let permit = Arc::clone(&self.threads).acquire_owned().await;
        let work = move || {
            let _permit = permit;
            work()
        };
        tokio::task::spawn_blocking(work).await
    }

    /// Every secret in use; `None` when none is known.
    pub(crate) fn secrets(&self) -> Option<Secrets> {
        let named = self.secrets.as_ref()?();
        Secrets::collect(named.into_iter().map(|(_, secret)| secret))
    }

    /// What this says of them.
    pub(crate) async fn read_rejected<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&dyn RejectedRequests) -> Result<T, InboxError> + Send + 'static,
    ) -> Answer<T> {
        let rejected = self.rejected.clone();
        let rejected =
            rejected.ok_or_else(|| Problem::not_found("Rejected requests are not stored here."))?;
        let asked = self.blocking(move || ask(&*rejected)).await;
        let panicked = "reading rejected requests panicked";
        let panicked = |_| InboxError::new(InboxErrorKind::Storage, panicked);
        Ok(asked.map_err(panicked)??)
    }

    pub(crate) fn sandbox(&self) -> Answer<&dyn SandboxControl> {
        let sandbox = self.sandbox.as_deref();
        sandbox.ok_or_else(|| Problem::not_found("There is no sandbox here."))
    }
}

const MAX_STREAMS: usize = 32;
const MAX_THREADS: usize = 8;

/// The rest of the overview is worth seeing without them, and the admin listener has ten seconds for a request.
pub(crate) const FACTS_TIME: Duration = Duration::from_secs(3);
