//! [`diagnose`]: finds out why a request does not verify, for the operator.

use std::fmt;

use hmac::Mac;
use zeroize::Zeroizing;

use crate::error::VerifyErrorKind;
use crate::header::SignatureHeaders;
use crate::secret::{PREFIX, Secret, Secrets, keyed};
use crate::signature::Signature;

use self::rewrite::{Style, rewrite};

mod base64;
mod rewrite;

/// Verifies a request as [`verify`](crate::verify) does and, when it fails, finds out what went
/// wrong.
///
/// For the operator's log and for tools, never for the sender: an answer that says which secret
/// nearly matched helps an attacker. It accepts nothing more than `verify` does: only
/// [`Diagnosis::Verified`] means that the request verifies.
///
/// It tries a few other keys and, for bodies up to 64 KiB, some fifty other spellings of the body.
/// That is a hundred times slower than `verify`, so limit how often a sender can cause it.
///
/// # Examples
///
/// ```
/// use heygen_signature::{Diagnosis, Secret, Secrets, diagnose};
///
/// // The file held the secret and a line end, which was not cut.
/// let secrets = Secrets::from(Secret::new("whsec_test\n")?);
/// let signature = Secret::new("whsec_test")?.sign(b"{}").to_string();
///
/// let diagnosis = diagnose([("Signature", signature)], b"{}", &secrets);
/// assert_eq!(diagnosis, Diagnosis::MatchesTrimmedSecret { secret: 0 });
/// assert_eq!(diagnosis.label(), "matches-trimmed-secret");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn diagnose<N: AsRef<str>, V: AsRef<[u8]>>(
    headers: impl IntoIterator<Item = (N, V)>,
    body: &[u8],
    secrets: &Secrets,
) -> Diagnosis {
    let found = SignatureHeaders::among(headers);
    let signature = match found.signature() {
        Ok(signature) => signature,
        Err(error) => {
            return match error.kind() {
                VerifyErrorKind::Missing if found.only_x_heygen_signature() => {
                    Diagnosis::OnlyXHeygenSignature
                }
                VerifyErrorKind::Missing => Diagnosis::NoHeader,
                VerifyErrorKind::Ambiguous => Diagnosis::Ambiguous,
                VerifyErrorKind::Malformed if found.value().is_ok_and(has_sha256_prefix) => {
                    Diagnosis::Sha256Prefix
                }
                VerifyErrorKind::Malformed => Diagnosis::NotHex,
                VerifyErrorKind::Mismatch => Diagnosis::MatchesNoSecret,
            };
        }
    };
    if let Ok(matched) = secrets.verify(&signature, body) {
        return Diagnosis::Verified {
            secret: matched.index(),
        };
    }
    other_key(&signature, body, secrets)
        .or_else(|| other_spelling(&signature, body, secrets))
        .unwrap_or(Diagnosis::MatchesNoSecret)
}

/// One table of all diagnoses: the documentation, the variant, its word, and what to do about it.
macro_rules! diagnoses {
    ($($(#[$doc:meta])+ $variant:ident $({ $secret:ident })? = $label:literal, $text:literal;)+) => {
        /// What is wrong with the signature of a request.
        ///
        /// `Display` says what to do about it, in one sentence; [`label`](Self::label) is for metrics
        /// and programs. `secret` is an index into [`Secrets::iter`], from 0; the sentences count
        /// from 1.
        #[non_exhaustive]
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Diagnosis {
            $(
                $(#[$doc])+
                $variant $({
                    /// Which secret that is.
                    $secret: usize,
                })?,
            )+
        }

        impl Diagnosis {
            /// A short, stable word for metrics, JSON and searches.
            #[must_use]
            pub fn label(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $label,)+
                }
            }
        }

        impl fmt::Display for Diagnosis {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant $({ $secret })? => write!(f, $text $(, $secret + 1)?),)+
                }
            }
        }
    };
}

diagnoses! {
    /// The request verifies.
    Verified { secret } = "verified", "the signature matches secret {}";
    /// No signature header is present.
    NoHeader = "no-signature-header",
        "no signature header: it is a callback_url delivery, or not from HeyGen, or a proxy removed the header; \
         let the proxy pass Signature on";
    /// Only `X-HeyGen-Signature` is present, which HeyGen does not send.
    OnlyXHeygenSignature = "only-x-heygen-signature",
        "only X-HeyGen-Signature is present, which HeyGen does not send: let the sender use Signature";
    /// There is more than one signature.
    Ambiguous = "ambiguous-signature",
        "more than one signature in the headers: find the proxy that adds or joins headers";
    /// The signature is not 64 hexadecimal digits.
    NotHex = "not-hex",
        "the signature is not 64 hexadecimal digits: let the sender write the HMAC-SHA256 in hexadecimal";
    /// The signature begins with `sha256=`, which HeyGen's do not.
    Sha256Prefix = "sha256-prefix",
        "the signature begins with sha256=, which HeyGen's do not: let the sender omit the prefix";
    /// It matches once white space, quotes or invisible characters, such as a byte order mark, are
    /// cut from both ends of the configured secret.
    MatchesTrimmedSecret { secret } = "matches-trimmed-secret",
        "secret {} has white space or quotes around it: remove them";
    /// It matches once `whsec_` is cut from the configured secret.
    MatchesSecretWithoutPrefix { secret } = "matches-secret-without-prefix",
        "the sender used secret {} without whsec_, which is part of the key: let the sender keep it";
    /// It matches once `whsec_` is put before the configured secret.
    MatchesSecretWithPrefix { secret } = "matches-secret-with-prefix",
        "secret {} lacks the prefix whsec_ that it was issued with: configure it with the prefix";
    /// It matches the bytes that the configured secret stands for in base64.
    MatchesBase64DecodedSecret { secret } = "matches-base64-decoded-secret",
        "the sender base64-decoded secret {}, which HeyGen does not: let the sender use its text as the key";
    /// It matches the body in another spelling: it was parsed and serialized again on the way.
    MatchesReserializedBody { secret } = "matches-reserialized-body",
        "secret {} signed this body in another spelling: verify the raw bytes, before anything parses and \
         serializes them again";
    /// Nothing that was tried matches.
    MatchesNoSecret = "matches-no-secret",
        "the signature matches no secret: compare with the secret that HeyGen issued last for this endpoint; \
         or the body was altered, or HeyGen did not send it";
}

impl Diagnosis {
    /// Whether the request verifies.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        matches!(self, Self::Verified { .. })
    }
}

fn has_sha256_prefix(value: &[u8]) -> bool {
    let prefix = value.get(..7);
    prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(b"sha256="))
}

/// Tries the ways in which either side gets a secret wrong.
fn other_key(signature: &Signature, body: &[u8], secrets: &Secrets) -> Option<Diagnosis> {
    let signed_with = |key: &[u8]| {
        let tag = keyed(key).chain_update(body);
        tag.verify_slice(signature.as_bytes()).is_ok()
    };
    for (secret, text) in secrets.iter().map(Secret::expose).enumerate() {
        let trimmed = trim(trim(text).trim_matches(['"', '\'']));
        if signed_with(trimmed.as_bytes()) {
            return Some(Diagnosis::MatchesTrimmedSecret { secret });
        }
        let bare = trimmed.strip_prefix(PREFIX);
        if bare.is_some_and(|bare| signed_with(bare.as_bytes())) {
            return Some(Diagnosis::MatchesSecretWithoutPrefix { secret });
        }
        let prefixed = Zeroizing::new(format!("{PREFIX}{trimmed}"));
        if bare.is_none() && signed_with(prefixed.as_bytes()) {
            return Some(Diagnosis::MatchesSecretWithPrefix { secret });
        }
        let decoded = base64::decode(bare.unwrap_or(trimmed)).map(Zeroizing::new);
        if decoded.is_some_and(|decoded| !decoded.is_empty() && signed_with(&decoded)) {
            return Some(Diagnosis::MatchesBase64DecodedSecret { secret });
        }
    }
    None
}

/// Without white space, byte order marks and zero-width characters, which editors leave unseen.
fn trim(text: &str) -> &str {
    let is_unseen =
        |character| matches!(character, '\u{feff}' | '\u{200b}'..='\u{200d}' | '\u{2060}');
    text.trim_matches(|character: char| character.is_whitespace() || is_unseen(character))
}

/// Tries the spellings of the body that common programs write.
fn other_spelling(signature: &Signature, body: &[u8], secrets: &Secrets) -> Option<Diagnosis> {
    if body.len() > MAX_REWRITTEN_BYTES {
        return None;
    }
    let body = str::from_utf8(body).ok()?;
    for style in Style::all() {
        let mut spelling = rewrite(body, style)?;
        for end in ["", "\n"] {
            spelling.push_str(end);
            if let Ok(matched) = secrets.verify(signature, spelling.as_bytes()) {
                let secret = matched.index();
                return Some(Diagnosis::MatchesReserializedBody { secret });
            }
        }
    }
    None
}

/// Bodies above this are not rewritten, so that one request cannot cause much work. HeyGen's
/// documented bodies stay below 2 KiB.
const MAX_REWRITTEN_BYTES: usize = 64 * 1024;
