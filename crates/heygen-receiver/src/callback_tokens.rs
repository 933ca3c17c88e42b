//! [`CallbackTokens`]: what the address of a callback must end with, known here only by its digests.

use std::error::Error;
use std::fmt;
use std::hint::black_box;
use std::sync::{Arc, PoisonError, RwLock};

use sha2::{Digest as _, Sha256};

/// The tokens that open the callback path now. Clones share them, so that they can be replaced under a running receiver.
///
/// HeyGen signs no POST to the `callback_url` of a single job. So such posts are taken only at `<path>/callbacks/<token>`:
/// whoever knows the token may send, and a handler sees by [`Delivery::source`](crate::Delivery::source) that nothing else
/// vouches for what it is given. Under any other token the path does not exist.
///
/// A token is 22 to 200 characters of `A-Z a-z 0-9 - _`: at least 128 bits, if it was drawn at random. Only SHA-256 digests
/// are held, and compared in constant time.
///
/// # Examples
///
/// ```
/// use heygen_receiver::CallbackTokens;
///
/// let tokens = CallbackTokens::new(["Zm9vYmFyYmF6cXV4MTIzNDU2"])?;
/// assert!(tokens.accepts("Zm9vYmFyYmF6cXV4MTIzNDU2"));
/// assert!(!tokens.accepts("Zm9vYmFyYmF6cXV4MTIzNDU3"));
/// assert!(CallbackTokens::new(["guess-me"]).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct CallbackTokens {
    digests: Arc<RwLock<Arc<[TokenDigest]>>>,
}

type TokenDigest = [u8; 32];

/// Why something is no callback token. Tells which of several it was, and never the text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CallbackTokenError {
    kind: CallbackTokenErrorKind,
    place: usize,
}

/// What is the matter with it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum CallbackTokenErrorKind {
    /// Fewer than 22 characters: it could be guessed.
    TooShort,
    /// More than 200 characters.
    TooLong,
    /// A character other than `A-Z a-z 0-9 - _`.
    BadCharacter,
}

impl CallbackTokens {
    /// No token: no callback is taken.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// These tokens.
    ///
    /// # Errors
    ///
    /// When one of them is no token.
    pub fn new(
        tokens: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, CallbackTokenError> {
        let new = Self::none();
        new.set(tokens)?;
        Ok(new)
    }

    /// Puts these in the place of whatever was in force.
    ///
    /// # Errors
    ///
    /// When one of them is no token; those in force then stay.
    pub fn set(
        &self,
        tokens: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<(), CallbackTokenError> {
        let digests: Arc<[TokenDigest]> = tokens
            .into_iter()
            .enumerate()
            .map(|(place, token)| {
                let token = token.as_ref();
                check(token).map_err(|kind| CallbackTokenError { kind, place })?;
                Ok(Sha256::digest(token).into())
            })
            .collect::<Result<_, _>>()?;
        *self.digests.write().unwrap_or_else(PoisonError::into_inner) = digests;
        Ok(())
    }

    /// Whether this is one of them. Takes as long for whatever is not, whether or not there are any.
    #[must_use]
    pub fn accepts(&self, token: &str) -> bool {
        // What cannot be a token is hashed as another text of the usual length would be, and is none whatever comes of it.
        let is_token = check(token).is_ok();
        let text = if is_token { token } else { FILLING };
        let digest: TokenDigest = Sha256::digest(text).into();
        let known = self.known();
        let found = known
            .iter()
            .fold(false, |found, other| found | are_equal(&digest, other));
        found & is_token
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn known(&self) -> Arc<[TokenDigest]> {
        Arc::clone(&self.digests.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl CallbackTokenError {
    /// What is the matter with it.
    #[must_use]
    pub fn kind(&self) -> CallbackTokenErrorKind {
        self.kind
    }

    /// Which of those given it is, from 0.
    #[must_use]
    pub fn place(&self) -> usize {
        self.place
    }
}

impl fmt::Debug for CallbackTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackTokens")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for CallbackTokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "callback token {} has {}", self.place + 1, self.kind)
    }
}

impl Error for CallbackTokenError {}

/// What it has, for messages that tell in words of their own which one it was: `fewer than 22 characters`.
impl fmt::Display for CallbackTokenErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort => write!(f, "fewer than {MIN_LEN} characters"),
            Self::TooLong => write!(f, "more than {MAX_LEN} characters"),
            Self::BadCharacter => f.write_str("a character other than A-Z, a-z, 0-9, - and _"),
        }
    }
}

fn check(token: &str) -> Result<(), CallbackTokenErrorKind> {
    if token.len() > MAX_LEN {
        return Err(CallbackTokenErrorKind::TooLong);
    }
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !token.bytes().all(is_fine) {
        return Err(CallbackTokenErrorKind::BadCharacter);
    }
    if token.len() < MIN_LEN {
        return Err(CallbackTokenErrorKind::TooShort);
    }
    Ok(())
}

fn are_equal(a: &TokenDigest, b: &TokenDigest) -> bool {
    let difference = a.iter().zip(b).fold(0, |sum, (a, b)| sum | (a ^ b));
    black_box(difference) == 0
}

const MIN_LEN: usize = 22;
const MAX_LEN: usize = 200;
const FILLING: &str = "0123456789012345678901";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(token: &str, expected: CallbackTokenErrorKind) {
        let good = "a".repeat(MIN_LEN);
        let tokens = CallbackTokens::new([&good]).expect("a token");
        let error = tokens.set([&good, token]).expect_err("no token");
        assert_eq!((error.kind(), error.place()), (expected, 1));
        assert!(token.is_empty() || !format!("{error} {error:?}").contains(token));
        assert!(tokens.accepts(&good), "as before");
        assert!(!tokens.accepts(token));
    }

    #[test]
    fn what_could_be_guessed_or_misread_is_no_token() {
        check_refused("", CallbackTokenErrorKind::TooShort);
        check_refused(&"x".repeat(21), CallbackTokenErrorKind::TooShort);
        check_refused(&"x".repeat(201), CallbackTokenErrorKind::TooLong);
        check_refused(&"x/".repeat(20), CallbackTokenErrorKind::BadCharacter);
        check_refused(&"%2F".repeat(20), CallbackTokenErrorKind::BadCharacter);
        check_refused(&"é".repeat(20), CallbackTokenErrorKind::BadCharacter);
        assert!(CallbackTokens::new(["x".repeat(22), "Aa0-_".repeat(40)]).is_ok());
    }

    #[test]
    fn nothing_is_accepted_where_there_is_no_token() {
        let tokens = CallbackTokens::none();
        assert!(tokens.is_empty());
        assert!(!tokens.accepts(""));
        assert!(!tokens.accepts(FILLING));
        // What stands in for the malformed is as good a token as any.
        tokens.set([FILLING]).expect("a token");
        assert!(tokens.accepts(FILLING));
        assert!(!tokens.accepts("malformed"));
    }

    #[test]
    fn debug_tells_how_many() {
        let token = "y".repeat(30);
        let tokens = CallbackTokens::new([&token]).expect("a token");
        assert_eq!(format!("{tokens:?}"), "CallbackTokens { len: 1, .. }");
    }
}
