//! The admin listener of `serve`: health, readiness and metrics, apart from what HeyGen reaches.

use std::time::Duration;

use anyhow::Context as _;
use heygen_receiver::{Admin, AdminPages};

use crate::config::AdminAddress;
use crate::failure::Failure;
use crate::origin;
use crate::places::ADMIN;
use crate::store::Store;
use crate::tasks::Tasks;

/// Listens where it was told to. The default address may be taken, by another `serve` for instance; then there is none.
pub(in crate::command) async fn bind(address: &AdminAddress) -> Result<Option<Admin>, Failure> {
    let (address, is_default) = match address {
        AdminAddress::Off => return Ok(None),
        AdminAddress::Default => (ADMIN, true),
        AdminAddress::At(address) => (address.as_str(), false),
    };
    match Admin::bind(address).await {
        Ok(admin) => Ok(Some(admin)),
        Err(error) if is_default => {
            tracing::warn!(
                "no admin listener, {ADMIN} cannot be listened on: {error}; choose another with --admin"
            );
            Ok(None)
        }
        Err(error) => Err(error)
            .with_context(|| format!("cannot listen on {address} for {}", origin::name("admin")))
            .map_err(Failure::from),
    }
}

/// The tasks of the admin listener, which are the last to stop.
pub(in crate::command) fn start(admin: Option<Admin>, pages: AdminPages<Store>) -> Tasks {
    let mut tasks = Tasks::new();
    if let Some(admin) = admin {
        let stopped = tasks.stopped();
        tasks.spawn("admin listener", admin.serve(pages, stopped));
    }
    tasks
}

/// Says where it is.
pub(in crate::command) fn tell(admin: Option<&Admin>) -> Result<(), Failure> {
    if let Some(admin) = admin {
        let url = format!("http://{}", admin.local_addr()?);
        tracing::info!(
            admin = url,
            "health, readiness and metrics at /healthz, /readyz, /metrics"
        );
    }
    Ok(())
}

/// Far more than it takes.
pub(in crate::command) const STOP_TIME: Duration = Duration::from_secs(5);
