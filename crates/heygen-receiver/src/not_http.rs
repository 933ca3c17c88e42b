//! [`NotHttp`]: what a connection may begin with instead of HTTP.

/// What a connection begins with that was meant for another kind of server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NotHttp {
    /// The address of the client, from a load balancer.
    ProxyProtocol,
    Tls,
}

impl NotHttp {
    /// By the first bytes, which are sent in one piece.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        const VERSIONS: [&[u8]; 2] = [b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n"];
        if VERSIONS.iter().any(|version| bytes.starts_with(version)) {
            return Some(Self::ProxyProtocol);
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
        for http in [
            &b"POST / HTTP/1.1\r\n"[..],
            b"PRI * HTTP/2.0\r\n\r\n",
            b"\r\nPOST / HTTP/1.1\r\n",
            b"P",
            b"",
        ] {
            check(http, None);
        }
    }
}
