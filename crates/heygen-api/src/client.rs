//! [`Client`]: the entrance to both versions of the API.

use std::sync::Arc;
use std::time::Duration;

use crate::transport::{BaseUrl, Transport};
use crate::v1::V1;
use crate::v3::V3;
use crate::{ApiError, Credentials, RetryPolicy};

/// A client of HeyGen's webhook management API. Clones share their connections.
///
/// Connections are encrypted by rustls with the certificates of the system; `SSL_CERT_FILE` names others. The proxies of the
/// environment (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`) are used, except to reach loopback: what is sent over `https` stays hidden from
/// them. Redirects are not followed, because the key would travel along.
///
/// It needs a tokio runtime with I/O and time.
///
/// # Examples
///
/// ```no_run
/// use heygen_api::{Client, Credentials};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::new(Credentials::api_key(std::env::var("HEYGEN_API_KEY")?))?;
/// for endpoint in client.v3().endpoints_all().into_vec().await? {
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
    /// Where HeyGen's API is.
    ///
    /// # Source
    ///
    /// HeyGen's API reference: documented.
    pub const BASE_URL: &str = "https://api.heygen.com";

    /// A client with all defaults.
    ///
    /// # Errors
    ///
    /// As [`ClientBuilder::build`].
    pub fn new(credentials: Credentials) -> Result<Self, ApiError> {
        Self::builder(credentials).build()
    }

    /// Starts with all defaults.
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

    /// The operations of v1, whose end HeyGen announced for 2026-10-31.
    #[must_use]
    pub fn v1(&self) -> V1<'_> {
        V1 {
            transport: &self.transport,
        }
    }
}

/// Sets up a [`Client`].
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
    /// Where the API is; a path in it stays in front of all others. Default: [`Client::BASE_URL`].
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self
    }

    /// The time for one request and its whole answer. Default: 10 s.
    ///
    /// An operation takes longer when requests are repeated: with the default [`RetryPolicy`] at most three times as long, and the
    /// waits between.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Which requests are made again, and when. Default: [`RetryPolicy::default`].
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// What the program calls itself. Default: `heygen-api/` and the version.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// Allows a base URL that is plain `http` to another machine, such as a sandbox in a container beside: everyone on the way
    /// can read the key. Default: `http` to loopback alone.
    pub fn allow_plain_http(mut self) -> Self {
        self.plain_http = true;
        self
    }

    /// Makes the client. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) when the base URL is none or would show the key, when the key, the token or
    /// the user agent cannot stand in a header, or when the certificates of the system cannot be loaded.
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
