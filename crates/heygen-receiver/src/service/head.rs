//! The headers of a request while its body is waited for: counted, and no more of them than is needed.

use bytes::BytesMut;
use http::header::{HeaderMap, HeaderValue};

use crate::unverified::is_passed_over;

/// The most headers a request may have, over HTTP/1 and HTTP/2 alike.
pub(crate) const MAX_HEADERS: usize = 100;

/// What the headers take in memory, and a little more.
pub(super) fn cost(headers: &HeaderMap) -> usize {
    let lines = headers.iter();
    lines
        .map(|(name, value)| name.as_str().len() + value.len() + PER_HEADER)
        .sum()
}

/// The same headers, the values of which nothing is kept left empty, in memory of their own: as they come they share the
/// connection's buffer, and would hold the whole of it for as long as the body takes.
pub(super) fn detached(headers: &HeaderMap) -> HeaderMap {
    let is_kept = |name: &http::HeaderName| !is_passed_over(name.as_str());
    let kept = headers.iter().filter(|(name, _)| is_kept(name));
    let mut buffer = BytesMut::with_capacity(kept.map(|(_, value)| value.len()).sum());
    let mut detached = HeaderMap::with_capacity(headers.keys_len());
    for (name, value) in headers {
        let copy = if is_kept(name) {
            buffer.extend_from_slice(value.as_bytes());
            HeaderValue::from_maybe_shared(buffer.split().freeze())
        } else {
            Ok(HeaderValue::from_static(""))
        };
        // What was a value is one.
        if let Ok(mut copy) = copy {
            copy.set_sensitive(value.is_sensitive());
            detached.append(name, copy);
        }
    }
    detached
}

/// An entry of the map, its place in the index, and the allocations of name and value.
const PER_HEADER: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detached_headers_hold_no_buffer_and_no_credentials() {
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
