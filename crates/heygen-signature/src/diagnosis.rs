//! [`diagnose`]: why a request does not verify, told to the operator.

use std::fmt;

use hmac::Mac;
use zeroize::Zeroizing;

use crate::header::Found;
use crate::header::HeaderError;
use crate::secret::{PREFIX, keyed};
use crate::secret::{Secret, Secrets};
use crate::signature::Signature;

use rewrite::{Style, rewrite};

mod base64;
mod rewrite;

/// Checks a request as [`verify`](crate::verify) does and, when it does not pass, finds out what went wrong.
///
/// For the operator's log and for tools, never for the sender: an answer that says which secret nearly matched helps
/// whoever is guessing. It lets nothing pass: only [`Diagnosis::Verified`] means that the request verifies.
///
/// It tries a few other keys and, for bodies up to 64 KiB, some fifty other spellings of the body. That is a hundred
/// times slower than `verify`, so limit how often strangers can ask for it.
///
/// # Examples
///
/// ```
/// use heygen_signature::{Diagnosis, Secret, Secrets, diagnose};
///
/// // The file held the secret and a line end, and nobody cut the line end.
/// let secrets = Secrets::from(Secret::new("whsec_test\n")?);
/// let signature = Secret::new("whsec_test")?.sign(b"{}").to_string();
///
/// let diagnosis = diagnose([("Signature", signature.as_bytes())], b"{}", &secrets);
/// assert_eq!(diagnosis, Diagnosis::MatchesTrimmedSecret { secret: 0 });
/// assert_eq!(diagnosis.label(), "matches-trimmed-secret");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn diagnose<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    body: &[u8],
    secrets: &Secrets,
) -> Diagnosis {
    let found = Found::among(headers);
    let signature = match found.signature() {
        Ok(signature) => signature,
        Err(HeaderError::Missing) if found.only_x_heygen_signature() => {
            return Diagnosis::OnlyXHeygenSignature;
        }
        Err(HeaderError::Missing) => return Diagnosis::NoHeader,
        Err(HeaderError::Ambiguous) => return Diagnosis::Ambiguous,
        Err(HeaderError::Malformed) if found.value().is_ok_and(has_sha256_prefix) => {
            return Diagnosis::Sha256Prefix;
        }
        Err(HeaderError::Malformed) => return Diagnosis::NotHex,
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

/// What is the matter with the signature of a request.
///
/// `Display` says what to do about it, in one sentence; [`label`](Self::label) is for metrics and programs. `secret` is
/// the place of the secret in [`Secrets::iter`], from 0; the sentences count from 1.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Diagnosis {
    /// The request verifies.
    Verified {
        /// Which secret signed it.
        secret: usize,
    },
    /// There is no signature at all.
    NoHeader,
    /// There is only `X-HeyGen-Signature`, which HeyGen does not send.
    OnlyXHeygenSignature,
    /// There is more than one signature.
    Ambiguous,
    /// The signature is not 64 hexadecimal digits.
    NotHex,
    /// The signature begins with `sha256=`, which HeyGen's do not.
    Sha256Prefix,
    /// It matches once white space, quotes, or characters that nobody sees, such as a byte order mark, around the configured
    /// secret are cut.
    MatchesTrimmedSecret {
        /// Which secret that is.
        secret: usize,
    },
    /// It matches once `whsec_` is cut from the configured secret.
    MatchesSecretWithoutPrefix {
        /// Which secret that is.
        secret: usize,
    },
    /// It matches once `whsec_` is put before the configured secret.
    MatchesSecretWithPrefix {
        /// Which secret that is.
        secret: usize,
    },
    /// It matches the bytes that the configured secret stands for in base64.
    MatchesBase64DecodedSecret {
        /// Which secret that is.
        secret: usize,
    },
    /// It matches the body in another spelling: something on the way parsed it and wrote it again.
    MatchesReserializedBody {
        /// Which secret signed it.
        secret: usize,
    },
    /// Nothing that was tried matches.
    MatchesNoSecret,
}

impl Diagnosis {
    /// A short, stable word for metrics, JSON and searches.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Verified { .. } => "verified",
            Self::NoHeader => "no-signature-header",
            Self::OnlyXHeygenSignature => "only-x-heygen-signature",
            Self::Ambiguous => "ambiguous-signature",
            Self::NotHex => "not-hex",
            Self::Sha256Prefix => "sha256-prefix",
            Self::MatchesTrimmedSecret { .. } => "matches-trimmed-secret",
            Self::MatchesSecretWithoutPrefix { .. } => "matches-secret-without-prefix",
            Self::MatchesSecretWithPrefix { .. } => "matches-secret-with-prefix",
            Self::MatchesBase64DecodedSecret { .. } => "matches-base64-decoded-secret",
            Self::MatchesReserializedBody { .. } => "matches-reserialized-body",
            Self::MatchesNoSecret => "matches-no-secret",
        }
    }

    /// Whether the request verifies.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        matches!(self, Self::Verified { .. })
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verified { secret } => {
                write!(f, "the signature matches secret {}", secret + 1)
            }
            Self::NoHeader => f.write_str(
                "no signature header: a callback_url delivery or not from HeyGen, or a proxy removed the header; \
                 let it pass Signature on",
            ),
            Self::OnlyXHeygenSignature => f.write_str(
                "only X-HeyGen-Signature is there, a header HeyGen does not send: let the sender use Signature",
            ),
            Self::Ambiguous => f.write_str(
                "more than one signature in the headers: find out what on the way adds or joins headers",
            ),
            Self::NotHex => f.write_str(
                "the signature is not 64 hexadecimal digits: let the sender write the HMAC-SHA256 in hexadecimal",
            ),
            Self::Sha256Prefix => f.write_str(
                "the signature begins with sha256=, which HeyGen's do not: let the sender leave the prefix out",
            ),
            Self::MatchesTrimmedSecret { secret } => write!(
                f,
                "secret {} has white space or quotes around it that do not belong to it: remove them",
                secret + 1
            ),
            Self::MatchesSecretWithoutPrefix { secret } => write!(
                f,
                "the sender used secret {} without whsec_, which belongs to the key: let the sender keep it",
                secret + 1
            ),
            Self::MatchesSecretWithPrefix { secret } => write!(
                f,
                "secret {} lacks the whsec_ it was issued with: configure it with the prefix",
                secret + 1
            ),
            Self::MatchesBase64DecodedSecret { secret } => write!(
                f,
                "the sender base64-decoded secret {}, which HeyGen does not: let the sender use its text as the key",
                secret + 1
            ),
            Self::MatchesReserializedBody { secret } => write!(
                f,
                "secret {} signed this body in another spelling: verify the raw bytes, before anything parses them \
                 and writes them again",
                secret + 1
            ),
            Self::MatchesNoSecret => f.write_str(
                "the signature matches no secret: compare with the secret HeyGen gave for this endpoint, which ends \
                 when another is issued; or the body was altered, or HeyGen did not send it",
            ),
        }
    }
}

fn has_sha256_prefix(value: &[u8]) -> bool {
    let prefix = value.get(..7);
    prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(b"sha256="))
}

/// Tries what people make of a secret on either side.
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

/// Without white space, and without byte order marks and zero-width characters, which editors leave and nobody sees.
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

/// Bodies above this are not rewritten, so that a stranger cannot buy much work with one request. HeyGen's documented
/// bodies stay below 2 KiB.
const MAX_REWRITTEN_BYTES: usize = 64 * 1024;
