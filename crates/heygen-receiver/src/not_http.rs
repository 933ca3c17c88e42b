//! [`NotHttp`]: what a connection may carry instead of HTTP.

/// What a connection carries that is no HTTP, or not within the limits, and so was not a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NotHttp {
    /// The address of the client, from a load balancer.
    ProxyProtocol,
    Tls,
    /// Anything but TLS where that is served, such as either of the others.
    #[cfg(feature = "tls")]
    NotTls,
    /// That the client does not trust the certificate.
    #[cfg(feature = "tls")]
    Distrust,
    /// The headers of a POST, which cannot be read.
    PostHead,
    /// The headers of a POST, which are too large.
    LargePostHead,
}

impl NotHttp {
    /// By the first bytes, which are sent in one piece. A POST is meant for us, unless its head turns
    /// out to be unreadable.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        const VERSIONS: [&[u8]; 2] = [b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n"];
        if VERSIONS.iter().any(|version| bytes.starts_with(version)) {
            return Some(Self::ProxyProtocol);
        }
        if bytes.starts_with(b"POST ") {
            return Some(Self::PostHead);
        }
        bytes.starts_with(&[0x16, 0x03]).then_some(Self::Tls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_what_is_not_http() {
        let check = |bytes: &[u8], expected| assert_eq!(NotHttp::of(bytes), expected, "{bytes:?}");
        let proxied = Some(NotHttp::ProxyProtocol);
        check(
            b"PROXY TCP4 192.0.2.1 192.0.2.2 5 80\r\nPOST / HTTP/1.1\r\n",
            proxied,
        );
        check(b"PROXY UNKNOWN\r\n", proxied);
        check(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", proxied);
        check(b"\x16\x03\x01\x02\0\x01", Some(NotHttp::Tls));
        check(b"POST / HTTP/1.1\r\n", Some(NotHttp::PostHead));
        for http in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"PRI * HTTP/2.0\r\n\r\n",
            b"\r\nPOST / HTTP/1.1\r\n",
            b"P",
            b"",
        ] {
            check(http, None);
        }
    }
}
