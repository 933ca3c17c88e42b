//! Sample bodies of every event, compiled in: documented, observed, odd and malformed ones.
//!
//! The files, and what is known of each, are in the repository's `fixtures/`. A constant is named after its file:
//! `events/avatar_video.fail/odd-no-reason.json` is [`AVATAR_VIDEO_FAIL_ODD_NO_REASON`].

use heygen_events::EventType;

mod table;

pub use table::*;

/// One body, and where it comes from.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fixture {
    /// The name of the event.
    pub event_type: &'static str,
    /// The name of the case, which begins with its provenance: `documented-older`, `odd-no-media`.
    pub case: &'static str,
    /// What the body rests on.
    pub provenance: Provenance,
    /// The body, byte for byte as in its file: JSON, indented, with a line end.
    pub body: &'static str,
}

/// What a fixture rests on.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Provenance {
    /// HeyGen's documentation shows it; placeholders are replaced by made-up values.
    Documented,
    /// Somebody received it, or reported its fields.
    Observed,
    /// The resource of the job is documented; that the event carries it is said or assumed. Values are ours.
    Resource,
    /// Nobody has documented it: the least that makes a body, and no fact about HeyGen.
    Invented,
    /// What a receiver must survive: `null`, `""`, missing, extra, other names for the same thing.
    Odd,
    /// Data that does not fit the event.
    Malformed,
}

impl Provenance {
    /// The word in lower case, as case names begin with it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Documented => "documented",
            Self::Observed => "observed",
            Self::Resource => "resource",
            Self::Invented => "invented",
            Self::Odd => "odd",
            Self::Malformed => "malformed",
        }
    }
}

/// Every fixture, in the order of their paths.
pub fn all() -> impl Iterator<Item = &'static Fixture> {
    ALL.iter()
}

/// The fixtures of one event; none for a name that has none.
pub fn of(event_type: &str) -> impl Iterator<Item = &'static Fixture> {
    all().filter(move |fixture| fixture.event_type == event_type)
}

/// The body that stands for an event: a success comes with its link, a failure with its reason, where known.
///
/// It is the first that exists of `documented-v3`, `documented`, any `observed…`, `resource`, `invented-minimal`. Every
/// event in [`EventType::KNOWN`] has one.
#[must_use]
pub fn sample(event_type: &str) -> Option<&'static Fixture> {
    of(event_type)
        .filter_map(|fixture| rank(fixture).map(|rank| (rank, fixture)))
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, fixture)| fixture)
}

/// The samples of all known events, in the order of [`EventType::KNOWN`].
pub fn samples() -> impl Iterator<Item = &'static Fixture> {
    EventType::KNOWN
        .iter()
        .filter_map(|event_type| sample(event_type.as_str()))
}

fn rank(fixture: &Fixture) -> Option<u8> {
    match (fixture.provenance, fixture.case) {
        (Provenance::Documented, "documented-v3") => Some(0),
        (Provenance::Documented, "documented") => Some(1),
        (Provenance::Observed, _) => Some(2),
        (Provenance::Resource, "resource") => Some(3),
        (Provenance::Invented, "invented-minimal") => Some(4),
        _ => None,
    }
}
