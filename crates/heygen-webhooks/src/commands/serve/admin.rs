//! The admin listener of `serve`: health, readiness and metrics, apart from what HeyGen reaches.

use heygen_inbox::BoxInbox;
use std::io;
use std::time::Duration;

use anyhow::Context as _;
use heygen_receiver::{Admin, AdminPages};

use crate::failure::Failure;
use crate::process::tasks::Tasks;
use crate::settings::config::AdminAddress;
use crate::settings::origin;
use crate::settings::places::ADMIN;

/// What came of listening.
pub(in crate::commands) struct Bound {
    admin: Option<Admin>,
    /// Why there is none, where none was asked for.
    error: Option<io::Error>,
}

/// Listens where it was told to. The default address may be taken, by another `serve` for instance; then there is none.
pub(in crate::commands) async fn bind(address: &AdminAddress) -> Result<Bound, Failure> {
    let (address, is_default) = match address {
        AdminAddress::Off => {
            return Ok(Bound {
                admin: None,
                error: None,
            });
        }
        AdminAddress::Default => (ADMIN, true),
        AdminAddress::At(address) => (address.as_str(), false),
    };
    match Admin::bind(address).await {
        Ok(admin) => Ok(Bound {
            admin: Some(admin),
            error: None,
        }),
        Err(error) if is_default => Ok(Bound {
            admin: None,
            error: Some(error),
        }),
        Err(error) => Err(error)
            .with_context(|| format!("cannot listen on {address} for {}", origin::name("admin")))
            .map_err(Failure::from),
    }
}

impl Bound {
    /// Says where it is, or why it is not.
    pub(in crate::commands) fn tell(&self) -> Result<(), Failure> {
        if let Some(error) = &self.error {
            tracing::warn!(
                "no admin listener, {ADMIN} cannot be listened on: {error}; choose another with --admin"
            );
        }
        if let Some(admin) = &self.admin {
            let url = format!("http://{}", admin.local_addr()?);
            tracing::info!(
                admin = url,
                "health, readiness and metrics at /healthz, /readyz, /metrics"
            );
        }
        Ok(())
    }
}

/// The tasks of the admin listener, which are the last to stop.
pub(in crate::commands) fn start(bound: Bound, pages: AdminPages<BoxInbox>) -> Tasks {
    let mut tasks = Tasks::new();
    if let Some(admin) = bound.admin {
        let stopped = tasks.stopped();
        tasks.spawn("admin listener", admin.serve(pages, stopped));
    }
    tasks
}

/// Far more than it takes.
pub(in crate::commands) const STOP_TIME: Duration = Duration::from_secs(5);
