//! The admin listener: health, readiness and metrics, apart from what HeyGen reaches.

use std::io;
use std::net::SocketAddr;

use anyhow::Context as _;
use heygen_inbox::BoxInbox;
use heygen_receiver::{Admin, AdminPages};

use crate::failure::Failure;
use crate::server::listen;
use crate::settings::admin::{ADMIN, AdminAddress};
use crate::settings::origin;

/// What came of listening: `None` where none was asked for, and why there is none where it was not asked to be there.
pub(crate) struct Bound(pub(super) io::Result<Option<Admin>>);

/// Whether an admin listener gave this answer, and not another program at its address.
pub(crate) fn has_answered(answer: &reqwest::Response) -> bool {
    let server = answer.headers().get(reqwest::header::SERVER);
    server.is_some_and(|server| server == "heygen-webhooks")
}

/// Listens where the options say. The default address may be taken, by another `serve` for instance; then there is none.
pub(crate) async fn bind(address: &AdminAddress) -> Result<Bound, Failure> {
    let address = match address {
        AdminAddress::Off => return Ok(Bound(Ok(None))),
        AdminAddress::Default => return Ok(Bound(Admin::bind(ADMIN).await.map(Some))),
        AdminAddress::At(address) => address,
    };
    let listener = listen::bind("admin", address)
        .await?
        .with_context(|| format!("cannot listen on {address} for {}", origin::name("admin")))?;
    Ok(Bound(Ok(Some(listener.into()))))
}

impl From<Admin> for Bound {
    fn from(admin: Admin) -> Self {
        Self(Ok(Some(admin)))
    }
}

impl Bound {
    /// Where it listens, if it does.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.0.as_ref().ok()?.as_ref()?.local_addr().ok()
    }

    /// The address of its first page, if it listens.
    pub(crate) fn url(&self) -> Option<String> {
        let address = self.0.as_ref().ok()?.as_ref()?.address().ok()?;
        Some(listen::url("http", &address, "/"))
    }

    pub(crate) fn is_there(&self) -> bool {
        matches!(self.0, Ok(Some(_)))
    }

    /// Answers until `shutdown` resolves.
    pub(crate) async fn serve(
        self,
        pages: AdminPages<BoxInbox>,
        shutdown: impl Future<Output = ()>,
    ) {
        if let Ok(Some(admin)) = self.0 {
            admin.serve(pages, shutdown).await;
        }
    }

    /// Logs where it is, or why it is not.
    pub(crate) fn tell(&self) -> Result<(), Failure> {
        match &self.0 {
            Ok(Some(admin)) => {
                let url = listen::url("http", &admin.address()?, "");
                tracing::info!(
                    admin = url,
                    "admin listener serves /healthz, /readyz, /metrics"
                );
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(
                "no admin listener, cannot listen on {ADMIN}: {error}; choose another address with --admin"
            ),
        }
        Ok(())
    }
}
