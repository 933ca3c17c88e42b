//! [`Address`]: where an inbox on JetStream is, `nats://host:4222,other:4222/STREAM`.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// Where an inbox on JetStream is: one or more servers of a cluster, and the name of a stream.
///
/// Written `nats://host:4222/STREAM`, `nats://a,b,c/STREAM` (the port is 4222 where none is given),
/// or with `tls://` to insist on TLS. A user and password, or a token, may stand before the first
/// host; a program's arguments can be seen by everyone on the machine, so
/// [`Access`](super::Access) has better ways. [`Display`](fmt::Display) shows none of them.
///
/// # Examples
///
/// ```
/// use heygen_inbox::jetstream::Address;
///
/// let address: Address = "nats://ann:secret@a:4222,b/HEYGEN".parse()?;
/// assert_eq!(address.to_string(), "nats://a:4222,b:4222/HEYGEN");
/// assert!("nats://a:4222".parse::<Address>().is_err(), "which stream?");
/// # Ok::<(), heygen_inbox::jetstream::AddressError>(())
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct Address {
    is_tls: bool,
    user: Option<(String, Option<String>)>,
    /// Each `host:port`.
    hosts: Vec<String>,
    stream: String,
}

impl Address {
    /// Whether a text is meant as such an address, and not as the path of a file.
    #[must_use]
    pub fn is_meant_by(text: &str) -> bool {
        SCHEMES.iter().any(|(scheme, _)| text.starts_with(scheme))
    }

    /// The name of the stream.
    #[must_use]
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// The servers, each `host:port`.
    #[must_use]
    pub fn hosts(&self) -> &[String] {
        &self.hosts
    }

    pub(super) fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// User and password, or a token alone.
    pub(super) fn user(&self) -> Option<(&str, Option<&str>)> {
        self.user
            .as_ref()
            .map(|(user, password)| (user.as_str(), password.as_deref()))
    }

    pub(super) fn servers(&self) -> impl Iterator<Item = String> {
        self.hosts
            .iter()
            .map(|host| format!("{}{host}", scheme(self.is_tls)))
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (rest, is_tls) = SCHEMES
            .iter()
            .find_map(|(scheme, is_tls)| Some((text.strip_prefix(scheme)?, *is_tls)))
            .ok_or(AddressError::Scheme)?;
        // A password may hold a slash; the name of a stream cannot hold an `@`.
        let (user, rest) = match rest.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, rest),
        };
        let (hosts, stream) = rest.split_once('/').ok_or(AddressError::NoStream)?;
        let user = user.map(|user| match user.split_once(':') {
            Some((user, password)) => (user.to_owned(), Some(password.to_owned())),
            None => (user.to_owned(), None),
        });
        Ok(Self {
            is_tls,
            user,
            hosts: hosts.split(',').map(with_port).collect::<Result<_, _>>()?,
            stream: stream_name(stream)?.to_owned(),
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.hosts.join(",");
        write!(f, "{}{hosts}/{}", scheme(self.is_tls), self.stream)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

/// Why a text is no [`Address`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AddressError {
    /// It begins with neither `nats://` nor `tls://`.
    Scheme,
    /// No server is named, or its port is not a port.
    Host,
    /// No stream is named.
    NoStream,
    /// The name of the stream is not valid.
    Stream,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "an inbox on JetStream is written nats://host:4222/STREAM, or tls://…",
            Self::Host => "no server, or no port, in nats://host:4222[,host:4222…]/STREAM",
            Self::NoStream => "no stream: write nats://host:4222/STREAM, for example …/HEYGEN",
            Self::Stream => {
                "the name of a stream is 1 to 200 letters, digits, `-` and `_`, for example HEYGEN"
            }
        })
    }
}

impl Error for AddressError {}

fn scheme(is_tls: bool) -> &'static str {
    if is_tls { "tls://" } else { "nats://" }
}

fn with_port(host: &str) -> Result<String, AddressError> {
    let is_plain = |text: &str| {
        !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c == '/' || c == '?')
    };
    if !is_plain(host) {
        return Err(AddressError::Host);
    }
    // The colons of an IPv6 address are in brackets.
    let after_brackets = host.rfind(']').map_or(0, |index| index + 1);
    match host[after_brackets..].split_once(':') {
        None => Ok(format!("{host}:{PORT}")),
        Some((name, port)) => {
            let has_name = after_brackets > 0 || !name.is_empty();
            let is_port = port.parse::<u16>().is_ok_and(|port| port > 0);
            (has_name && is_port)
                .then(|| host.to_owned())
                .ok_or(AddressError::Host)
        }
    }
}

fn stream_name(name: &str) -> Result<&str, AddressError> {
    let name = name.strip_suffix('/').unwrap_or(name);
    if name.is_empty() {
        return Err(AddressError::NoStream);
    }
    let is_name = name.len() <= 200
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    is_name.then_some(name).ok_or(AddressError::Stream)
}

const SCHEMES: [(&str, bool); 2] = [("nats://", false), ("tls://", true)];

const PORT: u16 = 4222;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, AddressError>) {
        let read = text.parse::<Address>().map(|address| address.to_string());
        assert_eq!(read.as_deref().map_err(|error| *error), expected, "{text}");
    }

    #[test]
    fn addresses_are_read() {
        check("nats://a/S", Ok("nats://a:4222/S"));
        check("nats://a/S/", Ok("nats://a:4222/S"));
        check("tls://a:1,b:2/my-stream_1", Ok("tls://a:1,b:2/my-stream_1"));
        check(
            "nats://[::1]:4333,[::2]/S",
            Ok("nats://[::1]:4333,[::2]:4222/S"),
        );
        check("nats://u:p/w@a/S", Ok("nats://a:4222/S"));
        check("nats://token@a/S", Ok("nats://a:4222/S"));
    }

    #[test]
    fn malformed_addresses_are_refused() {
        check("./heygen-inbox.db", Err(AddressError::Scheme));
        check("http://a/S", Err(AddressError::Scheme));
        check("nats:///S", Err(AddressError::Host));
        check("nats://a,,b/S", Err(AddressError::Host));
        check("nats://a:port/S", Err(AddressError::Host));
        check("nats://a:0/S", Err(AddressError::Host));
        check("nats://:4222/S", Err(AddressError::Host));
        check("nats://a b/S", Err(AddressError::Host));
        check("nats://a", Err(AddressError::NoStream));
        check("nats://a/", Err(AddressError::NoStream));
        check("nats://a/heygen.events", Err(AddressError::Stream));
        check("nats://a/a/b", Err(AddressError::Stream));
    }

    #[test]
    fn a_password_is_read_and_never_shown() {
        let address: Address = "nats://ann:se:cret@a/S".parse().expect("an address");
        assert_eq!(address.user(), Some(("ann", Some("se:cret"))));
        assert!(!format!("{address:?} {address}").contains("cret"));
    }
}
