//! [`Check`]: the checks of a drill, as one table.

macro_rules! checks {
    ($($(#[$doc:meta])* $variant:ident => $id:literal, $title:literal, $cost:literal, $fix:literal;)*) => {
        /// One check of a drill.
        #[non_exhaustive]
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum Check {
            $($(#[$doc])* $variant,)*
        }

        impl Check {
            /// All checks, in the order in which they run.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name: `missing-media`.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)* }
            }

            /// What is true if the check passes.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// The consequence of a failure.
            #[must_use]
            pub const fn cost(self) -> &'static str {
                match self { $(Self::$variant => $cost,)* }
            }

            /// How to correct a failure.
            #[must_use]
            pub const fn fix(self) -> &'static str {
                match self { $(Self::$variant => $fix,)* }
            }
        }
    };
}

checks! {
    /// `OPTIONS` gets 2xx within the timeout.
    Probe => "probe",
        "OPTIONS is answered with 2xx within 1 s",
        "HeyGen's v1 does not register the endpoint, and v3 may not either",
        "answer OPTIONS on this path with 204, without authentication and before any other work";
    /// A signed delivery with only the documented headers is accepted. An answer after more than
    /// half of the timeout is a warning.
    Valid => "valid",
        "a signed delivery is accepted within 10 s",
        "no delivery is accepted: you miss every video that you paid for",
        "compare the header Signature with the HMAC-SHA256 of the raw body in lower-case hexadecimal digits, with the whole \
         secret (whsec_ included) as the key";
    /// A body that was changed after signing is rejected.
    Tampered => "tampered",
        "a body that was changed after signing is rejected",
        "anyone who can change a delivery can feed your application false events",
        "compute the HMAC over the raw bytes of the body that you read afterwards, and answer 401 when it differs";
    /// A delivery without a signature is rejected.
    Unsigned => "unsigned",
        "a delivery without a signature is rejected",
        "anyone who knows the URL can forge events",
        "answer 401 when the header Signature is missing, before you read the body";
    /// A delivery signed with another secret is rejected.
    WrongSecret => "wrong-secret",
        "a delivery signed with another secret is rejected",
        "anyone who can compute an HMAC can forge events",
        "compare the header Signature with the HMAC-SHA256 of the raw body and your secret: hmac.compare_digest, \
         crypto.timingSafeEqual";
    /// A signature that is empty, cut short, no hexadecimal digits, or given twice, is rejected.
    MalformedSignature => "malformed-signature",
        "a signature that is empty, cut short, no hex or given twice is rejected",
        "anyone who finds the right kind of malformed signature can forge events",
        "answer 401 unless the header is 64 hexadecimal digits, and compare all of them, never a prefix";
    /// A signed failure, which has no link, is accepted.
    Failure => "failure",
        "a signed avatar_video.fail is accepted",
        "you never learn that a video failed, and HeyGen retries the delivery for 24 h",
        "read event_type first: a failure has a reason in msg, and no link";
    /// The raw body is verified, including white space and escapes.
    RawBody => "raw-body",
        "a signed body with unusual white space is accepted",
        "the body is parsed or rewritten before verification: real deliveries are rejected as soon as HeyGen \
         or a proxy formats JSON differently",
        "verify the bytes as they came, before parsing: express.raw({type: '*/*'}), request.get_data() in Flask, \
         await request.body() in FastAPI, await request.text() in Next.js, php://input";
    /// Informative: whether the header of HeyGen's mid-2026 documentation is accepted.
    OtherHeader => "heygen-signature",
        "the header Heygen-Signature is accepted too",
        "nothing today: deliveries carry Signature. HeyGen's documentation of mid-2026 named this header",
        "nothing to fix";
    /// Informative: whether upper-case digits are accepted.
    UpperCase => "upper-case",
        "a signature in upper-case digits is accepted",
        "nothing today: HeyGen writes lower-case digits",
        "nothing to fix";
    /// An immediate repetition of a delivery is accepted.
    Duplicate => "duplicate",
        "an immediate repetition of a delivery is accepted",
        "HeyGen retries for 24 h what you already have",
        "answer 2xx to a delivery that you already have";
    /// An unknown event is accepted.
    UnknownEvent => "unknown-event",
        "an event with an unknown name is accepted",
        "when HeyGen adds an event, it is rejected and retried for 24 h",
        "answer 2xx to events that you do not handle, and log their names";
    /// A success with a missing, `null` or empty link is accepted.
    MissingMedia => "missing-media",
        "a success without a link (missing, null, empty) is accepted",
        "you miss paid videos: HeyGen does not always send the link, and the video can be fetched by its id",
        "read the link as optional, and fetch the video by its id when there is none";
    /// `null` in every optional field is accepted.
    NullFields => "null-fields",
        "null in optional fields is accepted",
        "you miss paid videos: HeyGen sends null for missing values",
        "read every field but the id as optional, and treat null as missing";
    /// Unknown fields are accepted.
    ExtraFields => "extra-fields",
        "unknown fields are accepted",
        "when HeyGen adds a field, every delivery is rejected",
        "ignore unknown fields: no extra='forbid' in pydantic, no .strict() in zod";
    /// Ids that are numbers are accepted.
    NumberIds => "number-ids",
        "ids that are numbers are accepted",
        "you miss events if HeyGen sends an id as a number",
        "accept a number where an id is expected, and treat it as text";
    /// `event_data` that is missing, `null`, an array or a text is accepted.
    OddData => "odd-data",
        "event_data that is missing, null, an array or a text is accepted",
        "an event whose data has a new shape is rejected and retried for 24 h, and then lost",
        "answer 2xx to everything with a correct signature, keep the body, and treat data that is no object as an \
         unknown event";
    /// The name of the event under `event` is accepted.
    EventKey => "event-key",
        "the name of the event under `event`, in place of `event_type`, is accepted",
        "if HeyGen names events there, as its own n8n node expects, every delivery is rejected",
        "read `event` when `event_type` is missing";
    /// NUL characters, escapes and deep nesting are accepted.
    OddText => "odd-text",
        "NUL characters, escapes and deep nesting are accepted",
        "an event with such a text is rejected and retried for 24 h, and then lost",
        "store the body as bytes: PostgreSQL rejects \\u0000 in text and jsonb; answer 2xx also when the body cannot be parsed";
    /// A body of 200 KiB is accepted.
    LargeBody => "large-body",
        "a body of 200 KiB is accepted",
        "you miss events with long texts or many clips",
        "allow bodies of 1 MiB: express.raw({limit: '1mb'}), client_max_body_size in nginx";
    /// Many concurrent deliveries are all accepted.
    Burst => "burst",
        "many concurrent deliveries are all accepted within 10 s each",
        "when many videos finish together, you miss some or get them repeatedly",
        "verify, store and answer at once; do the work afterwards, in a queue or a background task";
    /// `OPTIONS` gets 2xx within the timeout during a burst.
    BurstProbe => "burst-probe",
        "OPTIONS is answered within 1 s during the burst",
        "HeyGen may not register or change the endpoint while it is busy",
        "answer OPTIONS while deliveries are worked on: more workers or threads, or a proxy that answers it";
    /// A late repetition of the first delivery is accepted.
    Replay => "replay",
        "a late repetition of the first delivery is accepted",
        "a late retry of what you already have is rejected and retried for 24 h",
        "answer 2xx to a delivery that you already have, however old it is";
    /// No answer to a delivery took longer than the timeout.
    Latency => "latency",
        "no answer to any delivery takes longer than 10 s",
        "HeyGen ignores a late answer: work is done twice, and after 24 h the event is lost",
        "answer at once, and do the work afterwards, in a queue or a background task";
    /// No answer was a redirect.
    Redirect => "redirect",
        "no answer is a redirect",
        "whether HeyGen follows redirects is not documented: deliveries may never arrive",
        "register the address that the redirect leads to";
}

impl Check {
    /// The check with this name.
    #[must_use]
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|check| check.id() == id)
    }

    /// Whether the check only informs and never fails.
    #[must_use]
    pub fn is_informative(self) -> bool {
        matches!(self, Self::OtherHeader | Self::UpperCase)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_id_finds_every_check() {
        for check in Check::ALL {
            assert_eq!(Check::from_id(check.id()), Some(*check));
        }
        assert_eq!(Check::from_id("nothing"), None);
    }
}
