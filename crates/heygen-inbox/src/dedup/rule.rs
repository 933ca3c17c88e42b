//! [`Candidate`]: a stored delivery that a new one may duplicate, and the rule that decides.

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
    /// Of name and data. Only read when more than the body is compared.
    pub(crate) event: Option<BodyDigest>,
    pub(crate) event_id: Option<Box<str>>,
    /// The record of HeyGen's log that a POST was matched with.
    pub(crate) matched: Option<RecordIdentity>,
    /// The body of the POST whose signed bytes are stored with a record.
    pub(crate) signed: Option<BodyDigest>,
}

/// Identifies a record: by its `event_id`, or by its body if it has none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RecordIdentity {
    pub(crate) event_id: Option<Box<str>>,
    pub(crate) body: BodyDigest,
}

/// What the rule compares.
#[cfg(any(feature = "sqlite", feature = "jetstream"))]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Comparison {
    /// These two are never the same event.
    Never,
    /// The whole body.
    Body,
    /// Body, event and ids.
    Event,
}

/// How a stored delivery matches a new one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Match {
    /// No other candidate can match better.
    pub(crate) is_certain: bool,
    /// For a record and its POST: what the new one adds is to be stored with the old one.
    pub(crate) link: Option<Link>,
}

/// What is stored with the first form of an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Link {
    /// With a POST: which record it was matched with.
    Record,
    /// With a record: the signed bytes of its POST.
    Post,
}

/// The best match so far.
#[derive(Debug)]
pub(crate) struct BestMatch<I>(Option<(I, Match)>);

/// What has to be read of a stored delivery to compare it with a new one.
#[cfg(any(feature = "sqlite", feature = "jetstream"))]
pub(crate) fn comparison(new: Source, stored: Source) -> Comparison {
    match (new, stored) {
        (Source::Webhook, Source::Webhook) | (Source::Callback, Source::Callback) => {
            Comparison::Body
        }
        (Source::Webhook | Source::Backfill | Source::Import, Source::Backfill)
        | (Source::Backfill, Source::Webhook) => Comparison::Event,
        (Source::Import, _) => Comparison::Body,
        // An unauthenticated delivery never suppresses another.
        (_, Source::Import) | (Source::Callback, _) | (_, Source::Callback) => Comparison::Never,
    }
}

impl NewDelivery {
    /// Whether a store that holds only `earlier` takes this for a duplicate.
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

/// How the stored delivery matches the new one, if it does.
pub(crate) fn compare(new: &NewDelivery, stored: &Candidate) -> Option<Match> {
    let key = new.dedup_key();
    let has_equal_body = key.body == stored.body;
    let has_equal_event = key.event.is_some() && key.event == stored.event;
    // Without the id of a job an equal body may be another event.
    let is_in_time = key.names_job || is_within_an_hour(new.received_at(), stored.received_at);
    match (new.source(), stored.source) {
        (Source::Webhook, Source::Webhook) | (Source::Callback, Source::Callback) => {
            (has_equal_body && is_in_time).then_some(Match::CERTAIN)
        }
        (Source::Backfill, Source::Backfill) => {
            let has_equal_id = key.event_id.is_some() && key.event_id == stored.event_id;
            (has_equal_body || (has_equal_id && has_equal_event)).then_some(Match::CERTAIN)
        }
        (Source::Backfill, Source::Webhook) if has_equal_event => match &stored.matched {
            Some(matched) => matched.is(&new.record_identity()).then_some(Match::CERTAIN),
            None => Match::by_ids(key.event_id(), stored.event_id.as_deref(), Link::Record),
        },
        (Source::Webhook, Source::Backfill) if has_equal_event && key.is_plain && is_in_time => {
            match &stored.signed {
                Some(signed) => (*signed == key.body).then_some(Match::CERTAIN),
                None => Match::by_ids(key.event_id(), stored.event_id.as_deref(), Link::Post),
            }
        }
        (Source::Import, _) => {
            let is_here = has_equal_body || stored.signed == Some(key.body);
            // HeyGen gives each record a unique id.
            let is_record = stored.source == Source::Backfill && stored.event_id.is_some();
            (is_here && (is_in_time || (is_record && has_equal_body))).then_some(Match::CERTAIN)
        }
        _ => None,
    }
}

fn is_within_an_hour(one: SystemTime, other: SystemTime) -> bool {
    let distance = one
        .duration_since(other)
        .or_else(|_| other.duration_since(one));
    distance.is_ok_and(|distance| distance <= HOUR)
}

impl Candidate {
    /// A candidate without a second form.
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

    /// A delivery that was stored as received, without a second form.
    #[must_use]
    pub fn of(delivery: &NewDelivery) -> Self {
        Self::new(
            delivery.source(),
            delivery.received_at(),
            delivery.dedup_key(),
        )
    }

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
        self.matched = Some(RecordIdentity::of_event_id(event_id));
        self
    }
}

/// The stored delivery that a new one duplicates.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Duplicate<I> {
    /// Which of the candidates.
    pub id: I,
    /// Whether the new delivery is the second form of the event, a POST and its record in HeyGen's
    /// log: it must be stored with the first, which later deliveries are compared with as
    /// [linked](Candidate::linked).
    pub is_linked: bool,
}

/// The stored delivery that `new` is a duplicate of, if any. `stored` gives the candidates, the
/// newest first: all deliveries, or those that share one of the [keys](NewDelivery::lookup_keys).
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
    let mut best = BestMatch::new();
    for (id, candidate) in stored {
        if best.consider(new, id, &candidate) {
            break;
        }
    }
    let (id, fit) = best.into_match()?;
    let is_linked = fit.link.is_some();
    Some(Duplicate { id, is_linked })
}

impl RecordIdentity {
    /// Where only the id of the record is known.
    pub(crate) fn of_event_id(event_id: &str) -> Self {
        Self {
            event_id: Some(event_id.into()),
            body: BodyDigest([0; 32]),
        }
    }

    fn is(&self, other: &Self) -> bool {
        match (&self.event_id, &other.event_id) {
            (Some(ours), Some(theirs)) => ours == theirs,
            (None, _) | (_, None) => self.body == other.body,
        }
    }
}

impl Match {
    const CERTAIN: Self = Self {
        is_certain: true,
        link: None,
    };

    /// For two that were not linked yet: different ids mean different events.
    fn by_ids(one: Option<&str>, other: Option<&str>, link: Link) -> Option<Self> {
        let is_certain = match (one, other) {
            (Some(one), Some(other)) if one != other => return None,
            (Some(_), Some(_)) => true,
            (None, _) | (_, None) => false,
        };
        Some(Self {
            is_certain,
            link: Some(link),
        })
    }
}

impl<I> BestMatch<I> {
    pub(crate) fn new() -> Self {
        Self(None)
    }

    /// Considers one more candidate; the newest come first. Returns whether no other can match
    /// better.
    pub(crate) fn consider(&mut self, new: &NewDelivery, id: I, stored: &Candidate) -> bool {
        let fit = compare(new, stored);
        let is_certain = fit.is_some_and(|fit| fit.is_certain);
        if let Some(fit) = fit
            && (is_certain || self.0.is_none())
        {
            self.0 = Some((id, fit));
        }
        is_certain
    }

    pub(crate) fn into_match(self) -> Option<(I, Match)> {
        self.0
    }
}

/// HeyGen's retry of a stored attempt comes within minutes: that next attempt is answered 200.
const HOUR: Duration = Duration::from_secs(60 * 60);
