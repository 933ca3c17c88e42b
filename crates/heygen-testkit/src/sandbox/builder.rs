//! [`Builder`]: how a sandbox is set up.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::net::TcpListener;

use super::{
    handle::Sandbox, misbehaviour::Misbehaviour, record::Delivery, server, settings::Settings,
    shared::Shared,
};
use crate::sender::RetryPolicy;

/// Sets up a [`Sandbox`].
#[derive(Clone)]
pub struct Builder {
    listen: SocketAddr,
    settings: Settings,
}

impl Sandbox {
    /// Starts one on loopback, at a free port, with HeyGen's own times.
    ///
    /// # Errors
    ///
    /// When there is no such port.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Starts from something else than the defaults.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }
}

impl Builder {
    fn new() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            settings: Settings::default(),
        }
    }

    /// The address to listen on. Default: loopback, at a free port.
    ///
    /// Whoever reaches it can read every secret and make the sandbox send.
    #[must_use]
    pub fn listen(mut self, address: impl Into<SocketAddr>) -> Self {
        self.listen = address.into();
        self
    }

    /// The one API key, or OAuth token, that is good. Default: any that is not empty.
    #[must_use]
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.settings.api_key = Some(key.into());
        self
    }

    /// Shortens what takes long at HeyGen by a factor: the waits between attempts, and the 24 h for which an
    /// `Idempotency-Key` is remembered. At 0.000001 a day takes 86 ms; at 0 nothing waits and no key is remembered.
    /// Default: 1. Less than 0 and what is no number count as 0.
    #[must_use]
    pub fn time_scale(mut self, factor: f64) -> Self {
        self.settings.time_scale = if factor > 0.0 { factor } else { 0.0 };
        self
    }

    /// When deliveries are tried again; [`time_scale`](Self::time_scale) takes the place of the policy's own scale.
    /// Default: [`RetryPolicy::default`].
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.settings.retry = policy;
        self
    }

    /// The time for the answer to a delivery, which is not scaled. Default: [`Sender::TIMEOUT`](crate::Sender::TIMEOUT).
    #[must_use]
    pub fn delivery_timeout(mut self, timeout: Duration) -> Self {
        self.settings.delivery_timeout = timeout;
        self
    }

    /// The time for the answer to a probe, which is not scaled. Default: [`Sender::PROBE_TIMEOUT`](crate::Sender::PROBE_TIMEOUT).
    #[must_use]
    pub fn probe_timeout(mut self, timeout: Duration) -> Self {
        self.settings.probe_timeout = timeout;
        self
    }

    /// Whether an address is asked with `OPTIONS` before it is registered. Default: yes. Without, a test of a client may
    /// register addresses where nobody listens.
    #[must_use]
    pub fn probe(mut self, probe: bool) -> Self {
        self.settings.probe = probe;
        self
    }

    /// How it misbehaves from the start, and after a reset. Default: not at all.
    #[must_use]
    pub fn misbehaviour(mut self, misbehaviour: Misbehaviour) -> Self {
        self.settings.misbehaviour = misbehaviour;
        self
    }

    /// Tells of every attempt of a delivery when it has ended: the attempt is the last of the delivery's.
    ///
    /// It is called where deliveries are made, and is to return soon. Default: nobody is told.
    #[must_use]
    pub fn on_attempt(mut self, listener: impl Fn(&Delivery) + Send + Sync + 'static) -> Self {
        self.settings.on_attempt = Some(Arc::new(listener));
        self
    }

    /// Starts it on the runtime this is called on.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on.
    pub async fn start(self) -> io::Result<Sandbox> {
        let listener = TcpListener::bind(self.listen).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::new(self.settings));
        let server = tokio::spawn(server::serve(shared.clone(), listener));
        Ok(Sandbox::new(format!("http://{address}"), shared, server))
    }
}

impl fmt::Debug for Builder {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("listen", &self.listen)
            .field("time_scale", &self.settings.time_scale)
            .finish_non_exhaustive()
    }
}
