//! What HeyGen's log of events has and the inbox lacks: events that came while nobody listened.
//!
//! [`Backfill`] is the work, for one inbox: [`run`](Backfill::run) goes over the log once, [`watch`](Backfill::watch) at
//! intervals for as long as a server runs. Every page is in the inbox before the next is asked for, and how far it has come
//! stands there too, so that it may be interrupted anywhere.
//!
//! Which way the log is ordered is not documented, nor whether events that were never delivered are in it: nothing here
//! relies on either.

use heygen_inbox::BoxInbox;
use std::time::SystemTime;

use heygen_api::Client;
use jiff::Timestamp;

mod bookmark;
mod keeper;
mod log;
mod order;
mod pass;
mod watch;

#[cfg(test)]
mod tests;

pub(crate) use keeper::Keeper;
pub(crate) use log::LogQuery;
pub(crate) use pass::{End, PassError, Tally};

use log::Log;

/// One inbox, and the log it is filled from.
#[derive(Debug)]
pub(crate) struct Backfill {
    log: Log,
    keeper: Keeper,
    since: Option<Timestamp>,
    /// Whether what an earlier pass went over is gone over again.
    again: bool,
}

impl Backfill {
    /// All of what `query` asks for, into this inbox.
    pub(crate) fn new(client: Client, query: LogQuery, keeper: Keeper) -> Self {
        Self {
            log: Log::new(client, query),
            keeper,
            since: None,
            again: false,
        }
    }

    /// The whole log, into the inbox of this process.
    pub(crate) fn into_inbox(client: Client, base_url: Option<&str>, inbox: BoxInbox) -> Self {
        let query = LogQuery::whole(base_url);
        Self::new(client, query, Keeper::Inbox(inbox))
    }

    /// Leaves out what HeyGen made before this moment, in every pass. What does not say when it was made is taken.
    ///
    /// HeyGen's clock tells when an event was made, to the second: who means “from now on” allows for a clock that is late.
    pub(crate) fn since(mut self, since: SystemTime) -> Self {
        // To the second, downwards: a record of the same second counts as made since.
        self.since = Timestamp::try_from(since)
            .ok()
            .and_then(|since| Timestamp::from_second(since.as_second()).ok());
        self
    }

    /// Takes everything since then, also what an earlier pass went over and the inbox has deleted meanwhile.
    pub(crate) fn again_since(mut self, since: SystemTime) -> Self {
        self.again = true;
        self.since(since)
    }
}
