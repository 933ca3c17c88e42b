//! Sample bodies of every event as constants: documented, observed, odd and malformed ones.
//! [`bodies`] has bodies that are no events.
//!
//! The files and their origin are in the repository's `fixtures/`. A constant is named after its
//! file: `events/avatar_video.fail/odd-no-reason.json` is [`AVATAR_VIDEO_FAIL_ODD_NO_REASON`].

use bytes::Bytes;
use heygen_events::{Event, EventType};

use crate::json::Json;

/// A constant for each entry, and the list of all: one entry is the name of the constant, the two
/// names in the path of the file, the provenance and the body.
macro_rules! fixtures {
    ($($name:ident is $event_type:literal, $case:literal, $provenance:ident, $body:literal;)+) => {
        $(
            #[doc = concat!("`events/", $event_type, "/", $case, ".json`")]
            pub const $name: Fixture = Fixture {
                event_type: $event_type,
                case: $case,
                provenance: Provenance::$provenance,
                body: $body,
            };
        )+

        /// Every fixture, in the order of their paths.
        pub const ALL: &[Fixture] = &[$($name),+];
    };
}

pub mod bodies;
mod table;

pub use table::*;

/// The body of one event, and its origin.
///
/// # Examples
///
/// ```
/// use heygen_testkit::fixtures;
///
/// // A receiver stores every fixture. Its typed code sees what is malformed.
/// for fixture in fixtures::all() {
///     assert_eq!(fixture.event().is_well_formed(), fixture.is_well_formed());
/// }
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fixture {
    /// The event name.
    pub event_type: &'static str,
    /// The name of the case. It starts with the provenance: `documented-older`, `odd-no-media`.
    pub case: &'static str,
    /// The origin of the body.
    pub provenance: Provenance,
    /// The body, byte for byte as in its file: indented JSON with a final newline.
    pub body: &'static str,
}

/// The origin of a fixture.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Provenance {
    /// HeyGen's documentation shows it. Placeholders are replaced by made-up values.
    Documented,
    /// It was published, or its fields were reported, by someone who received it.
    Observed,
    /// The job resource is documented; that the event carries it is reported or assumed. Values are
    /// made up.
    Resource,
    /// Not documented: a minimal body, and no fact about HeyGen.
    Invented,
    /// What a receiver must tolerate: `null`, `""`, missing fields, extra fields, other names.
    Odd,
    /// The data does not match the type of the event.
    Malformed,
}

impl Fixture {
    /// The body, parsed.
    #[must_use]
    pub fn event(&self) -> Event {
        parse(self.body)
    }

    /// The body as compact JSON, as HeyGen sends it.
    #[must_use]
    pub fn compact_body(&self) -> Bytes {
        self.json().compact()
    }

    #[expect(
        clippy::expect_used,
        reason = "only the table makes fixtures, and a test parses each of them"
    )]
    pub(crate) fn json(&self) -> Json {
        serde_json::from_str(self.body).expect("a fixture is JSON")
    }

    /// Whether the data matches the type of its event: the expected [`Event::is_well_formed`].
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        self.provenance != Provenance::Malformed
    }
}

impl Provenance {
    /// The word in lower case. Case names start with it.
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

/// Every fixture, in order of path.
pub fn all() -> impl Iterator<Item = &'static Fixture> {
    ALL.iter()
}

/// The fixtures of one event. Empty for an unknown name.
pub fn of(event_type: &str) -> impl Iterator<Item = &'static Fixture> {
    all().filter(move |fixture| fixture.event_type == event_type)
}

/// The sample of an event. A success has its link, a failure its reason, as far as they are known.
///
/// It is the first existing case of `documented-v3`, `documented`, any `observed…`, `resource`,
/// `invented-minimal`. Every event in [`EventType::KNOWN`] has one.
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

#[expect(
    clippy::expect_used,
    reason = "only the table makes fixtures, and a test parses each of them"
)]
fn parse(body: &str) -> Event {
    Event::from_slice(body.as_bytes()).expect("a fixture is an event")
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
