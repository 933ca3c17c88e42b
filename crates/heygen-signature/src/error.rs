//! The errors: [`VerifyError`], [`SecretError`] and [`SignatureError`].

use std::error::Error;
use std::fmt;

/// Why a request does not verify.
///
/// The sender gets 401, whatever the kind; [`diagnose`](crate::diagnose) tells the operator more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct VerifyError {
    kind: VerifyErrorKind,
}

/// What is wrong with the signature of a request.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum VerifyErrorKind {
    /// Neither signature header is present.
    Missing,
    /// The header is not 64 hexadecimal digits.
    Malformed,
    /// The header occurs twice, or its value is a list.
    ///
    /// A proxy, a log and another check may each read a different one, so none is used.
    Ambiguous,
    /// The header is well formed, and no secret made this signature of this body.
    Mismatch,
}

impl VerifyError {
    pub(crate) const fn new(kind: VerifyErrorKind) -> Self {
        Self { kind }
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> VerifyErrorKind {
        self.kind
    }
}

impl VerifyErrorKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [
        Self::Missing,
        Self::Malformed,
        Self::Ambiguous,
        Self::Mismatch,
    ];

    /// A stable word for metrics, JSON and searches.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Missing => "missing-signature",
            Self::Malformed => "malformed-signature",
            Self::Ambiguous => "ambiguous-signature",
            Self::Mismatch => "signature-mismatch",
        }
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            VerifyErrorKind::Missing => "no signature header",
            VerifyErrorKind::Malformed => "the signature header is not 64 hexadecimal digits",
            VerifyErrorKind::Ambiguous => "more than one signature in the headers",
            VerifyErrorKind::Mismatch => "the signature matches no secret",
        })
    }
}

impl Error for VerifyError {}

/// The error for an empty secret, or for a list without any secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SecretError {
    kind: SecretErrorKind,
}

/// What is wrong with a secret.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SecretErrorKind {
    /// The text holds nothing but white space and the prefix `whsec_`.
    Empty,
    /// The list has no secret in it.
    NoSecret,
}

impl SecretError {
    pub(crate) const fn new(kind: SecretErrorKind) -> Self {
        Self { kind }
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> SecretErrorKind {
        self.kind
    }
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            SecretErrorKind::Empty => "the webhook secret is empty",
            SecretErrorKind::NoSecret => "there is no webhook secret",
        })
    }
}

impl Error for SecretError {}

/// The error for a text that is not 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SignatureError {
    private: (),
}

impl SignatureError {
    pub(crate) const fn not_hex() -> Self {
        Self { private: () }
    }
}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the signature is not 64 hexadecimal digits")
    }
}

impl Error for SignatureError {}
