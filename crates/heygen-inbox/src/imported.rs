//! [`Imported`]: a delivery that another inbox had before, and what became of it there.

use crate::dedup::BodyDigest;
use crate::dedup::rule::RecordIdentity;
use crate::delivery::NewDelivery;
use crate::record::{Attempt, Redeliveries, SignedPost, State};
use crate::source::Source;

/// A delivery with its past, as another inbox tells of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Imported {
    /// What came in.
    pub delivery: NewDelivery,
    /// How far it had come there. What was claimed there is pending here.
    pub state: State,
    /// How often it was dispatched there.
    pub handed_out: u32,
    /// Every attempt that had ended there.
    pub attempts: Vec<Attempt>,
    /// How often it had come again there.
    pub redeliveries: Redeliveries,
    /// Of a POST: the `event_id` of the record of HeyGen's log that it was matched with there.
    pub matched_event_id: Option<String>,
    /// Of a record of HeyGen's log: the POST of the same event that came later there.
    pub signed: Option<SignedPost>,
    /// Whether to dispatch it again, whatever its state there, with as many attempts as a new delivery has.
    pub is_replayed: bool,
}

impl Imported {
    /// A delivery that was never dispatched.
    #[must_use]
    pub fn new(delivery: NewDelivery) -> Self {
        Self {
            delivery,
            state: State::Pending,
            handed_out: 0,
            attempts: Vec::new(),
            redeliveries: Redeliveries::default(),
            matched_event_id: None,
            signed: None,
            is_replayed: false,
        }
    }

    /// The state it has here. What was claimed there is pending.
    #[must_use]
    pub fn begun_state(&self) -> State {
        match self.state {
            _ if self.is_replayed => State::Pending,
            State::Claimed | State::Interrupted | State::Pending => State::Pending,
            State::Acknowledged | State::DeadLettered => self.state,
        }
    }

    /// Of the record itself nothing more is known than its id.
    pub(crate) fn matched(&self) -> Option<RecordIdentity> {
        let event_id = self.matched_event_id.as_deref()?;
        let is_post = self.delivery.source() == Source::Webhook;
        is_post.then(|| RecordIdentity {
            event_id: Some(event_id.into()),
            body: BodyDigest([0; 32]),
        })
    }

    pub(crate) fn signed_delivery(&self) -> Option<NewDelivery> {
        let post = self.signed.as_ref()?;
        let is_record = self.delivery.source() == Source::Backfill;
        is_record.then(|| {
            let (headers, body) = (post.headers.clone(), post.body.clone());
            NewDelivery::new(post.received_at, Source::Webhook, headers, body)
        })
    }
}
