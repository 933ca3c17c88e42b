//! The admin listener of `serve`: health, readiness and metrics, apart from what HeyGen reaches.

use anyhow::Context as _;
use heygen_receiver::{Admin, AdminPages};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::AdminAddress;
use crate::failure::Failure;
use crate::signals::until_true;
use crate::store::Store;

/// Listens where it was told to. The default address may be taken, by another `serve` for instance; then there is none.
pub(in crate::command) async fn bind(address: &AdminAddress) -> Result<Option<Admin>, Failure> {
    let (address, is_default) = match address {
        AdminAddress::Off => return Ok(None),
        AdminAddress::Default => (DEFAULT, true),
        AdminAddress::At(address) => (address.as_str(), false),
    };
    match Admin::bind(address).await {
        Ok(admin) => {
            let url = format!("http://{}", admin.local_addr()?);
            tracing::info!(
                admin = url,
                "health, readiness and metrics at /healthz, /readyz, /metrics"
            );
            Ok(Some(admin))
        }
        Err(error) if is_default => {
            tracing::warn!(
                "no admin listener, {DEFAULT} cannot be listened on: {error}; choose another with --admin"
            );
            Ok(None)
        }
        Err(error) => Err(error)
            .with_context(|| format!("cannot listen on {address} for --admin"))
            .map_err(Failure::from),
    }
}

pub(in crate::command) fn start(
    admin: Option<Admin>,
    pages: AdminPages<Store>,
    stopped: watch::Receiver<bool>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        match admin {
            Some(admin) => admin.serve(pages, until_true(stopped)).await,
            None => until_true(stopped).await,
        }
    })
}

const DEFAULT: &str = "127.0.0.1:9180";
