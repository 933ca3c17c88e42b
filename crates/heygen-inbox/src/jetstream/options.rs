//! [`JetStreamOptions`] and [`Access`]: how to reach the servers, and how to create the streams.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How an inbox on JetStream is opened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct JetStreamOptions {
    /// How to log in. Default: without a login.
    pub access: Access,
    /// How to create the streams. Existing streams are compared with it, and not changed.
    pub streams: StreamOptions,
    /// After how long without a sign of life the deliveries of a worker go to another. Default:
    /// 30 s. It is extended while a handler runs. Used when the consumers are created; an existing
    /// consumer keeps its own.
    pub ack_wait: Duration,
    /// How many appends may wait for their acknowledgement; further ones are refused as busy.
    /// Default: 4096.
    pub queue_capacity: usize,
    /// How long an append may wait for its acknowledgement; meanwhile it is retried every
    /// [`answer_timeout`](Self::answer_timeout), as when a leader is just being elected. Default: 7 s;
    /// HeyGen waits for 10 s.
    pub publish_timeout: Duration,
    /// How long a server may take to answer. Default: 2 s.
    pub answer_timeout: Duration,
    /// How long to try to reach a server at the start. Default: 10 s.
    pub connect_timeout: Duration,
    /// Of how many of the newest events to keep fingerprints in memory, to recognise duplicates
    /// outside the servers' duplicate window. Default: 1,000,000, which take about 100 MiB.
    pub remembered: usize,
    /// The name of the connection in the servers' lists. Default: `heygen-inbox`.
    pub name: String,
}

/// How to create the streams of an inbox.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StreamOptions {
    /// On how many servers to store each message. Default: `None`, which is 3 in a cluster and 1 on
    /// a single server.
    pub replicas: Option<usize>,
    /// Delete older deliveries, handled or not. Default: `None`, which keeps them until pruned.
    pub max_age: Option<Duration>,
    /// How much the stream of events may hold; appends beyond that are refused, so that nothing
    /// unhandled is deleted. Default: `None`, which is as much as the servers have room for.
    pub max_bytes: Option<u64>,
    /// How long the servers recognise a duplicate. Default: 25 h; HeyGen retries for 24 h.
    pub duplicate_window: Duration,
    /// The prefix of the subjects. Default: `heygen`. An account holds one inbox per prefix.
    pub subject_prefix: String,
}

/// How to log in.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Access {
    /// A user's name and password.
    pub user_and_password: Option<(String, String)>,
    /// A token.
    pub token: Option<String>,
    /// The seed of an nkey (`SU…`).
    pub nkey_seed: Option<String>,
    /// A file of credentials (JWT and seed), as `nsc` writes it. It is read again at each
    /// connection: replace it to renew them.
    pub credentials_file: Option<PathBuf>,
    /// Certificates to trust instead of the system's, PEM.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate and its key, PEM.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
}

impl Default for JetStreamOptions {
    fn default() -> Self {
        Self {
            access: Access::default(),
            streams: StreamOptions::default(),
            ack_wait: Duration::from_secs(30),
            queue_capacity: 4096,
            publish_timeout: Duration::from_secs(7),
            answer_timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(10),
            remembered: 1_000_000,
            name: "heygen-inbox".to_owned(),
        }
    }
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            replicas: None,
            max_age: None,
            max_bytes: None,
            duplicate_window: Duration::from_secs(25 * 3600),
            subject_prefix: "heygen".to_owned(),
        }
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = |is_there: bool| is_there.then_some("hidden");
        f.debug_struct("Access")
            .field(
                "user",
                &self.user_and_password.as_ref().map(|(user, _)| user),
            )
            .field("token", &hidden(self.token.is_some()))
            .field("nkey_seed", &hidden(self.nkey_seed.is_some()))
            .field("credentials_file", &self.credentials_file)
            .field("ca_file", &self.ca_file)
            .field("client_certificate", &self.client_certificate)
            .finish()
    }
}
