//! The admin listener: health, readiness and metrics, apart from what HeyGen reaches.

use std::io;

use anyhow::Context as _;
use heygen_inbox::BoxInbox;
use heygen_receiver::{Admin, AdminPages, ListenAddress};

use crate::failure::Failure;
use crate::server::listen;
use crate::settings::admin::{ADMIN, AdminAddress};
use crate::settings::origin;

/// What came of listening.
pub(crate) struct Bound {
    /// `None` where none was asked for, and why there is none where it was not asked to be there.
    address: io::Result<Option<ListenAddress>>,
    /// `None` from when it is served.
    listener: Option<Admin>,
}

/// Whether an admin listener gave this answer, and not another program at its address.
pub(crate) fn has_answered(answer: &reqwest::Response) -> bool {
    let server = answer.headers().get(reqwest::header::SERVER);
    server.is_some_and(|server| server == "heygen-webhooks")
}

/// Listens where the options say. The default address may be taken, by another `serve` for instance; then there is none.
pub(crate) async fn bind(address: &AdminAddress) -> Result<Bound, Failure> {
    let address = match address {
        AdminAddress::Off => return Ok(Bound::nowhere(Ok(None))),
        AdminAddress::Default => {
            return match Admin::bind(ADMIN).await {
                Ok(listener) => Bound::at(listener),
                Err(error) => Ok(Bound::nowhere(Err(error))),
            };
        }
        AdminAddress::At(address) => address,
    };
    let listener = listen::bind("admin", address)
        .await?
        .with_context(|| format!("cannot listen on {address} for {}", origin::name("admin")))?;
    Bound::at(listener.into())
}

impl Bound {
    pub(crate) fn at(listener: Admin) -> Result<Self, Failure> {
        Ok(Self {
            address: Ok(Some(listener.address()?)),
            listener: Some(listener),
        })
    }

    fn nowhere(address: io::Result<Option<ListenAddress>>) -> Self {
        Self {
            address,
            listener: None,
        }
    }

    fn address(&self) -> Option<&ListenAddress> {
        self.address.as_ref().ok()?.as_ref()
    }

    /// Whether it listens where only this machine reaches it.
    pub(crate) fn is_loopback(&self) -> bool {
        matches!(self.address(), Some(ListenAddress::Tcp(address)) if address.ip().is_loopback())
    }

    /// The address of its first page, if it listens.
    pub(crate) fn url(&self) -> Option<String> {
        Some(listen::url("http", self.address()?, "/"))
    }

    pub(crate) fn is_there(&self) -> bool {
        self.address().is_some()
    }

    /// Answers until `shutdown` resolves.
    pub(crate) async fn serve(
        mut self,
        pages: AdminPages<BoxInbox>,
        shutdown: impl Future<Output = ()>,
    ) {
        if let Some(listener) = self.take() {
            listener.serve(pages, shutdown).await;
        }
    }

    /// The listener, to be served while this says where it is.
    pub(super) fn take(&mut self) -> Option<Admin> {
        self.listener.take()
    }

    /// Logs where it is, or why it is not.
    pub(crate) fn log(&self) {
        match &self.address {
            Ok(Some(address)) => tracing::info!(
                admin = listen::url("http", address, ""),
                "admin listener serves /healthz, /readyz, /metrics"
            ),
            Ok(None) => {}
            Err(error) => tracing::warn!(
                "no admin listener, cannot listen on {ADMIN}: {error}; choose another address with --admin"
            ),
        }
    }
}
