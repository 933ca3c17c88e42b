//! [`Cause`]: what common errors deep in the client mean, in words.

use std::{error::Error, fmt, io};

/// Why there was no answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(
    not(feature = "tls"),
    expect(dead_code, reason = "only TLS has certificates")
)]
pub(super) enum Cause {
    Refused,
    Closed,
    NoRoute,
    UnknownName,
    NotHttp,
    NotTls,
    Expired,
    NotYetValid,
    OtherName,
    UnknownIssuer,
}

impl Cause {
    /// The cause in words, or the error itself if it is not a common one.
    pub(super) fn named(error: impl Error + Send + Sync + 'static) -> Box<dyn Error + Send + Sync> {
        match Self::of(&error) {
            Some(cause) => Box::new(cause),
            None => Box::new(error),
        }
    }

    #[cfg(feature = "drill")]
    pub(super) fn is_about_certificate(self) -> bool {
        matches!(
            self,
            Self::Expired | Self::NotYetValid | Self::OtherName | Self::UnknownIssuer
        )
    }

    fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        let mut found = None;
        while let Some(error) = next {
            // The deepest one knows best.
            found = Self::of_one(error).or(found);
            let inner = error
                .downcast_ref::<io::Error>()
                .and_then(io::Error::get_ref);
            next = match inner {
                Some(inner) => Some(inner),
                None => error.source(),
            };
        }
        found
    }

    fn of_one(error: &(dyn Error + 'static)) -> Option<Self> {
        #[cfg(feature = "tls")]
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return Self::of_tls(error);
        }
        let text = error.to_string();
        if text.starts_with("failed to lookup address information") {
            return Some(Self::UnknownName);
        }
        // The errors of hyper have no kinds for these.
        if text.starts_with("invalid HTTP version parsed") {
            return Some(Self::NotHttp);
        }
        if text.starts_with("connection closed before message completed") {
            return Some(Self::Closed);
        }
        match error.downcast_ref::<io::Error>()?.kind() {
            io::ErrorKind::ConnectionRefused => Some(Self::Refused),
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => Some(Self::Closed),
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                Some(Self::NoRoute)
            }
            _ => None,
        }
    }

    #[cfg(feature = "tls")]
    fn of_tls(error: &rustls::Error) -> Option<Self> {
        use rustls::CertificateError::{
            Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet,
            NotValidYetContext, UnknownIssuer,
        };
        match error {
            rustls::Error::InvalidMessage(_) => Some(Self::NotTls),
            rustls::Error::InvalidCertificate(error) => match error {
                Expired | ExpiredContext { .. } => Some(Self::Expired),
                NotValidYet | NotValidYetContext { .. } => Some(Self::NotYetValid),
                NotValidForName | NotValidForNameContext { .. } => Some(Self::OtherName),
                UnknownIssuer => Some(Self::UnknownIssuer),
                _ => None,
            },
            _ => None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "nothing listens at this address and port (connection refused)",
            Self::Closed => "the server closed the connection without an answer",
            Self::NoRoute => "there is no route to this address",
            Self::UnknownName => "DNS does not know the name of the host",
            Self::NotHttp => {
                "what answers there does not speak HTTP; if it speaks TLS, use https://"
            }
            Self::NotTls => "what answers there does not speak TLS; if it speaks HTTP, use http://",
            Self::Expired => "the certificate has expired",
            Self::NotYetValid => "the certificate is not valid yet",
            Self::OtherName => "the certificate is for another name",
            Self::UnknownIssuer => {
                "the certificate is from no authority that this machine trusts, or its chain is incomplete"
            }
        })
    }
}

impl Error for Cause {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: impl Error + Send + Sync + 'static, expected: &str) {
        assert_eq!(Cause::named(error).to_string(), expected);
    }

    #[test]
    fn common_causes_are_named_and_others_stay() {
        check(
            io::Error::other(io::Error::from(io::ErrorKind::ConnectionRefused)),
            "nothing listens at this address and port (connection refused)",
        );
        check(
            io::Error::other("failed to lookup address information: Name or service not known"),
            "DNS does not know the name of the host",
        );
        check(io::Error::other("something else"), "something else");
        #[cfg(feature = "tls")]
        check(
            io::Error::other(rustls::Error::InvalidCertificate(
                rustls::CertificateError::UnknownIssuer,
            )),
            "the certificate is from no authority that this machine trusts, or its chain is incomplete",
        );
    }
}
