//! The headers that are held while a body is received: counted, and only those needed.

use bytes::BytesMut;
use http::header::{HeaderMap, HeaderValue};

use crate::unverified::is_dropped;

/// The most headers a request may have, over HTTP/1 and HTTP/2 alike.
pub(crate) const MAX_HEADERS: usize = 100;

/// The memory that the headers use, rounded up.
pub(super) fn cost(headers: &HeaderMap) -> usize {
    let lines = headers.iter();
    lines
        .map(|(name, value)| name.as_str().len() + value.len() + PER_HEADER)
        .sum()
}

/// A copy of the headers, with the values that are not stored left empty. The originals borrow the
/// connection's buffer and would hold all of it while the body is received.
pub(super) fn detached(headers: &HeaderMap) -> HeaderMap {
    let is_stored = |name: &http::HeaderName| !is_dropped(name.as_str());
    let stored = headers.iter().filter(|(name, _)| is_stored(name));
    let mut buffer = BytesMut::with_capacity(stored.map(|(_, value)| value.len()).sum());
    let mut detached = HeaderMap::with_capacity(headers.keys_len());
    for (name, value) in headers {
        let copy = if is_stored(name) {
            buffer.extend_from_slice(value.as_bytes());
            HeaderValue::from_maybe_shared(buffer.split().freeze())
        } else {
            Ok(HeaderValue::from_static(""))
        };
        // A copy of a valid value is valid.
        if let Ok(mut copy) = copy {
            copy.set_sensitive(value.is_sensitive());
            detached.append(name, copy);
        }
    }
    detached
}

/// An entry of the map, its index entry, and the allocations of name and value.
const PER_HEADER: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detached_headers_hold_neither_the_buffer_nor_credentials() {
        let buffer = bytes::Bytes::from(vec![b'x'; 8192]);
        let mut headers = HeaderMap::new();
        let value = |range| HeaderValue::from_maybe_shared(buffer.slice(range)).expect("a value");
        headers.append("signature", value(0..64));
        headers.append("signature", value(64..65));
        headers.append("authorization", value(100..200));
        headers.append("x-request-id", value(200..210));
        assert_eq!(
            cost(&headers),
            4 * 128 + 2 * 9 + 65 + 13 + 100 + 12 + 10,
            "names, values, and 128 each"
        );
        let detached = detached(&headers);
        drop(headers);
        let lines: Vec<_> = detached
            .iter()
            .map(|(name, value)| (name.as_str(), value.len()))
            .collect();
        assert_eq!(
            lines,
            [
                ("signature", 64),
                ("signature", 1),
                ("authorization", 0),
                ("x-request-id", 10)
            ]
        );
        assert!(buffer.is_unique(), "no one else holds the buffer");
    }
}
