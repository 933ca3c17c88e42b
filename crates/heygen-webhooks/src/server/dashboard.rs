//! The dashboard on the admin listener: who may see it, and what this program adds to it.

use std::path::Path;
use std::time::SystemTime;

use heygen_connect::SecretStore;
use heygen_dashboard::{Dashboard, Fact, Token};
use heygen_inbox::BoxInbox;
use heygen_receiver::{ActiveSecrets, AdminPages, Metrics};
use heygen_signature::Secret;

use super::admin::Bound;
use crate::failure::Failure;
use crate::secrets::secret;
use crate::settings::admin::DashboardAccess;
use crate::settings::origin;
use crate::settings::written;
use crate::store::location::InboxLocation;

/// What is read of the options before the inbox is opened.
pub(crate) struct Access {
    token: Option<Token>,
    is_read_only: bool,
    protects_metrics: bool,
}

impl Access {
    pub(crate) fn read(options: &DashboardAccess) -> Result<Self, Failure> {
        let token = options.admin_token_file.as_deref().map(token).transpose()?;
        if options.admin_protect_metrics && token.is_none() {
            return Err(Failure::usage(
                "--admin-protect-metrics needs a token: name a file that holds it with --admin-token-file",
            ));
        }
        Ok(Self {
            token,
            is_read_only: options.admin_read_only,
            protects_metrics: options.admin_protect_metrics,
        })
    }

    /// Serves metrics where the options say: open beside the dashboard, or behind its login.
    pub(crate) fn serve_metrics(
        &self,
        pages: AdminPages<BoxInbox>,
        dashboard: Dashboard,
        metrics: &Metrics,
        inbox: &BoxInbox,
    ) -> (AdminPages<BoxInbox>, Dashboard) {
        if !self.protects_metrics {
            return (pages.metrics(metrics.clone()), dashboard);
        }
        let (metrics, inbox) = (metrics.clone(), inbox.clone());
        let scrape = move || {
            let (metrics, inbox) = (metrics.clone(), inbox.clone());
            async move {
                (
                    Metrics::TEXT_CONTENT_TYPE,
                    metrics.scrape_text(&inbox).await,
                )
            }
        };
        (pages, dashboard.metrics(scrape))
    }

    /// Whether it is shown to those alone who have the token, or are on this machine.
    fn is_protected(&self, admin: &Bound) -> bool {
        self.token.is_some() || admin.is_loopback()
    }

    /// For a command that has nothing else to serve.
    pub(crate) fn require(&self, admin: &Bound) -> Result<(), Failure> {
        match self.is_protected(admin) {
            true => Ok(()),
            false => Err(Failure::usage(
                "--admin: anyone who can reach this address could see every delivery: name a file with a token with --admin-token-file",
            )),
        }
    }

    /// Mounts the dashboard where it may be shown.
    pub(crate) fn mount(
        &self,
        pages: AdminPages<BoxInbox>,
        admin: &Bound,
        hosts: &[String],
        dashboard: Dashboard,
    ) -> AdminPages<BoxInbox> {
        if !admin.is_there() || !self.is_protected(admin) {
            return pages;
        }
        let mut dashboard = dashboard.hosts(hosts);
        if self.is_read_only {
            dashboard = dashboard.read_only();
        }
        if let Some(token) = &self.token {
            dashboard = dashboard.token(token.clone());
        }
        pages.mount(dashboard.router())
    }

    /// Logs where it is, or why there is none.
    pub(crate) fn log(&self, admin: &Bound) {
        let Some(url) = admin.url() else {
            return;
        };
        match self.is_protected(admin) {
            true => tracing::info!(url, "dashboard"),
            // In front of a Unix socket stands a proxy, which lets in others.
            false => tracing::warn!(
                "no dashboard: anyone who can reach {url} could see every delivery; --admin-token-file asks for a token"
            ),
        }
    }
}

/// The token of a file: its one line.
fn token(file: &Path) -> Result<Token, Failure> {
    let option = origin::name("admin-token-file");
    let text = written::read_of("admin-token-file", "token file", file)?;
    let mut lines = written::lines(&text).map(|(line, _)| line);
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return Err(Failure::usage(format!(
            "{option}: token file {} must hold one token, for instance from `openssl rand -hex 32`",
            file.display()
        )));
    };
    secret::warn_of_open_files(&[file.to_owned()]);
    Token::new(line).map_err(|error| {
        Failure::usage(format!("{option}: token file {}: {error}", file.display()))
    })
}

/// Every secret in force, by where it comes from.
pub(crate) fn named_secrets(active: ActiveSecrets) -> impl Fn() -> Vec<(String, Secret)> {
    move || {
        let secrets = active.get();
        let all = secrets.iter().flat_map(|secrets| secrets.iter());
        let count = secrets.as_ref().map_or(0, |secrets| secrets.len());
        all.enumerate()
            .map(|(index, secret)| {
                (
                    format!("signing secret {} of {count}", index + 1),
                    secret.clone(),
                )
            })
            .collect()
    }
}

/// What this program knows without asking anyone.
pub(crate) fn facts(
    location: &InboxLocation,
    active: Option<ActiveSecrets>,
    public_url: Option<String>,
) -> impl Fn() -> Vec<Fact> + use<> {
    let inbox = location.clone();
    move || {
        let mut facts = vec![Fact::new("Inbox", inbox.to_string())];
        if let Some(active) = &active {
            facts.push(match active.get().map_or(0, |secrets| secrets.len()) {
                0 => Fact::new("Signing secrets", "none").advice(
                    "Deliveries are answered with 503 until HEYGEN_WEBHOOK_SECRET, --secret-file or --public-url provides one.",
                ),
                count => Fact::new("Signing secrets", format!("{count} in use")),
            });
        }
        if let Some(url) = &public_url {
            facts.push(registration(&inbox, url));
        }
        facts.extend(disk(&inbox));
        facts
    }
}

/// What is known here of the endpoint at HeyGen: whether its secret came.
fn registration(inbox: &InboxLocation, url: &str) -> Fact {
    let store = SecretStore::beside(&inbox.beside());
    match store.has_accepted(url, SystemTime::now()) {
        Ok(true) => Fact::new("Registration", format!("{url}, with a secret from HeyGen")),
        Ok(false) | Err(_) => Fact::new(
            "Registration",
            format!("no secret from HeyGen for {url} yet"),
        )
        .advice("See the log for why; `doctor` asks HeyGen and names what to correct."),
    }
}

#[cfg(unix)]
fn disk(inbox: &InboxLocation) -> Option<Fact> {
    let InboxLocation::File(path) = inbox else {
        return None;
    };
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let found = rustix::fs::statvfs(folder.unwrap_or(Path::new("."))).ok()?;
    let (free, total) = (
        found.f_bavail * found.f_frsize,
        found.f_blocks * found.f_frsize,
    );
    let text = format!("{} GiB free of {} GiB", free / GIB, total / GIB);
    let fact = Fact::new("Disk", text);
    Some(match free < total / 20 {
        true => fact.advice("When it is full, deliveries are answered with 503. Free space, or keep less with --keep."),
        false => fact,
    })
}

#[cfg(not(unix))]
fn disk(_: &InboxLocation) -> Option<Fact> {
    None
}

const GIB: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn registration_is_that_of_the_address() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let inbox = InboxLocation::File(folder.path().join("inbox.db"));
        let store = SecretStore::beside(&inbox.beside());
        let url = "https://a.example/webhooks/heygen";
        let inserted = store.insert("e1", url, "whsec_a", Duration::ZERO);
        inserted.expect("it is stored");
        for (url, is_registered) in [(url, true), ("https://b.example/webhooks/heygen", false)] {
            let facts = facts(&inbox, None, Some(url.to_owned()))();
            let fact = facts.iter().find(|fact| fact.name == "Registration");
            let advice = fact.expect("it is known").advice.as_ref();
            assert_eq!(advice.is_none(), is_registered, "{url}");
        }
    }
}
