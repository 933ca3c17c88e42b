//! [`Streams`]: the connection, the streams and the queues of one inbox.

use std::time::{Duration, SystemTime};

use super::address::Address;
use super::connection::Connection;
use super::dead_letters::DeadLetters;
use super::events::Events;
use super::options::JetStreamOptions;
use super::promise::{self, Doubt};
use super::queue::Queue;
use super::records::Records;
use super::references::References;
use super::setup::{Missing, Setup};
use super::stream::Stream;
use super::subject::Names;
use crate::error::InboxError;

/// The connection, the streams and the queues of one inbox.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) connection: Connection,
    pub(super) names: Names,
    pub(super) events: Events,
    pub(super) dead: DeadLetters,
    pub(super) records: Records,
    pub(super) references: References,
    /// Gives out what was never handed out.
    pub(super) queue: Queue,
    pub(super) ack_wait: Duration,
    consumer_made_at: SystemTime,
    pub(super) doubts: Vec<Doubt>,
    /// How the options differ from what is there, in words.
    pub(super) differences: Vec<String>,
}

impl Streams {
    pub(super) async fn open(
        address: &Address,
        options: &JetStreamOptions,
        missing: Missing,
    ) -> Result<Self, InboxError> {
        let mut connection = Connection::open(address, options).await?;
        let names = Names::new(address.stream(), &options.streams.subject_prefix);
        let opened = Setup::new(address, &connection, &names, options, missing);
        let opened = opened.open().await?;
        let config = &opened.events.cached_info().config;
        if config.num_replicas > 1 {
            connection.has_replicas();
        }
        let workers = opened.workers.cached_info();
        let stream = |inner| Stream {
            connection: connection.clone(),
            names: names.clone(),
            inner,
        };
        Ok(Self {
            doubts: promise::doubts(&connection.client.server_info(), config),
            ack_wait: workers.config.ack_wait,
            consumer_made_at: workers.created.into(),
            events: Events::new(stream(opened.events)),
            dead: DeadLetters {
                stream: stream(opened.dead),
            },
            records: Records {
                stream: stream(opened.records),
            },
            references: References::new(
                stream(opened.again),
                Queue::new(&connection, opened.again_workers),
            ),
            queue: Queue::new(&connection, opened.workers),
            differences: opened.differences,
            connection,
            names,
        })
    }

    /// Whether a consumer that gives out an event for the first time may have done so before and forgotten it:
    /// one that was made again has, and a server that was killed does not know what it was told in the moment
    /// before.
    pub(super) fn may_be_forgotten(&self, stored_at: SystemTime) -> bool {
        stored_at < self.consumer_made_at || stored_at < self.connection.connected_at()
    }
}
