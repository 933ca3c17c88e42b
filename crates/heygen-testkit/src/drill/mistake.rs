//! [`Mistake`]: what endpoints verify in place of HeyGen's signature, and requests that they accept.

use std::borrow::Cow;

use base64::{
    Engine,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use bytes::Bytes;
use heygen_signature::{HEYGEN_SIGNATURE, SIGNATURE, Secret};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::json::{Ascii, Json};

/// What a mistake is about. Two mistakes about different parts can meet in one endpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Part {
    Body,
    Header,
    Value,
    Key,
}

macro_rules! mistakes {
    ($($(#[$doc:meta])* $variant:ident => $id:literal, $part:ident, $text:literal, $fix:literal;)*) => {
        /// A mistake in verifying, for which an endpoint rejects what HeyGen sends.
        #[non_exhaustive]
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum Mistake {
            $($(#[$doc])* $variant,)*
        }

        impl Mistake {
            /// All mistakes, in the order in which they are tried.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name: `python-json`.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)* }
            }

            /// What the endpoint accepts, to follow “it accepts”.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// How to correct it.
            #[must_use]
            pub const fn fix(self) -> &'static str {
                match self { $(Self::$variant => $fix,)* }
            }

            const fn part(self) -> Part {
                match self { $(Self::$variant => Part::$part,)* }
            }
        }
    };
}

mistakes! {
    /// The body is parsed, and written again with Python's `json.dumps`.
    PythonJson => "python-json", Body,
        "the signature of the body as Python's json.dumps writes it",
        "verify the bytes as they came, before parsing: request.get_data() in Flask, request.body in Django, \
         await request.body() in FastAPI";
    /// The same without white space: `separators=(",", ":")`.
    CompactPythonJson => "compact-python-json", Body,
        "the signature of the body as Python's json.dumps writes it without spaces",
        "verify the bytes as they came, before parsing: request.get_data() in Flask, request.body in Django, \
         await request.body() in FastAPI";
    /// The body is parsed, and written again with `JSON.stringify`, or as Ruby's `to_json` does.
    JsJson => "js-json", Body,
        "the signature of the body as JSON.stringify writes it",
        "verify the bytes as they came, before parsing: express.raw({type: '*/*'}) on this route in Express, \
         await request.text() in Next.js, request.raw_post in Rails";
    /// The body is parsed, and written again with PHP's `json_encode`.
    PhpJson => "php-json", Body,
        "the signature of the body as PHP's json_encode writes it",
        "verify the bytes as they came, before parsing: file_get_contents('php://input'), or $request->getContent() \
         in Laravel and Symfony";
    /// The signature is read from `Heygen-Signature`.
    HeygenSignature => "heygen-signature-header", Header,
        "the signature in the header Heygen-Signature",
        "read the header Signature";
    /// The signature is read from `X-HeyGen-Signature`.
    XHeygenSignature => "x-heygen-signature-header", Header,
        "the signature in the header X-HeyGen-Signature",
        "read the header Signature";
    /// The header is expected to start with `sha256=`.
    Sha256Prefix => "sha256-prefix", Value,
        "the signature after sha256=",
        "expect nothing before the digits: the header holds 64 hexadecimal digits and no sha256=";
    /// The header is expected in base64.
    Base64 => "base64", Value,
        "the signature in base64",
        "compare with the HMAC in hexadecimal digits: hexdigest() in Python, digest('hex') in Node, and not base64";
    /// The header is expected in upper-case digits.
    UpperCase => "upper-case-digits", Value,
        "the signature in upper-case digits",
        "compare with lower-case digits, or compare the bytes";
    /// The key is the secret without `whsec_`.
    WithoutPrefix => "secret-without-whsec", Key,
        "the secret without whsec_ as the key",
        "use the whole secret as the key: whsec_ is part of it";
    /// The key is what is after `whsec_`, decoded from base64, as Standard Webhooks does.
    DecodedSecret => "decoded-secret", Key,
        "the secret decoded from base64 as the key, as Standard Webhooks has it",
        "use the text of the whole secret as the key, whsec_ included: nothing in it is base64";
    /// The key ends in a line break.
    LineBreak => "secret-with-line-break", Key,
        "the secret with a line break at its end as the key",
        "cut white space off the secret when you read it from its file";
    /// The key is in quotation marks.
    QuotedSecret => "quoted-secret", Key,
        "the secret in quotation marks as the key",
        "write the secret without quotation marks: `docker --env-file` and systemd keep them";
    /// The key has no white space around it, as the drill's has.
    TrimmedSecret => "trimmed-secret", Key,
        "the secret without the white space around it as the key",
        "cut white space off the secret that you gave to the drill";
}

/// A signature header that endpoints with certain mistakes accept.
#[derive(Debug)]
pub(super) struct Guess {
    pub(super) mistakes: Vec<Mistake>,
    pub(super) header: &'static str,
    pub(super) value: String,
}

/// Every guess for a body: one mistake first, then two that can meet.
pub(super) fn all<'a>(secret: &'a Secret, body: &'a Bytes) -> impl Iterator<Item = Guess> + 'a {
    let singles = Mistake::ALL.iter().map(|mistake| vec![*mistake]);
    let pairs = Mistake::ALL.iter().flat_map(|one| {
        let others = Mistake::ALL.iter().skip_while(move |other| *other != one);
        let others = others.filter(move |other| other.part() != one.part());
        others.map(move |other| vec![*one, *other])
    });
    let guesses = singles.chain(pairs);
    guesses.filter_map(move |mistakes| guess(mistakes, secret, body))
}

/// The guesses about how the body is written.
pub(super) fn of_body<'a>(secret: &'a Secret, body: &'a Bytes) -> impl Iterator<Item = Guess> + 'a {
    let of_body = Mistake::ALL.iter().filter(|it| it.part() == Part::Body);
    of_body.filter_map(move |mistake| guess(vec![*mistake], secret, body))
}

/// `None` if a mistake makes no difference for this body and secret.
fn guess(mistakes: Vec<Mistake>, secret: &Secret, body: &Bytes) -> Option<Guess> {
    let mut key = Cow::Borrowed(secret.expose().as_bytes());
    let mut body = Cow::Borrowed(body);
    let mut header = SIGNATURE;
    for mistake in &mistakes {
        match mistake.part() {
            Part::Body => {
                let spelled = spelled(*mistake, &body)?;
                body = Cow::Owned(Some(spelled).filter(|spelled| *spelled != *body)?);
            }
            Part::Key => key = Cow::Owned(other_key(*mistake, secret.expose())?),
            Part::Header if *mistake == Mistake::HeygenSignature => header = HEYGEN_SIGNATURE,
            Part::Header => header = X_HEYGEN_SIGNATURE,
            Part::Value => {}
        }
    }
    let tag = sign(&key, &body)?;
    let hex: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
    let of_value = mistakes.iter().find(|it| it.part() == Part::Value);
    let value = match of_value {
        Some(Mistake::Base64) => STANDARD.encode(tag),
        Some(Mistake::Sha256Prefix) => format!("sha256={hex}"),
        Some(Mistake::UpperCase) => hex.to_uppercase(),
        _ => hex,
    };
    Some(Guess {
        mistakes,
        header,
        value,
    })
}

fn spelled(mistake: Mistake, body: &Bytes) -> Option<Bytes> {
    let json: Json = serde_json::from_slice(body).ok()?;
    Some(match mistake {
        Mistake::PythonJson => json.ascii(Ascii::PYTHON),
        Mistake::CompactPythonJson => json.ascii(Ascii::COMPACT_PYTHON),
        Mistake::PhpJson => json.ascii(Ascii::PHP),
        _ => json.compact(),
    })
}

fn other_key(mistake: Mistake, secret: &str) -> Option<Vec<u8>> {
    let rest = || secret.trim().strip_prefix(PREFIX);
    match mistake {
        Mistake::WithoutPrefix => rest().map(|rest| rest.as_bytes().to_vec()),
        Mistake::DecodedSecret => {
            // HeyGen writes the alphabet for URLs, and some decoders read both.
            let text = rest().unwrap_or(secret).replace('-', "+").replace('_', "/");
            FORGIVING.decode(text).ok()
        }
        Mistake::LineBreak => Some(format!("{secret}\n").into_bytes()),
        Mistake::QuotedSecret => Some(format!("\"{secret}\"").into_bytes()),
        Mistake::TrimmedSecret => {
            let trimmed = secret.trim();
            (trimmed != secret).then(|| trimmed.as_bytes().to_vec())
        }
        _ => None,
    }
}

/// Any bytes can be the key, which [`Secret`] does not allow.
fn sign(key: &[u8], body: &[u8]) -> Option<[u8; 32]> {
    let keyed = Hmac::<Sha256>::new_from_slice(key).ok()?;
    Some(keyed.chain_update(body).finalize().into_bytes().into())
}

const X_HEYGEN_SIGNATURE: &str = "x-heygen-signature";
const PREFIX: &str = "whsec_";

/// Decodes as most libraries do, with padding or without.
const FORGIVING: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn guesses(secret: &str, body: &'static str) -> Vec<Guess> {
        let secret = Secret::new(secret).unwrap();
        all(&secret, &Bytes::from(body)).collect()
    }

    #[test]
    fn guesses_differ_from_each_other_and_from_the_signature_of_heygen() {
        let secret = Secret::new(" whsec_dGVzdA== ").unwrap();
        let body = r#"{"url":"https://a/ü"}"#;
        let right = secret.sign(body.as_bytes()).to_string();
        let found = guesses(secret.expose(), body);
        let mut seen = HashSet::new();
        for guess in &found {
            assert!(seen.insert((guess.header, &guess.value)), "{guess:?}");
            assert!(
                guess.header != SIGNATURE || guess.value != right,
                "{guess:?}"
            );
        }
        let singles: Vec<_> = found.iter().filter(|it| it.mistakes.len() == 1).collect();
        assert_eq!(
            singles.len(),
            Mistake::ALL.len() - 1,
            "this body is compact"
        );
        assert!(found.len() < 120, "{}", found.len());
        let pair = [Mistake::XHeygenSignature, Mistake::Sha256Prefix];
        assert!(found.iter().any(|guess| guess.mistakes == pair));
    }

    #[test]
    fn bodies_are_written_as_other_languages_write_them() {
        #[track_caller]
        fn check(mistake: Mistake, expected: &str) {
            let body = Bytes::from("{\"b\": \"ü/\",\n \"a\":[1, null]}");
            let spelled = spelled(mistake, &body).unwrap();
            assert_eq!(spelled, expected, "{mistake:?}");
        }
        check(Mistake::PythonJson, r#"{"b": "\u00fc/", "a": [1, null]}"#);
        check(
            Mistake::CompactPythonJson,
            r#"{"b":"\u00fc/","a":[1,null]}"#,
        );
        check(Mistake::JsJson, r#"{"b":"ü/","a":[1,null]}"#);
        check(Mistake::PhpJson, r#"{"b":"\u00fc\/","a":[1,null]}"#);
    }

    #[test]
    fn keys_are_derived_only_where_they_differ() {
        #[track_caller]
        fn check(mistake: Mistake, secret: &str, expected: Option<&str>) {
            let key = other_key(mistake, secret);
            assert_eq!(key.as_deref(), expected.map(str::as_bytes), "{mistake:?}");
        }
        check(Mistake::WithoutPrefix, "whsec_dGVzdA", Some("dGVzdA"));
        check(Mistake::WithoutPrefix, "dGVzdA", None);
        check(Mistake::DecodedSecret, "whsec_dGVzdA", Some("test"));
        check(Mistake::DecodedSecret, "whsec_dGVzdA==", Some("test"));
        check(Mistake::DecodedSecret, "whsec_Pz8_Pj4-", Some("???>>>"));
        check(Mistake::DecodedSecret, "whsec_no_base64", None);
        check(Mistake::TrimmedSecret, "a", None);
        check(Mistake::TrimmedSecret, "a\n", Some("a"));
        check(Mistake::LineBreak, "a", Some("a\n"));
    }

    #[test]
    fn ids_are_unique() {
        let ids: HashSet<_> = Mistake::ALL.iter().map(|mistake| mistake.id()).collect();
        assert_eq!(ids.len(), Mistake::ALL.len());
    }
}
