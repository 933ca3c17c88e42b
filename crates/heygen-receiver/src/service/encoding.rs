//! Whether a body is compressed, by its header.

use http::{HeaderMap, header};

/// Whether `Content-Encoding` names a coding that changed the body. `identity` and an empty value
/// do not; and some senders write the body's charset there, which changes no byte.
pub(super) fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(|value| match value.to_str() {
            Ok(value) => value.split(',').any(is_coding),
            Err(_) => true,
        })
}

fn is_coding(name: &str) -> bool {
    let name = name.trim().to_ascii_lowercase();
    let name = name.strip_prefix("charset=").unwrap_or(&name);
    let name = name.trim_matches('"');
    !(name.is_empty() || name == "identity" || is_charset(name))
}

/// By the name families of IANA and browsers; none of them is a content coding.
fn is_charset(name: &str) -> bool {
    CHARSETS.contains(&name) || FAMILIES.iter().any(|family| name.starts_with(family))
}

const CHARSETS: [&str; 10] = [
    "ascii",
    "ansi",
    "big5",
    "big5-hkscs",
    "gbk",
    "gb2312",
    "gb18030",
    "sjis",
    "latin",
    "unicode",
];

const FAMILIES: [&str; 22] = [
    "utf-", "utf8", "utf16", "utf32", "utf_", "us-ascii", "ucs-", "unicode-", "iso-8859",
    "iso8859", "iso_8859", "iso-2022", "iso-ir-", "latin-", "latin1", "windows-", "win-125", "cp",
    "x-cp125", "koi8", "euc-", "shift",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[&[u8]], expected: bool) {
        let mut headers = HeaderMap::new();
        for value in values {
            let value = http::HeaderValue::from_bytes(value).expect("a value");
            headers.append(header::CONTENT_ENCODING, value);
        }
        assert_eq!(is_encoded(&headers), expected, "{values:?}");
    }

    #[test]
    fn compression_is_distinguished_from_charset_and_identity() {
        for plain in [
            "",
            " ",
            ",",
            "identity",
            "Identity",
            "identity, identity",
            "UTF-8",
            "utf8",
            "utf-8 ",
            "us-ascii",
            "ISO-8859-1",
            "windows-1252",
            "latin1",
            "cp1252",
            "gbk",
            "charset=utf-8",
            "charset=\"UTF-8\"",
            "identity, utf-8",
            "UTF-16LE",
            "Shift_JIS",
            "koi8-r",
        ] {
            check(&[plain.as_bytes()], false);
        }
        for encoded in [
            "gzip",
            "GZIP",
            "x-gzip",
            "deflate",
            "br",
            "compress",
            "x-compress",
            "zstd",
            "dcb",
            "exi",
            "aws-chunked",
            "unheard-of",
            "identity, br",
            "utf-8, gzip",
            "gzip, identity",
            "\"gzip\"",
            "charset=gzip",
        ] {
            check(&[encoded.as_bytes()], true);
        }
        check(&[], false);
        check(&[b"identity", b"utf-8"], false);
        check(&[b"identity", b"gzip"], true);
        check(&[b"\xff"], true);
    }
}
