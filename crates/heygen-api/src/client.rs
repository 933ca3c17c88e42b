//! [`Client`] and [`ClientBuilder`].

use std::sync::Arc;
use std::time::Duration;

use crate::transport::{BaseUrl, Transport};
use crate::v1::V1;
use crate::v3::V3;
use crate::{ApiError, Credentials, RetryPolicy};

/// A client of HeyGen's webhook management API. Clones share their connections.
///
/// TLS is rustls with the system certificates; the variable `SSL_CERT_FILE` names others. The proxy
/// variables (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`) apply, except for loopback. A proxy cannot
/// read `https` requests. Redirects are not followed, because they would send the API key
/// elsewhere.
///
/// The client needs a tokio runtime with I/O and time.
///
/// # Examples
///
/// ```no_run
/// use heygen_api::{Client, Credentials};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::new(Credentials::api_key(std::env::var("HEYGEN_API_KEY")?))?;
/// for endpoint in client.v3().endpoints_stream().try_collect().await? {
///     println!("{} {}", endpoint.endpoint_id, endpoint.url);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    transport: Arc<Transport>,
}

impl Client {
    /// The base URL of HeyGen's API.
    ///
    /// # Source
    ///
    /// HeyGen's API reference: documented.
    pub const BASE_URL: &str = "https://api.heygen.com";

    /// A client with default settings.
    ///
    /// # Errors
    ///
    /// As [`ClientBuilder::build`].
    pub fn new(credentials: Credentials) -> Result<Self, ApiError> {
        Self::builder(credentials).build()
    }

    /// A builder with default settings.
    pub fn builder(credentials: Credentials) -> ClientBuilder {
        ClientBuilder {
            credentials,
            base_url: Self::BASE_URL.to_owned(),
            user_agent: concat!("heygen-api/", env!("CARGO_PKG_VERSION")).to_owned(),
            timeout: Duration::from_secs(10),
            retry: RetryPolicy::default(),
            plain_http: false,
        }
    }

    /// The operations of v3.
    #[must_use]
    pub fn v3(&self) -> V3<'_> {
        V3 {
            transport: &self.transport,
        }
    }

    /// The operations of v1. Deprecated: HeyGen announced its end for 2026-10-31. Use
    /// [`v3`](Self::v3).
    #[must_use]
    pub fn v1(&self) -> V1<'_> {
        V1 {
            transport: &self.transport,
        }
    }
}

/// Configures a [`Client`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ClientBuilder {
    credentials: Credentials,
    base_url: String,
    user_agent: String,
    timeout: Duration,
    retry: RetryPolicy,
    plain_http: bool,
}

impl ClientBuilder {
    /// Sets the base URL. A path in it is kept as a prefix. Default: [`Client::BASE_URL`].
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self
    }

    /// Sets the timeout of one request with its whole answer. Default: 10 s.
    ///
    /// Retries add to that: with the default [`RetryPolicy`], an operation takes at most three
    /// timeouts and the delays between them.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the retry policy. Default: [`RetryPolicy::default`].
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Sets the `User-Agent`. Default: `heygen-api/` and the version.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// Allows a plain `http` base URL on another machine, for example a sandbox in another
    /// container. Anyone on the network path can read the API key. Default: `http` for loopback
    /// only.
    pub fn allow_plain_http(mut self) -> Self {
        self.plain_http = true;
        self
    }

    /// Builds the client. It sends nothing yet.
    ///
    /// # Errors
    ///
    /// [`ApiErrorKind::Config`](crate::ApiErrorKind::Config) if the base URL is invalid or would
    /// expose the key, if the key, the token or the user agent is not a valid header value, or if
    /// the system certificates cannot be loaded.
    pub fn build(self) -> Result<Client, ApiError> {
        let base = BaseUrl::parse(&self.base_url, self.plain_http)?;
        let transport = Transport::new(
            base,
            self.credentials,
            &self.user_agent,
            self.timeout,
            self.retry,
        )?;
        Ok(Client {
            transport: Arc::new(transport),
        })
    }
}
