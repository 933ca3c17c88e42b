//! Addresses: which ones are private, and the path that a public one lacks.

use std::net::IpAddr;

use reqwest::Url;

/// Whether only this machine, or only its network, can reach it. Names are judged by what they say, and not looked up.
pub(crate) fn is_private(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches([']', '.']);
    match host.parse::<IpAddr>() {
        Ok(address) => is_private_ip(address),
        Err(_) => {
            let hidden = |name: &str| host == name || host.ends_with(&format!(".{name}"));
            PRIVATE_NAMES.iter().any(|name| hidden(name)) || !host.contains('.')
        }
    }
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

fn is_private_ip(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            let is_shared = first == 100 && (64..128).contains(&second);
            address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_unspecified()
                || is_shared
        }
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => is_private_ip(address.into()),
            None => {
                address.is_loopback()
                    || address.is_unspecified()
                    || address.is_unique_local()
                    || address.is_unicast_link_local()
            }
        },
    }
}

/// An address without a path means the path that is served.
pub(crate) fn public_url(url: &str, path: &str) -> String {
    let after_scheme = url.find("://").map_or(0, |authority| authority + 3);
    let (scheme, rest) = url.split_at(after_scheme);
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (authority, query) = rest.split_at(end);
    let host = authority.trim_end_matches('/');
    match host.contains('/') {
        true => url.to_owned(),
        false => format!("{scheme}{host}{path}{query}"),
    }
}

const PRIVATE_NAMES: [&str; 6] = ["localhost", "local", "internal", "lan", "home.arpa", "test"];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: bool) {
        let url = Url::parse(url).expect("a URL");
        assert_eq!(is_private(&url), expected, "{url}");
    }

    #[test]
    fn private_addresses_are_recognised() {
        for url in [
            "http://localhost:8080/",
            "https://box.local/",
            "https://db.internal./",
            "https://intranet/",
            "http://127.0.0.1/",
            "http://10.1.2.3/",
            "http://172.16.0.1/",
            "http://192.168.0.1/",
            "http://169.254.1.1/",
            "http://100.64.0.1/",
            "http://0.0.0.0/",
            "http://[::1]/",
            "http://[fd00::1]/",
            "http://[fe80::1]/",
            "http://[::ffff:10.0.0.1]/",
        ] {
            check(url, true);
        }
        for url in [
            "https://hooks.example.com/",
            "https://localhost.example.com/",
            "https://1.1.1.1/",
            "https://172.32.0.1/",
            "https://100.128.0.1/",
            "https://[2606:4700::1111]/",
        ] {
            check(url, false);
        }
    }

    #[test]
    fn a_public_url_gets_the_path_it_lacks() {
        let path = "/webhooks/heygen";
        for (given, expected) in [
            ("https://a.example", "https://a.example/webhooks/heygen"),
            ("https://a.example/", "https://a.example/webhooks/heygen"),
            (
                "https://a.example:8443",
                "https://a.example:8443/webhooks/heygen",
            ),
            ("https://a.example/hooks/h", "https://a.example/hooks/h"),
            (
                "https://a.example/?to=/b",
                "https://a.example/webhooks/heygen?to=/b",
            ),
        ] {
            assert_eq!(public_url(given, path), expected);
        }
    }
}
