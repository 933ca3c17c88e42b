//! [`Follower`]: reads what other receivers append, so that duplicates of it are known here.
//!
//! It reads what is not known a second after it was stored: reading back the events of this process
//! would cost more than appending them.

use std::error::Error as _;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::fingerprint_cache::FingerprintCache;
use super::message::fingerprints;
use super::reader::Reader;
use super::streams::Streams;
use crate::error::InboxError;
use crate::throttle::Throttle;

/// Reads the stream of events.
#[derive(Clone, Debug)]
pub(super) struct Follower {
    streams: Arc<Streams>,
    cache: Weak<FingerprintCache>,
    /// How many of the newest events to cache.
    events: usize,
}

impl Follower {
    pub(super) fn new(
        streams: &Arc<Streams>,
        cache: &Arc<FingerprintCache>,
        events: usize,
    ) -> Self {
        Self {
            streams: Arc::clone(streams),
            cache: Arc::downgrade(cache),
            events,
        }
    }

    /// Reads what others append until the inbox is dropped, over reconnects.
    pub(super) async fn run(self) {
        let mut stored_before = u64::MAX;
        let mut failing_since = None;
        let mut warnings = Throttle::new(WARNING_INTERVAL);
        while let Some(cache) = self.cache.upgrade() {
            let begun_at = Instant::now();
            match self.catch_up(&cache, stored_before).await {
                Ok(last) => {
                    stored_before = last;
                    failing_since = None;
                }
                Err(error) => {
                    let failing = failing_since.get_or_insert(begun_at).elapsed();
                    let patience = match cache.is_waited_for() {
                        true => PATIENCE_OF_A_COMMAND,
                        false => PATIENCE,
                    };
                    let cause = error.source().map(ToString::to_string);
                    // It may be a permission or a limit of consumers, which nothing else shows.
                    if failing >= patience && warnings.passes(Instant::now()) {
                        tracing::warn!(
                            %error,
                            cause,
                            "the stream of events cannot be read: what stores old events waits (backfill, rejected reverify), and duplicates that the servers do not recognise count as new"
                        );
                    } else {
                        tracing::debug!(%error, cause, "the stream could not be followed; trying again");
                    }
                }
            }
            drop(cache);
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// Reads the newest events if one up to `stored_before` is not cached, and gives the sequence of
    /// the last event.
    pub(super) async fn catch_up(
        &self,
        cache: &FingerprintCache,
        stored_before: u64,
    ) -> Result<u64, InboxError> {
        let _turn = cache.reading.lock().await;
        let stream = &self.streams.events.stream;
        // Before the stream is asked: what is appended meanwhile may be greater than its answer.
        let newest = cache.newest_known();
        let info = self.streams.events.look_again().await?;
        let state = info.state;
        let last = state.last_sequence;
        let is_another = cache.is_another_stream(info.created.unix_timestamp_nanos());
        // Fewer than are known has the same stream if it was restored from an older backup.
        if is_another || newest > last {
            cache.forget_known();
        }
        // Those before the newest are not cached, or deleted.
        let oldest = last.saturating_sub(self.events as u64);
        cache.read_to(oldest.max(state.first_sequence.saturating_sub(1)));
        let first = cache.known_to() + 1;
        if first <= last.min(stored_before) {
            let reader = Reader {
                stream,
                filter: &self.streams.names.all_of("events"),
                is_without_bodies: true,
            };
            let reading = reader.read(first, last, last, |message| {
                cache.insert(fingerprints(&message.headers), message.sequence);
                // They come in order: those before it are cached or deleted.
                cache.read_to(message.sequence);
            });
            reading.await?;
            cache.read_to(last);
        }
        cache.set_synced();
        Ok(last)
    }
}

/// How often to look for events of others, and for how long those of this process may be stored
/// before they are cached.
const INTERVAL: Duration = Duration::from_secs(1);

/// After how long a stream that cannot be read is worth a warning: not while a server restarts,
/// unless someone may look at a command that waits for it.
const PATIENCE: Duration = Duration::from_secs(30);
const PATIENCE_OF_A_COMMAND: Duration = Duration::from_secs(5);

const WARNING_INTERVAL: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::fmt::Debug;
    use std::sync::Mutex;

    use tracing::field::{Field, Visit};
    use tracing::{Event, Level, Metadata, Subscriber, span};
    use xtask_nats::{Options, Program, Server};

    use super::*;
    use crate::inbox::Inbox as _;
    use crate::jetstream::{JetStreamInbox, JetStreamOptions};

    /// The messages of warnings.
    #[derive(Clone, Debug, Default)]
    struct Warnings(Arc<Mutex<Vec<String>>>);

    impl Subscriber for Warnings {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            *metadata.level() == Level::WARN && metadata.target().starts_with("heygen_inbox")
        }

        fn event(&self, event: &Event<'_>) {
            event.record(&mut self.clone());
        }

        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }

        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    impl Visit for Warnings {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            if field.name() == "message" {
                let mut lines = self.0.lock().expect("not poisoned");
                lines.push(format!("{value:?}"));
            }
        }
    }

    /// As `inbox rejected reverify` and `backfill` do, which show nothing meanwhile.
    #[tokio::test]
    async fn who_waits_for_events_that_cannot_be_read_learns_it() {
        let denied = r#"permissions: { publish: { deny: ["$JS.API.CONSUMER.CREATE.>"] } }"#;
        let users = format!("{{ user: all, password: c }}, {{ user: a, password: b, {denied} }}");
        let config = format!("authorization {{ users: [ {users} ] }}\nno_auth_user: all\n");
        let options = Options::new().sync_interval("2m").config(&config);
        let server = Server::start(Program::Current, &options).expect("a server");
        let context = &Streams::at(&server).await.connection.context;
        let published = context.publish("heygen.events.a.b", "{}".into()).await;
        published.expect("published").await.expect("stored");

        let warnings = Warnings::default();
        let _guard = tracing::subscriber::set_default(warnings.clone());
        let url = server.url().replace("nats://", "nats://a:b@");
        let address = format!("{url}/HEYGEN").parse().expect("an address");
        let opened = JetStreamInbox::open_existing(&address, JetStreamOptions::default());
        let inbox = opened.await.expect("an inbox");
        let is_warned = || {
            let warnings = warnings.0.lock().expect("not poisoned");
            let mut warnings = warnings.iter();
            warnings.any(|line| line.contains("the stream of events cannot be read"))
        };
        let warned = async {
            while !is_warned() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            () = inbox.wait_until_synced() => panic!("it cannot read the events"),
            () = warned => {}
            () = tokio::time::sleep(xtask_nats::PATIENCE) => panic!("nothing says why it waits"),
        }
    }
}
