//! [`same_address`]: whether two strings are the same URL.

use url::Url;

/// Whether two URLs are the same for a receiver, for example with and without a trailing slash. The
/// query counts, because a proxy or tunnel may route by it.
#[must_use]
pub fn same_address(one: &str, other: &str) -> bool {
    canonical_address(one) == canonical_address(other)
}

/// The canonical form of a URL.
#[must_use]
pub fn canonical_address(url: &str) -> String {
    let Ok(mut parsed) = Url::parse(url) else {
        return url.to_owned();
    };
    // A trailing dot of the host is insignificant too.
    let host = parsed.host_str().and_then(|host| host.strip_suffix('.'));
    if let Some(host) = host.map(str::to_owned) {
        // Without the dot it is still a valid host.
        let _ = parsed.set_host(Some(&host));
    }
    let path = parsed.path().strip_suffix('/').map(str::to_owned);
    if let Some(path) = path {
        parsed.set_path(&path);
    }
    // A fragment is never sent.
    parsed.set_fragment(None);
    parsed.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_address_ignores_spelling() {
        #[track_caller]
        fn check(one: &str, other: &str, expected: bool) {
            assert_eq!(same_address(one, other), expected, "{one} {other}");
            assert_eq!(same_address(other, one), expected, "{other} {one}");
        }
        check("https://A.example:443/h", "https://a.example/h/", true);
        check("HTTPS://a.example/h", "https://a.example:443/h", true);
        check("http://a.example:80/h", "http://a.example/h/", true);
        check("https://a.example", "https://a.example/#top", true);
        check("https://a.example./h", "https://a.example/h", true);
        check(
            "https://bücher.example/h",
            "https://xn--bcher-kva.example/h",
            true,
        );
        check("https://a.example/h?a=1", "https://a.example/h/?a=1", true);
        check("https://[::1]/h", "https://[0:0:0:0:0:0:0:1]/h/", true);
        check(" https://a.example/h", "https://a.example/h", true);
        for (one, other) in [
            ("https://a.example/h?to=/", "https://a.example/h?to="),
            ("https://a.example/h?a=1", "https://a.example/h"),
            ("https://a.example/h", "https://a.example/H"),
            ("https://a.example/h", "http://a.example/h"),
            ("https://a.example/h", "https://a.example:8443/h"),
            ("https://a.example/h", "https://b.example/h"),
            // The receiver serves none of these beside the other.
            ("https://a.example/h//", "https://a.example/h"),
            ("https://a.example//h", "https://a.example/h"),
            ("https://a.example/%68", "https://a.example/h"),
            ("not an address/", "not an address"),
        ] {
            check(one, other, false);
        }
    }
}
