//! [`Credentials`]: a JWT and its key, from a file as `nsc` writes it. The file is read for each
//! connection, so that credentials can be renewed before or after they expire.

use std::io;
use std::path::Path;

use async_nats::{Auth, AuthError};
use nkeys::KeyPair;

/// A user's JWT and key.
pub(super) struct Credentials {
    jwt: String,
    key: KeyPair,
}

impl Credentials {
    pub(super) async fn read(file: &Path) -> io::Result<Self> {
        let file = file.to_owned();
        let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(file)).await;
        let text = read.map_err(io::Error::other)??;
        let malformed = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
        let (jwt, seed) =
            parts(&text).ok_or_else(|| malformed("it has no JWT and seed".to_owned()))?;
        Ok(Self {
            jwt: jwt.to_owned(),
            key: KeyPair::from_seed(seed).map_err(|error| malformed(error.to_string()))?,
        })
    }

    /// The answer to a server's challenge.
    pub(super) fn answer(self, nonce: &[u8]) -> Result<Auth, AuthError> {
        let mut auth = Auth::new();
        auth.signature = Some(self.key.sign(nonce).map_err(AuthError::new)?);
        auth.jwt = Some(self.jwt);
        Ok(auth)
    }
}

/// The lines that follow the two that begin a block.
fn parts(text: &str) -> Option<(&str, &str)> {
    let mut lines = text.lines().map(str::trim);
    let mut next = || {
        lines.find(|line| line.starts_with("---") && line.contains("BEGIN"))?;
        lines.find(|line| !line.is_empty())
    };
    Some((next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, &str)>) {
        assert_eq!(parts(text), expected, "{text}");
    }

    #[test]
    fn jwt_and_seed_are_found() {
        let file = "-----BEGIN NATS USER JWT-----\nJWT\n------END NATS USER JWT------\n\n\
            ***** IMPORTANT *****\n\n-----BEGIN USER NKEY SEED-----\nSEED\n------END USER NKEY SEED------\n";
        check(file, Some(("JWT", "SEED")));
        check(&file.replace('\n', "\r\n"), Some(("JWT", "SEED")));
        check("-----BEGIN NATS USER JWT-----\nJWT\n", None);
        check("JWT\nSEED\n", None);
        check("", None);
    }
}
