//! The durable record of deliveries.
//!
//! A receiver appends what HeyGen sent and answers 200 only after [`Inbox::append`] returned: from then on HeyGen will not
//! send it again, so what is in here must survive. A dispatcher claims what is due, delivers it to a handler and records the
//! result. Anyone may list and read deliveries at any time.
//!
//! | type | what it is |
//! |---|---|
//! | [`Inbox`], [`InboxAdmin`] | what every store can do, for receiver and dispatcher; for operators |
//! | [`NewDelivery`] → [`Appended`] | what goes in, and whether it was new |
//! | [`ClaimRequest`] | what a dispatcher has room for |
//! | [`ClaimedDelivery`], [`Completion`] | one attempt at a delivery, and its result |
//! | [`DeliverySummary`], [`StoredDelivery`] | one delivery in a list; one delivery whole |
//! | [`DedupKey`] | what decides whether two deliveries are the same event |
//! | [`MemoryInbox`] | for tests, and for those who accept to lose events with the process |
//! | [`sqlite::SqliteInbox`] | one file, group commit, `synchronous=FULL` (feature `sqlite`, on by default) |
//! | `jetstream::JetStreamInbox` | streams of NATS JetStream, for more than one machine (feature `jetstream`) |
//! | `transfer` | deliveries as JSON lines, for another inbox (feature `transfer`) |
//! | [`sqlite::RejectedRing`] | recently rejected requests, bounded, in a file of its own (feature `sqlite`) |
//!
//! Nothing here verifies a signature, speaks HTTP or runs a handler.
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

mod admin;
mod boxed;
mod claim;
mod completion;
#[cfg(feature = "conformance")]
#[expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a case that fails panics, as a test does"
)]
pub mod conformance;
mod dedup;
mod delivery;
mod drift;
mod error;
mod id;
mod imported;
mod inbox;
#[cfg(feature = "jetstream")]
pub mod jetstream;
mod memory;
#[cfg(feature = "private-file")]
pub mod private_file;
mod recent;
mod record;
mod source;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod stats;
mod time;
#[cfg(feature = "transfer")]
pub mod transfer;

pub use admin::{InboxAdmin, PruneReport, PruneStep};
pub use boxed::BoxInbox;
pub use claim::{Claim, ClaimRequest, ClaimedDelivery, DispatchOrder, Room};
pub use completion::Completion;
pub use dedup::DedupKey;
pub use dedup::rule::{Candidate, Duplicate, find_duplicate};
pub use delivery::{Header, NewDelivery};
pub use drift::{Drift, DriftCount, DriftKind};
pub use error::{InboxError, InboxErrorKind, UnknownWord};
pub use id::{DeliveryId, DeliveryIdError};
pub use imported::Imported;
pub use inbox::{Appended, Inbox};
pub use memory::MemoryInbox;
pub use record::{
    Attempt, AttemptOutcome, Counts, DeliverySummary, Query, Redeliveries, ReplayReport,
    SignedPost, State, StoredDelivery,
};
pub use source::{Authenticity, Source};
pub use stats::{Stats, StatsGroup};
#[cfg(feature = "transfer")]
pub use transfer::LineError;

/// The examples of the README compile and hold.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
