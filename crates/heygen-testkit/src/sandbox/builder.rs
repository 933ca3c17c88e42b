//! [`Builder`]: configures a sandbox.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use heygen_signature::Secret;
use tokio::net::TcpListener;

use super::{
    handle::Sandbox, misbehaviour::Misbehaviour, record::Delivery, server, settings::Settings,
    shared::Shared,
};
use crate::{sender::RetryPolicy, setters::setters};

/// Configures a [`Sandbox`].
#[derive(Clone)]
pub struct Builder {
    listen: SocketAddr,
    settings: Settings,
}

impl Sandbox {
    /// Starts a sandbox on a free loopback port, with HeyGen's real delays.
    ///
    /// # Errors
    ///
    /// If no port can be bound.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// A builder with default settings.
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

    /// Answers under this name of this machine too, such as that of a container.
    #[must_use]
    pub fn host(mut self, name: impl Into<String>) -> Self {
        self.settings.hosts.push(name.into());
        self
    }

    /// Starts the sandbox on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// If the address cannot be bound.
    pub async fn start(self) -> io::Result<Sandbox> {
        let listener = TcpListener::bind(self.listen).await?;
        let address = listener.local_addr()?;
        let url = format!("http://{address}");
        let shared = Arc::new(Shared::new(url, self.settings));
        let server = tokio::spawn(server::serve(shared.clone(), listener));
        Ok(Sandbox::new(shared, server))
    }
}

setters! {
    impl Builder;

    /// Sets the address to listen on. Default: a free loopback port.
    ///
    /// Anyone who can reach it can read every secret and make the sandbox send; web pages cannot: a
    /// request gets 421 if its `Host` is no address, nor `localhost`, nor a [`host`](Self::host),
    /// and 403 if it has the `Origin` of another page.
    listen(address: impl Into<SocketAddr>) sets listen: address.into();

    /// Sets the only valid API key or OAuth token. Default: any that is not empty.
    api_key(key: impl Into<String>) sets settings.api_key: Some(key.into());

    /// Gives every new endpoint this secret instead of one of its own, for a receiver that reads its
    /// secret before it is registered. A rotation replaces it by a new one.
    secret(secret: Secret) sets settings.secret: Some(secret);

    /// Multiplies HeyGen's long times by a factor: the delays between attempts, and the 24 h
    /// lifetime of an `Idempotency-Key`. At 0.000001 a day takes 86 ms. At 0 there are no delays,
    /// and keys expire immediately. Default: 1. Negative numbers and NaN count as 0.
    time_scale(factor: f64) sets settings.time_scale: if factor > 0.0 { factor } else { 0.0 };

    /// Sets the retry policy of deliveries. [`time_scale`](Self::time_scale) replaces its own
    /// scale. Default: [`RetryPolicy::default`].
    retry(policy: RetryPolicy) sets settings.retry: policy;

    /// The time for the answer to a delivery, which is not scaled. Default:
    /// [`Sender::TIMEOUT`](crate::Sender::TIMEOUT).
    delivery_timeout(timeout: Duration) sets settings.delivery_timeout: timeout;

    /// Sets the timeout of a probe. It is not scaled. Default:
    /// [`Sender::PROBE_TIMEOUT`](crate::Sender::PROBE_TIMEOUT).
    probe_timeout(timeout: Duration) sets settings.probe_timeout: timeout;

    /// Whether a URL is probed with `OPTIONS` before it is registered. Default: yes. Without probes
    /// a test can register URLs without a server.
    probe(probe: bool) sets settings.probe: probe;

    /// Sets the misbehaviour at the start and after a reset. Default: none.
    misbehaviour(misbehaviour: Misbehaviour) sets settings.misbehaviour: misbehaviour;

    /// Calls `listener` after every attempt of a delivery. The attempt is the last one in the
    /// delivery.
    ///
    /// It must return quickly, because it runs in the task of the delivery, and a panic cancels that
    /// delivery. Default: none.
    on_attempt(listener: impl Fn(&Delivery) + Send + Sync + 'static)
        sets settings.on_attempt: Some(Arc::new(listener));
}

impl fmt::Debug for Builder {
    /// Without the key and the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("listen", &self.listen)
            .field("time_scale", &self.settings.time_scale)
            .finish_non_exhaustive()
    }
}
