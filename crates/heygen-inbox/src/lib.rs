#![cfg_attr(feature = "sqlite", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "sqlite"),
    doc = "The durable record of HeyGen webhook deliveries. The examples need the feature `sqlite`."
)]
#![cfg_attr(docsrs, feature(doc_cfg))]
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
mod names;
#[cfg(feature = "private-file")]
pub mod private_file;
mod record;
mod rejected;
mod setters;
mod source;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod stats;
mod throttle;
mod time;
mod traffic;
#[cfg(feature = "transfer")]
pub mod transfer;

pub use admin::{InboxAdmin, PruneReport, PruneStep};
pub use boxed::{BoxInbox, InboxOpener};
pub use claim::{Claim, ClaimRequest, ClaimedDelivery, DispatchOrder, Room};
pub use completion::Completion;
pub use dedup::DedupKey;
pub use dedup::rule::{Candidate, Duplicate, find_duplicate};
pub use delivery::{Header, NewDelivery};
pub use drift::{Drift, DriftCount, DriftKind};
pub use error::{InboxError, InboxErrorKind, UnknownNameError};
pub use id::{DeliveryId, DeliveryIdError};
pub use imported::Imported;
pub use inbox::{Appended, Inbox};
pub use memory::MemoryInbox;
pub use record::{
    Attempt, AttemptOutcome, Counts, DeadLetterReport, DeleteReport, DeliverySummary, Query,
    Redeliveries, ReplayReport, SignedPost, State, StoredDelivery,
};
pub use rejected::{Rejected, RejectedRequests, RejectedSummary};
pub use source::{Authenticity, Source};
pub use stats::{Stats, StatsGroup};
pub use traffic::{TrafficCount, TrafficKind, TrafficUnit};
#[cfg(feature = "transfer")]
pub use transfer::LineError;
