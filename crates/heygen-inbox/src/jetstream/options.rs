//! [`JetStreamOptions`] and [`Access`]: how to reach the servers, and what the streams are to be
//! like.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How an inbox on JetStream is opened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct JetStreamOptions {
    /// How the servers are told who we are. Default: not at all.
    pub access: Access,
    /// What the streams are to be like; used when they are made, and compared with when they are
    /// there.
    pub streams: StreamOptions,
    /// After how long without a word the deliveries of a worker go to another. Default: 30 s. While
    /// a handler is at work its time is extended. Used when the consumers are made; an existing
    /// consumer keeps its own.
    pub ack_wait: Duration,
    /// How many appends may wait for their acknowledgement; beyond, they are refused as busy.
    /// Default: 4096.
    pub queue_capacity: usize,
    /// How long an append may wait for its acknowledgement; meanwhile it is tried again every
    /// [`answer_timeout`](Self::answer_timeout), as when a leader is just being elected. Default: 7 s;
    /// HeyGen waits for 10 s.
    pub publish_timeout: Duration,
    /// How long one answer of the servers may take. Default: 2 s.
    pub answer_timeout: Duration,
    /// How long to try to reach a server at the start. Default: 10 s.
    pub connect_timeout: Duration,
    /// Of how many of the newest events the fingerprints are kept in memory, to know duplicates
    /// that the servers' duplicate window does not know. Default: 1,000,000, which take about 100
    /// MiB.
    pub remembered: usize,
    /// What the servers' lists of connections call us. Default: `heygen-inbox`.
    pub name: String,
}

/// What the streams of an inbox are to be like.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StreamOptions {
    /// On how many servers each message is kept. Default: `None`, which is 3 in a cluster and 1 on
    /// a single server.
    pub replicas: Option<usize>,
    /// Delete what is older, handled or not. Default: `None`, which keeps it until it is pruned.
    pub max_age: Option<Duration>,
    /// The most that the stream of events may hold; appends beyond are refused, so that nothing
    /// unhandled is deleted for room. Default: `None`, which is as much as the servers have room
    /// for.
    pub max_bytes: Option<u64>,
    /// How long the servers themselves know a duplicate. Default: 25 h; HeyGen sends a delivery
    /// again for 24 h.
    pub duplicate_window: Duration,
    /// What the subjects begin with. Default: `heygen`. One account of a server can hold one inbox
    /// of each prefix.
    pub subject_prefix: String,
}

/// How the servers are told who we are. Files are read at the start, so that no secret stands among
/// a program's arguments.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Access {
    /// A user's name and password.
    pub user_and_password: Option<(String, String)>,
    /// A token.
    pub token: Option<String>,
    /// The seed of an nkey (`SU…`).
    pub nkey_seed: Option<String>,
    /// A file of credentials (JWT and seed), as `nsc` writes it.
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
