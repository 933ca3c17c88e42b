//! Which header carries the signature, and reading it.

use std::fmt;

use crate::signature::Signature;

/// The header that carries the signature: `Signature`, in lower case.
///
/// # Source
///
/// HeyGen documentation, “Webhooks”, edition of late September 2026: documented. Seen in real deliveries: observed.
pub const SIGNATURE: &str = "signature";

/// The header that carried the signature in an edition of the documentation: `Heygen-Signature`, in lower case.
///
/// # Source
///
/// HeyGen documentation, “Webhooks”, edition of mid-2026: documented, later withdrawn, and absent from real deliveries.
pub const HEYGEN_SIGNATURE: &str = "heygen-signature";

/// A header that HeyGen does not send, although many receivers look for it.
pub(crate) const X_HEYGEN_SIGNATURE: &str = "x-heygen-signature";

/// Finds and reads the one signature among the headers of a request.
///
/// [`SIGNATURE`] decides when it is there; [`HEYGEN_SIGNATURE`] is looked at only when it is not. Names match in any case.
///
/// # Errors
///
/// [`HeaderError`] when there is no signature, more than one, or one that cannot be read.
pub fn find_signature<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<Signature, HeaderError> {
    Found::among(headers).signature()
}

/// Which header names look as if they carried a signature: those that contain `signature`, in the order given.
///
/// For the log line of a refusal. Names only, because a value may be a credential of somebody else.
pub fn signature_like_headers<'a>(
    names: impl IntoIterator<Item = &'a str>,
) -> impl Iterator<Item = &'a str> {
    names
        .into_iter()
        .filter(|name| name.to_ascii_lowercase().contains("signature"))
}

/// Why a request has no readable signature.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HeaderError {
    /// Neither header is there.
    Missing,
    /// The header is not 64 hexadecimal digits.
    Malformed,
    /// The header occurs twice, or its value is a list.
    ///
    /// Which one a proxy, a log or another check looked at is anyone's guess, so none is used.
    Ambiguous,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "no signature header",
            Self::Malformed => "the signature header is not 64 hexadecimal digits",
            Self::Ambiguous => "more than one signature in the headers",
        })
    }
}

impl std::error::Error for HeaderError {}

/// What one walk over the headers saw of each name that matters.
pub(crate) struct Found<'a> {
    signature: Values<'a>,
    heygen_signature: Values<'a>,
    x_heygen_signature: Values<'a>,
}

impl<'a> Found<'a> {
    pub(crate) fn among(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut found = Self {
            signature: Values::None,
            heygen_signature: Values::None,
            x_heygen_signature: Values::None,
        };
        for (name, value) in headers {
            if name.eq_ignore_ascii_case(SIGNATURE) {
                found.signature.add(value);
            } else if name.eq_ignore_ascii_case(HEYGEN_SIGNATURE) {
                found.heygen_signature.add(value);
            } else if name.eq_ignore_ascii_case(X_HEYGEN_SIGNATURE) {
                found.x_heygen_signature.add(value);
            }
        }
        found
    }

    pub(crate) fn signature(&self) -> Result<Signature, HeaderError> {
        let value = self.value()?;
        Signature::parse(value).map_err(|_not_hex| HeaderError::Malformed)
    }

    /// The value that decides, unread.
    pub(crate) fn value(&self) -> Result<&'a [u8], HeaderError> {
        match (&self.signature, &self.heygen_signature) {
            (Values::One(value), _) | (Values::None, Values::One(value)) => Ok(value),
            (Values::Many, _) | (Values::None, Values::Many) => Err(HeaderError::Ambiguous),
            (Values::None, Values::None) => Err(HeaderError::Missing),
        }
    }

    /// Whether the only signature is in the header that HeyGen does not send.
    pub(crate) fn only_x_heygen_signature(&self) -> bool {
        let there = !matches!(self.x_heygen_signature, Values::None);
        there && self.value() == Err(HeaderError::Missing)
    }
}

/// The values of one header name. A list in one value counts as several.
enum Values<'a> {
    None,
    One(&'a [u8]),
    Many,
}

impl<'a> Values<'a> {
    fn add(&mut self, value: &'a [u8]) {
        *self = match self {
            Self::None if !value.contains(&b',') => Self::One(trim_blank(value)),
            Self::None | Self::One(_) | Self::Many => Self::Many,
        };
    }
}

/// Cuts the optional white space that HTTP allows around a value and that some servers hand on.
fn trim_blank(value: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let Some(start) = value.iter().position(|byte| !blank(byte)) else {
        return &[];
    };
    let end = value.iter().rposition(|byte| !blank(byte)).unwrap_or(start);
    &value[start..=end]
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "8d8bcdb9c5823dfa062f5844c409a5bc737f7e02a685b3091944e2d1ad78db8e";
    const B: &str = "43c0f4d23c8e8841358fad4624b1a592799222b29f25bb59baea43cdcb522ed1";

    #[track_caller]
    fn check(headers: &[(&str, &str)], expected: Result<&str, HeaderError>) {
        let headers = headers
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()));
        let found = find_signature(headers).map(|signature| signature.to_string());
        assert_eq!(found.as_deref().map_err(|error| *error), expected);
    }

    #[test]
    fn signature_decides_and_heygen_signature_stands_in_for_it() {
        check(&[("Signature", A)], Ok(A));
        check(&[("signature", A)], Ok(A));
        check(&[("SIGNATURE", &A.to_uppercase())], Ok(A));
        check(&[("Heygen-Signature", A)], Ok(A));
        check(&[("heygen-signature", B), ("signature", A)], Ok(A));
        check(
            &[
                ("signature", A),
                ("HEYGEN-SIGNATURE", B),
                ("heygen-signature", B),
            ],
            Ok(A),
        );
        check(&[("signature", &format!(" {A}\t"))], Ok(A));
    }

    #[test]
    fn nothing_else_carries_a_signature() {
        check(&[], Err(HeaderError::Missing));
        check(&[("X-HeyGen-Signature", A)], Err(HeaderError::Missing));
        check(
            &[("X-Signature", A), ("webhook-signature", A)],
            Err(HeaderError::Missing),
        );
    }

    #[test]
    fn a_value_that_decides_but_cannot_be_read_is_not_replaced_by_the_other() {
        check(&[("signature", "")], Err(HeaderError::Malformed));
        check(&[("signature", " ")], Err(HeaderError::Malformed));
        check(
            &[("signature", "nonsense"), ("heygen-signature", A)],
            Err(HeaderError::Malformed),
        );
        check(
            &[("signature", &format!("sha256={A}"))],
            Err(HeaderError::Malformed),
        );
    }

    #[test]
    fn more_than_one_value_is_no_value() {
        let ambiguous = Err(HeaderError::Ambiguous);
        check(&[("signature", A), ("Signature", A)], ambiguous);
        check(
            &[("signature", A), ("signature", B), ("signature", A)],
            ambiguous,
        );
        check(&[("signature", &format!("{A},{A}"))], ambiguous);
        check(&[("signature", &format!("{A},"))], ambiguous);
        check(
            &[("signature", A), ("signature", B), ("heygen-signature", A)],
            ambiguous,
        );
        check(
            &[("heygen-signature", A), ("heygen-signature", A)],
            ambiguous,
        );
    }

    #[test]
    fn names_that_look_like_signatures_are_listed() {
        let names = [
            "host",
            "Signature",
            "X-HeyGen-SIGNATURE",
            "signed",
            "webhook-signature",
        ];
        let found: Vec<_> = signature_like_headers(names).collect();
        assert_eq!(
            found,
            ["Signature", "X-HeyGen-SIGNATURE", "webhook-signature"]
        );
    }
}
