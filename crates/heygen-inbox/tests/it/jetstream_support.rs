//! Servers, processes and streams for tests of the store on JetStream.

use std::time::{Duration, Instant};

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::stream::Config;
use heygen_inbox::jetstream::{JetStreamInbox, JetStreamOptions};
use heygen_inbox::{
    AttemptOutcome, ClaimRequest, ClaimedDelivery, Completion, Inbox as _, InboxAdmin as _,
    StoredDelivery,
};
use tokio::runtime::Runtime;
use xtask_nats::{Options, PATIENCE, Program, Server};

use crate::support::at;

/// After how long a silent worker counts as dead.
pub(crate) const ACK_WAIT: Duration = Duration::from_secs(1);

/// A server that acknowledges before it writes, which is faster.
pub(crate) fn fast_server() -> Server {
    Server::start(Program::Current, &Options::new().sync_interval("2m")).unwrap()
}

pub(crate) fn options() -> JetStreamOptions {
    let mut options = JetStreamOptions::default();
    options.ack_wait = ACK_WAIT;
    options
}

pub(crate) async fn open(url: &str, options: JetStreamOptions) -> JetStreamInbox {
    let address = format!("{url}/HEYGEN").parse().unwrap();
    JetStreamInbox::open(&address, options).await.unwrap()
}

/// A server of its own for a test, and the inbox on it.
pub(crate) async fn started() -> (Server, JetStreamInbox) {
    let server = fast_server();
    let inbox = open(&server.url(), options()).await;
    (server, inbox)
}

/// The inbox on a server, opened twice.
pub(crate) async fn two(server: &Server) -> [JetStreamInbox; 2] {
    let url = server.url();
    [open(&url, options()).await, open(&url, options()).await]
}

/// A process of its own. It runs only while it does something, and closes its connection without notice when it is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) inbox: JetStreamInbox,
    runtime: Runtime,
}

impl Process {
    pub(crate) fn start(url: &str, options: JetStreamOptions) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let inbox = runtime.block_on(open(url, options));
        Self { inbox, runtime }
    }

    pub(crate) fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Claims until something is dispatched.
    pub(crate) fn claim_soon(&self, seconds: u64) -> ClaimedDelivery {
        self.run(claim_soon(&self.inbox, seconds))
    }

    pub(crate) fn complete(&self, claimed: &ClaimedDelivery, result: AttemptOutcome) {
        self.run(self.inbox.complete(end(claimed, result))).unwrap();
    }

    pub(crate) fn get(&self, claimed: &ClaimedDelivery) -> StoredDelivery {
        self.run(self.inbox.get(claimed.id)).unwrap().unwrap()
    }
}

/// Claims until something is dispatched.
pub(crate) async fn claim_soon(inbox: &JetStreamInbox, seconds: u64) -> ClaimedDelivery {
    let begun_at = Instant::now();
    loop {
        let mut claim = inbox
            .claim(ClaimRequest::due(10, at(seconds)))
            .await
            .unwrap();
        match claim.deliveries.len() {
            0 => assert!(begun_at.elapsed() < PATIENCE, "nothing is dispatched"),
            1 => return claim.deliveries.remove(0),
            more => panic!("{more} are dispatched at once"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits for what has to come.
pub(crate) async fn in_time<T>(work: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(PATIENCE, work).await;
    waited.unwrap()
}

/// The completion of an attempt at second 1, due again at once.
pub(crate) fn end(claimed: &ClaimedDelivery, result: AttemptOutcome) -> Completion {
    Completion::new(claimed, at(1), Duration::ZERO, result)
}

/// The streams, as another client sees them.
pub(crate) struct Streams {
    pub(crate) context: Context,
}

impl Streams {
    pub(crate) async fn on(url: &str) -> Self {
        Self::of(async_nats::connect(url).await.unwrap())
    }

    pub(crate) fn of(client: async_nats::Client) -> Self {
        let context = async_nats::jetstream::new(client);
        Self { context }
    }

    pub(crate) async fn config(&self, stream: &str) -> Config {
        let stream = self.context.get_stream(stream).await.unwrap();
        stream.cached_info().config.clone()
    }

    pub(crate) async fn change(&self, stream: &str, change: impl FnOnce(&mut Config)) {
        let mut config = self.config(stream).await;
        change(&mut config);
        self.context.update_stream(config).await.unwrap();
    }

    /// Makes writes of references fail, or succeed again.
    pub(crate) async fn refuse_references(&self, is_so: bool) {
        self.change("HEYGEN_AGAIN", |config| {
            config.max_message_size = if is_so { 1 } else { -1 };
        })
        .await;
    }

    pub(crate) async fn len(&self, stream: &str) -> u64 {
        let stream = self.context.get_stream(stream).await.unwrap();
        stream.cached_info().state.messages
    }

    /// How many messages the consumers have not delivered yet, or have no acknowledgement of.
    pub(crate) async fn left(&self) -> u64 {
        let mut left = 0;
        for stream in ["HEYGEN", "HEYGEN_AGAIN"] {
            let stream = self.context.get_stream(stream).await.unwrap();
            let consumer: PullConsumer = stream.get_consumer("workers").await.unwrap();
            let info = consumer.cached_info();
            left += info.num_pending + info.num_ack_pending as u64;
        }
        left
    }

    /// Claims until nothing is left to be dispatched; nothing may be.
    pub(crate) async fn nothing_comes(&self, inbox: &JetStreamInbox, seconds: u64) {
        let begun_at = Instant::now();
        loop {
            let claim = inbox
                .claim(ClaimRequest::due(10, at(seconds)))
                .await
                .unwrap();
            assert!(claim.deliveries.is_empty(), "{:?}", claim.deliveries);
            if self.left().await == 0 {
                return;
            }
            assert!(begun_at.elapsed() < PATIENCE, "something stays");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
