//! [`Imported`]: a delivery of another inbox, with its history there.

use crate::dedup::rule::RecordIdentity;
use crate::delivery::NewDelivery;
use crate::record::{Attempt, Redeliveries, SignedPost, State};
use crate::source::Source;

/// A delivery of another inbox, with its history there.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Imported {
    /// The delivery.
    pub delivery: NewDelivery,
    /// Its state there. A claimed delivery becomes pending here.
    pub state: State,
    /// How many attempts were started there.
    pub attempt_count: u32,
    /// The attempts that had ended there.
    pub attempts: Vec<Attempt>,
    /// How often it was received again there.
    pub redeliveries: Redeliveries,
    /// For a POST: the `event_id` of the record of HeyGen's log that it was matched with there.
    pub matched_event_id: Option<String>,
    /// For a record of HeyGen's log: the POST of the same event that was received later there.
    pub signed: Option<SignedPost>,
    /// Whether to dispatch it again, whatever its state there, with as many attempts as a new
    /// delivery has.
    pub is_replayed: bool,
}

impl Imported {
    /// A delivery that was never dispatched.
    #[must_use]
    pub fn new(delivery: NewDelivery) -> Self {
        Self {
            delivery,
            state: State::Pending,
            attempt_count: 0,
            attempts: Vec::new(),
            redeliveries: Redeliveries::default(),
            matched_event_id: None,
            signed: None,
            is_replayed: false,
        }
    }

    /// The state to store it in.
    #[must_use]
    pub fn initial_state(&self) -> State {
        match self.state {
            _ if self.is_replayed => State::Pending,
            State::Claimed | State::Interrupted | State::Pending => State::Pending,
            State::Acknowledged | State::DeadLettered => self.state,
        }
    }

    pub(crate) fn matched(&self) -> Option<RecordIdentity> {
        let event_id = self.matched_event_id.as_deref()?;
        let is_post = self.delivery.source() == Source::Webhook;
        is_post.then(|| RecordIdentity::of_event_id(event_id))
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
