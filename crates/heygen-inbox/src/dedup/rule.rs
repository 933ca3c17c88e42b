//! [`Candidate`]: a stored delivery that a new one may repeat, and the rule that decides.

use std::time::{Duration, SystemTime};

use super::{BodyDigest, DedupKey};
use crate::delivery::NewDelivery;
use crate::source::Source;

/// A stored delivery, as deduplication sees it.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub(crate) source: Source,
    pub(crate) received_at: SystemTime,
    pub(crate) body: BodyDigest,
    /// Of name and data. Read only where more than the body is asked for.
    pub(crate) event: Option<BodyDigest>,
    pub(crate) event_id: Option<Box<str>>,
    /// The record of HeyGen's log that a POST was matched with.
    pub(crate) matched: Option<RecordIdentity>,
    /// The body of the POST whose signed bytes are kept with a record.
    pub(crate) signed: Option<BodyDigest>,
}

/// Which record it was: by its `event_id`, or by its body where it has none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RecordIdentity {
    pub(crate) event_id: Option<Box<str>>,
    pub(crate) body: BodyDigest,
}

/// What of a stored delivery the rule asks for.
#[cfg(any(feature = "sqlite", feature = "jetstream"))]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Asks {
    /// Nothing: these two are never the same.
    Nothing,
    /// The whole body.
    Body,
    /// Everything.
    Event,
}

/// How a stored delivery is the same event as a new one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Fit {
    /// Nothing that is looked at later fits better.
    pub(crate) is_sure: bool,
    /// A record and a POST that are now known to be one: what the new one adds is to be stored with the old one.
    pub(crate) link: Option<Link>,
}

/// What is stored with a delivery that was here before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Link {
    /// With a POST: which record it was matched with.
    Record,
    /// With a record: the signed bytes of its POST.
    Post,
}

/// The best of the candidates looked at so far.
#[derive(Debug)]
pub(crate) struct Best<I>(Option<(I, Fit)>);

/// What of a stored delivery of one source has to be known to compare it with a new one of another.
#[cfg(any(feature = "sqlite", feature = "jetstream"))]
pub(crate) fn asks(new: Source, stored: Source) -> Asks {
    match (new, stored) {
        (Source::Webhook, Source::Webhook) | (Source::Callback, Source::Callback) => Asks::Body,
        (Source::Webhook | Source::Backfill | Source::Import, Source::Backfill)
        | (Source::Backfill, Source::Webhook) => Asks::Event,
        (Source::Import, _) => Asks::Body,
        // What nobody vouches for never stands in the way of anything else.
        (_, Source::Import) | (Source::Callback, _) | (_, Source::Callback) => Asks::Nothing,
    }
}

impl NewDelivery {
    /// Whether a store that holds `earlier` and nothing else takes this for the same event.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use heygen_inbox::{NewDelivery, Source};
    ///
    /// let body = r#"{"event_type":"instant_avatar.fail","event_data":{"reason":"quota"}}"#;
    /// let start = SystemTime::now();
    /// let post = |minutes: u64| {
    ///     let received_at = start + Duration::from_secs(minutes * 60);
    ///     NewDelivery::new(received_at, Source::Webhook, Vec::new(), body.into())
    /// };
    /// assert!(post(59).is_duplicate_of(&post(0)));
    /// // It names no job, so an hour later it is another event.
    /// assert!(!post(61).is_duplicate_of(&post(0)));
    /// ```
    #[must_use]
    pub fn is_duplicate_of(&self, earlier: &Self) -> bool {
        compare(self, &Candidate::of(earlier)).is_some()
    }

    /// Which record of HeyGen's log it is, where it is one.
    pub(crate) fn record_identity(&self) -> RecordIdentity {
        RecordIdentity {
            event_id: self.dedup_key().event_id().map(Box::from),
            body: self.dedup_key().body(),
        }
    }
}

/// How the stored delivery is the same event as the new one, if it is.
pub(crate) fn compare(new: &NewDelivery, stored: &Candidate) -> Option<Fit> {
    let key = new.dedup_key();
    let has_equal_body = key.body == stored.body;
    let has_equal_event = key.event.is_some() && key.event == stored.event;
    // Without the id of a job the same words may tell of another event.
    let is_in_time = key.names_job || is_within_hour(new.received_at(), stored.received_at);
    match (new.source(), stored.source) {
        (Source::Webhook, Source::Webhook) | (Source::Callback, Source::Callback) => {
            (has_equal_body && is_in_time).then_some(Fit::SURE)
        }
        (Source::Backfill, Source::Backfill) => {
            let has_equal_id = key.event_id.is_some() && key.event_id == stored.event_id;
            (has_equal_body || (has_equal_id && has_equal_event)).then_some(Fit::SURE)
        }
        (Source::Backfill, Source::Webhook) if has_equal_event => match &stored.matched {
            Some(matched) => matched.is(&new.record_identity()).then_some(Fit::SURE),
            None => Fit::of_ids(key.event_id(), stored.event_id.as_deref(), Link::Record),
        },
        (Source::Webhook, Source::Backfill) if has_equal_event && key.is_plain && is_in_time => {
            match &stored.signed {
                Some(signed) => (*signed == key.body).then_some(Fit::SURE),
                None => Fit::of_ids(key.event_id(), stored.event_id.as_deref(), Link::Post),
            }
        }
        (Source::Import, _) => {
            let is_here = has_equal_body || stored.signed == Some(key.body);
            // HeyGen gives each record an id of its own: there are no two of them.
            let is_record = stored.source == Source::Backfill && stored.event_id.is_some();
            (is_here && (is_in_time || (is_record && has_equal_body))).then_some(Fit::SURE)
        }
        _ => None,
    }
}

fn is_within_hour(one: SystemTime, other: SystemTime) -> bool {
    let apart = one
        .duration_since(other)
        .or_else(|_| other.duration_since(one));
    apart.is_ok_and(|apart| apart <= HOUR)
}

impl Candidate {
    /// One of which nothing more is known than what came in.
    pub(crate) fn new(source: Source, received_at: SystemTime, key: &DedupKey) -> Self {
        Self {
            source,
            received_at,
            body: key.body,
            event: key.event,
            event_id: key.event_id.clone(),
            matched: None,
            signed: None,
        }
    }

    /// One that was stored as it came, and of which no second form is known.
    #[must_use]
    pub fn of(delivery: &NewDelivery) -> Self {
        Self::new(
            delivery.source(),
            delivery.received_at(),
            delivery.dedup_key(),
        )
    }
}

impl Candidate {
    /// Adds the second form of the same event that is stored with it, see [`Duplicate::is_linked`].
    #[must_use]
    pub fn linked(mut self, other: &NewDelivery) -> Self {
        match other.source() {
            Source::Backfill => self.matched = Some(other.record_identity()),
            _ => self.signed = Some(other.dedup_key().body()),
        }
        self
    }

    /// Adds the `event_id` of the record of HeyGen's log that a POST was matched with.
    #[must_use]
    pub fn matched(mut self, event_id: &str) -> Self {
        self.matched = Some(RecordIdentity {
            event_id: Some(event_id.into()),
            body: BodyDigest([0; 32]),
        });
        self
    }
}

/// The stored delivery that a new one redeliveries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Duplicate<I> {
    /// Which of the candidates.
    pub id: I,
    /// Whether the new delivery is the second form of the event, a POST and its record in HeyGen's log:
    /// it must be stored with the first, which later deliveries are compared with as
    /// [linked](Candidate::linked).
    pub is_linked: bool,
}

/// The stored delivery that `new` redeliveries, if there is one. `stored` gives the candidates, the newest
/// first: all deliveries, or those that share one of the [keys](NewDelivery::lookup_keys).
///
/// # Examples
///
/// ```
/// use std::time::SystemTime;
/// use heygen_inbox::{Candidate, NewDelivery, Source, find_duplicate};
///
/// let delivery = || NewDelivery::new(SystemTime::now(), Source::Webhook, Vec::new(), "{}".into());
/// let stored = [("id", Candidate::of(&delivery()))];
/// assert_eq!(find_duplicate(&delivery(), stored).map(|found| found.id), Some("id"));
/// ```
pub fn find_duplicate<I>(
    new: &NewDelivery,
    stored: impl IntoIterator<Item = (I, Candidate)>,
) -> Option<Duplicate<I>> {
    let mut best = Best::none();
    for (id, candidate) in stored {
        if best.look_at(new, id, &candidate) {
            break;
        }
    }
    let (id, fit) = best.into_found()?;
    let is_linked = fit.link.is_some();
    Some(Duplicate { id, is_linked })
}

impl RecordIdentity {
    fn is(&self, other: &Self) -> bool {
        match (&self.event_id, &other.event_id) {
            (Some(ours), Some(theirs)) => ours == theirs,
            (None, _) | (_, None) => self.body == other.body,
        }
    }
}

impl Fit {
    const SURE: Self = Self {
        is_sure: true,
        link: None,
    };

    /// Of two that were not linked yet: two different ids are two events.
    fn of_ids(one: Option<&str>, other: Option<&str>, link: Link) -> Option<Self> {
        let is_sure = match (one, other) {
            (Some(one), Some(other)) if one != other => return None,
            (Some(_), Some(_)) => true,
            (None, _) | (_, None) => false,
        };
        Some(Self {
            is_sure,
            link: Some(link),
        })
    }
}

impl<I> Best<I> {
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// Looks at one more, the newest first. Gives whether no other can be better.
    pub(crate) fn look_at(&mut self, new: &NewDelivery, id: I, stored: &Candidate) -> bool {
        let fit = compare(new, stored);
        let is_sure = fit.is_some_and(|fit| fit.is_sure);
        if let Some(fit) = fit
            && (is_sure || self.0.is_none())
        {
            self.0 = Some((id, fit));
        }
        is_sure
    }

    pub(crate) fn into_found(self) -> Option<(I, Fit)> {
        self.0
    }
}

/// A retry whose first attempt was stored comes within minutes: the next attempt is answered 200.
const HOUR: Duration = Duration::from_secs(60 * 60);
