//! [`Check`]: what a drill looks at, one table.

macro_rules! checks {
    ($($(#[$doc:meta])* $variant:ident => $id:literal, $title:literal, $cost:literal;)*) => {
        /// One thing that a drill looks at.
        #[non_exhaustive]
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum Check {
            $($(#[$doc])* $variant,)*
        }

        impl Check {
            /// All of them, in the order in which they are made.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name: `missing-media`.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)* }
            }

            /// What holds when it passes.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// What it costs to fail it.
            #[must_use]
            pub const fn cost(self) -> &'static str {
                match self { $(Self::$variant => $cost,)* }
            }
        }
    };
}

checks! {
    /// `OPTIONS` gets a 2xx in time.
    Probe => "probe",
        "OPTIONS is answered with 2xx within 1 s",
        "HeyGen's v1 refuses to register the endpoint, and v3 may too";
    /// A signed delivery without any header beyond the documented ones is accepted. Late, though in time, is a warning.
    Valid => "valid",
        "a signed delivery is accepted within 10 s",
        "nothing that HeyGen sends is accepted: every video that was paid for is missed";
    /// A body that was altered after it was signed is refused.
    Tampered => "tampered",
        "a body that was altered on the way is refused",
        "whoever can alter a delivery decides what your application believes";
    /// A delivery without a signature is refused.
    Unsigned => "unsigned",
        "a delivery without a signature is refused",
        "anybody who knows the address can forge events";
    /// A delivery that was signed with another secret is refused.
    WrongSecret => "wrong-secret",
        "a delivery signed with another secret is refused",
        "anybody who can compute an HMAC can forge events";
    /// The body is verified as it came, white space and escapes included.
    RawBody => "raw-body",
        "odd white space in a signed body does no harm",
        "the body is parsed or rewritten before it is verified: real deliveries are refused as soon as HeyGen or a proxy \
         writes JSON in another way";
    /// Informative: whether the header of HeyGen's mid-2026 documentation is taken.
    OtherHeader => "heygen-signature",
        "the header Heygen-Signature is taken as well",
        "nothing today: deliveries carry Signature. HeyGen's documentation of mid-2026 named this header";
    /// Informative: whether upper-case digits are taken.
    UpperCase => "upper-case",
        "a signature in upper-case digits is taken",
        "nothing today: HeyGen writes lower-case digits";
    /// The same delivery at once again is accepted.
    Duplicate => "duplicate",
        "the same delivery, at once again, is accepted",
        "HeyGen sends what you already have again and again, for 24 h";
    /// An event nobody knows yet is accepted.
    UnknownEvent => "unknown-event",
        "an event with an unknown name is accepted",
        "on the day HeyGen adds an event, it is refused and sent again for 24 h";
    /// A success with a missing, `null` or empty link is accepted.
    MissingMedia => "missing-media",
        "a success without a link (missing, null, empty) is accepted",
        "paid videos are missed: HeyGen does not always send the link, and the video can be fetched by its id";
    /// `null` in every field that may hold it is accepted.
    NullFields => "null-fields",
        "null in optional fields is accepted",
        "paid videos are missed: HeyGen sends null where there is nothing to say";
    /// Fields that are in no documentation are accepted.
    ExtraFields => "extra-fields",
        "unknown fields are accepted",
        "on the day HeyGen adds a field, every delivery is refused";
    /// Ids that are numbers are accepted.
    NumberIds => "number-ids",
        "ids that are numbers are accepted",
        "events are missed when HeyGen writes an id as a number";
    /// A body of 200 KiB is accepted.
    LargeBody => "large-body",
        "a body of 200 KiB is accepted",
        "events with long texts or many clips are missed";
    /// Many deliveries at a time are all accepted.
    Burst => "burst",
        "many deliveries at a time are all accepted within 10 s each",
        "when many videos finish together some are missed, or come again and again";
    /// `OPTIONS` gets a 2xx in time while a burst is under way.
    BurstProbe => "burst-probe",
        "OPTIONS is answered within 1 s during the burst",
        "HeyGen may refuse to register or change the endpoint while it is busy";
    /// The first delivery, sent again after all others, is accepted.
    Replay => "replay",
        "the first delivery, sent again after all others, is accepted",
        "a late retry of what you already have is refused and sent again for 24 h";
    /// No answer to any delivery took too long.
    Latency => "latency",
        "no answer to any delivery takes longer than 10 s",
        "HeyGen counts a late answer as none: work is done twice, and after 24 h the event is lost";
    /// No request was answered with a redirect.
    Redirect => "redirect",
        "nothing is answered with a redirect",
        "whether HeyGen follows redirects is not documented: deliveries may never arrive";
}

impl Check {
    /// The check of this name.
    #[must_use]
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|check| check.id() == id)
    }

    /// Whether it tells, and never fails.
    #[must_use]
    pub fn is_informative(self) -> bool {
        matches!(self, Self::OtherHeader | Self::UpperCase)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_is_found_by_its_name() {
        for check in Check::ALL {
            assert_eq!(Check::from_id(check.id()), Some(*check));
        }
        assert_eq!(Check::from_id("nothing"), None);
    }
}
