#![doc = include_str!("../README.md")]
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::{MethodRouter, get, post};
use heygen_inbox::{BoxInbox, InboxAdmin, MemoryInbox, RejectedRequests};
use heygen_signature::Secret;
use http::header;

mod access;
mod asset;
mod body;
mod chart;
mod deliveries;
mod delivery;
mod drift;
mod fact;
mod fields;
mod filter;
mod gate;
mod job;
mod live;
mod media;
mod overview;
mod page;
mod problem;
mod rejected;
mod replay;
mod sandbox;
mod sender;
mod site;
mod words;

pub use fact::Fact;
pub use gate::{Token, TokenError};
pub use sandbox::{SandboxAttempt, SandboxControl};
pub use sender::Sender;

use site::Site;

/// Pages over an inbox. [`router`](Self::router) makes them.
pub struct Dashboard {
    site: Site,
    metrics: Option<MethodRouter<Arc<Site>>>,
}

impl Dashboard {
    /// Pages over this inbox, at `/`, without a login.
    #[must_use]
    pub fn new(inbox: impl InboxAdmin) -> Self {
        Self {
            site: Site::new(BoxInbox::new(inbox)),
            metrics: None,
        }
    }

    /// The page of a sandbox alone, for a program that has no inbox.
    #[must_use]
    pub fn of_sandbox(sandbox: Arc<dyn SandboxControl>) -> Self {
        let mut dashboard = Self::new(MemoryInbox::new()).sandbox(sandbox);
        dashboard.site.has_inbox = false;
        dashboard
    }

    /// Puts the pages under a path, such as `/dashboard`. Default: `/`.
    #[must_use]
    pub fn base(mut self, path: impl Into<String>) -> Self {
        let path = path.into();
        self.site.base = path.trim_end_matches('/').to_owned();
        self
    }

    /// Accepts these names in `Host` too, besides addresses and `localhost`.
    #[must_use]
    pub fn hosts(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.site.hosts = names.into_iter().map(Into::into).collect();
        self
    }

    /// Shows, and changes nothing.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.site.is_read_only = true;
        self
    }

    /// Answers what comes through a proxy without a [`token`](Self::token) too: for an application that
    /// decides by itself who may see the pages. Otherwise such requests get 403.
    #[must_use]
    pub fn behind_proxy(mut self) -> Self {
        self.site.is_behind_proxy = true;
        self
    }

    /// Asks for this token before it shows anything. A login lasts 12 hours, and ends with the
    /// process.
    #[must_use]
    pub fn token(mut self, token: Token) -> Self {
        self.site.gate = Some(token.into());
        self
    }

    /// Shows on the overview what the program around it knows. Called for each view, on a thread that
    /// may block; after three seconds the overview is shown without it.
    #[must_use]
    pub fn facts(mut self, facts: impl Fn() -> Vec<Fact> + Send + Sync + 'static) -> Self {
        self.site.facts = Some(Arc::new(facts));
        self
    }

    /// Verifies deliveries again with these secrets, and names the one that signed. Called for each
    /// view, so it must be quick. The secrets are never shown, only their names.
    #[must_use]
    pub fn secrets(
        mut self,
        secrets: impl Fn() -> Vec<(String, Secret)> + Send + Sync + 'static,
    ) -> Self {
        self.site.secrets = Some(Box::new(secrets));
        self
    }

    /// Offers to send a delivery to an address that is typed in.
    #[must_use]
    pub fn sender(mut self, sender: impl Sender) -> Self {
        self.site.sender = Some(Box::new(sender));
        self
    }

    /// Shows these rejected requests. With [`secrets`](Self::secrets) they can be verified again.
    #[must_use]
    pub fn rejected(mut self, rejected: impl RejectedRequests) -> Self {
        self.site.rejected = Some(Arc::new(rejected));
        self
    }

    /// Shows a page that drives this sandbox.
    #[must_use]
    pub fn sandbox(mut self, sandbox: Arc<dyn SandboxControl>) -> Self {
        self.site.sandbox = Some(sandbox);
        self
    }

    /// Serves this text at `/metrics` to those who are logged in, or send the token as
    /// `Authorization: Bearer`. For a listener whose own `/metrics` would be open to everyone.
    #[must_use]
    pub fn metrics<F>(mut self, scrape: impl Fn() -> F + Clone + Send + Sync + 'static) -> Self
    where
        F: Future<Output = (&'static str, String)> + Send + 'static,
    {
        let answer = async move || {
            let (media_type, text) = scrape().await;
            ([(header::CONTENT_TYPE, media_type)], text)
        };
        self.metrics = Some(get(answer));
        self
    }

    /// The address that “Copy as curl” posts to. Default: `http://127.0.0.1:8080/webhooks/heygen`.
    #[must_use]
    pub fn webhook_url(mut self, url: impl Into<String>) -> Self {
        self.site.webhook_url = Some(url.into());
        self
    }

    /// The pages, for `Router::merge`.
    pub fn router(self) -> Router {
        let base = self.site.base.clone();
        let site = Arc::new(self.site);
        let share = middleware::from_fn_with_state(Arc::clone(&site), live::changes::share);
        let mark = middleware::from_fn_with_state(Arc::clone(&site), live::changes::mark);
        let protect = middleware::from_fn_with_state(Arc::clone(&site), access::protect);
        let pages = match site.has_inbox {
            true => Router::new()
                .route("/", get(overview::show))
                .route("/deliveries", get(deliveries::show))
                .route_layer(share)
                .route("/deliveries/{id}", get(delivery::show))
                .route("/replay", get(replay::show).post(replay::start))
                .route("/rejected", get(rejected::list))
                .route("/drift", get(drift::show))
                .route_layer(mark)
                .route("/deliveries/{id}/body", get(delivery::download))
                .route("/deliveries/{id}/media", get(media::show))
                .route("/deliveries/{id}/replay", post(delivery::replay))
                .route("/deliveries/{id}/dead-letter", post(delivery::dead_letter))
                .route("/deliveries/{id}/send", post(delivery::send))
                .route("/replay/stop", post(replay::stop))
                .route("/pause", post(overview::pause))
                .route("/resume", post(overview::resume))
                .route("/rejected/{id}", get(rejected::show))
                .route("/rejected/reverify", post(rejected::reverify))
                .route("/rejected/stop", post(rejected::stop)),
            false => Router::new().route("/", get(sandbox::page::home)),
        };
        let pages = pages
            .route("/sandbox", get(sandbox::page::show))
            .route("/sandbox/send", post(sandbox::page::send))
            .route("/sandbox/misbehave", post(sandbox::page::misbehave))
            .route("/changes", get(live::changes::stream))
            .route("/login", get(access::show_login).post(access::login))
            .route("/logout", post(access::logout))
            .route("/assets/{version}/{name}", get(asset::show));
        let pages = match self.metrics {
            Some(metrics) => pages.route("/metrics", metrics),
            None => pages,
        };
        let pages = pages.route_layer(protect).with_state(site);
        match base.is_empty() {
            true => pages,
            false => Router::new().nest(&base, pages),
        }
    }
}

impl fmt::Debug for Dashboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dashboard")
            .field("base", &self.site.base)
            .field("is_read_only", &self.site.is_read_only)
            .finish_non_exhaustive()
    }
}
