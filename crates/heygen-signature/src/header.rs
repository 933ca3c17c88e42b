//! Finds and reads the header that carries the signature.

use crate::error::{VerifyError, VerifyErrorKind};
use crate::signature::Signature;

/// The header that carries the signature: `Signature`, in lower case.
///
/// # Source
///
/// HeyGen documentation, “Webhooks”, edition of late September 2026: documented. Seen in real
/// deliveries: observed.
pub const SIGNATURE: &str = "signature";

/// The header that carried the signature in an edition of the documentation: `Heygen-Signature`, in
/// lower case.
///
/// # Source
///
/// HeyGen documentation, “Webhooks”, edition of mid-2026: documented, later withdrawn, and absent
/// from real deliveries.
pub const HEYGEN_SIGNATURE: &str = "heygen-signature";

/// A header that HeyGen does not send, although many receivers look for it.
pub(crate) const X_HEYGEN_SIGNATURE: &str = "x-heygen-signature";

/// Finds and reads the one signature among the headers of a request.
///
/// [`SIGNATURE`] decides if it is present; [`HEYGEN_SIGNATURE`] is used only if it is not. Names
/// match in any case. Headers come in as pairs, as for [`verify`](crate::verify).
///
/// # Errors
///
/// [`VerifyError`] when there is no signature, more than one, or one that cannot be read.
pub fn find_signature<N: AsRef<str>, V: AsRef<[u8]>>(
    headers: impl IntoIterator<Item = (N, V)>,
) -> Result<Signature, VerifyError> {
    SignatureHeaders::among(headers).signature()
}

/// Filters header names: those that contain `signature`, in the order given.
///
/// For the log line of a rejected request. Names only, because a value may be another service's
/// credential.
pub fn signature_like_headers<'a>(
    names: impl IntoIterator<Item = &'a str>,
) -> impl Iterator<Item = &'a str> {
    names
        .into_iter()
        .filter(|name| name.to_ascii_lowercase().contains("signature"))
}

/// The values of each header name that matters, from one walk over the headers.
pub(crate) struct SignatureHeaders<V> {
    signature: Values<V>,
    heygen_signature: Values<V>,
    x_heygen_signature: Values<V>,
}

impl<V: AsRef<[u8]>> SignatureHeaders<V> {
    pub(crate) fn among<N: AsRef<str>>(headers: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut found = Self {
            signature: Values::None,
            heygen_signature: Values::None,
            x_heygen_signature: Values::None,
        };
        for (name, value) in headers {
            let name = name.as_ref();
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

    pub(crate) fn signature(&self) -> Result<Signature, VerifyError> {
        let value = self.value()?;
        Signature::parse(value).map_err(|_not_hex| VerifyError::new(VerifyErrorKind::Malformed))
    }

    /// The value that decides, not yet parsed.
    pub(crate) fn value(&self) -> Result<&[u8], VerifyError> {
        match (&self.signature, &self.heygen_signature) {
            (Values::One(value), _) | (Values::None, Values::One(value)) => {
                Ok(trim_blank(value.as_ref()))
            }
            (Values::Many, _) | (Values::None, Values::Many) => {
                Err(VerifyError::new(VerifyErrorKind::Ambiguous))
            }
            (Values::None, Values::None) => Err(VerifyError::new(VerifyErrorKind::Missing)),
        }
    }

    /// Whether the only signature is in the header that HeyGen does not send.
    pub(crate) fn only_x_heygen_signature(&self) -> bool {
        let is_present = !matches!(self.x_heygen_signature, Values::None);
        is_present
            && self
                .value()
                .is_err_and(|error| error.kind() == VerifyErrorKind::Missing)
    }
}

/// The values of one header name. A list in one value counts as several.
enum Values<V> {
    None,
    One(V),
    Many,
}

impl<V: AsRef<[u8]>> Values<V> {
    fn add(&mut self, value: V) {
        *self = match self {
            Self::None if !value.as_ref().contains(&b',') => Self::One(value),
            Self::None | Self::One(_) | Self::Many => Self::Many,
        };
    }
}

/// Cuts the optional white space that HTTP allows around a value and that some servers pass on.
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
    fn check(headers: &[(&str, &str)], expected: Result<&str, VerifyErrorKind>) {
        let found = find_signature(headers.iter().copied());
        let found = found.map(|signature| signature.to_string());
        assert_eq!(found.as_deref().map_err(VerifyError::kind), expected);
    }

    #[test]
    fn signature_decides_and_heygen_signature_is_the_fallback() {
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
    fn other_header_names_are_ignored() {
        check(&[], Err(VerifyErrorKind::Missing));
        check(&[("X-HeyGen-Signature", A)], Err(VerifyErrorKind::Missing));
        check(
            &[("X-Signature", A), ("webhook-signature", A)],
            Err(VerifyErrorKind::Missing),
        );
    }

    #[test]
    fn malformed_signature_does_not_fall_back_to_heygen_signature() {
        check(&[("signature", "")], Err(VerifyErrorKind::Malformed));
        check(&[("signature", " ")], Err(VerifyErrorKind::Malformed));
        check(
            &[("signature", "nonsense"), ("heygen-signature", A)],
            Err(VerifyErrorKind::Malformed),
        );
        check(
            &[("signature", &format!("sha256={A}"))],
            Err(VerifyErrorKind::Malformed),
        );
    }

    #[test]
    fn more_than_one_value_is_ambiguous() {
        let ambiguous = Err(VerifyErrorKind::Ambiguous);
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
    fn signature_like_headers_are_listed() {
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
