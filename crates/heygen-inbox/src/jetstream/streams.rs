//! [`Streams`]: the connection, the streams and the queues of one inbox.

use std::time::{Duration, SystemTime};

use super::connection::Connection;
use super::dead_letters::DeadLetters;
use super::durability::DurabilityWarning;
use super::events::Events;
use super::queue::Queue;
use super::records::Records;
use super::references::References;
use super::subject::Names;

/// The connection, the streams and the queues of one inbox.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) connection: Connection,
    pub(super) names: Names,
    pub(super) events: Events,
    pub(super) dead: DeadLetters,
    pub(super) records: Records,
    pub(super) references: References,
    /// Dispatches what was never dispatched before.
    pub(super) queue: Queue,
    pub(super) ack_wait: Duration,
    pub(super) consumer_made_at: SystemTime,
    pub(super) durability_warnings: Vec<DurabilityWarning>,
    /// How the options differ from what is there, in words.
    pub(super) config_drift: Vec<String>,
}

impl Streams {
    /// Whether a consumer that gives out an event for the first time may have done so before and
    /// forgotten it: one that was made again has, and a server that was killed does not know what
    /// it was told in the moment before.
    pub(super) fn may_be_forgotten(&self, stored_at: SystemTime) -> bool {
        stored_at < self.consumer_made_at || stored_at < self.connection.connected_at()
    }
}
